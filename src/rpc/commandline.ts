// What acceptctl's words mean: a request, a call, a picture or a text to be printed. Pure: no terminal, no socket.
import { err, ok, type Result } from 'neverthrow'
import { nearestName } from '../protocol/nearest.ts'
import { bashCompletion, zshCompletion } from './completion.ts'
import { helpFor, helpText, methodHelp, nounHelp, specialHelp } from './help.ts'
import type { Method } from './row.ts'
import { FORMATS, type Format } from './show.ts'
import { GLOBAL_OPTIONS, nouns, type Option, optionsOf, pathsParam, SPECIAL, TOP_OPTIONS } from './vocabulary.ts'

export interface Globals {
  readonly socket?: string
  readonly output: Format
  /** Seconds. */
  readonly timeout: number
}

export interface Request {
  readonly name: string
  readonly method: Method
  /** As strict as the words allow; the daemon validates. */
  readonly params: Readonly<Record<string, unknown>>
  /** Texts to be read from files before asking. */
  readonly files: readonly { readonly param: string; readonly name?: string; readonly path: string }[]
}

export type Command = { readonly globals: Globals } & (
  | { readonly do: 'request'; readonly request: Request }
  | {
      readonly do: 'call'
      readonly name: string
      readonly params: Readonly<Record<string, unknown>>
    }
  | { readonly do: 'top'; readonly interval: number; readonly once: boolean }
  | { readonly do: 'print'; readonly text: string }
)

export interface Usage {
  readonly problem: string
  readonly hint: string
  /** So that the complaint, too, comes in the form asked for. */
  readonly output: Format
}

interface Words {
  readonly values: Readonly<Record<string, unknown>>
  readonly rest: readonly string[]
  readonly files: readonly { readonly param: string; readonly path: string }[]
  readonly help: boolean
}

function readValue(option: Option, text: string): Result<unknown, string> {
  if (option.values.length > 0 && option.kind !== 'list' && !option.values.includes(text))
    return err(`--${option.name} is one of ${option.values.join(', ')}`)
  switch (option.kind) {
    case 'number':
      return text.trim() !== '' && Number.isFinite(Number(text))
        ? ok(Number(text))
        : err(`--${option.name} is a number`)
    case 'flag':
      return text === 'true' || text === 'false' ? ok(text === 'true') : err(`--${option.name} is true or false`)
    case 'list': {
      const parts = text.split(',')
      const odd = option.values.length > 0 ? parts.find((part) => !option.values.includes(part)) : undefined
      return odd === undefined ? ok(parts) : err(`--${option.name} holds ${option.values.join(', ')}; not ${odd}`)
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

function merged(before: unknown, value: unknown): unknown {
  if (Array.isArray(before) && Array.isArray(value)) return [...before, ...value]
  if (typeof before === 'object' && before !== null && typeof value === 'object' && value !== null)
    return { ...before, ...value }
  return value
}

function readWords(argv: readonly string[], options: readonly Option[]): Result<Words, string> {
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
    if (!full.startsWith('--') || !option)
      return err(`unknown option ${word}${nearest(name, [...byName.keys()], '; did you mean --')}`)
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

/** `; did you mean --user?` if one name is near. */
function nearest(word: string, names: readonly string[], lead: string): string {
  const best = nearestName(word, names)
  return best === undefined ? '' : `${lead}${best}?`
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

function globalsOf({ socket, output: format, timeout }: Readonly<Record<string, unknown>>): Globals {
  return {
    ...(typeof socket === 'string' && { socket }),
    output: formatOf(format),
    timeout: typeof timeout === 'number' && timeout > 0 ? timeout : 60,
  }
}

/** Everything behind `acceptctl`. */
export function parseCommand(argv: readonly string[]): Result<Command, Usage> {
  const output = formatIn(argv)
  const wrong = (problem: string, hint: string) => err({ problem, hint, output })
  // Global options may stand before the command.
  let start = 0
  while (start < argv.length) {
    const word = argv[start] ?? ''
    if (['--socket', '--output', '-o', '--timeout'].includes(word)) start += 2
    else if (/^(--(socket|output|timeout)=|-o.)/.test(word)) start++
    else break
  }
  const before = argv.slice(0, start)
  const [first, ...others] = argv.slice(start)
  const print = (text: string): Result<Command, Usage> => ok({ do: 'print', text, globals: { output, timeout: 60 } })
  if (first === undefined) return wrong('no command given', 'acceptctl --help lists them')
  if (first === '--help' || first === '-h') return print(helpText())
  if (first === 'help')
    return helpFor(others)
      .map((text) => ({ do: 'print', text, globals: { output, timeout: 60 } }) as const)
      .mapErr((problem) => ({ problem, hint: 'acceptctl --help', output }))

  const read = (words: readonly string[], options: readonly Option[]) =>
    readWords([...before, ...words], [...options, ...GLOBAL_OPTIONS])

  if (first === 'completion') {
    const words = read(others, [])
    if (words.isErr()) return wrong(words.error, 'acceptctl completion --help')
    const [shell] = words.value.rest
    if (words.value.help) return print(specialHelp('completion'))
    if (shell === 'bash') return print(bashCompletion())
    if (shell === 'zsh') return print(zshCompletion())
    return wrong('which shell?', 'acceptctl completion bash, or zsh')
  }
  if (first === 'top') {
    const words = read(others, TOP_OPTIONS)
    if (words.isErr()) return wrong(words.error, 'acceptctl top --help')
    const { values, help, rest } = words.value
    if (help) return print(specialHelp('top'))
    if (rest.length > 0) return wrong(`top takes no ${rest.join(' ')}`, 'acceptctl top --help')
    const { interval, once } = values
    return ok({
      do: 'top',
      interval: typeof interval === 'number' && interval >= 0.1 ? interval : 1,
      once: once === true,
      globals: globalsOf(values),
    })
  }
  if (first === 'call') {
    const words = read(others, [])
    if (words.isErr()) return wrong(words.error, 'acceptctl call METHOD name=text name:=json')
    const { values, help, rest } = words.value
    if (help) return print(specialHelp('call'))
    const [name, ...pairs] = rest
    if (name === undefined) return wrong('which method?', 'acceptctl call METHOD name=text name:=json')
    const params: Record<string, unknown> = {}
    for (const pair of pairs) {
      const match = /^([^:=]+)(:?=)([\s\S]*)$/.exec(pair)
      if (!match) return wrong(`not name=text or name:=json: ${pair}`, 'acceptctl call --help')
      const [, key = '', operator, text = ''] = match
      if (operator === '=') params[key] = text
      else
        try {
          params[key] = JSON.parse(text)
        } catch {
          return wrong(`not JSON: ${text}`, 'quote it for the shell, e.g. \'topics:=["session"]\'')
        }
    }
    return ok({ do: 'call', name, params, globals: globalsOf(values) })
  }

  const watch = first === 'watch'
  const dotted = first.includes('.')
  const [noun = '', verb] = watch ? ['event', 'subscribe'] : dotted ? first.split('.') : [first, others[0]]
  const verbs = nouns().get(noun)
  if (!verbs) {
    const names = [...nouns().keys(), ...Object.keys(SPECIAL)]
    return wrong(`unknown command ${first}${nearest(noun, names, '; did you mean ')}`, 'acceptctl --help lists them')
  }
  if (verb === '--help' || verb === '-h') return print(nounHelp(noun, verbs))
  if (verb === undefined) return wrong(`${noun} what? ${[...verbs.keys()].join(', ')}`, `acceptctl ${noun} --help`)
  const method = verbs.get(verb)
  if (!method)
    return wrong(
      `unknown command ${noun} ${verb}${nearest(verb, [...verbs.keys()], '; did you mean ')}`,
      `acceptctl ${noun} --help`,
    )
  const name = `${noun}.${verb}`
  const hint = watch ? 'acceptctl watch --help' : `acceptctl ${noun} ${verb} --help`
  const options = optionsOf(method)
  const words = read(watch || dotted ? others : others.slice(1), options)
  if (words.isErr()) return wrong(words.error, hint)
  const { values, rest, help } = words.value
  if (help) return print(watch ? specialHelp('watch') : methodHelp(name, method))

  const params: Record<string, unknown> = {}
  for (const option of options) if (values[option.param] !== undefined) params[option.param] = values[option.param]
  const files: { param: string; name?: string; path: string }[] = [...words.value.files]
  const left = [...rest]
  for (const param of method.cli.args ?? []) {
    const option = options.find((one) => one.param === param)
    const text = option?.kind === 'list' ? left.splice(0).join(',') : left.shift()
    if (text === undefined || text === '') break
    const value = option && readValue(option, text)
    if (!value || value.isErr()) return wrong((value?.isErr() ? value.error : text).replace(/^--/, ''), hint)
    params[param] = value.value
  }
  const paths = pathsParam(method)
  if (paths !== undefined)
    for (const word of left.splice(0)) {
      const match = /^([A-Za-z0-9._-]+)=([\s\S]+)$/.exec(word)
      files.push({ param: paths, name: match?.[1] ?? word.split('/').at(-1) ?? word, path: match?.[2] ?? word })
    }
  if (left.length > 0) return wrong(`${noun} ${verb} takes no ${left.join(' ')}`, hint)
  const missing = options.find(
    ({ needed, param, kind }) =>
      needed && kind !== 'file' && params[param] === undefined && !files.some((file) => file.param === param),
  )
  if (missing) return wrong(`${missing.name} is missing`, hint)
  return ok({ do: 'request', request: { name, method, params, files }, globals: globalsOf(values) })
}
