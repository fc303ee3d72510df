// How often each rule has matched, by its text, and each line of other control files, by its lineKey: a reload that moves one does not begin
// its count again.

import { ruleTried } from '../rules/apply.ts'
import type { ClientSession } from '../session/session.ts'
import type { RuleHit } from './messages.ts'
import type { LaneGeneration } from './settings.ts'

export interface RuleHits {
  readonly add: (generation: LaneGeneration, rules: readonly number[]) => void
  /** A line of another file. */
  readonly count: (key: string) => void
  /** By the line of this key a session's senders are judged from now on; undefined: by none. */
  readonly judging: (session: ClientSession, key: string | undefined) => void
  readonly countSender: (session: ClientSession) => void
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
  const entryOf = (key: string, rule: number, generation: number): Entry => {
    const known = entries.get(key) ?? { count: 0, last: 0, rule, generation }
    entries.set(key, known)
    return known
  }
  const hit = (entry: Entry): void => {
    entry.count += 1
    entry.last = Date.now()
  }
  const countLine = (key: string): void => hit(entryOf(key, 0, 0))
  const judges = new WeakMap<ClientSession, string>()
  return {
    add({ generation, config }, rules) {
      for (const rule of rules) {
        const text = ruleTried(config.rules, rule).text
        const entry = entryOf(text, rule, generation)
        if (entry.generation !== generation) {
          entry.generation = generation
          entry.rule = rule
        }
        if (entry.rule === rule) hit(entry)
      }
    },
    count: countLine,
    judging: (session, key) => {
      if (key === undefined) judges.delete(session)
      else judges.set(session, key)
    },
    countSender: (session) => {
      const key = judges.get(session)
      if (key !== undefined) countLine(key)
    },
    all: () => [...entries].map(([text, { count, last }]) => [text, count, last]),
  }
}
