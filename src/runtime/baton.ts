// What a runtime gives the one that takes over from it, and what the two say to each other afterwards, as texts: acceptd passes them on.
// Their programs may be of two versions: members are added, never changed.

import type { Sample } from '../contract/metrics.ts'
import type { TicketKey } from '../edge/tls.ts'
import type { RuleHit } from '../lane/messages.ts'
import type { KeptLimiter } from '../limits/kept.ts'
import { decodeMessage, encodeMessage } from '../session/codec.ts'
import type { LaneHandle } from './lane-talk.ts'

/** A lane that goes on in its process. */
export interface LaneKept extends Pick<LaneHandle, 'lane' | 'place' | 'boot' | 'generation'> {
  readonly pid: number
  /** Milliseconds since it began, and since it takes no more clients. */
  readonly age: number
  readonly retired: number
  readonly counted: readonly Sample[]
  readonly hits: readonly RuleHit[]
}

export interface Baton {
  /** As memory.ts keeps it: blocks, pauses, levels, overrides. */
  readonly state: string
  /** Of lanes that have ended. */
  readonly totals: readonly Sample[]
  readonly hits: readonly RuleHit[]
  /** Counted by main threads. */
  readonly inherited: readonly Sample[]
  readonly limits: KeptLimiter
  /** Of the limiter, in milliseconds. */
  readonly clock: number
  readonly secret: Uint8Array
  readonly tickets: readonly TicketKey[]
  readonly lanes: readonly LaneKept[]
}

/** What the main thread of a former runtime passes on to the one that serves. */
export type FormerSays =
  | { readonly announced: readonly LaneKept[] }
  | { readonly said: number; readonly bytes: string }
  | { readonly gone: number; readonly why: string }

/** And this one to a lane there. */
export type ServingSays =
  | { readonly lane: number; readonly bytes: string }
  | { readonly end: number; readonly why: string }

export const encode64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
export const decode64 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64'))

export const batonText = (baton: Baton): string => encode64(encodeMessage(baton))
export const batonOf = (text: string): Baton => decodeMessage(decode64(text)) as Baton

export function laneKept(lane: LaneHandle, pid: number, now: number, retired: number): LaneKept {
  const { place, boot, generation, began, heard } = lane
  return { pid, lane: lane.lane, place, boot, generation, age: now - began, retired, ...heard }
}
