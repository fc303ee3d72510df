// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Certificate, ConfigError } from './records.ts'
import type { Count, DryRun, Reason } from './words.ts'

/** Lists the certificates in use, and counts handshakes by version and cipher, and failed ones by reason. */
export interface TlsListParams {}

export interface TlsListResult {
  readonly certificates: readonly Certificate[]
  /** Why files on disk are not in use; empty if all are. */
  readonly errors: readonly ConfigError[]
  readonly handshakes: readonly {
    readonly version: string
    readonly cipher: string
    readonly full: Count
    readonly resumed: Count
  }[]
  /** Of all handshakes. */
  readonly resumedShare?: number | undefined
  readonly failures: {
    readonly [name: string]: Count
  }
  /** Lanes that did not answer in time; their part is missing. */
  readonly silentLanes: readonly Count[]
}

/** Reads the files of control/tls again; an error leaves every certificate as it was loaded. */
export interface TlsReloadParams {
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface TlsReloadResult {
  readonly certificates: readonly Certificate[]
  readonly dryRun: boolean
}
