// What the operator has asked for: told to every lane that starts, and kept for the next runtime.

import type { KeptOverride, LogLevel, PauseMode } from '../contract/daemon.ts'
import type { LogComponent, LogLevels } from '../contract/log.ts'
import type { Crew } from './crew.ts'
import type { Block, Memory } from './memory.ts'
import type { Publishing } from './publishing.ts'
import type { RuntimeOptions } from './runtime.ts'

export interface Orders {
  readonly paused: (PauseMode | undefined)[]
  readonly blocked: Map<string, Block>
  refusing: boolean
  /** In place of what control/loglevel says. */
  readonly levels: Map<LogComponent, LogLevel>
  overrides: readonly KeptOverride[]
}

/** Draining is for this acceptd: who starts it again wants it to serve. */
export const ordersOf = ({ restarts, standby }: RuntimeOptions, { current }: Publishing, memory: Memory): Orders => ({
  paused: current.config.listeners.map(({ name }) => memory.pauses.get(name)),
  blocked: new Map(memory.blocks),
  refusing: memory.draining && (restarts > 0 || standby === true),
  levels: new Map(memory.levels),
  overrides: memory.overrides,
})

/** As another runtime has been told meanwhile. */
export function follow(orders: Orders, { current }: Publishing, memory: Memory): void {
  orders.paused.splice(0, orders.paused.length, ...current.config.listeners.map(({ name }) => memory.pauses.get(name)))
  orders.blocked.clear()
  for (const [user, block] of memory.blocks) orders.blocked.set(user, block)
  orders.refusing = memory.draining
  orders.levels.clear()
  for (const [component, level] of memory.levels) orders.levels.set(component, level)
  orders.overrides = memory.overrides
}

export const memoryOf = ({ kept, current }: Publishing, orders: Orders, { deaths }: Crew, seen: number): Memory => ({
  generations: kept,
  blocks: orders.blocked,
  pauses: new Map(
    current.config.listeners.flatMap(({ name }, i) => {
      const mode = orders.paused[i]
      return mode === undefined ? [] : [[name, mode] as const]
    }),
  ),
  levels: orders.levels,
  draining: orders.refusing,
  overrides: orders.overrides,
  deaths,
  seen,
})

export const levelsInForce = ({ current }: Publishing, { levels }: Orders): LogLevels => ({
  ...current.config.logLevels,
  ...Object.fromEntries(levels),
})

/** A changed control/loglevel takes the place of what was set for good; what was set for a time ends in its own. */
export function forgetLevels({ levels, overrides }: Orders): void {
  const isTemporary = (component: string) =>
    overrides.some(({ method, subject }) => method === 'log.set' && subject === component)
  for (const component of levels.keys()) if (!isTemporary(component)) levels.delete(component)
}
