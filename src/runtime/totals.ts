// What all lanes have counted, those that have ended included: a number never goes back while the runtime lives.
//
//   lane: counted since its start  ── with each ping, each question, its last word ──>  heard
//   totals = what ended lanes said last + what each living lane said last

import { addSample, type Sample } from '../contract/metrics.ts'
import type { RuleHit } from '../lane/messages.ts'

/** What a lane has said of itself. */
export interface Heard {
  counted: readonly Sample[]
  hits: readonly RuleHit[]
}

export interface Hits {
  readonly count: number
  readonly last: number
}

export interface Totals {
  /** Of lanes that have ended. */
  readonly counted: Map<string, Sample>
  readonly hits: Map<string, Hits>
}

export const newTotals = (): Totals => ({ counted: new Map(), hits: new Map() })

/** A lane has ended. */
export function absorb({ counted, hits }: Totals, heard: Heard): void {
  for (const sample of heard.counted) addSample(counted, sample)
  for (const hit of heard.hits) addHit(hits, hit)
}

export function countedBy(totals: Totals, living: Iterable<Heard>, zero: readonly Sample[]): readonly Sample[] {
  const sums = new Map<string, Sample>()
  for (const sample of zero) addSample(sums, sample)
  for (const sample of totals.counted.values()) addSample(sums, sample)
  for (const { counted } of living) for (const sample of counted) addSample(sums, sample)
  return [...sums.values()]
}

/** By the rule's text, or the lineKey of another line. */
export function hitsBy(totals: Totals, living: Iterable<Heard>): ReadonlyMap<string, Hits> {
  const sums = new Map(totals.hits)
  for (const { hits } of living) for (const hit of hits) addHit(sums, hit)
  return sums
}

function addHit(sums: Map<string, Hits>, [text, count, last]: RuleHit): void {
  const before = sums.get(text)
  sums.set(text, { count: count + (before?.count ?? 0), last: Math.max(last, before?.last ?? 0) })
}
