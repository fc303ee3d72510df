// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Lane } from './records.ts'
import type { Count, DryRun, Reason } from './words.ts'

/** Lists the worker threads with their sessions, memory, lag and deaths. */
export interface LaneListParams {}

export interface LaneListResult {
  readonly lanes: readonly Lane[]
}

/** Replaces a lane, or all one after the other: a new one accepts sessions, the old one finishes its own. */
export interface LaneRecycleParams {
  /** Its number. */
  readonly lane?: Count | undefined
  /** Every lane. Default false. */
  readonly all?: boolean | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface LaneRecycleResult {
  /** The replacement, if it was one. */
  readonly lane?: Count | undefined
  /** Still in the old ones. */
  readonly sessions: Count
  readonly recycled: readonly ({
    readonly lane: Count
    readonly replacement?: Count | undefined
    readonly sessions: Count
  })[]
  readonly dryRun: boolean
}
