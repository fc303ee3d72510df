// Limits over several hosts, as a value and functions on it: no clock, no thread, no socket. src/fleet carries what is told.
//
//   a subject far from its limit is counted by each host for itself, and told to nobody: below 1/(2 * hosts) of the limit on each host,
//   all hosts together are below the half. From there on each tells the others its own counts, and reserves a part of what is left:
//
//     write   own counts + reserved  ──>  the engine  ──>  what the others have written, read after it
//     all together within the limit?  what was reserved may be used without asking, for half a second
//
//   Each host writes before it reads, so of two that want the same the later one sees the other. A verdict never waits for an answer.

import { PARTS, type Windows } from './windows.ts'

/** What another host has told of a subject. */
export interface Told {
  /** By the engine's clock, in milliseconds. */
  readonly at: number
  readonly reserved: number
  /** Of a window: the number of its newest part, by the engine's clock. */
  readonly part: number
  /** Of a window by part, the newest first; else one number. */
  readonly counts: readonly number[]
}

export interface Share {
  readonly key: string
  /** Of a window, or 0. */
  readonly seconds: number
  /** Of the line that asked last. */
  most: number
  readonly others: Map<string, Told>
  /** What is reserved of the last that was written. */
  reserved: number
  /** What of it may be used, as the engine has answered; until then. */
  left: number
  until: number
  /** Used since the last was written. */
  since: number
  usedAt: number
  /** Somebody was refused, though not all is used. */
  wanted: boolean
  /** Own count as it is on its way to the engine, and since when. */
  asked: { readonly own: number; readonly at: number } | undefined
  /** As it was written last; undefined: never. */
  written: string | undefined
}

/** What the other hosts have to hear once. */
export type News =
  | { readonly ban: string; readonly subject: string; readonly seconds: number }
  /** Penalties are forgiven, of one subject or of all. */
  | { readonly forgive: true; readonly subject: string | undefined }
  /** A window's count is forgotten, of one subject or of all. */
  | { readonly forget: string; readonly subject: string | undefined }

export interface Sharing {
  /** together: the engine answers in time; alone: each host counts for itself, by what it heard last of the others. */
  mode: 'together' | 'alone'
  /** Hosts that are there, this one included. */
  hosts: ReadonlySet<string>
  /** Milliseconds of the limiter's clock, as it was last told. */
  now: number
  /** By how much the engine's clock is ahead of it. */
  ahead: number
  readonly shares: Map<string, Share>
  /** Hears of each new one. */
  readonly began: (key: string) => void
  /** To be told. */
  readonly changed: Set<Share>
  /** With something reserved. */
  readonly reserving: Set<Share>
  /** Something of it is near its limit. */
  urgent: boolean
  news: News[]
}

/** Subjects that are shared; beyond it each host counts for itself. */
const MOST_SHARED = 65_536
const MOST_NEWS = 10_000
/** For so long what was reserved may be used; what others have reserved counts for longer. */
const RESERVED_MILLISECONDS = 500
const BELIEVED_MILLISECONDS = 1000
/** Of so few a percent is less than one: nobody is refused for it. */
const FEW = 50
/** What is reserved and not used for so long is given back. */
const IDLE_MILLISECONDS = 100

export const newSharing = (began: (key: string) => void = () => undefined): Sharing => ({
  mode: 'alone',
  hosts: new Set(),
  now: 0,
  ahead: 0,
  shares: new Map(),
  began,
  changed: new Set(),
  reserving: new Set(),
  urgent: false,
  news: [],
})

/** What a host carries is its own matter: lines of scope listener and all. */
export const isShared = (scope: string): boolean => scope !== 'listener' && scope !== 'all'

export const windowKey = (id: string, subject: string): string => `w ${id} ${subject}`
export const atOnceKeyOf = (key: string): string => `n ${key}`

/** `w user messages 60 ann` is the window `user messages 60` of ann; a delay has no number. */
export function windowOf(key: string): { readonly id: string; readonly subject: string } | undefined {
  const [, id = '', subject = ''] = /^w (\S+ (?:delay|\S+ \d+)) (.*)$/s.exec(key) ?? []
  return id === '' ? undefined : { id, subject }
}

/**
 * A login counts as failed until it has not, so its count falls again: others are told of those alone that have failed, and nothing is
 * reserved, or users who log in on several hosts at the same time would keep themselves out.
 */
const isSettled = (key: string): boolean => /^w \S+ failed-logins /.test(key)

/** Failures of a delay are remembered for so long. */
const DELAY_SECONDS = 600
const secondsOf = (key: string): number => {
  const [kind, , what, seconds] = key.split(' ', 4)
  return kind === 'n' ? 0 : what === 'delay' ? DELAY_SECONDS : Number(seconds)
}

export function shareOf(sharing: Sharing, key: string, most = Number.POSITIVE_INFINITY): Share | undefined {
  const found = sharing.shares.get(key)
  if (found !== undefined || sharing.shares.size >= MOST_SHARED) return found
  const share: Share = {
    key,
    seconds: secondsOf(key),
    most,
    others: new Map(),
    reserved: 0,
    left: 0,
    until: 0,
    since: 0,
    usedAt: sharing.now,
    wanted: false,
    asked: undefined,
    written: undefined,
  }
  sharing.shares.set(key, share)
  sharing.began(key)
  return share
}

interface Others {
  readonly used: number
  readonly reserved: number
  /** Hosts that have lately reserved something, or changed their count. */
  readonly active: number
}

export function othersOf({ now, ahead, hosts }: Sharing, { seconds, others }: Share): Others {
  const at = now + ahead
  const oldest = seconds === 0 ? 0 : Math.floor((at * PARTS) / (seconds * 1000)) - PARTS
  let used = 0
  let reserved = 0
  let active = 0
  for (const [host, told] of others) {
    if (seconds === 0) used += hosts.has(host) ? (told.counts[0] ?? 0) : 0
    else for (const [i, n] of told.counts.entries()) if (told.part - i >= oldest) used += n
    if (at - told.at > BELIEVED_MILLISECONDS) continue
    active += 1
    reserved += told.reserved
  }
  return { used, reserved, active }
}

/** What other hosts count of a subject. */
export function foreign(sharing: Sharing | undefined, key: string): number {
  const share = sharing?.shares.get(key)
  return share === undefined || sharing === undefined ? 0 : othersOf(sharing, share).used
}

/** All hosts together are below the half if each is so far from it. */
export const isFar = ({ hosts }: Sharing, own: number, most: number): boolean =>
  hosts.size < 2 || (own + 1) * 2 * hosts.size <= most

/** Whether there is room for one more; `own`: what this host counts. */
export function hasRoom(sharing: Sharing, key: string, own: number, most: number): boolean {
  let share = sharing.shares.get(key)
  if (share === undefined) {
    if (isFar(sharing, own, most)) return own < most
    share = shareOf(sharing, key)
    if (share === undefined) return own < most
    change(sharing, share)
  }
  share.most = most
  const { used, reserved, active } = othersOf(sharing, share)
  if (own + used >= most) return false
  if (sharing.mode === 'alone' || isSettled(key)) return true
  if (share.left > 0 && sharing.now < share.until) return true
  share.wanted = true
  change(sharing, share)
  sharing.urgent = true
  const free = most - own - used - reserved
  if (free <= 0 || used === 0) return free > 0
  // Others use it, too: what they could use before the answer comes must be left.
  const others = sharing.hosts.size - 1
  return active === 0
    ? free > share.since * others + (most < FEW ? 0 : others)
    : free > most / 4 + share.since * (active + 1)
}

/** One more is counted, or one less; a window is told of each change. */
export function counted(sharing: Sharing, key: string, n: number): void {
  const share = sharing.shares.get(key)
  if (share === undefined) return
  if (n > 0) {
    share.left = Math.max(0, share.left - n)
    share.since += n
    share.usedAt = sharing.now
    if (share.others.size > 0 || share.left * 2 < share.reserved) sharing.urgent = true
  }
  change(sharing, share)
}

/** From the first one on: what is rare, and has no number that it must not pass. */
export function tell(sharing: Sharing, key: string): void {
  const share = sharing.hosts.size < 2 ? sharing.shares.get(key) : shareOf(sharing, key)
  if (share !== undefined) change(sharing, share)
}

const change = ({ changed }: Sharing, share: Share): void => void changed.add(share)

export function announce(sharing: Sharing | undefined, news: News): void {
  if (sharing !== undefined && sharing.news.length < MOST_NEWS) sharing.news.push(news)
}

// ---- what is written, and what is read

export interface Written {
  readonly share: Share
  readonly value: string
}

/** Own counts of a window by part, the newest first, by the engine's clock, without those that are not sure. */
function partsOf(
  sharing: Sharing,
  windows: Windows,
  subject: string,
  pending: number,
): { part: number; counts: number[] } {
  const count = windows.counts.get(subject)
  if (count === undefined) return { part: 0, counts: [] }
  const length = (windows.seconds * 1000) / PARTS
  const counts: number[] = []
  for (let i = 0; i <= PARTS; i += 1) counts.push(count.parts[(count.part - i + PARTS + 1) % (PARTS + 1)] ?? 0)
  for (let i = 0, left = pending; i < counts.length && left > 0; i += 1) {
    const back = Math.min(left, counts[i] ?? 0)
    counts[i] = (counts[i] ?? 0) - back
    left -= back
  }
  while (counts.length > 0 && counts.at(-1) === 0) counts.pop()
  // Clocks of hosts differ by less than a part: then a part is counted as the later one.
  return { part: count.part + Math.ceil(sharing.ahead / length - 0.01), counts }
}

/** `pending`: of them not sure yet. */
export type OwnCount = (share: Share) => {
  readonly used: number
  readonly pending?: number
  readonly windows?: Windows
  readonly subject?: string
}

/** What is to be written now. Each of it has to be answered, or to fail, before it is written again. */
export function outgoing(sharing: Sharing, ownOf: OwnCount, limit: number): readonly Written[] {
  const written: Written[] = []
  for (const share of sharing.changed) {
    if (share.asked !== undefined) continue
    if (written.length >= limit) break
    sharing.changed.delete(share)
    const { used: all, pending = 0, windows, subject = '' } = ownOf(share)
    const used = all - pending
    const { part, counts } =
      windows === undefined
        ? { part: 0, counts: used === 0 ? [] : [used] }
        : partsOf(sharing, windows, subject, pending)
    const others = othersOf(sharing, share)
    const free = share.most - used - others.used - others.reserved
    const isIdle = sharing.now - share.usedAt > IDLE_MILLISECONDS && !share.wanted
    const isReserved = !isIdle && !isSettled(share.key)
    share.reserved = isReserved && Number.isFinite(free) && free > 0 ? Math.ceil(free / (others.active + 2)) : 0
    const state = `${share.reserved} ${part} ${counts.join(' ')}`
    share.left = Math.min(share.left, share.reserved)
    share.since = 0
    share.wanted = false
    if (share.reserved > 0) sharing.reserving.add(share)
    else sharing.reserving.delete(share)
    const isNews = share.written === undefined ? used > 0 || share.reserved > 0 : state !== share.written
    share.written = state
    if (!isNews && share.reserved === 0) continue
    share.asked = { own: used, at: sharing.now }
    written.push({ share, value: `${Math.round(sharing.now + sharing.ahead)} ${state}` })
  }
  sharing.urgent = false
  return written
}

/** Shares that hold what they do not use. */
export function giveBack(sharing: Sharing): void {
  for (const share of sharing.reserving) if (sharing.now - share.usedAt > IDLE_MILLISECONDS) change(sharing, share)
}

/** Undefined: it is nothing that a host of a fleet writes. */
export function parseTold(value: string): Told | undefined {
  const numbers = value
    .split(' ')
    .filter((word) => word !== '')
    .map(Number)
  const [at = Number.NaN, reserved = Number.NaN, part = Number.NaN, ...counts] = numbers
  if (numbers.length > PARTS + 4 || !numbers.every((n) => Number.isSafeInteger(n)) || Number.isNaN(part))
    return undefined
  return reserved < 0 || counts.some((n) => n < 0) ? undefined : { at, reserved, part, counts }
}

/** Another host has told. Answers the share, whose own count may have to be told, too. */
export function heard(sharing: Sharing, key: string, host: string, told: Told): void {
  const share = shareOf(sharing, key)
  if (share === undefined) return
  share.others.set(host, told)
  if (share.written === undefined) change(sharing, share)
}

/** The engine has what was written, and these of the others with it; undefined: it is not known whether it has. */
export function answered(sharing: Sharing, { share }: Written, others: ReadonlyMap<string, Told> | undefined): void {
  const { own, at } = share.asked ?? { own: 0, at: sharing.now }
  share.asked = undefined
  if (others === undefined) {
    share.left = 0
    share.written = undefined
    change(sharing, share)
    return
  }
  share.others.clear()
  for (const [host, told] of others) share.others.set(host, told)
  const { used, reserved } = othersOf(sharing, share)
  const granted = Math.max(0, Math.min(share.reserved, share.most - own - used - reserved))
  if (granted < share.reserved) change(sharing, share)
  share.left = Math.max(0, granted - share.since)
  share.until = at + RESERVED_MILLISECONDS
}

/** Forgets subjects that nobody counts any longer. */
export function sweepShares(sharing: Sharing, ownOf: OwnCount): void {
  for (const share of sharing.shares.values()) {
    if (share.asked !== undefined || sharing.changed.has(share) || ownOf(share).used > 0) continue
    if (othersOf(sharing, share).used === 0 && share.reserved === 0) sharing.shares.delete(share.key)
  }
}
