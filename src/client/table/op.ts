// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Operation } from './records.ts'
import type { DryRun, Reason } from './words.ts'

/** Lists the changes that are in force for a limited time. */
export interface OpListParams {}

export interface OpListResult {
  readonly operations: readonly Operation[]
}

/** Ends one of them now. */
export interface OpCancelParams {
  /** Its id. */
  readonly id: string
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface OpCancelResult {
  readonly operation: Operation
  readonly dryRun: boolean
}
