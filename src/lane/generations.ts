// A lane's copy of the rule generations. A session keeps the one it began with, or moves to the published one between transactions;
// a generation is kept as long as a session uses it.

import type { ChainConfig } from '../config/chains.ts'
import { sendersFor } from '../config/senders.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { rulesFor } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'
import type { ServingRules } from '../session/host.ts'
import type { ClientSession } from '../session/session.ts'
import { createRuleHits, type RuleHits } from './hits.ts'
import type { GenerationTexts, GenerationUse, RuleHit } from './messages.ts'
import { compileGeneration, environmentNames, type LaneGeneration, offer } from './settings.ts'

export interface Generations {
  readonly published: () => LaneGeneration
  /** The session's own. */
  readonly of: (session: ClientSession) => LaneGeneration | undefined
  readonly chainOf: (session: ClientSession) => ChainConfig | undefined
  readonly numberOf: (session: ClientSession) => number
  readonly rulesOf: (session: ClientSession) => Omit<ServingRules, 'debug'>
  /** Counts rules that matched, by index. */
  readonly hit: (session: ClientSession, rules: readonly number[]) => void
  /** Counts a line of another control file that was looked up, by its lineKey. */
  readonly count: (key: string) => void
  /** Counts the line of control/senders that has judged the sender of a transaction. */
  readonly countSender: (session: ClientSession) => void
  /** The session uses the published generation from now on. */
  readonly join: (session: ClientSession) => void
  readonly leave: (session: ClientSession) => void
  /** Running sessions follow to the published generation, each at its next transaction. */
  readonly followAll: () => void
  /** Moves a running session that is to follow, if it is between transactions. */
  readonly refresh: (session: ClientSession) => void
  readonly prepare: (texts: GenerationTexts) => readonly ConfigError[]
  readonly publish: (generation: number) => void
  readonly forget: (generation: number) => void
  /** A backend offers these; new sessions hear it, where control/ does not say what EHLO is to offer. */
  readonly offer: (probed: readonly string[]) => void
  readonly use: () => readonly GenerationUse[]
  /** What rules and lines have matched since the lane began. */
  readonly hits: () => readonly RuleHit[]
}

export function createGenerations(first: GenerationTexts, probed: readonly string[]): Generations {
  const compiled = compileGeneration(first, probed)
  if ('errors' in compiled) throw new Error('the published generation does not compile in a lane')
  const kept = new Map<number, LaneGeneration>([[compiled.generation, compiled]])
  const hits = createRuleHits()
  let published = compiled
  let prepared: LaneGeneration | undefined
  /** What each session uses, and those that are to follow to a newer one. */
  const used = new Map<ClientSession, LaneGeneration>()
  const behind = new Set<ClientSession>()

  const of = (session: ClientSession) => used.get(session)
  function release(generation: LaneGeneration): void {
    generation.users -= 1
    if (generation.users === 0 && generation !== published && generation !== prepared)
      kept.delete(generation.generation)
  }

  function join(session: ClientSession): void {
    const before = of(session)
    published.users += 1
    used.set(session, published)
    if (before !== undefined) release(before)
  }

  const rulesOf = (session: ClientSession) => rulesFrom(of(session) ?? published, session, hits)

  return {
    published: () => published,
    of,
    chainOf: (session) => chainIn(of(session), session),
    numberOf: (session) => (of(session) ?? published).generation,
    rulesOf,
    hit: (session, rules) => hits.add(of(session) ?? published, rules),
    count: hits.count,
    countSender: hits.countSender,
    join,
    leave: (session) => {
      behind.delete(session)
      const generation = of(session)
      used.delete(session)
      if (generation !== undefined) release(generation)
    },
    followAll: () => {
      for (const [session, generation] of used) if (generation !== published) behind.add(session)
    },
    refresh: (session) => {
      if (behind.size === 0 || !behind.has(session) || !session.isBetweenTransactions) return
      behind.delete(session)
      join(session)
      session.useRules(rulesOf(session))
    },
    prepare: (texts) => {
      const next = compileGeneration({ ...texts, rules: sameRules(published, texts) }, published.probed)
      if ('errors' in next) return next.errors
      prepared = next
      kept.set(next.generation, next)
      return []
    },
    publish: (generation) => {
      const next = kept.get(generation)
      if (next === undefined) throw new Error(`generation ${generation} was not prepared`)
      const before = published
      published = next
      prepared = undefined
      if (before.users === 0) kept.delete(before.generation)
    },
    forget: (generation) => {
      if (prepared?.generation === generation) prepared = undefined
      if (published.generation !== generation && kept.get(generation)?.users === 0) kept.delete(generation)
    },
    offer: (lines) => offer(kept.values(), lines),
    use: () => [...kept.values()].map(({ generation, users }) => ({ generation, sessions: users })),
    hits: hits.all,
  }
}

/** Rules that stay are used as they are: what has been worked out for them still holds. */
const sameRules = ({ config }: LaneGeneration, { rules }: GenerationTexts): RuleSet =>
  rules.text === config.rules.text ? config.rules : rules

const chainIn = (generation: LaneGeneration | undefined, session: ClientSession): ChainConfig | undefined =>
  generation?.config.chains.chains.find((chain) => chain.name === session.login.chain)

function rulesFrom(generation: LaneGeneration, session: ClientSession, hits: RuleHits): Omit<ServingRules, 'debug'> {
  const { rules, smtpGreeting, senders, headerFrom } = generation.config
  const line = sendersFor(senders, session.login.user)
  const own = line?.senders
  hits.judging(session, line?.key)
  return {
    rules: rulesFor(rules, environmentNames(session, chainIn(generation, session))),
    greeting: smtpGreeting,
    asks: generation.asks.mail,
    senders: own,
    // Without an answer no MAIL is let through.
    from: headerFrom && own !== undefined && !('unknown' in own) ? own : undefined,
  }
}
