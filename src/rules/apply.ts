// Rules applied to one request or one reply. rewrite.ts and explain.ts are this with and without a trace, so they cannot differ.
import { lowerCase } from '../protocol/bytes.ts'
import { markLines, wellMarked } from '../protocol/replies.ts'
import { statusInFront } from '../protocol/status.ts'
import { fixUpFor, type Identity, plainKeyword } from './fixups.ts'
import { compileGlob, literalStart } from './glob.ts'
import type { Rule, RuleSet } from './ruleset.ts'

interface Compiled {
  /** Index in set.rules. */
  readonly index: number
  readonly rule: Rule
  readonly matches: (text: string) => boolean
  /** The beginning of whatever it matches, START octets at most. */
  readonly start: string
}

/** What a session's rules do at one event. */
interface EventRules {
  readonly event: string
  readonly rules: readonly Compiled[]
  /** All prepends put together. */
  readonly prepend: string
  /** Those that can match a text, by how that begins. */
  readonly byStart: Map<string, readonly Compiled[]>
}

/** A reply code. Of 100,000 rules, those of other codes are not tried on a line. */
const START = 3
/** A backend may begin its lines as it likes. */
const MOST_STARTS = 64

/** The rules of a set that apply in a session: their variables are set. Shared by all sessions that have the same ones set. */
export interface SessionRules {
  readonly set: RuleSet
  readonly byEvent: ReadonlyMap<string, readonly Compiled[]>
  readonly applies: (env: string) => boolean
  /** Those of `byEvent` that were asked for, without what does not apply. */
  readonly events: Map<string, EventRules | undefined>
}

/** What is worked out once for a rule set. */
interface SetParts {
  readonly byEvent: Map<string, Compiled[]>
  /** The variables its rules name. */
  readonly names: Set<string>
  /** One '0' or '1' for each of them. */
  readonly sessions: Map<string, SessionRules>
  /** So many of its rules have been looked at. */
  ready: number
}
const parts = new WeakMap<RuleSet, SetParts>()

function partsOf(set: RuleSet): SetParts {
  const known = parts.get(set)
  if (known !== undefined) return known
  const made: SetParts = { byEvent: new Map(), names: new Set(), sessions: new Map(), ready: 0 }
  parts.set(set, made)
  return made
}

/** Compiles so many rules more of a set that nothing has used yet; whether that was all. */
export function compileSome(set: RuleSet, count: number): boolean {
  const made = partsOf(set)
  const { byEvent, names } = made
  const end = Math.min(set.rules.length, made.ready + count)
  for (; made.ready < end; made.ready++) {
    const rule = set.rules[made.ready] as Rule
    if (rule.env !== '') names.add(rule.env)
    const one = { index: made.ready, rule, matches: compileGlob(rule.glob), start: literalStart(rule.glob, START) }
    const there = byEvent.get(rule.event)
    if (there === undefined) byEvent.set(rule.event, [one])
    else there.push(one)
  }
  return made.ready === set.rules.length
}

/** The rules for a session whose environment is known. A name with `=` in it is never set, as for getenv(3). */
export function rulesFor(set: RuleSet, hasEnv: (name: string) => boolean): SessionRules {
  compileSome(set, Number.POSITIVE_INFINITY)
  const { byEvent, names, sessions } = partsOf(set)
  const given = new Set([...names].filter((name) => !name.includes('=') && hasEnv(name)))
  let key = ''
  for (const name of names) key += given.has(name) ? '1' : '0'
  const known = sessions.get(key)
  if (known !== undefined) return known
  const made: SessionRules = { set, byEvent, applies: (env) => env === '' || given.has(env), events: new Map() }
  sessions.set(key, made)
  return made
}

function rulesAt(rules: SessionRules, event: string): EventRules | undefined {
  const known = rules.events.get(event)
  if (known !== undefined) return known
  const name = lowerCase(event)
  const every = rules.byEvent.get(name)
  if (every === undefined) return undefined
  if (rules.events.has(name)) return rules.events.get(name)
  const all = every.filter(({ rule }) => rules.applies(rule.env))
  // Each puts its own in front of what is there, so the later rule's comes first.
  const prepend = all.reduce((before, { rule }) => rule.prepend + before, '')
  const made = all.length === 0 ? undefined : { event: name, rules: all, prepend, byStart: new Map() }
  rules.events.set(name, made)
  return made
}

/** The rules that a text can match, in their order. */
function rulesOn({ rules, byStart }: EventRules, text: string): readonly Compiled[] {
  const key = text.slice(0, START)
  const known = byStart.get(key)
  if (known !== undefined) return known
  const made = rules.filter(({ start }) => key.startsWith(start))
  if (byStart.size < MOST_STARTS) byStart.set(key, made)
  return made
}

/** One rule met by one request or one reply line. */
export interface TraceStep {
  /** Index in set.rules. */
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
    for (const { index, rule } of here.rules) {
      const after = rule.prepend + before
      trace.push({ rule: index, line: 0, matched: rule.prepend !== '', before, after })
      before = after
    }
  }
  return here.prepend === '' ? line : here.prepend + line
}

export interface RewrittenReply {
  readonly reply: string
  /** The session ends immediately with this code. */
  readonly exitcode: number | undefined
  /** Indices in set.rules of the rules that matched a line, each once; for counters. */
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
      trace !== undefined || !named.startsWith(subject.slice(0, START)) ? here.rules : rulesOn(here, subject)
    for (const { index, rule, matches } of tried) {
      const before = line
      const matched = matches(subject) || (named !== subject && matches(named))
      if (matched) {
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
