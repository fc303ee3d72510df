// The front door: what happens between accept and a session's first actor, as a list of steps.
//
//   accept ──> [ refuse, proxy, names, access, tls ] ──> session
//
// A step takes an arrival and passes on an arrival or a refusal, now or later. A new step is a function and a place in the lane's list.

import type { ClientSocket } from '../edge/listening.ts'
import type { TlsFacts } from '../edge/tls.ts'
import type { SessionSettings } from './host.ts'

export interface Address {
  readonly ip: string
  readonly port: number
}

/** A client that is not a session yet. */
export interface Arrival {
  readonly socket: ClientSocket
  /** Its number in the lane, as an arrival and as a session. */
  readonly id: number
  /** Index in control/listeners. */
  readonly listener: number
  readonly settings: SessionSettings
  readonly peer: Address
  /** Our end of the connection. It costs a system call. */
  readonly local: () => Address
  readonly tls: TlsFacts | undefined
  /** The balancer that brought the client, if one did. */
  readonly proxy: Address | undefined
  /** The client's name by the DNS, or of one that another client spoke for; and its user by identd; empty: it is not known. */
  readonly host: string
  readonly info: string
  /** NAME=VALUE of control/access, for rules and chains. */
  readonly variables: readonly string[]
}

/** Who the client of a session is. */
export type Identity = Pick<Arrival, 'peer' | 'local' | 'proxy' | 'host' | 'info' | 'variables'>

export interface Refusal {
  /** For the client and the log: `too many sessions`. */
  readonly refused: string
  /** It will not be otherwise later: 554 rather than 421. */
  readonly forGood?: true
  /** Enhanced status (RFC 3463); without it 4.3.2. */
  readonly status?: string
  /** Name of the limit that refuses. */
  readonly limit?: string
  /** It has been closed and logged already: TLS that failed, a header that was none. */
  readonly gone?: true
}

export type Step = (arrival: Arrival, next: (outcome: Arrival | Refusal) => void) => void

/** Undefined if the client is gone already. */
export function arrivalOf(
  socket: ClientSocket,
  listener: number,
  settings: SessionSettings,
  id = 0,
): Arrival | undefined {
  const { remoteAddress: ip, remotePort: port = 0 } = socket
  if (ip === undefined) return undefined
  const local = () => ({ ip: socket.localAddress ?? '', port: socket.localPort ?? 0 })
  const peer = { ip, port }
  return {
    socket,
    id,
    listener,
    settings,
    peer,
    local,
    tls: undefined,
    proxy: undefined,
    host: '',
    info: '',
    variables: [],
  }
}

/** Calls `done` once: with what the last step made of the arrival, or with the first refusal. */
export function enter(steps: readonly Step[], arrival: Arrival, done: (outcome: Arrival | Refusal) => void): void {
  const [step, ...rest] = steps
  if (step === undefined) {
    done(arrival)
    return
  }
  step(arrival, (outcome) => ('refused' in outcome ? done(outcome) : enter(rest, outcome, done)))
}
