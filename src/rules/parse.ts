// control/fixsmtpio, read as qmail's control_readfile reads any control file, then field by field.
import { err, ok, type Result } from 'neverthrow'
import { lowerCase } from '../protocol/bytes.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { FIX_UP_EVENTS, fixUpFor } from './fixups.ts'
import { isPlainGlob, literalStart } from './glob.ts'
import {
  COLUMNS,
  FROM,
  HAS_BRACKETS,
  HAS_PREPEND,
  LINE,
  type Response,
  type Rule,
  type RuleSet,
  START_OCTETS,
  startOf,
  TO,
} from './ruleset.ts'

const FORM = '[env]:event:[request-prepend]:response-line-glob:[exitcode]:[response]'
const FIELDS = 6

/** The names of the first releases mean the same as those of the later ones. */
const RESERVED: Readonly<Record<string, Response>> = {
  '&fixsmtpio_fixup': { kind: 'fixup' },
  '&fixsmtpio_noop': { kind: 'noop' },
  '&qmail-fixsmtpio': { kind: 'fixup' },
  '&qmail-leavesmtpio': { kind: 'noop' },
}
const RESERVED_PREFIXES = ['&fixsmtpio', '&qmail-fixsmtpio', '&qmail-leavesmtpio']
const REMOVE: Response = { kind: 'remove' }

/** Every error of the file, each at its place, or all its rules. `text` is latin1. */
export function parseRules(text: string, file: string): Result<RuleSet, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const rules: Rule[] = []
  const numbers: number[] = []
  const events = new Map<string, number>()
  const variables = new Map([['', 0]])
  for (let from = 0, line = 1; from < text.length; line++) {
    const found = text.indexOf('\n', from)
    const end = found < 0 ? text.length : found
    const to = withoutTrailingSpace(text, from, end)
    if (to > from && text[from] !== '#') {
      const rule = parseRule(text.slice(from, to), line, file, errors)
      if (rule !== undefined) {
        rules.push(rule)
        const { env, event, prepend, glob } = rule
        const start = startOf(literalStart(glob, START_OCTETS))
        const globFrom = from + env.length + event.length + prepend.length + 3
        const flags = (prepend === '' ? 0 : HAS_PREPEND) + (isPlainGlob(glob) ? 0 : HAS_BRACKETS)
        numbers.push(from, to, line, numberOf(events, event), numberOf(variables, env), start)
        numbers.push(globFrom, globFrom + glob.length, flags)
      }
    }
    from = end + 1
  }
  if (errors.length > 0) return err(errors)
  const table = new Int32Array(new SharedArrayBuffer(numbers.length * Int32Array.BYTES_PER_ELEMENT))
  table.set(numbers)
  const set = { text, count: rules.length, table, events: joined(events), variables: joined(variables) }
  values.set(set, rules)
  return ok(set)
}

function numberOf(names: Map<string, number>, name: string): number {
  const known = names.get(name) ?? names.size
  names.set(name, known)
  return known
}

const joined = (names: Map<string, number>): string => [...names.keys()].map((name) => `${name}:`).join('')

/** The rules of sets that this thread has parsed itself. */
const values = new WeakMap<RuleSet, readonly Rule[]>()

/** All of them. */
export function rulesIn(set: RuleSet): readonly Rule[] {
  const known = values.get(set) ?? Array.from({ length: set.count }, (_none, index) => read(set, index))
  values.set(set, known)
  return known
}

/** One, by its index; undefined: there is none. */
export const ruleAt = (set: RuleSet, index: number): Rule | undefined =>
  index < set.count ? (values.get(set)?.[index] ?? read(set, index)) : undefined

function read({ text, table }: RuleSet, index: number): Rule {
  const at = index * COLUMNS
  const rule = parseRule(text.slice(table[at + FROM], table[at + TO]), table[at + LINE] ?? 0, '', [])
  if (rule === undefined) throw new Error('the table of the rules does not fit their text')
  return rule
}

/** control_readfile cuts spaces, tabs and newlines. A CR is none of them: a file with CR LF endings has a CR in its last field. */
function withoutTrailingSpace(text: string, from: number, end: number): number {
  let to = end
  while (to > from && (text[to - 1] === ' ' || text[to - 1] === '\t')) to--
  return to
}

function parseRule(text: string, line: number, file: string, errors: ConfigError[]): Rule | undefined {
  const before = errors.length
  const complain = (column: number, problem: string, hint: string): void => {
    errors.push({ file, line, column, problem, hint })
  }
  const nul = text.indexOf('\0')
  if (nul >= 0) complain(nul + 1, 'the line has a NUL in it', 'take it out; the file may not be text')

  // Fields and the columns they begin at. The response is the rest of the line and may hold colons.
  const fields: string[] = []
  const columns: number[] = []
  let from = 0
  while (fields.length < FIELDS - 1) {
    const colon = text.indexOf(':', from)
    if (colon < 0) break
    fields.push(text.slice(from, colon))
    columns.push(from + 1)
    from = colon + 1
  }
  fields.push(text.slice(from))
  columns.push(from + 1)
  if (fields.length < FIELDS) {
    const hint = /^[ \t]+#/.test(text)
      ? 'a comment begins with # in column 1'
      : `write ${FORM}; a rule has five colons at least`
    complain(text.length + 1, `the rule ends after ${fields.length} of ${FIELDS} fields`, hint)
    return undefined
  }

  const [env = '', eventField = '', prepend = '', glob = '', exit = '', answer = ''] = fields
  const [, eventAt = 1, , globAt = 1, exitAt = 1, answerAt = 1] = columns
  const event = lowerCase(eventField)
  if (event === '') complain(eventAt, 'the rule has no event', 'write a verb, greeting, timeout, clienteof or in_data')
  if (glob === '') complain(globAt, 'the rule has no response-line glob', 'write * to match every line')
  const exitcode = exit === '' ? undefined : exitCode(exit)
  if (Number.isNaN(exitcode)) {
    complain(
      exitAt,
      `the exit code ${exit} is not a number from 0 to 255`,
      'write decimal digits only, or nothing to go on',
    )
  }
  const response = responseOf(answer)
  if (response === undefined) {
    complain(
      answerAt,
      `the response ${answer} is not known`,
      'write &fixsmtpio_fixup or &fixsmtpio_noop, or a reply that begins otherwise',
    )
  } else if (event === 'clienteof' && response.kind !== 'remove') {
    complain(answerAt, 'clienteof has a response, but the client is gone', 'leave the last field empty')
  } else if (event !== '' && response.kind === 'fixup' && fixUpFor(event) === undefined) {
    complain(
      answerAt,
      `there is no fix-up for ${event}`,
      `write the reply itself; fix-ups exist for ${FIX_UP_EVENTS.join(', ')}`,
    )
  }
  if (errors.length > before || response === undefined) return undefined
  return { line, env, event, prepend, glob, exitcode, response, text }
}

/** NaN for anything but decimal digits up to 255: acceptutils took `12x` for 12 and 4294967296 for 0. */
function exitCode(text: string): number {
  if (!/^[0-9]+$/.test(text)) return Number.NaN
  const code = Number(text)
  return code <= 255 ? code : Number.NaN
}

function responseOf(text: string): Response | undefined {
  if (text === '') return REMOVE
  if (Object.hasOwn(RESERVED, text)) return RESERVED[text]
  // Every name that begins like these is kept for later: a slip of the pen must not reach clients as a reply.
  if (RESERVED_PREFIXES.some((prefix) => text.startsWith(prefix))) return undefined
  return { kind: 'replace', text }
}
