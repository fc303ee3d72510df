// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Count, UserName } from './words.ts'

/** Tells which senders a user may give, and which line of control/senders says so. */
export interface SendersEvalParams {
  /** As in a login. */
  readonly user: UserName
  /** Whether the user may give this one. */
  readonly sender?: string | undefined
}

export interface SendersEvalResult {
  /** False: any sender. */
  readonly bound: boolean
  /** Of control/senders. */
  readonly line?: Count | undefined
  readonly senders: readonly string[]
  /** Of `sender`. */
  readonly allowed?: boolean | undefined
  /** Why the cdb cannot be used; until it can, the user may give none. */
  readonly trouble?: string | undefined
}
