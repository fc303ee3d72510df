// What acceptctl's words mean: a request, a call, a picture or a text to be printed. Pure: no terminal, no socket.
import { err, ok, type Result } from 'neverthrow'
import { VERSION } from '../contract/version.ts'
import { COMPLETION_SCRIPTS } from './completion-scripts.ts'
import { helpFor, helpText, methodHelp, nounHelp, shortHelp, specialHelp, unknownCommand, unknownVerb } from './help.ts'
import { METHOD_MAP } from './methods.ts'
import type { Method } from './row.ts'
import { FORMATS, type Format } from './show.ts'
import { GLOBAL_OPTIONS, nouns, type Option, optionsOf, pathsParam, SHELLS, TOP_OPTIONS } from './vocabulary.ts'
import { readValue, readWords, unknownOption, type Words } from './words.ts'

export interface Globals {
  readonly socket?: string
  readonly output: Format
  /** Seconds. */
  readonly timeout: number
  /** Tables are not cut to the terminal. */
  readonly wide: boolean
}

export interface Request {
  readonly name: string
  readonly method: Method
  /** As strict as the words allow; the daemon validates. */
  readonly params: Readonly<Record<string, unknown>>
  /** Texts to be read from files before asking. */
  readonly files: readonly { readonly param: string; readonly name?: string; readonly path: string }[]
  /** The descriptor that the secret is read from; left out, standard input. */
  readonly secretFd?: number | undefined
}

export type Command = { readonly globals: Globals } & (
  | { readonly do: 'request'; readonly request: Request }
  | {
      readonly do: 'call'
      readonly name: string
      readonly params: Readonly<Record<string, unknown>>
    }
  | {
      readonly do: 'top'
      readonly interval: number
      readonly once: boolean
      readonly sort: string | undefined
      readonly reverse: boolean
    }
  | { readonly do: 'complete'; readonly typed: readonly string[] }
  | { readonly do: 'print'; readonly text: string }
)

export interface Usage {
  readonly problem: string
  readonly hint: string
  /** So that the error, too, has the requested format. */
  readonly output: Format
  /** For a beginner. */
  readonly more?: string
}

function formatOf(value: unknown): Format {
  return FORMATS.find((format) => format === value) ?? 'table'
}

/** Before anything is understood, what -o says, for the complaint. */
function formatIn(argv: readonly string[]): Format {
  const at = argv.findIndex((word) => word === '-o' || word === '--output')
  const inline =
    argv.find((word) => word.startsWith('--output='))?.slice(9) ?? argv.find((word) => /^-o./.test(word))?.slice(2)
  return formatOf(at >= 0 ? argv[at + 1] : inline)
}

function globalsOf({ socket, output: format, timeout, wide }: Readonly<Record<string, unknown>>): Globals {
  return {
    ...(typeof socket === 'string' && { socket }),
    output: formatOf(format),
    timeout: typeof timeout === 'number' ? timeout : 60,
    wide: wide === true,
  }
}

/** One call of acceptctl, while it is being understood. */
interface Invocation {
  /** Global options that came before the command. */
  readonly before: readonly string[]
  /** After the first word of the command. */
  readonly others: readonly string[]
  /** As far as it can be known before the words are read. */
  readonly output: Format
}

type Parsed = Result<Command, Usage>

const wrong = ({ output }: Invocation, problem: string, hint: string): Parsed => err({ problem, hint, output })
const print = ({ output }: Invocation, text: string): Parsed =>
  ok({ do: 'print', text, globals: globalsOf({ output }) })
const read = ({ before }: Invocation, words: readonly string[], options: readonly Option[]): Result<Words, string> =>
  readWords([...before, ...words], [...options, ...GLOBAL_OPTIONS])

/** Everything that follows `acceptctl`. */
export function parseCommand(argv: readonly string[]): Parsed {
  const start = globalWords(argv)
  const [first, ...others] = argv.slice(start)
  const given: Invocation = { before: argv.slice(0, start), others, output: formatIn(argv) }
  if (first === undefined)
    return err({
      problem: 'no command given',
      hint: 'acceptctl --help lists them',
      output: given.output,
      more: shortHelp(),
    })
  const special = Object.hasOwn(SPECIAL_COMMANDS, first) ? SPECIAL_COMMANDS[first] : undefined
  return special === undefined ? methodCommand(given, first) : special(given)
}

/** How many words at the beginning are global options, which may come before the command. */
function globalWords(argv: readonly string[]): number {
  let count = 0
  for (;;) {
    const word = argv[count] ?? ''
    const name = word.startsWith('--') ? word.slice(2).split('=')[0] : undefined
    const option = GLOBAL_OPTIONS.find((one) => one.name === name || (one.name === 'output' && word.startsWith('-o')))
    if (option === undefined) return count
    count += option.kind === 'flag' || word.includes('=') || /^-o./.test(word) ? 1 : 2
  }
}

/** First words that are no noun of a method. */
const SPECIAL_COMMANDS: Readonly<Record<string, (given: Invocation) => Parsed>> = {
  '--help': (given) => print(given, helpText()),
  '-h': (given) => print(given, helpText()),
  '--version': (given) => print(given, `acceptctl ${VERSION}\n`),
  help: (given) =>
    helpFor(given.others).match(
      (text) => print(given, text),
      (problem) => wrong(given, problem, 'acceptctl --help'),
    ),
  completion: completionCommand,
  // For the scripts of `completion`: everything after -- is the line, as far as it is written.
  complete: (given) =>
    ok({ do: 'complete', typed: given.others.slice(1), globals: globalsOf({ output: given.output }) }),
  top: topCommand,
  call: callCommand,
  watch: (given) => methodCommand(given, 'event.subscribe', 'watch'),
}

function completionCommand(given: Invocation): Parsed {
  const words = read(given, given.others, [])
  if (words.isErr()) return wrong(given, words.error, 'acceptctl completion --help')
  const [shell] = words.value.rest
  if (words.value.help) return print(given, specialHelp('completion'))
  const known = SHELLS.find((one) => one === shell)
  if (known !== undefined) return print(given, COMPLETION_SCRIPTS[known])
  return wrong(
    given,
    shell === undefined ? 'which shell?' : `no script for ${shell}`,
    `acceptctl completion ${SHELLS.join(', or ')}`,
  )
}

function topCommand(given: Invocation): Parsed {
  const words = read(given, given.others, TOP_OPTIONS)
  if (words.isErr()) return wrong(given, words.error, 'acceptctl top --help')
  const { values, help, rest } = words.value
  if (help) return print(given, specialHelp('top'))
  if (rest.length > 0) return wrong(given, `top takes no ${rest.join(' ')}`, 'acceptctl top --help')
  const { interval, once, sort, reverse } = values
  return ok({
    do: 'top',
    interval: typeof interval === 'number' ? interval : 1,
    once: once === true,
    sort: typeof sort === 'string' ? sort : undefined,
    reverse: reverse === true,
    globals: globalsOf(values),
  })
}

function callCommand(given: Invocation): Parsed {
  const words = read(given, given.others, [])
  if (words.isErr()) return wrong(given, words.error, 'acceptctl call METHOD name=text name:=json')
  const { values, help, rest } = words.value
  if (help) return print(given, specialHelp('call'))
  const [name, ...pairs] = rest
  if (name === undefined) return wrong(given, 'which method?', 'acceptctl call METHOD name=text name:=json')
  const secret = METHOD_MAP.get(name)?.cli.secret
  const params: Record<string, unknown> = {}
  for (const pair of pairs) {
    const match = /^([^:=]+)(:?=)([\s\S]*)$/.exec(pair)
    if (!match) return wrong(given, `not name=text or name:=json: ${pair}`, 'acceptctl call --help')
    const [, key = '', operator, text = ''] = match
    if (key === secret) return wrong(given, noSecretHere(secret), `acceptctl call ${name} < FILE`)
    if (operator === '=') params[key] = text
    else
      try {
        params[key] = JSON.parse(text)
      } catch {
        return wrong(given, `not JSON: ${text}`, 'quote it for the shell, e.g. \'topics:=["session"]\'')
      }
  }
  return ok({ do: 'call', name, params, globals: globalsOf(values) })
}

/** `NOUN VERB ...` or `NOUN.VERB ...`; `special` is the name that a method has as a command of its own. */
function methodCommand(given: Invocation, first: string, special?: 'watch'): Parsed {
  const dotted = first.includes('.')
  const [noun = '', verb] = dotted ? first.split('.') : [first, given.others[0]]
  const verbs = nouns().get(noun)
  if (!verbs) {
    if (first.startsWith('-')) return wrong(given, unknownOption(first, GLOBAL_OPTIONS), 'acceptctl --help lists them')
    return wrong(given, unknownCommand(dotted ? noun : first), 'acceptctl --help lists them')
  }
  if (verb === '--help' || verb === '-h') return print(given, nounHelp(noun, verbs))
  if (verb === undefined)
    return wrong(given, `${noun} what? ${[...verbs.keys()].join(', ')}`, `acceptctl ${noun} --help`)
  const method = verbs.get(verb)
  if (!method) return wrong(given, unknownVerb(noun, verb, verbs), `acceptctl ${noun} --help`)
  const hint = `acceptctl ${special ?? `${noun} ${verb}`} --help`
  const { secret } = method.cli
  if (secret !== undefined && given.others.some((word) => word.split('=')[0] === `--${secret}`))
    return wrong(given, noSecretHere(secret), hint)
  const words = read(given, dotted ? given.others : given.others.slice(1), optionsOf(method))
  if (words.isErr()) return wrong(given, words.error, hint)
  if (words.value.help) return print(given, special ? specialHelp(special) : methodHelp(`${noun}.${verb}`, method))
  return requestOf(`${noun}.${verb}`, method, words.value).match(
    (request): Parsed => ok({ do: 'request', request, globals: globalsOf(words.value.values) }),
    (problem) => wrong(given, problem, hint),
  )
}

/** What the options and words after a method's name ask for, or what is wrong with them. */
function requestOf(name: string, method: Method, words: Words): Result<Request, string> {
  const options = optionsOf(method)
  const params: Record<string, unknown> = {}
  const { secret } = method.cli
  const fd = secret === undefined ? undefined : words.values[`${secret}Fd`]
  for (const { param } of options)
    if (words.values[param] !== undefined && param !== `${secret}Fd`) params[param] = words.values[param]
  const left = method.cli.place === undefined ? [...words.rest] : placeWords(words.rest)
  for (const param of method.cli.args ?? []) {
    const option = options.find((one) => one.param === param)
    const text = option?.kind === 'list' ? left.splice(0).join(',') : left.shift()
    if (text === undefined || text === '') break
    const value = option && readValue(option, text)
    if (!value || value.isErr()) return err((value?.isErr() ? value.error : text).replace(/^--/, ''))
    params[param] = value.value
  }
  const paths = pathsParam(method)
  const named = paths === undefined ? [] : left.splice(0).map((word) => namedFile(paths, word))
  const files = [...words.files, ...named]
  if (left.length > 0 && secret !== undefined) return err(noSecretHere(secret))
  if (left.length > 0) return err(`${name.replace('.', ' ')} takes no ${left.join(' ')}`)
  const missing = options.find(
    ({ needed, param, kind }) =>
      needed && kind !== 'file' && params[param] === undefined && !files.some((file) => file.param === param),
  )
  if (missing) return err(`${missing.name} is missing`)
  return ok({ name, method, params, files, ...(typeof fd === 'number' && { secretFd: fd }) })
}

/** Others see the words of a command line; the secret that may be among them is not said again. */
const noSecretHere = (secret: string): string =>
  `the ${secret} is never given on the command line, where ps shows it: it is read from standard input, or --${secret}-fd N`

/** `fixsmtpio:12` is two words. */
const placeWords = ([first = '', ...more]: readonly string[]): string[] => {
  const [, file, line] = /^(.+?):(\d+)(?::\d*)?$/.exec(first) ?? []
  return file === undefined || line === undefined
    ? [first, ...more].filter((word) => word !== '')
    : [file, line, ...more]
}

/** `NAME=PATH`, or a path whose last part is the name. */
function namedFile(param: string, word: string): Request['files'][number] {
  const match = /^([A-Za-z0-9._-]+)=([\s\S]+)$/.exec(word)
  return { param, name: match?.[1] ?? word.split('/').at(-1) ?? word, path: match?.[2] ?? word }
}
