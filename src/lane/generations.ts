// A lane's copy of the rule generations. A session keeps the one it began with, or moves to the published one between transactions;
// a generation is kept as long as a session uses it.

import type { ChainConfig } from '../config/chains.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { rulesFor, type SessionRules } from '../rules/rewrite.ts'
import type { ClientSession } from '../session/session.ts'
import type { GenerationTexts, GenerationUse } from './messages.ts'
import { compileGeneration, environmentNames, type LaneGeneration } from './settings.ts'

export interface Generations {
  readonly published: () => LaneGeneration
  /** The session's own. */
  readonly of: (session: ClientSession) => LaneGeneration | undefined
  readonly chainOf: (session: ClientSession) => ChainConfig | undefined
  readonly rulesOf: (session: ClientSession) => { rules: SessionRules; greeting: string }
  /** Counts rules that matched, by index. */
  readonly hit: (session: ClientSession, rules: readonly number[]) => void
  /** The session uses the published generation from now on. */
  readonly join: (session: ClientSession) => void
  readonly leave: (session: ClientSession) => void
  /** Moves a running session to the published generation, if it is between transactions. */
  readonly refresh: (session: ClientSession) => void
  readonly prepare: (texts: GenerationTexts) => readonly ConfigError[]
  readonly publish: (generation: number) => void
  readonly forget: (generation: number) => void
  readonly use: () => readonly GenerationUse[]
}

export function createGenerations(first: GenerationTexts): Generations {
  const compiled = compileGeneration(first)
  if ('errors' in compiled) throw new Error('the published generation does not compile in a lane')
  const kept = new Map<number, LaneGeneration>([[compiled.generation, compiled]])
  let published = compiled
  let prepared: LaneGeneration | undefined

  const of = (session: ClientSession) => kept.get(session.generation)
  const chainOf = (session: ClientSession) =>
    of(session)?.config.chains.chains.find((chain) => chain.name === session.chain)

  function release(generation: LaneGeneration): void {
    generation.users -= 1
    if (generation.users === 0 && generation !== published && generation !== prepared)
      kept.delete(generation.generation)
  }

  function join(session: ClientSession): void {
    const before = of(session)
    published.users += 1
    session.generation = published.generation
    if (before !== undefined) release(before)
  }

  function rulesOf(session: ClientSession) {
    const { config } = of(session) ?? published
    return { rules: rulesFor(config.rules, environmentNames(session, chainOf(session))), greeting: config.smtpGreeting }
  }

  return {
    published: () => published,
    of,
    chainOf,
    rulesOf,
    hit: (session, rules) => {
      const generation = of(session)
      if (generation !== undefined) countHits(generation, rules)
    },
    join,
    leave: (session) => {
      const generation = of(session)
      if (generation !== undefined) release(generation)
    },
    refresh: (session) => {
      const state = session.actors.fixsmtpio
      if (state?.at !== 'commands' || state.awaited.length > 0 || state.transaction || state.rest.length > 0) return
      session.stale = false
      join(session)
      session.actors.fixsmtpio = { ...state, settings: { ...state.settings, ...rulesOf(session) } }
    },
    prepare: (texts) => {
      const next = compileGeneration(texts, published)
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
    use: () => [...kept.values()].map(useOf),
  }
}

function countHits({ hits }: LaneGeneration, rules: readonly number[]): void {
  for (const rule of rules) {
    const here = hits[rule]
    if (here === undefined) continue
    here.count += 1
    here.last = Date.now()
  }
}

const useOf = ({ generation, users, hits }: LaneGeneration): GenerationUse => ({
  generation,
  sessions: users,
  hits: hits.flatMap(({ count, last }, rule) => (count > 0 ? [[rule, count, last] as const] : [])),
})
