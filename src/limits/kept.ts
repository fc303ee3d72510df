// What the limiter of one runtime remembers, as plain values for the one that takes over from it. Times are those of its clock, which goes on.

import { pendingKey } from './attempts.ts'
import { keep } from './expiring.ts'
import type { Who } from './limit.ts'
import { windowId } from './room.ts'
import { type Attempt, type Client, clientsOf, count, hold, keysOf, type Limiter, MOST_SUBJECTS } from './table.ts'
import { newWindows } from './windows.ts'

export interface KeptLimiter {
  readonly windows: readonly {
    readonly id: string
    readonly seconds: number
    readonly counts: readonly (readonly [subject: string, part: number, parts: readonly number[], sum: number])[]
  }[]
  readonly bans: readonly (readonly [key: string, limit: string, subject: string, ends: number])[]
  readonly waits: readonly (readonly [key: string, until: number])[]
  readonly repeats: readonly (readonly [key: string, ends: number])[]
  readonly refusals: readonly (readonly [limit: string, count: number])[]
  readonly clients: readonly (readonly [
    lane: string,
    ticket: number,
    who: Who,
    beforeLogin: boolean,
    login?: KeptLogin | undefined,
  ])[]
}

/** A login under way. */
interface KeptLogin {
  readonly hash: string
  readonly reserved: readonly (readonly [id: string, subject: string, part: number])[]
  readonly before: Who
}

export function keptOf(limiter: Limiter): KeptLimiter {
  return {
    windows: [...limiter.windows].map(([id, { seconds, counts }]) => ({
      id,
      seconds,
      counts: [...counts].map(([subject, { part, parts, sum }]) => [subject, part, parts, sum] as const),
    })),
    bans: [...limiter.bans.values].map(
      ([key, { value, ends }]) => [key, value.limit.name, value.subject, ends] as const,
    ),
    waits: [...limiter.waits.values].map(([key, { value }]) => [key, value] as const),
    repeats: [...limiter.repeats.values].map(([key, { ends }]) => [key, ends] as const),
    refusals: [...limiter.refusals],
    clients: [...limiter.clients].flatMap(([lane, clients]) =>
      [...clients].map(
        ([ticket, { who, beforeLogin, login }]) => [lane, ticket, who, beforeLogin, login && keptLogin(login)] as const,
      ),
    ),
  }
}

const keptLogin = ({ hash, reserved, before }: Attempt): KeptLogin => ({
  hash,
  reserved: reserved.map(({ id, subject, part }) => [id, subject, part] as const),
  before,
})

/** What becomes of it is heard here. */
function takeLogin(limiter: Limiter, { hash, reserved, before }: KeptLogin): Attempt {
  const counted = reserved.flatMap(([id, subject, part]) => {
    const windows = limiter.windows.get(id)
    return windows === undefined ? [] : [{ id, windows, subject, part, place: -1 }]
  })
  for (const one of counted) count(limiter.pending, pendingKey(one), 1)
  return { hash, reserved: counted, before }
}

/** Into a new limiter that has its lines already: what no line of them counts is forgotten. */
export function takeKept(limiter: Limiter, kept: KeptLimiter): void {
  const ids = new Set(limiter.limits.limits.map(windowId))
  for (const { id, seconds, counts } of kept.windows) {
    if (!ids.has(id)) continue
    const windows = newWindows(seconds, Math.floor(MOST_SUBJECTS / Math.max(1, ids.size)))
    for (const [subject, part, parts, sum] of counts) windows.counts.set(subject, { part, parts: [...parts], sum })
    limiter.windows.set(id, windows)
  }
  for (const [key, name, subject, ends] of kept.bans) {
    const limit = limiter.limits.limits.find((one) => one.name === name)
    if (limit !== undefined) keep(limiter.bans, key, { limit, subject }, ends)
  }
  for (const [key, until] of kept.waits) keep(limiter.waits, key, until, until)
  for (const [key, ends] of kept.repeats) keep(limiter.repeats, key, true, ends)
  for (const [name, times] of kept.refusals) limiter.refusals.set(name, times)
  for (const [lane, ticket, who, beforeLogin, login] of kept.clients) {
    const client: Client = { who, beforeLogin, keys: [], alone: [], login: login && takeLogin(limiter, login) }
    clientsOf(limiter, lane).set(ticket, client)
    hold(limiter, client, keysOf(limiter, client))
  }
}
