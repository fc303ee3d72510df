// What the limiter remembers: how much in a time, how many at the same time, who is here, and who is refused. Every table is bounded.

import { type Expiring, newExpiring, recall } from './expiring.ts'
import type { Refused } from './frames.ts'
import {
  type Applied,
  appliedTo,
  type Limit,
  type Limits,
  NO_LIMITS,
  type Rate,
  type Scope,
  type What,
  type Who,
} from './limit.ts'
import { atOnceKey, change, mark, placeAtOnce, placeIn, placeInWindow, type Room, untold, windowId } from './room.ts'
import {
  atOnceKeyOf,
  counted,
  foreign,
  hasRoom,
  isFar,
  isShared,
  type OwnCount,
  type Sharing,
  windowKey,
  windowOf,
} from './sharing.ts'
import { addTo, inWindow, newWindows, retryAfter, type Windows } from './windows.ts'

/** Subjects that are remembered, of all windows together. */
export const MOST_SUBJECTS = 131_072
const MOST_REMEMBERED = 65_536

/** Failures that a delay looks back on. */
const DELAY_SECONDS = 600

/** A client that is counted at the same time as others. */
export interface Client {
  who: Who
  beforeLogin: boolean
  /** In `atOnce`. */
  keys: readonly string[]
  /** Those of them that its lane has taken in the room by itself, and gives back by itself. */
  alone: readonly string[]
  /** A login under way: what it would cost. */
  login: Attempt | undefined
}

export interface Attempt {
  readonly hash: string
  /** Failed logins that are counted already: taken back if it does not fail. */
  readonly reserved: readonly Counted[]
  readonly before: Who
}

export interface Counted {
  readonly id: string
  readonly windows: Windows
  readonly subject: string
  readonly part: number
  /** In the room; -1: it is not there, or its lane gives it back. */
  readonly place: number
}

export interface Limiter {
  /** As control/limits has them. */
  published: Limits
  /** Rates set for a time, by name. */
  readonly set: Map<string, Rate>
  /** Both together. */
  limits: Limits
  /** By scope, what and seconds: a line that changes its number goes on counting. */
  readonly windows: Map<string, Windows>
  readonly atOnce: Map<string, number>
  /** By lane, then by ticket. */
  readonly clients: Map<string, Map<number, Client>>
  /** Logins under way, by window and subject: they count, but are no reason for a ban. */
  readonly pending: Map<string, number>
  readonly bans: Expiring<{ readonly limit: Limit; readonly subject: string }>
  /** Until when a subject with a delay waits: milliseconds of the clock. */
  readonly waits: Expiring<number>
  readonly repeats: Expiring<true>
  /** By name of the limit. */
  readonly refusals: Map<string, number>
  /** With the other hosts of a fleet. */
  sharing: Sharing | undefined
  /** What lanes see for themselves. */
  readonly room: Room | undefined
  /** The clock of all threads, less the limiter's. */
  roomAhead: number
  /** Of the room, by length: the latest window whose plane is empty. */
  readonly emptied: number[]
}

export const newLimiter = (room?: Room): Limiter => ({
  published: NO_LIMITS,
  set: new Map(),
  limits: NO_LIMITS,
  windows: new Map(),
  atOnce: new Map(),
  clients: new Map(),
  pending: new Map(),
  bans: newExpiring(MOST_REMEMBERED),
  waits: newExpiring(MOST_REMEMBERED),
  repeats: newExpiring(MOST_REMEMBERED),
  refusals: new Map(),
  sharing: undefined,
  room,
  roomAhead: 0,
  emptied: [],
})

export function windowsOf(limiter: Limiter, limit: Limit): Windows {
  const id = windowId(limit)
  let windows = limiter.windows.get(id)
  if (windows === undefined) {
    const ids = new Set(limiter.limits.limits.map(windowId).filter((each) => each !== ''))
    const seconds = limit.rate.kind === 'window' ? limit.rate.seconds : DELAY_SECONDS
    windows = newWindows(seconds, Math.floor(MOST_SUBJECTS / Math.max(1, ids.size)))
    limiter.windows.set(id, windows)
  }
  return windows
}

// ---- clients

export function clientsOf({ clients }: Limiter, lane: string): Map<number, Client> {
  const found = clients.get(lane) ?? new Map<number, Client>()
  clients.set(lane, found)
  return found
}

/** One that came before there were limits is counted from its first question on. */
export function clientOf(limiter: Limiter, lane: string, ticket: number, who: Who): Client {
  const clients = clientsOf(limiter, lane)
  const found = clients.get(ticket)
  if (found !== undefined) return found
  const client: Client = { who: { ...who, user: '' }, beforeLogin: true, keys: [], alone: [], login: undefined }
  clients.set(ticket, client)
  hold(limiter, client, keysOf(limiter, client))
  return client
}

const isAtOnce = ({ limit }: Applied): boolean => limit.rate.kind === 'at-once'

export function keysOf({ limits }: Limiter, { who, beforeLogin }: Client): readonly string[] {
  const applied = [
    ...appliedTo(limits, 'sessions', who),
    ...(beforeLogin ? appliedTo(limits, 'before-login', who) : []),
  ]
  return [...new Set(applied.filter(isAtOnce).map(atOnceKey))]
}

/** The client is counted under these keys, and no others. */
export function hold(limiter: Limiter, client: Client, keys: readonly string[]): void {
  client.keys = keys
  countKeys(limiter, client, 1)
}

export function release(limiter: Limiter, client: Client): void {
  countKeys(limiter, client, -1)
  client.keys = []
}

function countKeys({ atOnce, sharing, room }: Limiter, { keys, alone }: Client, n: number): void {
  for (const key of keys) {
    count(atOnce, key, n)
    if (sharing !== undefined && sharing.shares.size > 0) counted(sharing, atOnceKeyOf(key), n)
    if (room !== undefined && !alone.includes(key)) change(room, [placeAtOnce(key)], n)
  }
}

export function count(numbers: Map<string, number>, key: string, n: number): void {
  const sum = (numbers.get(key) ?? 0) + n
  if (sum > 0) numbers.set(key, sum)
  else numbers.delete(key)
}

/** Who has decided that there is room: the service, the client's lane by itself, or a lane by the room of another process. */
export type Decider = 'service' | 'lane' | 'former'

/** `by` lane: it has taken in the room what is counted from now on, and gives it back. */
export function recount(limiter: Limiter, client: Client, by: Decider = 'service'): void {
  const before = client.keys
  release(limiter, client)
  const keys = keysOf(limiter, client)
  client.alone = keys.filter((key) => client.alone.includes(key) || (by === 'lane' && !before.includes(key)))
  hold(limiter, client, keys)
}

/** A window's count of a subject came from elsewhere, all of it: lanes see it, too. */
export function fillRoom({ room, roomAhead, windows }: Limiter, id: string, subject: string, now: number): void {
  const { seconds = 0, counts } = windows.get(id) ?? {}
  const place = placeIn(id, seconds, subject, now + roomAhead)
  if (room !== undefined && place >= 0) change(room, [place], counts?.get(subject)?.sum ?? 0)
}

/** Lanes ask about it from now on. */
export function marked({ room }: Limiter, key: string): string {
  if (room !== undefined) mark(room, key)
  return key
}

/** What lanes have to ask about, whatever else there is room for: with other hosts, all that is near a limit with what they count. */
export function marksOf({ bans, waits, set, sharing }: Limiter): readonly string[] {
  const shared = Array.from(sharing?.shares.keys() ?? [], markOf)
  return [...bans.values.keys(), ...waits.values.keys(), ...set.keys(), ...shared]
}

/** Of a subject that hosts share: lanes ask about it, too. */
export function markOf(key: string): string {
  const window = windowOf(key)
  return window === undefined ? key.slice(2) : window.id + window.subject
}

// ---- what is full

/** The first line that has no room for one more. */
export function full(limiter: Limiter, applied: readonly Applied[], now: number): Refused | undefined {
  for (const one of applied) {
    const { limit, subject } = one
    const { rate } = limit
    if (rate.kind !== 'at-once' && rate.kind !== 'window') continue
    const more = limiter.room === undefined ? 0 : untold(limiter.room, one, now + limiter.roomAhead)
    if (rate.kind === 'at-once') {
      const key = atOnceKey(one)
      const own = (limiter.atOnce.get(key) ?? 0) + more
      if (!isBelow(limiter, limit, () => atOnceKeyOf(key), own, rate.most)) return refusal(one, 0)
      continue
    }
    const windows = windowsOf(limiter, limit)
    const own = inWindow(windows, subject, now) + more
    if (!isBelow(limiter, limit, () => windowKey(windowId(limit), subject), own, rate.most))
      return refusal(one, retryAfter(windows, subject, now))
  }
  return undefined
}

const isBelow = ({ sharing }: Limiter, { scope }: Limit, key: () => string, own: number, most: number): boolean => {
  if (sharing === undefined || !isShared(scope)) return own < most
  return sharing.shares.size === 0 && isFar(sharing, own, most) ? own < most : hasRoom(sharing, key(), own, most)
}

/** How much the window that ends now has, with what other hosts count. */
export const inAll = (limiter: Limiter, id: string, windows: Windows, subject: string, now: number): number =>
  inWindow(windows, subject, now) + foreign(limiter.sharing, windowKey(id, subject))

/** What this host counts of a shared subject. */
export const ownCount =
  (limiter: Limiter, now: number): OwnCount =>
  ({ key }) => {
    const found = windowOf(key)
    if (found === undefined) return { used: limiter.atOnce.get(key.slice(2)) ?? 0 }
    const { id, subject } = found
    const windows = limiter.windows.get(id)
    if (windows === undefined) return { used: 0 }
    const pending = limiter.pending.get(`${id} ${subject}`) ?? 0
    return { used: inWindow(windows, subject, now), pending, windows, subject }
  }

/** Counts in a window, or takes back in that part of it. */
export function addIn(limiter: Limiter, limit: Limit, subject: string, n: number, now: number): number {
  const { sharing } = limiter
  if (sharing !== undefined && sharing.shares.size > 0) counted(sharing, windowKey(windowId(limit), subject), n)
  return addTo(windowsOf(limiter, limit), subject, n, now)
}

/** Counts one more in every window of these lines; two lines may share one. `by` lane: it has taken it in the room. */
export function countIn(
  limiter: Limiter,
  applied: readonly Applied[],
  now: number,
  by: Decider = 'service',
): readonly Counted[] {
  const { room, roomAhead } = limiter
  const done: Counted[] = []
  for (const { limit, subject } of applied) {
    if (limit.rate.kind !== 'window') continue
    const windows = windowsOf(limiter, limit)
    if (done.some((one) => one.windows === windows && one.subject === subject)) continue
    const place = by === 'lane' || room === undefined ? -1 : placeInWindow({ limit, subject }, now + roomAhead)
    if (room !== undefined && place >= 0) change(room, [place], 1)
    done.push({ id: windowId(limit), windows, subject, part: addIn(limiter, limit, subject, 1, now), place })
  }
  return done
}

/** What this host has counted of a subject; the other hosts are told that it is gone. */
export function forgetCount({ windows, sharing }: Limiter, id: string, subject: string): void {
  if (windows.get(id)?.counts.delete(subject) === true && sharing !== undefined)
    counted(sharing, windowKey(id, subject), -1)
}

export const banKey = ({ limit, subject }: Applied): string => `${limit.name} ${subject}`

export function banned({ bans, limits }: Limiter, who: Who, now: number): Refused | undefined {
  for (const one of appliedTo(limits, 'failed-logins', who)) {
    const key = banKey(one)
    if (recall(bans, key, now) === undefined) continue
    return refusal(one, Math.ceil(((bans.values.get(key)?.ends ?? now) - now) / 1000))
  }
  return undefined
}

export const byUser = ({ limit: { scope } }: Applied): boolean => scope === 'user' || scope === 'user+address'

// ---- words

const WHOSE: Readonly<Record<Scope, string>> = {
  address: ' from your address',
  network: ' from your network',
  user: ' of this user',
  'user+address': ' of this user from your address',
  listener: ' on this port',
  all: '',
}

const MANY: Readonly<Record<What, string>> = {
  sessions: 'sessions',
  'before-login': 'sessions before login',
  logins: 'logins',
  'failed-logins': 'failed logins',
  messages: 'messages',
  recipients: 'recipients',
  octets: 'octets',
}

function refusal(one: Applied, retry: number): Refused {
  const { name, scope, what } = one.limit
  const text = `too many ${MANY[what]}${WHOSE[scope]} (#limit ${name})`
  return { limit: name, text, inUse: what === 'sessions' && byUser(one), retry }
}
