// What the lanes say of the generations: whose sessions they have, and what their rules have matched.

import type { Runtime } from '../runtime.ts'

export interface Uses {
  /** By generation. */
  readonly sessions: ReadonlyMap<number, number>
  /** By generation, then by index of the rule. */
  readonly hits: ReadonlyMap<number, ReadonlyMap<number, { readonly count: number; readonly last: number }>>
}

export async function usesOf(runtime: Runtime): Promise<Uses> {
  const { answers } = await runtime.askAll('generations', null)
  const sessions = new Map<number, number>()
  const hits = new Map<number, Map<number, { count: number; last: number }>>()
  for (const use of answers.flat()) {
    sessions.set(use.generation, (sessions.get(use.generation) ?? 0) + use.sessions)
    const rules = hits.get(use.generation) ?? new Map<number, { count: number; last: number }>()
    hits.set(use.generation, rules)
    for (const [rule, n, last] of use.hits) {
      const before = rules.get(rule) ?? { count: 0, last: 0 }
      rules.set(rule, { count: before.count + n, last: Math.max(before.last, last) })
    }
  }
  return { sessions, hits }
}
