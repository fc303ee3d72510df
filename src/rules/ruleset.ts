// control/fixsmtpio as values. One rule a line:
//   [env]:event:[request-prepend]:response-line-glob:[exitcode]:[response]

/** What becomes of a reply line that a rule matches. */
export type Response =
  | { readonly kind: 'replace'; readonly text: string }
  /** The response field is empty. */
  | { readonly kind: 'remove' }
  /** `&fixsmtpio_noop`: as earlier rules left it. */
  | { readonly kind: 'noop' }
  /** `&fixsmtpio_fixup`: computed, see fixups.ts. */
  | { readonly kind: 'fixup' }

export interface Rule {
  /** Line in the file, from 1. */
  readonly line: number
  /** The rule applies if this variable is set; empty: always. */
  readonly env: string
  /** A verb, or greeting, timeout, clienteof, in_data; in lower case. */
  readonly event: string
  readonly prepend: string
  readonly glob: string
  /** The session ends immediately with this code; undefined: it goes on. */
  readonly exitcode: number | undefined
  readonly response: Response
  /** The line as it is in the file, without trailing white space. */
  readonly text: string
}

/** The rules in the order of the file. */
export interface RuleSet {
  readonly rules: readonly Rule[]
}

export const noRules: RuleSet = { rules: [] }
