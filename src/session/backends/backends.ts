// Where a session's backend comes from. A source is one verb: helper.ts runs the chain, warm.ts may have a backend that waits.

import type { Backend } from '../../edge/backend.ts'
import type { Accepted, HelperKind, HelperStatus } from '../../protocol/helper.ts'

export interface Login {
  readonly kind: HelperKind
  /** The session's name. */
  readonly session: string
  readonly user: string
  readonly chain: string
  /** NAME=VALUE */
  readonly environment: readonly string[]
  /** The client's EHLO or HELO line, or empty. */
  readonly helo: string
  /** What descriptor 3 of checkpassword(8) brings. The source wipes it. */
  readonly credentials: Uint8Array
}

export interface Opened {
  readonly backend: Backend
  readonly accepted: Accepted
  /** What it has said already. */
  readonly said: Uint8Array
  /** Its reply to the client's EHLO, which it has been told already; else empty. */
  readonly introduced: string
  /** For parking it after the session; empty: it serves nobody else. */
  readonly ticket: string
}

export type Refused = Exclude<HelperStatus, { readonly is: 'ok' }>

export interface BackendSource {
  /** Calls `done` once, now or later, with a backend that is the caller's from then on. Answers what gives up waiting. */
  open(login: Login, done: (outcome: Opened | Refused) => void): () => void
}
