// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Penalty } from './records.ts'
import type { Count, DryRun, Reason } from './words.ts'

/** Lists who is delayed or refused for wrong passwords, and until when. */
export interface PenaltyListParams {
  /** How many; bans come first. Default 1000. */
  readonly limit?: number | undefined
}

export interface PenaltyListResult {
  readonly penalties: readonly Penalty[]
  readonly matched: Count
}

/** Ends the delays and bans of a subject, or of all. */
export interface PenaltyClearParams {
  /** An address, a network or a user, as penalty.list shows it. */
  readonly subject?: string | undefined
  /** Without a subject: those of all. Default false. */
  readonly all?: boolean | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface PenaltyClearResult {
  readonly cleared: Count
  readonly dryRun: boolean
}
