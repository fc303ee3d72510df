// What the control plane and the runtime say to each other of the log.

import type { Answer, LogLevel, Soon } from './daemon.ts'

/** What a line of the log is about: a level each. `acceptd` is all the rest, and the level of those that have none of their own. */
const EVENTS = {
  acceptd: '',
  auth: `login-accepted login-failed authzid-refused login-blocked LOGIN-AS-ROOT-REFUSED login-limited login-tempfail login-timeout
    login-attempt user-blocked user-unblocked`,
  session: `session-begins session-ended session-killed session-refused http-request proxy-header-unexpected proxy-header-refused
    backend-died backend-ended ehlo-refused xclient xclient-refused xforward timeout`,
  message: 'too-slow bare-line-end dot-after-nul from-refused senders-unreadable',
  tls: `tls-failed tls-unexpected plaintext-before-tls client-certificate-refused certificates-loaded certificates-failed`,
  limit: `limit-reached limits-silent limits-answer limit-set limit-restored limit-cleared penalties-cleared
    fleet-joined fleet-lost`,
  config: 'generation last-good-runs published unchanged reload-failed fleet-differs',
  lane: 'lane-died lane-recycled lane-ready descriptors-used-up listener-failed listener-paused listener-resumed',
} as const

export type LogComponent = keyof typeof EVENTS
export type LogLevels = Readonly<Partial<Record<LogComponent, LogLevel>> & { acceptd: LogLevel }>

export const isLogComponent = (word: string): word is LogComponent => Object.hasOwn(EVENTS, word)
export const LOG_COMPONENTS: readonly LogComponent[] = Object.keys(EVENTS).filter(isLogComponent)

/** By event; those that are not named belong to acceptd. */
export const COMPONENT_OF: ReadonlyMap<string, LogComponent> = new Map(
  LOG_COMPONENTS.flatMap((component) =>
    EVENTS[component].split(/\s+/).flatMap((event) => (event === '' ? [] : [[event, component] as const])),
  ),
)

export const levelOf = (levels: LogLevels, component: LogComponent): LogLevel => levels[component] ?? levels.acceptd

export interface LogControl {
  levels(): Soon<Readonly<Record<string, LogLevel>>>
  /** Fails with `not-found` for an unknown component. Undefined: as control/loglevel has it. */
  set(component: string, level: LogLevel | undefined): Answer<LevelBefore>
  /** The last warnings and errors, the oldest first. */
  errors(): Soon<LogErrors>
}

export interface LevelBefore {
  readonly previous: LogLevel
  /** What had been set; undefined: it was that of control/loglevel. */
  readonly set: LogLevel | undefined
}

/** A warning or an error, whether or not the level of the log lets it through. */
export interface LogError {
  readonly at: number
  readonly level: 'error' | 'warn'
  readonly event: string
  /** As in the line of the log. Never a secret. */
  readonly fields: Readonly<Record<string, string | number>>
}

export const LOG_ERRORS_KEPT = 1000

export interface LogErrors {
  readonly errors: readonly LogError[]
  /** All since then are here: since the first runtime began to keep them, or since the oldest, if there were more than are kept. */
  readonly since: number
}
