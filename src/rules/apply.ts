// Rules applied to one request or one reply. rewrite.ts and explain.ts are this with and without a trace, so they cannot differ.
import { lowerCase } from '../protocol/bytes.ts'
import { markLines, wellMarked } from '../protocol/replies.ts'
import { statusInFront } from '../protocol/status.ts'
import { fixUpFor, type Identity, plainKeyword } from './fixups.ts'
import { compileGlob, matchesPlain } from './glob.ts'
import { ruleAt } from './parse.ts'
import {
  beginsWith,
  COLUMNS,
  EVENT,
  FLAGS,
  GLOB,
  GLOB_END,
  HAS_BRACKETS,
  HAS_PREPEND,
  namesIn,
  type Rule,
  type RuleSet,
  START,
  START_OCTETS,
  startOf,
  VARIABLE,
} from './ruleset.ts'

/** What a session's rules do at one event. */
interface EventRules {
  readonly event: string
  /** Indices in the set. */
  readonly rules: readonly number[]
  /** All prepends put together. */
  readonly prepend: string
  /** Those that can match a text, by how that begins. Of 100,000 rules, those of other reply codes are not tried on a line. */
  readonly byStart: Map<string, readonly number[]>
}

/** A backend may begin its lines as it likes. */
const MOST_STARTS = 64

/** The rules of a set that apply in a session: their variables are set. Shared by all sessions that have the same ones set. */
export interface SessionRules {
  readonly set: RuleSet
  /** By number of a variable; the first is none. */
  readonly given: readonly boolean[]
  /** What the rules of an event that was asked for are; undefined: none applies. */
  readonly events: Map<string, EventRules | undefined>
}

/** What a thread works out once for a rule set. */
interface SetParts {
  readonly events: ReadonlyMap<string, number>
  readonly variables: readonly string[]
  /** Those that have matched, or have a prepend. */
  readonly rules: Map<number, Rule>
  /** Globs with brackets, by the index of the rule. */
  readonly globs: Map<number, (text: string) => boolean>
  /** One '0' or '1' for each variable. */
  readonly sessions: Map<string, SessionRules>
}
const parts = new WeakMap<RuleSet, SetParts>()

function partsOf(set: RuleSet): SetParts {
  const known = parts.get(set)
  if (known !== undefined) return known
  const made: SetParts = {
    events: new Map(namesIn(set.events).map((name, number) => [name, number])),
    variables: namesIn(set.variables),
    rules: new Map(),
    globs: new Map(),
    sessions: new Map(),
  }
  parts.set(set, made)
  return made
}

/** A rule that has been applied, by its index. */
export function ruleTried(set: RuleSet, index: number): Rule {
  const { rules } = partsOf(set)
  const rule = rules.get(index) ?? ruleAt(set, index)
  if (rule === undefined) throw new Error(`there is no rule ${index}`)
  rules.set(index, rule)
  return rule
}

function matches(set: RuleSet, index: number, text: string): boolean {
  const { table } = set
  const at = index * COLUMNS
  const [from, to] = [table[at + GLOB] ?? 0, table[at + GLOB_END] ?? 0]
  if (((table[at + FLAGS] ?? 0) & HAS_BRACKETS) === 0) return matchesPlain(set.text, from, to, text)
  const { globs } = partsOf(set)
  const glob = globs.get(index) ?? compileGlob(set.text.slice(from, to))
  globs.set(index, glob)
  return glob(text)
}

/** The rules for a session whose environment is known. A name with `=` in it is never set, as for getenv(3). */
export function rulesFor(set: RuleSet, hasEnv: (name: string) => boolean): SessionRules {
  const { variables, sessions } = partsOf(set)
  const given = variables.map((name) => name === '' || (!name.includes('=') && hasEnv(name)))
  let key = ''
  for (const one of given) key += one ? '1' : '0'
  const known = sessions.get(key)
  if (known !== undefined) return known
  const made: SessionRules = { set, given, events: new Map() }
  sessions.set(key, made)
  return made
}

function rulesAt(rules: SessionRules, event: string): EventRules | undefined {
  const known = rules.events.get(event)
  if (known !== undefined) return known
  const { set, given, events } = rules
  const name = lowerCase(event)
  const number = partsOf(set).events.get(name)
  // What a client calls a verb is not kept.
  if (number === undefined) return undefined
  if (events.has(name)) return events.get(name)
  const { table } = set
  const all: number[] = []
  let prepend = ''
  for (let index = 0, at = 0; index < set.count; index++, at += COLUMNS) {
    if (table[at + EVENT] !== number || given[table[at + VARIABLE] ?? 0] !== true) continue
    all.push(index)
    // Each puts its own in front of what is there, so the later rule's comes first.
    if (((table[at + FLAGS] ?? 0) & HAS_PREPEND) !== 0) prepend = ruleTried(set, index).prepend + prepend
  }
  const made = all.length === 0 ? undefined : { event: name, rules: all, prepend, byStart: new Map() }
  events.set(name, made)
  return made
}

/** The rules that a text can match, in their order. */
function rulesOn({ table }: RuleSet, { rules, byStart }: EventRules, text: string): readonly number[] {
  const key = text.slice(0, START_OCTETS)
  const known = byStart.get(key)
  if (known !== undefined) return known
  const start = startOf(key)
  const made = rules.filter((index) => beginsWith(start, table[index * COLUMNS + START] ?? 0))
  if (byStart.size < MOST_STARTS) byStart.set(key, made)
  return made
}

/** One rule met by one request or one reply line. */
export interface TraceStep {
  /** Index in the set. */
  readonly rule: number
  /** Line of the reply, from 0; of a request always 0. */
  readonly line: number
  readonly matched: boolean
  /** The line before the rule and after it; with its line ending where it has one. */
  readonly before: string
  readonly after: string
}

/** Prepends apply whatever the glob. */
export function applyToRequest(rules: SessionRules, event: string, line: string, trace?: TraceStep[]): string {
  const here = rulesAt(rules, event)
  if (here === undefined) return line
  if (trace !== undefined) {
    let before = line
    for (const index of here.rules) {
      const { prepend } = ruleTried(rules.set, index)
      const after = prepend + before
      trace.push({ rule: index, line: 0, matched: prepend !== '', before, after })
      before = after
    }
  }
  return here.prepend === '' ? line : here.prepend + line
}

export interface RewrittenReply {
  readonly reply: string
  /** The session ends immediately with this code. */
  readonly exitcode: number | undefined
  /** Indices in the set of the rules that matched a line, each once; for counters. */
  readonly hits: readonly number[]
}

const NO_HITS: readonly number[] = []

export function applyToReply(
  rules: SessionRules,
  event: string,
  reply: string,
  who: Identity,
  trace?: TraceStep[],
): RewrittenReply {
  const here = rulesAt(rules, event)
  if (here === undefined) return { reply: wellMarked(reply), exitcode: undefined, hits: NO_HITS }
  const { set } = rules
  const hits: number[] = []
  let seen: Set<number> | undefined
  let exitcode: number | undefined
  let changed = false
  let out = ''
  // A reply of no lines is one empty line: what is left of the input when the client goes (clienteof) is looked at even if it is nothing.
  let from = 0
  for (let number = 0; ; number++) {
    const end = reply.indexOf('\n', from)
    const next = end < 0 ? reply.length : end + 1
    const original = from === 0 && next === reply.length ? reply : reply.slice(from, next)
    // Globs see a C string.
    const nul = original.indexOf('\0')
    const subject = nul < 0 ? original : original.slice(0, nul)
    const named = number > 0 && here.event === 'ehlo' ? plainKeyword(subject) : subject
    let line = original
    // A trace shows those too that do not match.
    const tried =
      trace !== undefined || !named.startsWith(subject.slice(0, START_OCTETS))
        ? here.rules
        : rulesOn(set, here, subject)
    for (const index of tried) {
      const before = line
      const matched = matches(set, index, subject) || (named !== subject && matches(set, index, named))
      if (matched) {
        const rule = ruleTried(set, index)
        if (number > 0) seen ??= new Set(hits)
        if (seen === undefined || !seen.has(index)) hits.push(index)
        seen?.add(index)
        if (rule.exitcode !== undefined) exitcode = rule.exitcode
        const { response } = rule
        if (response.kind === 'replace') line = who.enhanced ? statusInFront(response.text) : response.text
        else if (response.kind === 'remove') line = ''
        else if (response.kind === 'fixup') line = fixUpFor(here.event)?.(line, number, who) ?? line
      }
      trace?.push({ rule: index, line: number, matched, before, after: line })
    }
    if (line !== original) {
      changed = true
      if (line !== '' && !line.endsWith('\n')) line += '\r\n'
    }
    out += line
    from = next
    if (from >= reply.length) break
  }
  return { reply: changed ? markLines(out) : wellMarked(reply), exitcode, hits: hits.length === 0 ? NO_HITS : hits }
}
