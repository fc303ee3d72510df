// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Count } from './words.ts'

/** Tells whether a client of this address may connect, and which rule of control/access says so. */
export interface AccessEvalParams {
  /** An IPv4 or IPv6 address. */
  readonly ip: string
  /** Its name, for rules that have one. */
  readonly host?: string | undefined
  /** Its user, for rules that have one. */
  readonly info?: string | undefined
  /** By the access= file of this listener, if it has one. */
  readonly listener?: string | undefined
}

export interface AccessEvalResult {
  readonly allowed: boolean
  /** Of control/access; without a rule everybody may connect. */
  readonly line?: Count | undefined
  /** The address of the rule, as it was written. */
  readonly rule?: string | undefined
  /** NAME=VALUE, for rules and chains. */
  readonly variables: readonly string[]
}
