// What acceptctl's words mean: subcommands, options, help and completion, all from the method table. Pure: no terminal, no socket.
import { err, ok, type Result } from 'neverthrow'
import { METHOD_MAP } from './methods.ts'
import { jsonSchema, neededParams } from './openrpc.ts'
import type { Method } from './row.ts'
import { cell } from './show.ts'

export type Format = 'table' | 'json' | 'jsonl' | 'tsv'
const FORMATS: readonly Format[] = ['table', 'json', 'jsonl', 'tsv']

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

interface Option {
  /** As it is written, without the dashes. */
  readonly name: string
  readonly param: string
  readonly kind: 'text' | 'number' | 'flag' | 'list' | 'map' | 'file'
  readonly values: readonly string[]
  readonly needed: boolean
  readonly fallback?: string
  readonly sentence: string
}

const GLOBAL_OPTIONS: readonly Option[] = [
  {
    name: 'socket',
    param: 'socket',
    kind: 'text',
    values: [],
    needed: false,
    sentence: 'The control socket; else $ACCEPTD_SOCKET, /run/acceptd/control.sock, var/run/control.sock.',
  },
  {
    name: 'output',
    param: 'output',
    kind: 'text',
    values: FORMATS,
    needed: false,
    fallback: 'table',
    sentence: 'How to show the result (-o): tsv has no heading, jsonl is a line an entry.',
  },
  {
    name: 'timeout',
    param: 'timeout',
    kind: 'number',
    values: [],
    needed: false,
    fallback: '60',
    sentence: 'Seconds to wait for a reply.',
  },
]

const SPECIAL = {
  top: 'Shows lanes and sessions, redrawn every second; q quits.',
  watch: 'Prints events as they happen: acceptctl watch session auth.',
  call: 'Calls any method: acceptctl call METHOD name=text name:=json.',
  completion: 'Prints a completion script for bash or zsh.',
  help: 'Says this, or more about a command.',
} as const

const TOP_OPTIONS: readonly Option[] = [
  {
    name: 'interval',
    param: 'interval',
    kind: 'number',
    values: [],
    needed: false,
    fallback: '1',
    sentence: 'Seconds between two pictures.',
  },
  {
    name: 'once',
    param: 'once',
    kind: 'flag',
    values: [],
    needed: false,
    sentence: 'One picture and no more; so it is off a terminal.',
  },
]

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}

export function optionsOf(method: Method): readonly Option[] {
  const needed = neededParams(method.params)
  return Object.entries(method.params.shape).flatMap(([param, schema]): Option[] => {
    const { type, enum: values, items, default: fallback, description } = jsonSchema(schema)
    if (param === method.cli.secret) return []
    const itemValues = typeof items === 'object' && items !== null && 'enum' in items ? items.enum : undefined
    const common = {
      param,
      values: texts(values ?? itemValues),
      needed: needed.has(param),
      ...(['string', 'number', 'boolean'].includes(typeof fallback) && { fallback: cell(fallback) }),
      sentence: typeof description === 'string' ? description : '',
    }
    if (param === method.cli.file && type !== 'object')
      return [
        { ...common, name: kebab(param), kind: 'text' },
        { ...common, name: `${kebab(param)}-file`, kind: 'file', needed: false, sentence: 'The same, from a file.' },
      ]
    const kind =
      type === 'boolean'
        ? 'flag'
        : type === 'number' || type === 'integer'
          ? 'number'
          : type === 'array'
            ? 'list'
            : type === 'object'
              ? 'map'
              : 'text'
    return [{ ...common, name: kebab(param), kind }]
  })
}

/** The texts-by-name parameter, which stands behind the options as paths. */
function pathsParam(method: Method): string | undefined {
  const { file } = method.cli
  return file !== undefined && optionsOf(method).some(({ param, kind }) => param === file && kind === 'map')
    ? file
    : undefined
}

/** `session` → its methods by verb. */
export function nouns(): ReadonlyMap<string, ReadonlyMap<string, Method>> {
  const all = new Map<string, Map<string, Method>>()
  for (const [name, method] of METHOD_MAP) {
    const [noun = '', verb = ''] = name.split('.')
    const verbs = all.get(noun) ?? new Map<string, Method>()
    verbs.set(verb, method)
    all.set(noun, verbs)
  }
  return all
}

// -- words

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
  let best: string | undefined
  let least = 3
  for (const name of names) {
    const away = distance(word, name)
    if (away < least) {
      least = away
      best = name
    }
  }
  return best === undefined ? '' : `${lead}${best}?`
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    row = next
  }
  return row[b.length] ?? 0
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

// -- help

const EXITS = `Exit codes: 0 done, 1 error, 2 usage, 3 nothing matched, 4 conflict (ifSha256), 69 daemon not reachable,
75 temporary failure, 78 configuration invalid.`

function helpText(): string {
  const lines = [...nouns()].map(([noun, verbs]) => `  ${noun.padEnd(11)} ${[...verbs.keys()].join(', ')}`)
  const special = Object.entries(SPECIAL).map(([name, sentence]) => `  ${name.padEnd(11)} ${sentence}`)
  return `acceptctl asks and changes a running acceptd.

usage: acceptctl [options] COMMAND VERB [--option value ...]

Commands:
${lines.join('\n')}
${special.join('\n')}

Options:
${optionLines(GLOBAL_OPTIONS)}

acceptctl COMMAND --help and acceptctl COMMAND VERB --help say more.
${EXITS}
`
}

function helpFor(words: readonly string[]): Result<string, string> {
  const [noun, verb] = words[0]?.includes('.') ? words[0].split('.') : words
  if (noun === undefined) return ok(helpText())
  if (noun in SPECIAL) return ok(specialHelp(noun))
  const verbs = nouns().get(noun)
  if (!verbs) return err(`unknown command ${noun}`)
  if (verb === undefined) return ok(nounHelp(noun, verbs))
  const method = verbs.get(verb)
  return method ? ok(methodHelp(`${noun}.${verb}`, method)) : err(`unknown command ${noun} ${verb}`)
}

function specialHelp(name: string): string {
  if (name === 'watch') {
    const method = METHOD_MAP.get('event.subscribe')
    if (method) return methodHelp('event.subscribe', method).replace('acceptctl event subscribe', 'acceptctl watch')
  }
  const sentence = Object.entries(SPECIAL).find(([special]) => special === name)?.[1] ?? ''
  const own = name === 'top' ? TOP_OPTIONS : []
  return `${sentence}\n\nOptions:\n${optionLines([...own, ...GLOBAL_OPTIONS])}\n`
}

function nounHelp(noun: string, verbs: ReadonlyMap<string, Method>): string {
  const lines = [...verbs].map(([verb, { sentence }]) => `  acceptctl ${noun} ${verb.padEnd(12)} ${sentence}`)
  return `${lines.join('\n')}\n`
}

function optionLines(options: readonly Option[]): string {
  return options
    .map(({ name, kind, values, sentence, fallback, needed }) => {
      const value =
        kind === 'flag'
          ? ''
          : ` ${values.length > 0 && values.length < 9 ? values.join('|') : kind === 'map' ? 'NAME=TEXT' : kind === 'file' ? 'PATH' : kind.toUpperCase()}`
      const notes = [
        needed ? 'needed' : '',
        fallback !== undefined && kind !== 'flag' ? `default ${fallback}` : '',
        kind === 'list' && values.length >= 9 ? values.join(', ') : '',
      ]
      const more = notes.filter((note) => note !== '').join('; ')
      const flag = kind === 'flag' && fallback === undefined && name !== 'once' ? `[no-]${name}` : name
      return `  --${flag}${value}\n        ${sentence}${more ? ` (${more})` : ''}`
    })
    .join('\n')
}

export function usageOf(name: string, method: Method): string {
  const options = optionsOf(method)
  const args = (method.cli.args ?? []).map((param) => {
    const option = options.find((one) => one.param === param)
    const word = kebab(param).toUpperCase() + (option?.kind === 'list' ? '...' : '')
    return option?.needed ? word : `[${word}]`
  })
  const paths = pathsParam(method) === undefined ? [] : ['[[NAME=]PATH...]']
  const secret = method.cli.secret === undefined ? '' : ` < ${method.cli.secret.toUpperCase()}`
  return `${['acceptctl', ...name.split('.'), ...args, '[options]', ...paths].join(' ')}${secret}`
}

function methodHelp(name: string, method: Method): string {
  const file = pathsParam(method)
  const options = optionsOf(method).filter(({ param }) => param !== file)
  const { level, changes, sentence, cli } = method
  const secret = cli.secret === undefined ? '' : `\nThe ${cli.secret} is read from standard input.\n`
  return `${sentence}

usage: ${usageOf(name, method)}

${level === 'status' ? 'Also answered on status.sock.' : 'Answered on control.sock only.'}${changes ? ' Changes the running daemon.' : ''}${secret}
Options:
${optionLines([...options, ...GLOBAL_OPTIONS])}

${EXITS}
`
}

// -- completion

/** Lines `key<TAB>words`: what may follow nothing, a noun, a command, an option of a command. */
function completionTable(): readonly (readonly [key: string, words: readonly string[]])[] {
  const rows: [string, readonly string[]][] = [['', [...nouns().keys(), ...Object.keys(SPECIAL)]]]
  const global = GLOBAL_OPTIONS.map(({ name }) => `--${name}`)
  const add = (key: string, options: readonly Option[], args: readonly string[]) => {
    rows.push([key, [...args, ...options.map(({ name }) => `--${name}`), ...global, '--help']])
    for (const { name, values } of options) if (values.length > 0) rows.push([`${key} --${name}`, values])
  }
  for (const [noun, verbs] of nouns()) {
    rows.push([noun, [...verbs.keys()]])
    for (const [verb, method] of verbs) add(`${noun} ${verb}`, optionsOf(method), argWords(method))
  }
  const subscribe = METHOD_MAP.get('event.subscribe')
  if (subscribe) add('watch', optionsOf(subscribe), argWords(subscribe))
  add('top', TOP_OPTIONS, [])
  rows.push(['completion', ['bash', 'zsh']], ['call', [...METHOD_MAP.keys()]], ['help', [...nouns().keys()]])
  return rows
}

function argWords(method: Method): readonly string[] {
  const options = optionsOf(method)
  return (method.cli.args ?? []).flatMap((param) => options.find((one) => one.param === param)?.values ?? [])
}

function completionCases(): string {
  return completionTable()
    .map(([key, words]) => `    '${key}') found='${words.join(' ')}' ;;`)
    .join('\n')
}

/** Shared by both shells: `$1` is a key, the words end up in `found`. */
function lookup(): string {
  return `_acceptctl_words() {
  found=
  case "$1" in
${completionCases()}
    *' -o' | *' --output') found='${FORMATS.join(' ')}' ;;
  esac
}
# The command among the words before the cursor: up to two that are no options and no values of --socket, --output, --timeout.
_acceptctl_key() {
  local word skip= count=0
  key=
  for word in "$@"; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case "$word" in
      --socket | --output | -o | --timeout) skip=1 ;;
      -*) ;;
      *)
        [ "$count" -lt 2 ] || continue
        case "$count $key" in
          '1 watch' | '1 top' | '1 call' | '1 completion' | '1 help') continue ;;
        esac
        key="\${key:+$key }$word"
        count=$((count + 1))
        ;;
    esac
  done
}`
}

function bashCompletion(): string {
  return `# bash completion for acceptctl: acceptctl completion bash > /etc/bash_completion.d/acceptctl
${lookup()}
_acceptctl() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}" key found
  case "$prev" in
    --socket | --*-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  _acceptctl_key "\${COMP_WORDS[@]:1:COMP_CWORD - 1}"
  _acceptctl_words "$key $prev"
  [ -n "$found" ] || _acceptctl_words "$key"
  COMPREPLY=($(compgen -W "$found" -- "$cur"))
}
complete -F _acceptctl -o default acceptctl
`
}

function zshCompletion(): string {
  return `#compdef acceptctl
# zsh completion for acceptctl: acceptctl completion zsh > a directory of $fpath/_acceptctl
${lookup()}
_acceptctl() {
  local key before="$words[CURRENT-1]"
  local -a typed
  typed=("\${(@)words[2,CURRENT-1]}")
  local found
  case "$before" in
    --socket | --*-file) _files; return ;;
  esac
  _acceptctl_key "$typed[@]"
  _acceptctl_words "$key $before"
  [ -n "$found" ] || _acceptctl_words "$key"
  compadd -- \${=found}
}
if [ "$funcstack[1]" = _acceptctl ]; then _acceptctl "$@"; else compdef _acceptctl acceptctl; fi
`
}
