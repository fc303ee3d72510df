// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Count, Name, Protocol, UserName } from './words.ts'

/** Runs the real login chain up to the start of the backend and reports how it ended. */
export interface AuthTestParams {
  /** The user. */
  readonly user: UserName
  /** The password; never logged, shown or sent on. */
  readonly password: string
  /** The chain; by default that of the first listener of the protocol. */
  readonly chain?: Name | undefined
  /** The protocol. Default "smtp". */
  readonly protocol?: Protocol | undefined
}

export interface AuthTestResult {
  readonly verdict: 'accepted' | 'refused' | 'misused' | 'tempfail' | 'crashed' | 'timeout' | 'blocked'
  readonly chain: string
  readonly uid?: Count | undefined
  readonly gid?: Count | undefined
  readonly milliseconds: number
}
