// What may follow the words of a command line that is being written: pure. What only the daemon knows is named, and asked by acceptctl.
import { VERBS } from '../protocol/verbs.ts'
import { METHOD_MAP } from './methods.ts'
import type { Method } from './row.ts'
import { cell, isRecord, plain } from './show.ts'
import {
  GLOBAL_OPTIONS,
  nouns,
  type Option,
  optionsOf,
  pathsParam,
  SHELLS,
  SPECIAL,
  TOP_OPTIONS,
} from './vocabulary.ts'

export type Candidate = readonly [word: string, hint: string]

/** What to ask the daemon, and where in its answer the words are. */
export interface Source {
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  readonly rows: string
  readonly word: string
  readonly hints: readonly string[]
}

export interface Completion {
  /** What stands before the word that is completed and is no part of it, as `--user=`. */
  readonly lead: string
  /** What is there of it. */
  readonly begun: string
  readonly words: readonly Candidate[]
  readonly source?: Source | undefined
  /** The shell knows better. */
  readonly files?: true
  /** Of the words before. */
  readonly socket?: string | undefined
}

const from = (method: string, rows: string, word: string, hints: readonly string[], params: object = {}): Source => ({
  method,
  rows,
  word,
  hints,
  params: { ...params },
})

const SESSIONS = { fields: ['user', 'ip', 'state'], limit: 1000 }
const SOURCES = {
  session: from('session.list', 'sessions', 'id', ['user', 'ip', 'state'], SESSIONS),
  address: from('session.list', 'sessions', 'ip', ['user'], SESSIONS),
  user: from('user.list', 'users', 'user', ['sessions'], { limit: 10_000 }),
  listener: from('listener.list', 'listeners', 'name', ['protocol', 'address', 'port']),
  generation: from('config.history', 'generations', 'generation', ['published', 'reason']),
  lane: from('lane.list', 'lanes', 'lane', ['state', 'sessions']),
  chain: from('backend.list', 'backends', 'chain', ['kind']),
  limit: from('limit.list', 'limits', 'name', ['rate']),
  nearest: from('limit.list', 'limits', 'nearest.subject', ['name', 'nearest.used']),
  penalty: from('penalty.list', 'penalties', 'subject', ['kind', 'limit']),
  operation: from('op.list', 'operations', 'id', ['method', 'subject']),
  knob: from('config.get', 'knobs', 'name', ['source.from']),
  component: from('log.get', 'levels', '', []),
  sha256: from('config.history', 'generations', 'sha256', ['generation', 'published']),
} as const

/** By the name of a parameter; in one method of another meaning, by both. */
const OF_PARAM: Readonly<Record<string, keyof typeof SOURCES>> = {
  id: 'session',
  ip: 'address',
  user: 'user',
  listener: 'listener',
  generation: 'generation',
  lane: 'lane',
  chain: 'chain',
  component: 'component',
  file: 'knob',
  only: 'knob',
  ifSha256: 'sha256',
  'config.get name': 'knob',
  'limit.set limit': 'limit',
  'limit.clear limit': 'limit',
  'limit.clear subject': 'nearest',
  'penalty.clear subject': 'penalty',
  'op.cancel id': 'operation',
}

const words = (list: Iterable<string>, hint = ''): readonly Candidate[] => [...list].map((word) => [word, hint])
const rowsOf = (table: Readonly<Record<string, string>>): readonly Candidate[] => Object.entries(table)

/** `typed`: all words after acceptctl; the last is being written, and may be empty. */
export function complete(typed: readonly string[]): Completion {
  const begun = typed.at(-1) ?? ''
  const read = readBefore(typed.slice(0, -1))
  const { pending, said, socket } = read
  const none = { lead: '', begun, words: [], socket }
  const method = methodOf(said)
  if (pending !== undefined) return { ...none, ...valuesOf(method?.name, pending, begun) }
  const [, name, value] = /^--([^=]+)=(.*)$/s.exec(begun) ?? []
  if (name !== undefined && value !== undefined) {
    const option = optionsAt(said).find((one) => one.name === name)
    if (option === undefined) return none
    const of = valuesOf(method?.name, option, value)
    return { ...none, begun: value, ...of, lead: `--${name}=${of.lead ?? ''}` }
  }
  if (begun.startsWith('-') && !read.isRaw) return { ...none, words: optionWords(optionsAt(said)) }
  return { ...none, ...wordAt(said, begun) }
}

/** The values of an answer, each once, the most telling of its members beside it. */
export function candidatesIn({ rows, word, hints }: Source, answer: unknown): readonly Candidate[] {
  const list = isRecord(answer) ? answer[rows] : undefined
  if (isRecord(list)) return words(Object.keys(list).map(plain))
  const found = new Map<string, string>()
  for (const row of Array.isArray(list) ? list : []) {
    const value = reach(row, word)
    if (typeof value !== 'string' && typeof value !== 'number') continue
    const told = hints.map((name) => reach(row, name)).filter((one) => one !== undefined)
    if (!found.has(cell(value))) found.set(cell(value), told.map(cell).join(' '))
  }
  return [...found]
}

const reach = (value: unknown, path: string): unknown =>
  path.split('.').reduce<unknown>((at, name) => (isRecord(at) ? at[name] : undefined), value)

interface Before {
  /** Words that are neither options nor their values. */
  readonly said: readonly string[]
  /** The option whose value comes next. */
  readonly pending: Option | undefined
  readonly isRaw: boolean
  readonly socket: string | undefined
}

function readBefore(before: readonly string[]): Before {
  const said: string[] = []
  let pending: Option | undefined
  let socket: string | undefined
  let isRaw = false
  for (const word of before) {
    if (pending !== undefined) {
      if (pending.name === 'socket') socket = word
      pending = undefined
    } else if (word === '--') isRaw = true
    else if (isRaw || !word.startsWith('-') || word === '-') said.push(word)
    else {
      const [name = '', value] = word === '-o' ? ['output'] : word.slice(2).split(/=(.*)/s)
      const option = optionsAt(said).find((one) => one.name === name)
      if (name === 'socket' && value !== undefined) socket = value
      if (option !== undefined && option.kind !== 'flag' && value === undefined) pending = option
    }
  }
  return { said, pending, isRaw, socket }
}

interface Named {
  readonly name: string
  readonly method: Method
  /** How many words name it. */
  readonly words: number
}

function methodOf([first = '', second = '']: readonly string[]): Named | undefined {
  const named = first === 'watch' ? 'event.subscribe' : first.includes('.') ? first : `${first}.${second}`
  const method = METHOD_MAP.get(named)
  return method && { name: named, method, words: named === `${first}.${second}` ? 2 : 1 }
}

function optionsAt(said: readonly string[]): readonly Option[] {
  const named = methodOf(said)
  const own = named !== undefined ? optionsOf(named.method) : said[0] === 'top' ? TOP_OPTIONS : []
  return [...own, ...GLOBAL_OPTIONS]
}

const optionWords = (options: readonly Option[]): readonly Candidate[] => [
  ...options.flatMap(({ name, kind, fallback, sentence }): Candidate[] => [
    [`--${name}`, sentence],
    ...(kind === 'flag' && fallback === undefined ? [[`--no-${name}`, sentence] as const] : []),
  ]),
  ['--help', 'Says more.'],
]

const verbsOf = (noun: string): readonly Candidate[] =>
  [...(nouns().get(noun) ?? [])].map(([verb, { sentence }]) => [verb, sentence])

const commands = (): readonly Candidate[] => [
  ...[...nouns()].map(([noun, verbs]): Candidate => [noun, [...verbs.keys()].join(', ')]),
  ...rowsOf(SPECIAL),
]

/** What may come where a word is no option. */
function wordAt(said: readonly string[], begun: string): Partial<Completion> {
  const [first] = said
  if (first === undefined) return { words: commands() }
  if (first === 'help')
    return { words: said.length === 1 ? commands() : said.length === 2 ? verbsOf(said[1] ?? '') : [] }
  if (first === 'completion') return { words: said.length === 1 ? words(SHELLS) : [] }
  if (first === 'call') return callAt(said, begun)
  const named = methodOf(said)
  if (named === undefined) return { words: said.length === 1 ? verbsOf(first) : [] }
  const { cli } = named.method
  const args = cli.args ?? []
  const options = optionsOf(named.method)
  const at = said.length - named.words
  const list = options.find(({ param, kind }) => param === args.at(-1) && kind === 'list')
  const option = options.find(({ param }) => param === args[at]) ?? (at >= args.length ? list : undefined)
  if (option !== undefined) return valuesOf(named.name, option, begun)
  return pathsParam(named.method) === undefined ? {} : { files: true }
}

/** `name=` and `name:=`, and what comes after. */
function callAt(said: readonly string[], begun: string): Partial<Completion> {
  const [, name] = said
  if (name === undefined) return { words: [...METHOD_MAP].map(([one, { sentence }]) => [one, sentence]) }
  const method = METHOD_MAP.get(name)
  if (method === undefined) return {}
  const options = optionsOf(method).filter(({ kind }) => kind !== 'file')
  const [lead = '', param] = /^([^:=]+):?=/.exec(begun) ?? []
  const option = options.find((one) => one.param === param)
  if (option === undefined)
    return {
      words: options.map(({ param: one, kind, sentence }) => [
        `${one}${kind === 'text' || kind === 'time' ? '=' : ':='}`,
        sentence,
      ]),
    }
  const of = valuesOf(name, option, begun.slice(lead.length))
  return { ...of, begun: of.begun ?? begun.slice(lead.length), lead: `${lead}${of.lead ?? ''}` }
}

/** Values of an option, of which something may be written. */
function valuesOf(method: string | undefined, option: Option, begun: string): Partial<Completion> {
  const { kind, param, values } = option
  if (kind === 'file' || param === 'socket') return { files: true }
  if (kind === 'flag') return { words: words(['true', 'false']) }
  if (kind === 'time') return { words: ['10m', '1h', '1d'].map((word) => [word, 'ago']) }
  if (method === 'rules.eval' && param === 'event')
    return { words: words([...VERBS].map((verb) => verb.toLowerCase())) }
  // Of a list the last one is being written.
  const lead = kind === 'list' ? begun.slice(0, begun.lastIndexOf(',') + 1) : ''
  const rest = { lead, begun: begun.slice(lead.length) }
  if (values.length > 0) return { ...rest, words: words(values) }
  const source = OF_PARAM[`${method} ${param}`] ?? OF_PARAM[param]
  return { ...rest, source: source && SOURCES[source] }
}
