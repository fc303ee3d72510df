// What a lane and the service actor `limits` say to each other: arrays, as between the actors of a session. `n` numbers a question of the
// lane; a ticket is a client from accept to close, by its number in the lane.

import type { Who } from './limit.ts'

export type Used = 'messages' | 'recipients'

/** `alone`: the lane has seen in the room of its process that there is room, at these places, and has gone on. */
export type LimitsFrame = Said | readonly [tag: 'alone', process: number, places: readonly number[], said: Said]

export type Said =
  /** A client has come: may it stay? */
  | readonly [tag: 'enter', ticket: number, n: number, who: Who]
  /** It wants to log in; `hash` tells one password from another, and nothing else. */
  | readonly [tag: 'login', ticket: number, n: number, who: Who, hash: string]
  /** The password was wrong: how long is the answer to wait? */
  | readonly [tag: 'failed', ticket: number, n: number]
  | readonly [tag: 'use', ticket: number, n: number, who: Who, what: Used]
  /** The login was accepted, or has said nothing of the password. */
  | readonly [tag: 'passed', ticket: number]
  | readonly [tag: 'neither', ticket: number]
  | readonly [tag: 'octets', ticket: number, who: Who, octets: number]
  | readonly [tag: 'ended', ticket: number]

export interface Refused {
  /** Name of the limit. */
  readonly limit: string
  /** For the client: `too many sessions from your address (#limit sessions-per-address)`. */
  readonly text: string
  /** Sessions of a user are too many: what POP3 calls in use (RFC 2449 section 8.1.2). */
  readonly inUse: boolean
  /** Seconds after which it may be tried again; 0: nobody knows. */
  readonly retry: number
}

/** `wait`: milliseconds before the helper is asked, or before the answer to a wrong password. */
export type LimitsVerdict = { readonly wait: number } | Refused

export type LimitsAnswer = readonly [n: number, verdict: LimitsVerdict]

export const GRANTED: LimitsVerdict = { wait: 0 }
