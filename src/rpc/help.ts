// What acceptctl --help says, of all, of a command, of one of its verbs.
import { err, ok, type Result } from 'neverthrow'
import { METHOD_MAP } from './methods.ts'
import type { Method } from './row.ts'
import { GLOBAL_OPTIONS, kebab, nouns, type Option, optionsOf, pathsParam, SPECIAL, TOP_OPTIONS } from './vocabulary.ts'
import { boundsText } from './words.ts'

const EXITS = `Exit codes: 0 done, 1 error, 2 usage, 3 nothing matched, 4 conflict (--if-sha256), 69 acceptd not reachable,
74 output cannot be written, 75 temporary failure, 78 configuration invalid.
server health: 0 ok, 1 warning, 2 critical, 3 unknown.`

export function helpText(): string {
  const lines = [...nouns()].map(([noun, verbs]) => `  ${noun.padEnd(11)} ${[...verbs.keys()].join(', ')}`)
  const special = Object.entries(SPECIAL).map(([name, sentence]) => `  ${name.padEnd(11)} ${sentence}`)
  return `acceptctl asks and changes a running acceptd.

usage: acceptctl [options] COMMAND VERB [--option value ...]

Commands:
${lines.join('\n')}
${special.join('\n')}

Options:
${optionLines(GLOBAL_OPTIONS)}

acceptctl --version says which acceptd it is from.
acceptctl COMMAND --help and acceptctl COMMAND VERB --help say more.
${EXITS}
`
}

export function helpFor(words: readonly string[]): Result<string, string> {
  const [noun, verb] = words[0]?.includes('.') ? words[0].split('.') : words
  if (noun === undefined) return ok(helpText())
  if (noun in SPECIAL) return ok(specialHelp(noun))
  const verbs = nouns().get(noun)
  if (!verbs) return err(`unknown command ${noun}`)
  if (verb === undefined) return ok(nounHelp(noun, verbs))
  const method = verbs.get(verb)
  return method ? ok(methodHelp(`${noun}.${verb}`, method)) : err(`unknown command ${noun} ${verb}`)
}

export function specialHelp(name: string): string {
  if (name === 'watch') {
    const method = METHOD_MAP.get('event.subscribe')
    if (method) return methodHelp('event.subscribe', method).replace('acceptctl event subscribe', 'acceptctl watch')
  }
  const sentence = Object.entries(SPECIAL).find(([special]) => special === name)?.[1] ?? ''
  const own = name === 'top' ? TOP_OPTIONS : []
  return `${sentence}\n\nOptions:\n${optionLines([...own, ...GLOBAL_OPTIONS])}\n`
}

export function nounHelp(noun: string, verbs: ReadonlyMap<string, Method>): string {
  const lines = [...verbs].map(([verb, { sentence }]) => `  acceptctl ${noun} ${verb.padEnd(12)} ${sentence}`)
  return `${lines.join('\n')}\n`
}

function optionLines(options: readonly Option[]): string {
  return options
    .map(({ name, kind, values, sentence, fallback, needed, bounds }) => {
      const value =
        kind === 'flag'
          ? ''
          : ` ${values.length > 0 && values.length < 9 ? values.join('|') : kind === 'map' ? 'NAME=TEXT' : kind === 'file' ? 'PATH' : kind.toUpperCase()}`
      const notes = [
        needed ? 'needed' : '',
        kind === 'number' && bounds !== undefined ? boundsText(bounds) : '',
        fallback !== undefined && kind !== 'flag' ? `default ${fallback}` : '',
        kind === 'list' && values.length >= 9 ? values.join(', ') : '',
      ]
      const more = notes.filter((note) => note !== '').join('; ')
      const flag = kind === 'flag' && fallback === undefined ? `[no-]${name}` : name
      return `  --${flag}${value}\n        ${sentence}${more ? ` (${more})` : ''}`
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

export function methodHelp(name: string, method: Method): string {
  const file = pathsParam(method)
  const options = optionsOf(method).filter(({ param }) => param !== file)
  const { level, changes, sentence, cli } = method
  const secret =
    cli.secret === undefined
      ? ''
      : `\nThe ${cli.secret} is the first line of standard input, or of a descriptor; a terminal asks for it without an echo.\n`
  return `${sentence}

usage: ${usageOf(name, method)}

${level === 'status' ? 'Also answered on status.sock.' : 'Answered on control.sock only.'}${changes ? ' Changes the running daemon.' : ''}${secret}
Options:
${optionLines([...options, ...GLOBAL_OPTIONS])}

${EXITS}
`
}
