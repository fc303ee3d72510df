// What an actor wants done, as values: a union for each actor, so that the code that performs them lists what can happen and nothing else.
// `send` goes to another actor; all others are performed outside: by session/ for acceptd, by classic/ for the programs.

import type { HelperKind } from '../protocol/helper.ts'
import type { Senders } from '../protocol/senders.ts'
import type { ProxiedClient } from '../protocol/xclient.ts'
import type { Why } from './endings.ts'
import type {
  AttemptFrame,
  EofFrame,
  Frame,
  GuestFrame,
  LoginFrame,
  OutcomeFrame,
  ServeFrame,
  VerdictFrame,
} from './frames.ts'

export interface Send<F extends Frame = Frame> {
  readonly do: 'send'
  readonly frame: F
}

/** Octets to the client. */
export interface Say {
  readonly do: 'reply'
  readonly text: string
}

/** Octets to the backend. */
export interface Ask {
  readonly do: 'request'
  readonly text: string
}

/** Read no more from the client until `room`. */
export interface Hold {
  readonly do: 'hold'
}

export interface Resume {
  readonly do: 'room'
}

/** One request to the helper; its performer wipes `credentials` once they are written. */
export interface AskHelper {
  readonly do: 'ask-helper'
  readonly kind: HelperKind
  readonly user: string
  readonly mechanism: string
  readonly credentials: Uint8Array
}

/** TLS with the client; `discarded` octets that it sent before in plaintext are gone. */
export interface StartTls {
  readonly do: 'start-tls'
  readonly discarded: number
}

/** The client speaks for another one. */
export interface Describe {
  readonly do: 'describe'
  readonly client: ProxiedClient
}

/** From now on the client's octets go to fixsmtpio. */
export interface Switch {
  readonly do: 'switch'
}

/** Carry a message body from the client to the backend: `rest` was read already; octets is undefined for DATA, a count for BDAT. */
export interface Body {
  readonly do: 'body'
  readonly rest: Uint8Array
  readonly octets: number | undefined
  /** The backend gets what it is, the text of DATA for a chunk, or nothing of a chunk that it was not told of. */
  readonly as: 'itself' | 'data' | 'nothing'
  /** A chunk that ends its message. */
  readonly last: boolean
  /** Whom the header may name in From; undefined: anybody. */
  readonly from: Senders | undefined
}

/** Carry everything both ways until either end closes (POP3 after login); `ifSilent` is sent if the backend ends without an octet. */
export interface Splice {
  readonly do: 'splice'
  readonly rest: Uint8Array
  readonly ifSilent: string
}

/** The client has closed: close the backend's input, deliver what it still says. */
/** Whether control/limits allows one more; the answer is a frame `limits`. */
export interface AskLimits {
  readonly do: 'ask-limits'
  readonly what: 'messages' | 'recipients'
}

export interface EndRequests {
  readonly do: 'end-requests'
}

/** Close the session once everything is written; `park`: the greeting of an idle backend that may serve a later login, or empty. */
export interface Close {
  readonly do: 'close'
  readonly exit: number
  readonly why: Why
  readonly park: string
}

/** For session.get and the counters: an event with the code of its reply. */
export interface Note {
  readonly do: 'note'
  readonly event: string
  readonly code: number
  /** The reply, where it is a message's. */
  readonly said?: string
}

/** Who a transaction is from. */
export interface Sender {
  readonly do: 'sender'
  readonly address: string
}

export interface Helo {
  readonly do: 'helo'
  readonly name: string
}

/** Rules that matched, as indices into the rule set. */
export interface Hits {
  readonly do: 'hits'
  readonly rules: readonly number[]
}

export interface Log {
  readonly do: 'log'
  readonly event: LogEvent
  readonly user: string
  readonly n: number
  readonly verdict: string
  /** What a backend said, where that is the matter. */
  readonly said: string
}

/** FIXSMTPIODEBUG: 1 request from the client, 2 request sent on, 3 reply received, 4 reply sent. */
export interface Debug {
  readonly do: 'debug'
  readonly mark: '1' | '2' | '3' | '4'
  /** What the request was, or the reply answers. */
  readonly event: string
  readonly text: string
}

/** Stable names, in the log (acceptd(8)) and in the events of the control plane. */
export type LogEvent =
  | 'login-attempt'
  | 'login-failed'
  | 'login-tempfail'
  | 'login-accepted'
  | 'login-root'
  | 'login-blocked'
  | 'login-limited'
  | 'chain-completed'
  | 'authzid-refused'
  | 'http-request'
  | 'tls-unexpected'
  | 'proxy-header-unexpected'
  | 'tls-failed'
  | 'plaintext-before-tls'
  | 'timeout'
  | 'bare-line-end'
  | 'dot-after-nul'
  | 'from-refused'
  | 'backend-died'
  | 'ehlo-refused'
  | 'xclient-refused'
  | 'xforward'

export type ReupEffect = Send<AttemptFrame | OutcomeFrame> | Log
export type CheckpasswordEffect = Send<VerdictFrame> | Log | AskHelper
export type AuthupEffect =
  | Send<LoginFrame | GuestFrame | ServeFrame>
  | Say
  | Hold
  | Resume
  | StartTls
  | Describe
  | Switch
  | Splice
  | Close
  | Note
  | Helo
  | Log
export type FixsmtpioEffect =
  | Send<EofFrame>
  | Say
  | Ask
  | Hold
  | Resume
  | StartTls
  | Body
  | AskLimits
  | EndRequests
  | Close
  | Note
  | Sender
  | Hits
  | Log
  | Debug

export type Effect = ReupEffect | CheckpasswordEffect | AuthupEffect | FixsmtpioEffect
/** What is left to do outside the actors. */
export type Performed = Exclude<Effect, { readonly do: 'send' }>

export interface Step<State, E extends Effect> {
  readonly state: State
  readonly effects: readonly E[]
}

export const NOTHING: readonly never[] = []
export const send = <F extends Frame>(frame: F): Send<F> => ({ do: 'send', frame })
export const say = (text: string): Say => ({ do: 'reply', text })
export const log = (event: LogEvent, user = '', n = 0, verdict = '', said = ''): Log => ({
  do: 'log',
  event,
  user,
  n,
  verdict,
  said,
})
export const close = (exit: number, why: Why, park = ''): Close => ({ do: 'close', exit, why, park })
