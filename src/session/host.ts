// What a session is given: its lane's services, its listener's settings.

import type { Performed } from '../actors/effects.ts'
import type { Why } from '../actors/endings.ts'
import type { Frame } from '../actors/frames.ts'
import type { ClientSocket } from '../edge/listening.ts'
import type { Reading } from '../edge/reading.ts'
import type { TlsFacts, TlsFailure } from '../edge/tls.ts'
import type { Used } from '../limits/frames.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import type { HelperKind } from '../protocol/helper.ts'
import type { Network } from '../protocol/ip.ts'
import type { NoAnswer, Senders } from '../protocol/senders.ts'
import type { ProxiedClient } from '../protocol/xclient.ts'
import type { SessionRules } from '../rules/rewrite.ts'
import type { Opened } from './backends/backends.ts'
import type { ClientSession } from './session.ts'

/** What a lane does for its sessions. */
export interface SessionHost {
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** Memory that the lane's sockets read into. */
  readonly reading: Reading
  readonly post: (session: ClientSession, frame: Frame) => void
  /** Ends in session.loggedIn, now or later. */
  readonly openBackend: (session: ClientSession, kind: HelperKind, user: string, credentials: Uint8Array) => void
  readonly rulesOf: (session: ClientSession) => ServingRules
  /** Before a read of requests: a newer generation may be waiting for this session. */
  readonly refresh: (session: ClientSession) => void
  readonly ended: (session: ClientSession, why: Why) => void
  /** Begins TLS on the client's socket; answers the socket that takes its place. `done` is called once. */
  readonly startTls: (
    session: ClientSession,
    socket: ClientSocket,
    done: (secured: ClientSocket, outcome: TlsFacts | TlsFailure) => void,
  ) => ClientSocket
  /** The client speaks for another one: ends in a frame `described`, or with the session. */
  readonly describe: (session: ClientSession, client: ProxiedClient) => void
  /** Users whom a client certificate of these names stands for. */
  readonly usersNamed: (names: readonly string[]) => readonly string[]
  /** Ends in a frame `limits`. */
  readonly askLimits: (session: ClientSession, what: Used) => void
  /** Takes over an idle backend for a later login; false if it does not want it. */
  readonly park: (session: ClientSession, opened: Opened, greeting: string) => boolean
  readonly observe: (session: ClientSession, effect: Performed) => void
}

export interface ServingRules {
  readonly rules: SessionRules
  readonly greeting: string
  /** What the user may give as the sender; undefined: any. */
  readonly senders: Senders | NoAnswer | undefined
  /** Whom a message's header may name in From; undefined: anybody. */
  readonly from: Senders | undefined
  /** Events that control/limits counts. */
  readonly asks: ReadonlySet<string>
  /** Requests and replies are shown, before and after the rules. */
  readonly debug: boolean
}

export interface SessionSettings {
  readonly listener: string
  /** TLS from the first octet. */
  readonly implicitTls: boolean
  /** Peers that send a PROXY header first. */
  readonly proxies: readonly Network[]
  /** Peers that may say XCLIENT and XFORWARD. */
  readonly xclients: readonly Network[]
  /** A backend that offers XCLIENT or XFORWARD learns who the client is. */
  readonly tells: boolean
  readonly dialogue: DialogueSettings
  readonly tries: number
  readonly chain: string
  readonly guestChain: string | undefined
  /** For SASL EXTERNAL. */
  readonly externalChain: string | undefined
  /** The file of those who sign client certificates; undefined: none is asked for. */
  readonly authority: string | undefined
  readonly warm: boolean
  readonly bareLineEnd: BareLineEnd
  readonly longest: number
}
