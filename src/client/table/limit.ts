// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { LimitLine, LimitUse } from './records.ts'
import type { Count, DryRun, Name, Reason, Time } from './words.ts'

/** Lists the lines of control/limits, how full they are, and who is nearest to each. */
export interface LimitListParams {}

export interface LimitListResult {
  readonly limits: readonly LimitLine[]
}

/** Tells which lines of control/limits count a client, and how much of each it has. */
export interface LimitEvalParams {
  /** The address of the client. */
  readonly ip: string
  /** The user, if the client has logged in. */
  readonly user?: Name | undefined
  /** The listener; by default none that has a line of its own. */
  readonly listener?: Name | undefined
}

export interface LimitEvalResult {
  readonly limits: readonly LimitUse[]
}

/** Gives a line of control/limits another rate for a time. */
export interface LimitSetParams {
  /** The name of a line of control/limits. */
  readonly limit: Name
  /** Of the kind that the line has, such as 5000/hour or 50; or off. */
  readonly rate: string
  /** Seconds after which the line has its own rate again. */
  readonly ttl: number
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface LimitSetResult {
  readonly limit: string
  readonly rate: string
  /** When it ends by itself. */
  readonly ends?: Time | undefined
  readonly dryRun: boolean
}

/** Forgets what a line of control/limits has counted, and ends what limit.set has set. */
export interface LimitClearParams {
  /** The name of a line of control/limits. */
  readonly limit: Name
  /** Only what was counted of this one; the rate stays as it is. */
  readonly subject?: string | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface LimitClearResult {
  readonly limit: string
  readonly cleared: Count
  readonly dryRun: boolean
}
