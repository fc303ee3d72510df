// What the operator has asked for: told to every lane that starts, and kept for the next runtime.

import type { KeptOverride, LogLevel, PauseMode } from '../contract/daemon.ts'
import type { Crew } from './crew.ts'
import type { Block, Memory } from './memory.ts'
import type { Publishing } from './publishing.ts'
import type { RuntimeOptions } from './runtime.ts'

export interface Orders {
  readonly paused: (PauseMode | undefined)[]
  readonly blocked: Map<string, Block>
  refusing: boolean
  /** Undefined: control/loglevel. */
  level: LogLevel | undefined
  overrides: readonly KeptOverride[]
}

/** Draining is for this acceptd: who starts it again wants it to serve. */
export const ordersOf = ({ restarts }: RuntimeOptions, { current }: Publishing, memory: Memory): Orders => ({
  paused: current.config.listeners.map(({ name }) => memory.pauses.get(name)),
  blocked: new Map(memory.blocks),
  refusing: memory.draining && restarts > 0,
  level: memory.level,
  overrides: memory.overrides,
})

export const memoryOf = ({ kept, current }: Publishing, orders: Orders, { deaths }: Crew): Memory => ({
  generations: kept,
  blocks: orders.blocked,
  pauses: new Map(
    current.config.listeners.flatMap(({ name }, i) => {
      const mode = orders.paused[i]
      return mode === undefined ? [] : [[name, mode] as const]
    }),
  ),
  level: orders.level,
  draining: orders.refusing,
  overrides: orders.overrides,
  deaths,
})
