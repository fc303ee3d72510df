// What other hosts of a fleet tell of bans and penalties, and what this one had counted before it was started again.

import { keep } from './expiring.ts'
import { forgiveHere } from './report.ts'
import { windowId } from './room.ts'
import { type News, shareOf, type Told, windowOf } from './sharing.ts'
import { banKey, fillRoom, forgetCount, type Limiter, marked, windowsOf } from './table.ts'
import { addTo, PARTS } from './windows.ts'

/** Nothing of it is told any further; what is no news of a fleet is left alone. */
export function hearNews(limiter: Limiter, news: News, now: number): void {
  const isText = (value: unknown): value is string => typeof value === 'string'
  if ('ban' in news) {
    const { ban, subject, seconds } = news
    const limit = limiter.limits.limits.find(({ name, what }) => name === ban && what === 'failed-logins')
    if (limit !== undefined && isText(subject) && Number.isFinite(seconds))
      keep(limiter.bans, marked(limiter, banKey({ limit, subject })), { limit, subject }, now + seconds * 1000)
  } else if ('forgive' in news) forgiveHere(limiter, news.subject, now)
  else if ('forget' in news && isText(news.forget)) {
    const { forget: id, subject } = news
    const counts = limiter.windows.get(id)?.counts
    for (const one of subject === undefined ? [...(counts?.keys() ?? [])] : [subject]) forgetCount(limiter, id, one)
  }
}

/** What the engine has of this host, where it has forgotten it itself: a restart forgives nobody. */
export function adoptCount(limiter: Limiter, key: string, told: Told, now: number): void {
  const { sharing } = limiter
  const found = windowOf(key)
  const limit = limiter.limits.limits.find((one) => windowId(one) === found?.id)
  if (sharing === undefined || found === undefined || limit === undefined) return
  const windows = windowsOf(limiter, limit)
  if (windows.counts.has(found.subject)) return
  const length = (windows.seconds * 1000) / PARTS
  const newest = Math.floor((now + sharing.ahead) / length)
  // The oldest first.
  for (const [i, n] of [...told.counts.entries()].toReversed()) {
    const age = newest - (told.part - i)
    if (n > 0 && age >= 0 && age <= PARTS) addTo(windows, found.subject, n, now - age * length)
  }
  fillRoom(limiter, windowId(limit), found.subject, now)
  const share = shareOf(sharing, key)
  if (share !== undefined) sharing.changed.add(share)
}
