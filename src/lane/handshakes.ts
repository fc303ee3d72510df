// TLS with the lane's clients: which certificates it has now, and every handshake's time, count and log line.

import type { ClientSocket } from '../edge/listening.ts'
import { createTlsServer, type TlsFacts, type TlsFailure, type TlsMaterial, type TlsServer } from '../edge/tls.ts'
import type { Counters } from './counters.ts'
import type { Reporter } from './reporter.ts'

/** A client that has not finished its handshake by then is closed. */
const HANDSHAKE_MILLISECONDS = 30_000

export interface Handshakes {
  /** New handshakes use these certificates and keys; sessions keep what they began with. */
  readonly use: (material: TlsMaterial | undefined) => void
  /** Whether there is a certificate. */
  readonly ready: () => boolean
  /** Answers the socket that takes the plain one's place. `done` is called once; after a failure the socket is closed already. */
  readonly begin: (
    client: Client,
    done: (secured: ClientSocket, outcome: TlsFacts | TlsFailure) => void,
  ) => ClientSocket
  /** Ends what has gone on for too long. */
  readonly sweep: (now: number) => void
  readonly clear: () => void
}

export interface Client {
  readonly socket: ClientSocket
  readonly listener: string
  readonly ip: string
  readonly port: number
  /** Empty for a client that is no session yet. */
  readonly session: string
  /** Whose certificates it is asked for. */
  readonly authority: string | undefined
}

export function createHandshakes(counters: Counters, reporter: Reporter, now: () => number): Handshakes {
  let server: TlsServer | undefined
  /** Those that go on: since when, by socket; the oldest first. */
  const pending = new Map<ClientSocket, number>()
  const late = new WeakSet<ClientSocket>()

  function settle(client: Client, secured: ClientSocket, outcome: TlsFacts | TlsFailure): TlsFacts | TlsFailure {
    pending.delete(secured)
    const { listener, ip, port, session } = client
    if (typeof outcome !== 'string') {
      counters.handshake(outcome)
      const why = outcome.clientProblem
      if (why !== '') reporter.log('warn', 'client-certificate-refused', { session, ip, port, listener, why })
      return outcome
    }
    const why: TlsFailure = late.has(secured) ? 'timeout' : outcome
    counters.handshakeFailed(why)
    reporter.log('warn', 'tls-failed', { session, ip, port, listener, why })
    secured.destroy()
    return why
  }

  return {
    use: (material) => {
      server = material === undefined ? undefined : createTlsServer(material)
    },
    ready: () => server !== undefined,
    begin: (client, done) => {
      if (server === undefined) throw new Error('a listener has TLS, and the lane has no certificate')
      const secured = server.handshake(client.socket, client.authority, (socket, outcome) =>
        done(socket, settle(client, socket, outcome)),
      )
      pending.set(secured, now())
      return secured
    },
    sweep: (time) => {
      for (const [secured, since] of pending) {
        if (time - since < HANDSHAKE_MILLISECONDS) return
        late.add(secured)
        secured.destroy()
      }
    },
    clear: () => {
      for (const secured of pending.keys()) secured.destroy()
    },
  }
}
