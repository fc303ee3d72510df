// What is allowed in control files and yet cannot be meant, from their texts alone.

import type { ConfigError } from '../protocol/errors.ts'
import { nearestName } from '../protocol/nearest.ts'
import { VERBS } from '../protocol/verbs.ts'
import { canMatchReply } from '../rules/glob.ts'
import { rulesIn } from '../rules/parse.ts'
import type { Rule, RuleSet } from '../rules/ruleset.ts'
import { type ControlTexts, filesIn, KNOBS, trouble } from './knobs.ts'

/** Events whose lines are no replies: a glob meets whatever text there is. */
const WITHOUT_REPLY: ReadonlySet<string> = new Set(['timeout', 'clienteof'])

/** Files that lie beside the knobs and are read by others: the classic programs, people. */
const NEIGHBOURS = /^(README.*|authupuser|\..*|.*~)$/

/** `, did you mean smtp?`; `fixsmtpio.new` is near fixsmtpio, too. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const known = [...names]
  const best = nearestName(word, known) ?? known.find((name) => word.startsWith(`${name}.`))
  return best === undefined ? '' : `; did you mean ${best}?`
}

export function unknownFile(name: string): ConfigError {
  const names = KNOBS.map((knob) => knob.name)
  return trouble(
    name,
    1,
    1,
    `there is no control file of this name${didYouMean(name, names)}`,
    'see acceptd-control(5)',
  )
}

/** Of the texts, of the rules if they parse, and of names in the directory that are no knobs. */
export function warningsOf(
  texts: ControlTexts,
  rules: RuleSet | undefined,
  unknown: readonly string[],
): readonly ConfigError[] {
  return [
    ...filesIn(texts).flatMap((name) => ofText(name, texts[name] ?? '')),
    ...(rules === undefined ? [] : ofRules(rulesIn(rules))),
    ...unknown.filter((name) => !NEIGHBOURS.test(name) && !isNamed(name, texts)).map(unknownFile),
  ]
}

/** Another file says that it is read, such as control/tls of a key, or a chain of its passwords. */
const isNamed = (name: string, texts: ControlTexts): boolean =>
  Object.values(texts).some((text) => text.includes(`/${name}`))

function ofText(name: string, text: string): readonly ConfigError[] {
  const found: ConfigError[] = []
  const lines = text.split('\n')
  const first = lines.findIndex((line) => line.endsWith('\r'))
  if (first >= 0) {
    const count = lines.filter((line) => line.endsWith('\r')).length
    const problem = `${count === 1 ? 'a line ends' : `${count} lines end`} with CR LF; the CR is left out`
    found.push(trouble(name, first + 1, (lines[first] ?? '').length, problem, 'end lines with LF'))
  }
  const last = lines.at(-1) ?? ''
  if (last !== '')
    found.push(trouble(name, lines.length, last.length + 1, 'the last line has no newline', 'end it with LF'))
  return found
}

function ofRules(rules: readonly Rule[]): readonly ConfigError[] {
  const overriding = overriddenBy(rules)
  return rules.flatMap((rule, i) => {
    const found: ConfigError[] = []
    const at = (column: number, problem: string, hint: string) =>
      found.push(trouble('fixsmtpio', rule.line, column, problem, hint))
    const eventAt = rule.env.length + 2
    const globAt = eventAt + rule.event.length + 1 + rule.prepend.length + 1
    if (!VERBS.has(rule.event.toUpperCase())) {
      const names = [...VERBS].map((verb) => verb.toLowerCase())
      at(eventAt, `the event ${rule.event} is no verb${didYouMean(rule.event, names)}`, 'write a verb or an event')
    }
    if (!WITHOUT_REPLY.has(rule.event) && !canMatchReply(rule.glob)) {
      const hint = 'a reply line is three digits and more, up to its newline: write e.g. 250* for all that begin so'
      at(globAt, `the glob ${rule.glob} can match no reply`, hint)
    }
    const later = overriding[i]
    if (later !== undefined) at(1, `the rule in line ${later} always overrides this one`, 'take one of them out')
    return found
  })
}

/** By index of a rule, the line of a later one that applies whenever it does and leaves nothing of what it did. */
function overriddenBy(rules: readonly Rule[]): readonly (number | undefined)[] {
  const seen = new Map<string, { readonly line: number; readonly exits: boolean }>()
  const by: (number | undefined)[] = Array.from({ length: rules.length })
  for (let i = rules.length - 1; i >= 0; i -= 1) {
    const rule = rules[i]
    if (rule === undefined) continue
    const { env, event, glob, response, exitcode } = rule
    const wider = [
      [env, glob],
      ['', glob],
      [env, '*'],
      ['', '*'],
    ]
    if (rule.prepend === '')
      for (const words of wider) {
        const later = seen.get([event, ...words].join('\0'))
        if (later !== undefined && (later.exits || exitcode === undefined)) by[i] ??= later.line
      }
    if (response.kind === 'replace' || response.kind === 'remove')
      seen.set([event, env, glob].join('\0'), { line: rule.line, exits: exitcode !== undefined })
  }
  return by
}
