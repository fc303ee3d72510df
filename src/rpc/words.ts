// The words of a command line as values: options, what follows them, and the rest.
import { err, ok, type Result } from 'neverthrow'
import { nearestName } from '../protocol/nearest.ts'
import type { Option } from './vocabulary.ts'

export interface Words {
  readonly values: Readonly<Record<string, unknown>>
  readonly rest: readonly string[]
  readonly files: readonly { readonly param: string; readonly path: string }[]
  readonly help: boolean
}

export function readValue(option: Option, text: string): Result<unknown, string> {
  if (option.values.length > 0 && option.kind !== 'list' && !option.values.includes(text))
    return err(
      `--${option.name} is one of ${option.values.join(', ')}${nearest(text, option.values, '; did you mean ')}`,
    )
  switch (option.kind) {
    case 'number':
      return readNumber(option, text)
    case 'time':
      return readTime(option, text, Date.now())
    case 'flag':
      return text === 'true' || text === 'false' ? ok(text === 'true') : err(`--${option.name} is true or false`)
    case 'list': {
      const parts = text.split(',')
      const odd = option.values.length > 0 ? parts.find((part) => !option.values.includes(part)) : undefined
      if (odd === undefined) return ok(parts)
      const hint = nearest(odd, option.values, '; did you mean ')
      return err(`--${option.name} holds ${option.values.join(', ')}; not ${odd}${hint}`)
    }
    case 'map': {
      const at = text.indexOf('=')
      return at > 0 ? ok({ [text.slice(0, at)]: text.slice(at + 1) }) : err(`--${option.name} is NAME=TEXT`)
    }
    case 'text':
    case 'file':
      return ok(text)
  }
}

/** `1 to 1000`, `more than 0, at most 86400`; empty: any number. */
export function boundsText({ least, above, most }: NonNullable<Option['bounds']>): string {
  if (least !== undefined && most !== undefined) return `${least} to ${most}`
  return [
    above === undefined ? '' : `more than ${above}`,
    least === undefined ? '' : `at least ${least}`,
    most === undefined ? '' : `at most ${most}`,
  ]
    .filter((part) => part !== '')
    .join(', ')
}

function readNumber({ name, bounds = {} }: Option, text: string): Result<number, string> {
  const { least, above, most, whole = false } = bounds
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  const fits =
    value >= (least ?? Number.NEGATIVE_INFINITY) &&
    value > (above ?? Number.NEGATIVE_INFINITY) &&
    value <= (most ?? Number.POSITIVE_INFINITY) &&
    (!whole || Number.isInteger(value))
  if (fits) return ok(value)
  const range = boundsText(bounds)
  return err(
    `--${name} is a${whole ? ' whole' : ''} number${range === '' ? '' : `, ${range}`}; not ${text || 'nothing'}`,
  )
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A time of RFC 3339, or so long before `now`, in milliseconds since 1970: `30s`, `10m`, `2h`, `1d`. */
function readTime({ name }: Option, text: string, now: number): Result<string, string> {
  const [, number, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const at = number === undefined ? Date.parse(text) : now - Number(number) * 1000 * (UNITS[unit] ?? 0)
  // The earliest that has four digits for its year.
  return (number !== undefined || /^\d{4}-\d\d-\d\d([T ]|$)/.test(text)) && at >= -62_167_219_200_000
    ? ok(new Date(at).toISOString())
    : err(
        `--${name} is a time such as 2026-11-22T09:00:00Z, or how long ago: 30s, 10m, 2h, 1d; not ${text || 'nothing'}`,
      )
}

function merged(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value]
  if (typeof before === 'object' && before !== null && typeof value === 'object' && value !== null)
    return { ...before, ...value }
  return value
}

export function readWords(argv: readonly string[], options: readonly Option[]): Result<Words, string> {
  const byName = new Map(options.map((option) => [option.name, option]))
  const values: Record<string, unknown> = {}
  const rest: string[] = []
  const files: { param: string; path: string }[] = []
  let help = false
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    if (word === '--') {
      rest.push(...argv.slice(i + 1))
      break
    }
    if (word === '--help' || word === '-h') {
      help = true
      continue
    }
    if (!word.startsWith('-') || word === '-') {
      rest.push(word)
      continue
    }
    const full =
      word === '-o' ? '--output' : word.startsWith('-o') && !word.startsWith('--') ? `--output=${word.slice(2)}` : word
    const at = full.indexOf('=')
    const name = full.slice(2, at < 0 ? undefined : at)
    const negated = name.startsWith('no-') ? byName.get(name.slice(3)) : undefined
    const option = byName.get(name) ?? (negated?.kind === 'flag' ? negated : undefined)
    if (!full.startsWith('--') || !option) return err(unknownOption(word, options))
    const inline = at < 0 ? undefined : full.slice(at + 1)
    let text: string
    if (option.kind === 'flag') text = inline ?? (option.name === name ? 'true' : 'false')
    else if (inline !== undefined) text = inline
    else {
      const next = argv[++i]
      if (next === undefined) return err(`--${name} needs a value`)
      text = next
    }
    const value = readValue(option, text)
    if (value.isErr()) return err(value.error)
    if (option.kind === 'file') files.push({ param: option.param, path: text })
    else values[option.param] = merged(values[option.param], value.value)
  }
  return ok({ values, rest, files, help })
}

/** Without its value, which may be a secret. */
export function unknownOption(word: string, options: readonly Option[]): string {
  const name = word.split('=')[0] ?? word
  const names = options.map((option) => option.name)
  return `unknown option ${name}${nearest(name.replace(/^-+/, ''), names, '; did you mean --')}`
}

/** `; did you mean --user?` if one name is near. */
export function nearest(word: string, names: readonly string[], lead: string): string {
  const best = nearestName(word, names)
  return best === undefined ? '' : `${lead}${best}?`
}
