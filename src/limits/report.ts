// What the limiter has counted, for people: how full each line is, who is delayed or refused, and how to forgive.

import { delayAfter } from './attempts.ts'
import { type Applied, appliedTo, type Limit, parseRate, type Rate, WHATS, type Who } from './limit.ts'
import { useLimits } from './limiter.ts'
import { atOnceKey, windowId } from './room.ts'
import { announce, atOnceKeyOf, foreign, windowKey } from './sharing.ts'
import { banKey, forgetCount, inAll, type Limiter } from './table.ts'

export interface Use {
  readonly subject: string
  readonly used: number
}

/** Subjects of a line, and the one that has most. */
export function fullness(limiter: Limiter, limit: Limit, now: number): { subjects: number; nearest: Use | undefined } {
  let subjects = 0
  let nearest: Use | undefined
  const see = (subject: string, used: number) => {
    if (used === 0 || !isOf(limit, subject)) return
    subjects += 1
    if (nearest === undefined || used > nearest.used) nearest = { subject, used }
  }
  if (limit.rate.kind === 'at-once') {
    const prefix = atOnceKey({ limit, subject: '' })
    for (const [key, used] of limiter.atOnce)
      if (key.startsWith(prefix)) see(key.slice(prefix.length), used + foreign(limiter.sharing, atOnceKeyOf(key)))
  } else {
    const id = windowId(limit)
    const windows = limiter.windows.get(id)
    for (const subject of windows?.counts.keys() ?? []) see(subject, inAll(limiter, id, windows as never, subject, now))
  }
  return { subjects, nearest }
}

/** A line of its own shares the counts of the general ones. */
const isOf = ({ only }: Limit, subject: string): boolean =>
  only === undefined || only.network !== undefined || only.text === subject

export const usedBy = (limiter: Limiter, one: Applied, now: number): number => {
  const id = windowId(one.limit)
  const key = atOnceKey(one)
  if (one.limit.rate.kind === 'at-once')
    return (limiter.atOnce.get(key) ?? 0) + foreign(limiter.sharing, atOnceKeyOf(key))
  const windows = limiter.windows.get(id)
  return windows === undefined
    ? foreign(limiter.sharing, windowKey(id, one.subject))
    : inAll(limiter, id, windows, one.subject, now)
}

export const mostOf = (rate: Rate): number | undefined => ('most' in rate ? rate.most : undefined)

/** The lines that count this client, whatever it does. */
export const linesFor = ({ limits }: Limiter, who: Who): readonly Applied[] =>
  WHATS.flatMap((what) => appliedTo(limits, what, who)).toSorted((a, b) => a.limit.line - b.limit.line)

export interface Penalty {
  readonly limit: Limit
  readonly subject: string
  readonly failures: number
  readonly delay: number
  /** When a ban ends, by the clock of the limiter; 0: it is a delay. */
  readonly ends: number
}

export function penalties(limiter: Limiter, now: number): readonly Penalty[] {
  const found: Penalty[] = []
  for (const limit of limiter.limits.limits) {
    if (limit.rate.kind !== 'delay') continue
    const windows = limiter.windows.get(windowId(limit))
    if (windows === undefined) continue
    for (const subject of windows.counts.keys()) {
      const failures = inAll(limiter, windowId(limit), windows, subject, now)
      if (failures > 0 && isOf(limit, subject))
        found.push({ limit, subject, failures, delay: delayAfter(failures, limit.rate.longest), ends: 0 })
    }
  }
  for (const { value, ends } of limiter.bans.values.values())
    if (ends > now) found.push({ ...value, failures: 0, delay: 0, ends })
  return found
}

/** Delays and bans of one subject, or of all, on every host of a fleet; how many there were on this one. */
export function forgive(limiter: Limiter, subject: string | undefined, now: number): number {
  announce(limiter.sharing, { forgive: true, subject })
  return forgiveHere(limiter, subject, now)
}

export function forgiveHere(limiter: Limiter, subject: string | undefined, now: number): number {
  const chosen = penalties(limiter, now).filter((one) => subject === undefined || one.subject === subject)
  for (const one of chosen) {
    limiter.bans.values.delete(banKey(one))
    limiter.waits.values.delete(banKey(one))
    for (const limit of limiter.limits.limits)
      if (limit.what === 'failed-logins' && limit.scope === one.limit.scope)
        forgetCount(limiter, windowId(limit), one.subject)
  }
  return chosen.length
}

/** What a line has counted of one subject, or of all, in a time: sessions at the same time are here all the same. */
export function forget(limiter: Limiter, limit: Limit, subject: string | undefined): number {
  const id = windowId(limit)
  const counts = limiter.windows.get(id)?.counts
  if (id !== '') announce(limiter.sharing, { forget: id, subject })
  if (counts === undefined) return 0
  const size = counts.size
  for (const one of subject === undefined ? [...counts.keys()] : [subject]) forgetCount(limiter, id, one)
  return size - counts.size
}

/** Another rate for a line; undefined: its own again. False: it is no rate that the line can have. */
export function setRate(limiter: Limiter, limit: Limit, text: string | undefined): boolean {
  const rate = text === undefined ? undefined : parseRate(text)
  if (text !== undefined && (rate === undefined || (rate.kind !== 'off' && rate.kind !== limit.rate.kind))) return false
  if (rate === undefined) limiter.set.delete(limit.name)
  else
    limiter.set.set(
      limit.name,
      rate.kind === 'window' && limit.rate.kind === 'window' ? { ...rate, ban: limit.rate.ban } : rate,
    )
  useLimits(limiter, limiter.published)
  return true
}
