// What a host of a fleet knows: the engine, the other hosts, and how it stands with them. Times are those of the monotonic clock.

import type { FleetConfig } from '../config/fleet.ts'
import type { EngineState, FleetHandler, HostAnswer } from '../contract/fleet.ts'
import type { LogFields } from '../edge/log.ts'
import type { Limiter } from '../limits/limiter.ts'
import type { Sharing } from '../limits/sharing.ts'
import type { Engine } from './engine.ts'

/** What a host says of itself. */
export interface HostFacts {
  readonly version: string
  readonly generation: number
  readonly sha256: string
  /** Of what hosts can have in common. */
  readonly common: string
}

export interface Member extends HostFacts {
  readonly name: string
  /** Another one each time that it joins. */
  readonly instance: string
  readonly heard: number
}

export interface FleetParts {
  readonly limiter: Limiter
  /** Milliseconds of the limiter's clock. */
  readonly now: () => number
  readonly log: (level: 'info' | 'warn', event: string, fields: LogFields) => void
  readonly facts: () => HostFacts
  readonly handler: () => FleetHandler | undefined
  /** Another runtime takes over: others are not answered. */
  readonly isHanding: () => boolean
}

export interface Asked {
  readonly missing: Set<string>
  readonly answers: HostAnswer[]
  readonly done: () => void
}

export interface State {
  readonly parts: FleetParts
  readonly config: FleetConfig
  readonly instance: string
  readonly sharing: Sharing
  engine: Engine
  at: EngineState
  since: number
  message: string | undefined
  /** The log has it. */
  isTold: boolean
  losses: number
  milliseconds: number
  slowSince: number | undefined
  fastSince: number | undefined
  isExchanging: boolean
  readonly members: Map<string, Member>
  readonly asked: Map<string, Asked>
  /** Another host says that it has the name of this one: since when, and when it was last heard. */
  twin: { readonly since: number; readonly heard: number } | undefined
  /** Newest order of another host that is carried out, by the engine's clock. */
  seen: number
}

/** Names of keys and channels. */
export const namesOf = ({ prefix }: FleetConfig) => ({
  hosts: `${prefix}:hosts`,
  orders: `${prefix}:orders`,
  counts: `${prefix}:count:`,
  bans: `${prefix}:ban:`,
  all: `${prefix}:all`,
  to: (instance: string) => `${prefix}:to:${instance}`,
})

/** Words for the key of an engine: nothing but letters, digits and few signs. */
export const encode = (words: string): string => encodeURIComponent(words).replaceAll('%20', '+')
export const decode = (key: string): string => {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return ''
  }
}

/** A host of which nothing is heard for so long is away. */
const HERE_MILLISECONDS = 2500

export const isHere = ({ heard }: Member, now: number): boolean => now - heard < HERE_MILLISECONDS

/** A runtime that takes over from another has its name, too, for a moment. */
const TWIN_MILLISECONDS = 5000

/** Two hosts of one name would overwrite each other's counts. */
export const hasTwin = ({ twin }: State, now: number): boolean =>
  twin !== undefined && now - twin.heard < HERE_MILLISECONDS && twin.heard - twin.since > TWIN_MILLISECONDS

export function hearTwin(state: State, now: number): void {
  const { twin } = state
  const goesOn = twin !== undefined && now - twin.heard < HERE_MILLISECONDS
  state.twin = { since: goesOn ? twin.since : now, heard: now }
}

/** Whether what is counted and ordered can be told. */
export const isJoined = ({ at }: State): boolean => at === 'together' || at === 'slow'

export function stand(state: State, at: EngineState, message?: string): void {
  const { parts, config, sharing } = state
  state.message = message
  if (state.at === at) return
  state.at = at
  state.since = Date.now()
  sharing.mode = at === 'together' ? 'together' : 'alone'
  const { text } = config.engine
  if (at === 'together') {
    parts.log('info', 'fleet-joined', { name: config.name, engine: text, hosts: sharing.hosts.size })
    state.isTold = false
  } else if (at !== 'joining' && !state.isTold) {
    state.isTold = true
    state.losses += 1
    parts.log('warn', 'fleet-lost', { name: config.name, engine: text, state: at, message })
  }
}
