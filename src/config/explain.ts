// What a control file, or one of its lines, means: in words, with what is needed to find who uses it.

import { err, ok, type Result } from 'neverthrow'
import type { Meaning } from '../contract/configuration.ts'
import { nearestName } from '../protocol/nearest.ts'
import { rulesIn } from '../rules/parse.ts'
import { ruleWords } from '../rules/words.ts'
import {
  accessUsers,
  accessWords,
  certificateWords,
  certUserWords,
  chainWords,
  limitWords,
  listenerWords,
  senderWords,
} from './explain-lines.ts'
import { KNOBS, type KnobName, knobOf } from './knobs.ts'
import type { Loaded } from './plan.ts'

const FILES: readonly string[] = KNOBS.map(({ name }) => name)

/** `control/fixsmtpio`, `/etc/acceptd/fixsmtpio` or `fixsmtpio`: its name, and its knob. `loaded`: names of files. */
export function fileNamed(file: string, loaded: readonly string[]): Result<string, string> {
  const name = file.split('/').at(-1) ?? file
  if (FILES.includes(name) || (knobOf(name) !== undefined && loaded.includes(name))) return ok(name)
  const near = nearestName(name, [...FILES, ...loaded])
  return err(`there is no control file ${name}${near === undefined ? '' : `; did you mean ${near}?`}`)
}

/** Undefined: the text has no such line. The final newline begins none. */
export function lineAt(text: string, line: number): string | undefined {
  let from = 0
  for (let n = 1; n < line; n++) {
    const end = text.indexOf('\n', from)
    if (end < 0) return undefined
    from = end + 1
  }
  if (from >= text.length && line > 1) return undefined
  const end = text.indexOf('\n', from)
  return text.slice(from, end < 0 ? text.length : end).replace(/[ \t\r]+$/, '')
}

/** Files that hold one value, in their first line. */
const isSingle = (name: KnobName): boolean => LINES[name] === undefined && !LISTS.has(name)
const LISTS: ReadonlySet<KnobName> = new Set(['smtpcapabilities', 'pop3capabilities', 'dnsservers'])

/** A line that is neither empty nor a comment. */
type ExplainLine = (loaded: Loaded, line: number, text: string, file: string) => Meaning | undefined

const LINES: Partial<Record<KnobName, ExplainLine>> = {
  fixsmtpio: ({ config }, line, text) => {
    const rules = rulesIn(config.rules)
    const at = rules.findIndex((rule) => rule.line === line)
    const rule = rules[at]
    if (rule === undefined) return undefined
    const later = rules.slice(at + 1).filter(({ event }) => event === rule.event).length
    const after =
      later === 0
        ? `It is the last rule for ${rule.event}.`
        : `Rules for ${rule.event} after it: ${later}; of all that match, the last one decides.`
    return { kind: 'rule', text, does: [...ruleWords(rule, config.smtpGreeting), after] }
  },
  listeners: ({ config }, line, text) => {
    const listener = config.listeners.find((one) => one.line === line)
    return listener && { ...listenerWords(listener), kind: 'listener', text }
  },
  chains: ({ config }, line, text) => ({ ...chainWords(config, line, text), kind: 'chain', text }),
  limits: ({ config }, line, text) => ({ ...limitWords(config.limits, line, text), kind: 'limit', text }),
  access: ({ config }, line, text, file) => ({
    ...accessWords(config.accessFiles.get(file) ?? config.access, line),
    usedBy: accessUsers(config, file),
    kind: 'access',
    text,
  }),
  senders: (_loaded, _line, text) => ({ ...senderWords(text), kind: 'sender', text }),
  certusers: (_loaded, _line, text) => ({ ...certUserWords(text), kind: 'certificate', text }),
  tls: ({ config }, line, text) => {
    const at = config.certificates.findIndex((one) => one.line === line)
    const row = config.certificates[at]
    return row && { ...certificateWords(row, at === 0), kind: 'certificate', text }
  },
}

/** What a file means as a whole, or its line; an error says that there is none. */
export function explain(loaded: Loaded, name: string, line: number | undefined): Result<Meaning, string> {
  const text = loaded.texts[name]
  const knobName = knobOf(name)?.name
  const of = KNOBS.find((row) => row.name === knobName)?.name
  if (of === undefined) return err(`there is no control file ${name}`)
  const whole = { ...knob(of, text), ...(of === 'access' && { usedBy: accessUsers(loaded.config, name) }) }
  if (line === undefined) return ok(whole)
  const written = lineAt(text ?? '', line)
  if (text === undefined || written === undefined) {
    const count = text === undefined ? 0 : text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
    return err(text === undefined ? `there is no file control/${name}` : `control/${name} has ${count} lines`)
  }
  if (isSingle(of)) {
    if (line === 1) return ok({ ...whole, kind: 'value', text: written })
    return ok({ kind: 'comment', text: written, does: [`Only the first line of control/${name} is read.`] })
  }
  if (written.trim() === '') return ok({ kind: 'comment', text: written, does: ['An empty line: it does nothing.'] })
  if (written.startsWith('#') || (name === 'chains' && written.trimStart().startsWith('#')))
    return ok({ kind: 'comment', text: written, does: ['A comment: it does nothing.'] })
  const meaning = LINES[of]?.(loaded, line, written, name)
  return ok(meaning ?? { ...whole, kind: 'value', text: written })
}

/** The row of the knob, and the value that holds. */
function knob(name: KnobName, text: string | undefined): Meaning {
  const row = knobOf(name)
  const about = row?.about ?? ''
  const when =
    row?.changes === 'restart' ? 'A change needs a restart of acceptd.' : 'A change takes effect with a reload.'
  const fallback = row?.fallback
  const without =
    text !== undefined
      ? []
      : [
          fallback === undefined
            ? 'There is no such file, and no default.'
            : `There is no such file; the default is ${fallback === '' ? 'nothing' : fallback}.`,
        ]
  const value = isSingle(name) ? (lineAt(text ?? '', 1) ?? '') || (fallback ?? '') : undefined
  return { kind: 'knob', ...(value !== undefined && { text: value }), does: [about, ...without, when] }
}
