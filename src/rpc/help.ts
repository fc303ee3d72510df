// What acceptctl --help says, of all, of a command, of one of its verbs.
import { err, ok, type Result } from 'neverthrow'
import { METHOD_MAP } from './methods.ts'
import type { Method } from './row.ts'
import { cell, isRecord } from './show.ts'
import { GLOBAL_OPTIONS, kebab, nouns, type Option, optionsOf, pathsParam, SPECIAL, TOP_OPTIONS } from './vocabulary.ts'
import { boundsText, nearest } from './words.ts'

const EXITS = `Exit codes: 0 done, 1 error, 2 usage, 3 nothing matched, 4 conflict,
69 acceptd not reachable, 74 output cannot be written, 75 temporary failure,
78 configuration invalid. server health: 0 ok, 1 warning, 2 critical, 3 unknown.`

/** What people come for first. */
export const FIRST_STEPS: readonly string[] = [
  'acceptctl server health',
  "acceptctl session list --user 'a*'",
  'acceptctl top',
  'acceptctl config check',
  'acceptctl config explain fixsmtpio:31',
  'acceptctl log errors --since 1h',
]

const USAGE = 'usage: acceptctl [options] COMMAND VERB [--option value ...]'

/** For somebody who has given no command. */
export function shortHelp(): string {
  const names = [...nouns().keys(), ...Object.keys(SPECIAL)].join(' ')
  return `${USAGE}\n${wrapped(`commands: ${names}`, 10)}\n${wrapped(`to begin with: ${FIRST_STEPS.join('; ')}`, 15)}\n`
}

export function helpText(): string {
  const lines = [...nouns()].map(([noun, verbs]) => wrapped(`  ${noun.padEnd(11)} ${[...verbs.keys()].join(', ')}`, 14))
  const special = Object.entries(SPECIAL).map(([name, sentence]) => wrapped(`  ${name.padEnd(11)} ${sentence}`, 14))
  return `acceptctl asks and changes a running acceptd.

${USAGE}

Commands:
${lines.join('\n')}
${special.join('\n')}

Options:
${optionLines(GLOBAL_OPTIONS)}

To begin with:
${FIRST_STEPS.map((line) => `  ${line}`).join('\n')}

acceptctl --version says which acceptd it is from.
acceptctl COMMAND --help and acceptctl COMMAND VERB --help say more.
${EXITS}
`
}

/** An error is what is wrong with the words. */
export function helpFor(words: readonly string[]): Result<string, string> {
  const [noun, verb] = words[0]?.includes('.') ? words[0].split('.') : words
  if (noun === undefined) return ok(helpText())
  if (Object.hasOwn(SPECIAL, noun)) return ok(specialHelp(noun))
  const verbs = nouns().get(noun)
  if (!verbs) return err(unknownCommand(noun))
  if (verb === undefined) return ok(nounHelp(noun, verbs))
  const method = verbs.get(verb)
  return method ? ok(methodHelp(`${noun}.${verb}`, method)) : err(unknownVerb(noun, verb, verbs))
}

export const unknownCommand = (word: string): string =>
  `unknown command ${word}${nearest(word, [...nouns().keys(), ...Object.keys(SPECIAL)], '; did you mean ')}`

export const unknownVerb = (noun: string, verb: string, verbs: ReadonlyMap<string, Method>): string =>
  `unknown command ${noun} ${verb}${nearest(verb, [...verbs.keys()], '; did you mean ')}`

/** Of the commands that are no methods. */
export const SPECIAL_EXAMPLES: Readonly<Record<keyof typeof SPECIAL, string>> = {
  top: 'acceptctl top --sort bytesIn',
  watch: 'acceptctl watch session auth --user alice',
  call: 'acceptctl call session.kill user=alice dryRun:=true',
  completion: 'acceptctl completion fish',
  help: 'acceptctl help session kill',
}

export function specialHelp(name: string): string {
  const example = Object.entries(SPECIAL_EXAMPLES).find(([special]) => special === name)?.[1] ?? ''
  const method = METHOD_MAP.get('event.subscribe')
  if (name === 'watch' && method)
    return methodHelp('event.subscribe', method, example).replace('acceptctl event subscribe', 'acceptctl watch')
  const sentence = Object.entries(SPECIAL).find(([special]) => special === name)?.[1] ?? ''
  const own = name === 'top' ? TOP_OPTIONS : []
  return `${wrapped(sentence, 0)}\n\nExample:\n  ${example}\n\nOptions:\n${optionLines([...own, ...GLOBAL_OPTIONS])}\n`
}

export function nounHelp(noun: string, verbs: ReadonlyMap<string, Method>): string {
  const lines = [...verbs].map(
    ([verb, method]) =>
      `  ${usageOf(`${noun}.${verb}`, method).replace(' [options]', '')}\n${wrapped(`        ${method.sentence}`, 8)}`,
  )
  return `${lines.join('\n')}\n\nacceptctl ${noun} VERB --help says more, with an example.\n`
}

/** Columns of a page of help. */
const PAGE = 80

/** Lines of at most a page, each but the first with so many blanks before it. */
function wrapped(text: string, indent: number): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/(?<=\S) /)) {
    if (line !== '' && line.length + 1 + word.length > PAGE) {
      lines.push(line)
      line = ' '.repeat(indent) + word
    } else line += line === '' ? word : ` ${word}`
  }
  return [...lines, line].join('\n')
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w.,:=@%+/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)

/** The example of a method's row as a line for a shell. */
export function exampleOf(name: string, { example, cli, params: schema }: Method): string {
  const { file, secret } = cli
  const left = new Map(Object.entries(example.params).filter(([param]) => param !== secret))
  const args = (cli.args ?? []).flatMap((param) => {
    const value = left.get(param)
    // A later word has no place of its own where an earlier one is left out.
    if (value === undefined || [...left.keys()].some((other) => isBefore(cli.args, other, param))) return []
    left.delete(param)
    return Array.isArray(value) ? value.map(String) : [cell(value)]
  })
  const place = cli.place !== undefined && args.length === 2 ? [args.join(':')] : args
  const options = [...left].flatMap(([param, value]): string[] => {
    const option = `--${kebab(param)}`
    if (typeof value === 'boolean') return [value ? option : `--no-${kebab(param)}`]
    if (Array.isArray(value)) return [option, value.join(',')]
    if (isRecord(value))
      return param === file
        ? Object.keys(value)
        : Object.entries(value).flatMap(([key, text]) => [option, `${key}=${cell(text)}`])
    return param === file && param in schema.shape ? [`${option}-file`, 'new-rules'] : [option, cell(value)]
  })
  const words = ['acceptctl', ...name.split('.'), ...place, ...options].map(quoted)
  return `${words.join(' ')}${secret === undefined ? '' : ` < ${secret}-file`}`
}

const isBefore = (args: readonly string[] = [], one: string, other: string): boolean =>
  args.includes(one) && args.indexOf(one) < args.indexOf(other)

function optionLines(options: readonly Option[]): string {
  return options
    .map(({ name, kind, values, sentence, fallback, needed, bounds }) => {
      const value =
        kind === 'flag'
          ? ''
          : ` ${values.length > 0 && values.length < 9 ? values.join('|') : kind === 'map' ? 'NAME=TEXT' : kind === 'file' ? 'PATH' : kind.toUpperCase()}`
      const notes = [
        needed ? 'needed' : '',
        kind === 'number' && bounds?.most !== undefined ? boundsText(bounds) : '',
        fallback !== undefined && kind !== 'flag' ? `default ${fallback}` : '',
        kind === 'list' && values.length >= 9 ? values.join(', ') : '',
      ]
      const more = notes.filter((note) => note !== '').join('; ')
      const flag = kind === 'flag' && fallback === undefined ? `[no-]${name}` : name
      return `  --${flag}${value}\n${wrapped(`        ${sentence}${more ? ` (${more})` : ''}`, 8)}`
    })
    .join('\n')
}

export function usageOf(name: string, method: Method): string {
  const options = optionsOf(method)
  const { place } = method.cli
  const args = (method.cli.args ?? []).flatMap((param) => {
    if (param === place?.[1]) return []
    if (param === place?.[0]) return `${place.map((each) => kebab(each).toUpperCase()).join('[:')}]`
    const option = options.find((one) => one.param === param)
    const word = kebab(param).toUpperCase() + (option?.kind === 'list' ? '...' : '')
    return option?.needed ? word : `[${word}]`
  })
  const paths = pathsParam(method) === undefined ? [] : ['[[NAME=]PATH...]']
  const secret = method.cli.secret === undefined ? '' : ` < ${method.cli.secret.toUpperCase()}`
  return `${['acceptctl', ...name.split('.'), ...args, '[options]', ...paths].join(' ')}${secret}`
}

export function methodHelp(name: string, method: Method, example = exampleOf(name, method)): string {
  const file = pathsParam(method)
  const options = optionsOf(method).filter(({ param }) => param !== file)
  const { level, changes, sentence, cli } = method
  const secret =
    cli.secret === undefined
      ? ''
      : `The ${cli.secret} is the first line of standard input, or of a descriptor;\na terminal asks for it without an echo.\n`
  return `${wrapped(sentence, 0)}

usage: ${usageOf(name, method)}

Example:
  ${example}

${level === 'status' ? 'Also answered on status.sock.' : 'Answered on control.sock only.'}${changes ? ' Changes the running daemon.' : ''}
${secret}
Options:
${optionLines([...options, ...GLOBAL_OPTIONS])}

${EXITS}
`
}
