// What the control plane and the runtime say to each other of the log.

import type { Answer, LogLevel, Soon } from './daemon.ts'

export interface LogControl {
  levels(): Soon<Readonly<Record<string, LogLevel>>>
  /** Fails with `not-found` for an unknown component; answers the level before. */
  set(component: string, level: LogLevel): Answer<LogLevel>
  /** The last warnings and errors, the oldest first. */
  errors(): Soon<LogErrors>
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
  /** All since then are here: since the runtime began, or since the oldest, if there were more than are kept. */
  readonly since: number
}
