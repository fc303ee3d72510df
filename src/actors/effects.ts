// What an actor wants done in the world, as values. edge/ performs those that touch the kernel; `send` goes to another actor.

import type { Frame } from './frames.ts'

export type Effect =
  /** Bytes to the client. */
  | { readonly do: 'reply'; readonly text: string }
  /** Bytes to the backend. */
  | { readonly do: 'request'; readonly text: string }
  | { readonly do: 'send'; readonly frame: Frame }
  /** Read no more from the client until `room`. */
  | { readonly do: 'hold' }
  | { readonly do: 'room' }
  /** One request to the helper; whoever performs it wipes `credentials` once they are written. */
  | {
      readonly do: 'ask-helper'
      readonly kind: 'auth' | 'guest'
      readonly user: string
      readonly mechanism: string
      readonly credentials: Uint8Array
    }
  /** TLS with the client; `discarded` octets that it sent before in plaintext are gone. */
  | { readonly do: 'start-tls'; readonly discarded: number }
  /** End the backend and start another one behind TLS (classic fixsmtpio). */
  | { readonly do: 'restart-backend' }
  /** From now on the client's bytes go to fixsmtpio. */
  | { readonly do: 'switch' }
  /** Carry a message body from the client to the backend: `rest` was read already; octets is undefined for DATA, a count for BDAT. */
  | {
      readonly do: 'body'
      readonly rest: Uint8Array
      readonly octets: number | undefined
      readonly discard: boolean
    }
  /** Carry everything both ways until either end closes (POP3 after login); `ifSilent` is said if the backend ends without a byte. */
  | { readonly do: 'splice'; readonly rest: Uint8Array; readonly ifSilent: string }
  /** The client has closed: close the backend's input, deliver what it still says. */
  | { readonly do: 'end-requests' }
  /** Close the session once everything is written; `park`: the greeting of an idle backend that may serve a later login, or empty. */
  | { readonly do: 'close'; readonly exit: number; readonly why: string; readonly park: string }
  /** For session.get and the counters: an event with the code of its reply. */
  | { readonly do: 'note'; readonly event: string; readonly code: number }
  | { readonly do: 'helo'; readonly name: string }
  /** Rules that matched, as indices into the rule set. */
  | { readonly do: 'hits'; readonly rules: readonly number[] }
  | {
      readonly do: 'log'
      readonly event: LogEvent
      readonly user: string
      readonly n: number
      readonly verdict: string
      /** What a backend said, where that is the matter. */
      readonly said: string
    }
  /** FIXSMTPIODEBUG: 1 request from the client, 2 request sent on, 3 reply received, 4 reply sent. */
  | { readonly do: 'debug'; readonly mark: '1' | '2' | '3' | '4'; readonly text: string }

/** Stable names: they stand in the log (acceptd(8)) and in the events of the control plane. */
export type LogEvent =
  | 'login-attempt'
  | 'login-failed'
  | 'login-tempfail'
  | 'login-accepted'
  | 'login-root'
  | 'login-blocked'
  | 'chain-completed'
  | 'authzid-refused'
  | 'http-request'
  | 'tls-failed'
  | 'plaintext-before-tls'
  | 'timeout'
  | 'bare-line-end'
  | 'dot-after-nul'
  | 'backend-died'
  | 'ehlo-refused'

export interface Step<State> {
  readonly state: State
  readonly effects: readonly Effect[]
}

export const NOTHING: readonly Effect[] = []
export const send = (frame: Frame): Effect => ({ do: 'send', frame })
export const say = (text: string): Effect => ({ do: 'reply', text })
export const log = (event: LogEvent, user = '', n = 0, verdict = '', said = ''): Effect => ({
  do: 'log',
  event,
  user,
  n,
  verdict,
  said,
})
export const close = (exit: number, why: string, park = ''): Effect => ({ do: 'close', exit, why, park })
