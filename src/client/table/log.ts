// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { LogError } from './records.ts'
import type { Count, DryRun, LogLevel, Moment, Name, Reason, Time } from './words.ts'

/** Shows the log level of each component. */
export interface LogGetParams {}

export interface LogGetResult {
  readonly levels: {
    readonly [name: string]: LogLevel
  }
}

/** Changes the log level of a component, permanently or for a limited time. */
export interface LogSetParams {
  /** One of log.get. */
  readonly component: Name
  /** The new level. */
  readonly level: LogLevel
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Seconds after which it ends by itself; op.list shows it until then. */
  readonly ttl?: number | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface LogSetResult {
  readonly component: string
  readonly level: LogLevel
  readonly previous: LogLevel
  /** When it ends by itself. */
  readonly ends?: Time | undefined
  readonly dryRun: boolean
}

/** Shows the last 1000 warnings and errors, also of runtimes that have died, the oldest first, whatever the log level. */
export interface LogErrorsParams {
  /** Only those from this time on; to acceptctl also 30s, 10m, 2h or 1d ago. */
  readonly since?: Moment | undefined
  /** error: no warnings. Default "warn". */
  readonly level?: 'error' | 'warn' | undefined
  /** How many; the newest. Default 1000. */
  readonly limit?: number | undefined
}

export interface LogErrorsResult {
  readonly errors: readonly LogError[]
  readonly matched: Count
  /** Earlier ones are not kept: acceptd was new, or there have been more. */
  readonly since: Time
}
