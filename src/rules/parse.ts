// control/fixsmtpio, read as qmail's control_readfile reads any control file, then field by field.
import { err, ok, type Result } from 'neverthrow'
import { lowerCase } from '../protocol/bytes.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { FIX_UP_EVENTS, fixUpFor } from './fixups.ts'
import type { Response, Rule, RuleSet } from './ruleset.ts'

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
  const reading = beginRules(text, file)
  while (!readRules(reading, Number.POSITIVE_INFINITY));
  return rulesOf(reading)
}

/** A file that is read some lines at a time, so that 100,000 lines hold up nothing else. */
export interface RulesReading {
  readonly text: string
  readonly file: string
  readonly rules: Rule[]
  readonly errors: ConfigError[]
  from: number
  line: number
}

export const beginRules = (text: string, file: string): RulesReading => ({
  text,
  file,
  rules: [],
  errors: [],
  from: 0,
  line: 0,
})

/** Reads so many lines more; whether that was all. */
export function readRules(reading: RulesReading, lines: number): boolean {
  const { text, file, rules, errors } = reading
  for (let read = 0; reading.from < text.length && read < lines; read++) {
    const end = text.indexOf('\n', reading.from)
    const stop = end < 0 ? text.length : end
    reading.line++
    const line = withoutTrailingSpace(text.slice(reading.from, stop))
    reading.from = stop + 1
    if (line === '' || line.startsWith('#')) continue
    const rule = parseRule(line, reading.line, file, errors)
    if (rule !== undefined) rules.push(rule)
  }
  return reading.from >= text.length
}

export const rulesOf = ({ rules, errors }: RulesReading): Result<RuleSet, readonly ConfigError[]> =>
  errors.length > 0 ? err(errors) : ok({ rules })

/** control_readfile cuts spaces, tabs and newlines. A CR is none of them: a file with CR LF endings has a CR in its last field. */
function withoutTrailingSpace(line: string): string {
  let size = line.length
  while (size > 0 && (line[size - 1] === ' ' || line[size - 1] === '\t')) size--
  return line.slice(0, size)
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
