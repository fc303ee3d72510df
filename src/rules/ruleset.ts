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

/**
 * The rules in the order of the file, as its text and a table of numbers in memory that threads share: to give a lane 100,000 rules is to
 * copy two strings. A rule becomes a value when somebody asks for it: `rulesIn`, `ruleAt` of parse.ts.
 */
export interface RuleSet {
  /** latin1. */
  readonly text: string
  readonly count: number
  /** COLUMNS numbers for each rule. */
  readonly table: Int32Array
  /** Names, each ending with a colon, which none of them can contain. */
  readonly events: string
  /** As `events`; the first one is empty: no variable. */
  readonly variables: string
}

/** Columns of the table. */
export const FROM = 0
export const TO = 1
export const LINE = 2
/** Index in `events`. */
export const EVENT = 3
/** Index in `variables`. */
export const VARIABLE = 4
/** What everything that its glob matches begins with: see startOf. */
export const START = 5
/** Where its glob begins and ends. */
export const GLOB = 6
export const GLOB_END = 7
/** Sum of HAS_PREPEND and HAS_BRACKETS. */
export const FLAGS = 8
export const COLUMNS = 9

export const HAS_PREPEND = 1
/** Or escapes: its glob has to be compiled. */
export const HAS_BRACKETS = 2

/** A reply code: so many octets of a start are kept. */
export const START_OCTETS = 3

/** Up to three octets as a number: how many, then each. */
export function startOf(text: string): number {
  const size = Math.min(text.length, START_OCTETS)
  let start = size
  for (let i = 0; i < START_OCTETS; i++) start = (start << 8) | (i < size ? text.charCodeAt(i) & 0xff : 0)
  return start
}

/** Which bits of a start say its octets, by how many it has. */
const OCTETS = [0, 0xff0000, 0xffff00, 0xffffff] as const

/** Whether a text with the start `text` begins with `start`. */
export function beginsWith(text: number, start: number): boolean {
  const size = start >> 24
  return text >> 24 >= size && ((text ^ start) & (OCTETS[size] ?? 0)) === 0
}

/** The names of `events` or `variables`. */
export const namesIn = (names: string): readonly string[] => names.split(':').slice(0, -1)

export const noRules: RuleSet = { text: '', count: 0, table: new Int32Array(0), events: '', variables: ':' }
