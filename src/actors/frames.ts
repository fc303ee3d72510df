// What one actor sends another: msgpack arrays [tag, session, ...fields]. The hundreds of a tag are the version of its layout.

import type { BodyFault } from '../protocol/end-of-data.ts'
import type { HelperStatus } from '../protocol/helper.ts'
import type { ShutdownText } from './endings.ts'

/** A session's number in its lane. */
export type SessionId = number

export const TAG = {
  start: 101,
  attempt: 102,
  input: 103,
  eof: 104,
  timeout: 105,
  tls: 206,
  login: 107,
  guest: 108,
  answer: 209,
  verdict: 210,
  outcome: 211,
  serve: 112,
  request: 113,
  backend: 114,
  backendEnd: 115,
  bodyEnd: 216,
  shutdown: 117,
  limits: 118,
  described: 119,
} as const

/** How one attempt ended. The `ended` ones are of a whole classic chain that has run to its end. */
export type Verdict =
  | 'accepted'
  | 'refused'
  | 'misused'
  | 'root'
  | 'blocked'
  | 'limited'
  | 'in-use'
  | 'tempfail'
  | 'crashed'
  | 'timeout'
  | 'missing'
  | 'busy'
  | 'unreachable'
  | 'ended'
  | 'ended-timeout'
  | 'ended-control'

export type StartFrame = readonly [tag: typeof TAG.start, session: SessionId]
export type AttemptFrame = readonly [tag: typeof TAG.attempt, session: SessionId, greet: boolean]
export type InputFrame = readonly [tag: typeof TAG.input, session: SessionId, bytes: Uint8Array]
export type EofFrame = readonly [tag: typeof TAG.eof, session: SessionId]
export type TimeoutFrame = readonly [tag: typeof TAG.timeout, session: SessionId]
/** external: users whom the client's certificate names. */
export type TlsFrame = readonly [tag: typeof TAG.tls, session: SessionId, on: boolean, external: readonly string[]]
export type LoginFrame = readonly [
  tag: typeof TAG.login,
  session: SessionId,
  user: string,
  credentials: Uint8Array,
  mechanism: string,
]
export type GuestFrame = readonly [tag: typeof TAG.guest, session: SessionId]
/** What became of an attempt; `chain-exit`: a whole classic chain, run to its end. The number is the exit code or signal, or -1. */
export type AnswerFrame = readonly [
  tag: typeof TAG.answer,
  session: SessionId,
  is: HelperStatus['is'] | 'chain-exit',
  code: number,
  text: string,
]
export type VerdictFrame = readonly [
  tag: typeof TAG.verdict,
  session: SessionId,
  verdict: Verdict,
  exit: number,
  user: string,
  text: string,
]
export type OutcomeFrame = readonly [
  tag: typeof TAG.outcome,
  session: SessionId,
  verdict: Verdict,
  exit: number,
  goOn: boolean,
  text: string,
]
export type ServeFrame = readonly [
  tag: typeof TAG.serve,
  session: SessionId,
  guest: boolean,
  replay: string,
  pending: Uint8Array,
]
export type RequestFrame = readonly [tag: typeof TAG.request, session: SessionId, bytes: Uint8Array]
export type BackendFrame = readonly [tag: typeof TAG.backend, session: SessionId, bytes: Uint8Array]
export type BackendEndFrame = readonly [tag: typeof TAG.backendEnd, session: SessionId, exit: number]
export type BodyEndFrame = readonly [tag: typeof TAG.bodyEnd, session: SessionId, rest: Uint8Array, fault: BodyFault]
export type ShutdownFrame = readonly [tag: typeof TAG.shutdown, session: SessionId, text: ShutdownText]

export type DescribedFrame = readonly [tag: typeof TAG.described, session: SessionId]

/** May a request go on? Why not, for the client; or empty. */
export type LimitsFrame = readonly [tag: typeof TAG.limits, session: SessionId, refusal: string]

export type Frame =
  /** edge → reup: a session begins. */
  | StartFrame
  /** reup → authup: have the dialogue; greet first or go on silently. */
  | AttemptFrame
  /** edge → authup: what one read from the client delivered before login. */
  | InputFrame
  /** edge → authup, later fixsmtpio: the client has closed its side. */
  | EofFrame
  /** edge → authup, later fixsmtpio: the client was silent for too long. */
  | TimeoutFrame
  /** edge → authup, later fixsmtpio: TLS is on, or failed. */
  | TlsFrame
  /** authup → checkpassword: what goes to descriptor 3; the receiver wipes it. */
  | LoginFrame
  /** authup → checkpassword: start the chain for peers that do not authenticate. */
  | GuestFrame
  /** edge → checkpassword: the helper's status line without its line ending (native/README.md). */
  | AnswerFrame
  /** checkpassword → reup: how the attempt ended. */
  | VerdictFrame
  /** reup → authup: what to say to the client, and whether another attempt may follow. */
  | OutcomeFrame
  /** authup → fixsmtpio: the stream is the backend's now; replay: an EHLO or HELO line to say again, or empty. */
  | ServeFrame
  /** edge → fixsmtpio: what one read from the client delivered after login. */
  | RequestFrame
  /** edge → fixsmtpio: what one read from the backend delivered. */
  | BackendFrame
  /** edge → fixsmtpio: the backend's stream has ended; exit code of a classic child, -1 unknown, 256 + number for a signal. */
  | BackendEndFrame
  /** edge → fixsmtpio: the message body has gone by; the bytes read after it; whether a bare line end was refused in it. */
  | BodyEndFrame
  /** edge → authup, later fixsmtpio: say 421 with this text at the next boundary and end. */
  | ShutdownFrame
  /** edge → fixsmtpio: what control/limits says of the request that it has asked about. */
  | LimitsFrame
  /** edge → authup: the client that another one speaks for may stay. */
  | DescribedFrame

export type Tag = Frame[0]
