// What the lanes say of the generations: whose sessions they have, and what their rules have matched.

import type { Runtime } from '../runtime.ts'
import type { Hits } from '../totals.ts'

export interface Uses {
  /** By generation. */
  readonly sessions: ReadonlyMap<number, number>
  /** By the rule's text, or the lineKey of another line; of lanes that have ended, too. */
  readonly hits: ReadonlyMap<string, Hits>
}

export async function usesOf(runtime: Runtime): Promise<Uses> {
  const sessions = new Map<number, number>()
  await Promise.all(
    runtime.lanes().map(async (lane) => {
      const said = await lane.ask('generations', null).catch(() => undefined)
      if (said === undefined) return
      lane.heard.hits = said.hits
      for (const use of said.uses) sessions.set(use.generation, (sessions.get(use.generation) ?? 0) + use.sessions)
    }),
  )
  return { sessions, hits: runtime.hits() }
}
