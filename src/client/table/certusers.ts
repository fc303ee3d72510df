// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Count } from './words.ts'

/** Tells whom a client certificate stands for, and which lines of control/certusers say so. */
export interface CertusersEvalParams {
  /** Of the certificate: ann@example.org, CN=Ann Example or sha256=FINGERPRINT. */
  readonly name: string
}

export interface CertusersEvalResult {
  /** The first is whom it stands for by itself; a client may ask for another one. */
  readonly users: readonly {
    readonly user: string
    /** Of control/certusers. */
    readonly line: Count
  }[]
}
