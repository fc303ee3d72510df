// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Backend } from './records.ts'
import type { Name } from './words.ts'

/** Lists the chains that a login can run. */
export interface BackendListParams {}

export interface BackendListResult {
  readonly backends: readonly Backend[]
}

/** Runs a backend and says what control/smtpcapabilities must change to offer what it does. */
export interface BackendProbeParams {
  /** A chain of kind probe or guest; by default the first of kind probe. */
  readonly chain?: Name | undefined
}

export interface BackendProbeResult {
  readonly chain: string
  readonly greeting: string
  readonly backend: readonly string[]
  readonly offered: readonly string[]
  readonly advice: readonly ({
    readonly do: 'add' | 'remove' | 'change'
    readonly line: string
    readonly why: string
  })[]
}
