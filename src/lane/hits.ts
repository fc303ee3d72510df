// How often each rule has matched, by its text: a reload that moves a rule does not begin its count again.

import type { RuleHit } from './messages.ts'
import type { LaneGeneration } from './settings.ts'

export interface RuleHits {
  readonly add: (generation: LaneGeneration, rules: readonly number[]) => void
  readonly all: () => readonly RuleHit[]
}

interface Entry {
  count: number
  last: number
  /** Of the same text twice in a generation, both match: only this one counts. */
  rule: number
  generation: number
}

export function createRuleHits(): RuleHits {
  const entries = new Map<string, Entry>()
  return {
    add({ generation, config }, rules) {
      for (const rule of rules) {
        const text = config.rules.rules[rule]?.text ?? ''
        let entry = entries.get(text)
        if (entry === undefined) {
          entry = { count: 0, last: 0, rule, generation }
          entries.set(text, entry)
        }
        if (entry.generation !== generation) {
          entry.generation = generation
          entry.rule = rule
        }
        if (entry.rule !== rule) continue
        entry.count += 1
        entry.last = Date.now()
      }
    },
    all: () => [...entries].map(([text, { count, last }]) => [text, count, last]),
  }
}
