// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Count, Id, Name, Protocol, Seconds, SessionState, Topic, UserGlob } from './words.ts'

/** Streams events as notifications named `event`, numbered; a reader that is too slow misses some and learns how many. */
export interface EventSubscribeParams {
  /** The topics; by default all. Default ["session","auth","message","config","rules","limit","tls","lane","helper","op"]. */
  readonly topics?: readonly Topic[] | undefined
  /** `seq` of the last event that was seen: those after it come first, of the last 10,000. */
  readonly since?: Count | undefined
  /** The session with this id. */
  readonly id?: Id | undefined
  /** Users that match this glob (* and ?; \* and \? are the characters themselves). */
  readonly user?: UserGlob | undefined
  /** Clients at this address or in this CIDR block. */
  readonly ip?: string | undefined
  /** Sessions of this protocol. */
  readonly protocol?: Protocol | undefined
  /** Sessions in this state. */
  readonly state?: SessionState | undefined
  /** Sessions accepted by this listener. */
  readonly listener?: Name | undefined
  /** Sessions in this lane. */
  readonly lane?: Count | undefined
  /** Sessions accepted at least so many seconds ago. */
  readonly olderThan?: Seconds | undefined
  /** Sessions that use this rule generation. */
  readonly generation?: Count | undefined
  /** Sessions with TLS (true) or without (false). */
  readonly tls?: boolean | undefined
}

export interface EventSubscribeResult {
  readonly subscription: string
  readonly topics: readonly Topic[]
  /** Of the newest event there is. */
  readonly seq: Count
}

/** Ends a subscription or a trace of this connection. */
export interface EventUnsubscribeParams {
  /** Its id. */
  readonly subscription: string
}

export interface EventUnsubscribeResult {
  readonly ended: true
}
