// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Rule, RuleStep } from './records.ts'
import type { Count, Sha256 } from './words.ts'

/** Lists the rules of a generation, with how often each matched and when it last did. */
export interface RulesListParams {
  /** By default the published one. */
  readonly generation?: Count | undefined
}

export interface RulesListResult {
  readonly generation: Count
  readonly sha256: Sha256
  readonly rules: readonly Rule[]
}

/** Applies the rules to a request and a reply and explains every step, without side effects. */
export interface RulesEvalParams {
  /** What happened: a verb, greeting, timeout, ... */
  readonly event: string
  /** The line from the client. */
  readonly request?: string | undefined
  /** The reply of the backend. */
  readonly reply?: string | undefined
  /** Environment variables of the session. */
  readonly env?: {
    readonly [name: string]: string
  } | undefined
  /** Use the rules of this generation; by default the published one. */
  readonly generation?: Count | undefined
  /** Use these rules, written as in control/fixsmtpio. */
  readonly text?: string | undefined
}

export interface RulesEvalResult {
  readonly request?: string | undefined
  readonly reply?: string | undefined
  readonly exitcode?: number | undefined
  readonly trace: readonly RuleStep[]
}
