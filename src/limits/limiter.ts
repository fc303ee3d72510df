// What may happen by control/limits, as a value and functions on it: no clock, no thread, no socket. The service actor of the main thread
// (runtime/limits.ts) has one for all lanes.
//
//   frame of a lane ──> receive ──> verdict        table.ts has what is remembered, attempts.ts what a login costs

import { failed, login, passed, settle } from './attempts.ts'
import { type Expiring, expire } from './expiring.ts'
import { GRANTED, type LimitsFrame, type LimitsVerdict, type Said, type Used } from './frames.ts'
import { appliedTo, type Limits, type Who } from './limit.ts'
import { change, emptyNext, forgetUntold, markOnly, placeAtOnce, told, useHosts, windowId } from './room.ts'
import { sweepShares } from './sharing.ts'
import {
  addIn,
  banned,
  type Client,
  clientOf,
  clientsOf,
  countIn,
  type Decider,
  full,
  type Limiter,
  MOST_SUBJECTS,
  marksOf,
  ownCount,
  recount,
  release,
} from './table.ts'
import { sweep } from './windows.ts'

export { type Limiter, MOST_SUBJECTS, newLimiter, ownCount } from './table.ts'

/** Other lines, or other rates set: what was counted stays, and clients that are here are counted by the new lines. */
export function useLimits(limiter: Limiter, published: Limits): void {
  limiter.published = published
  const limits = published.limits.map((limit) => {
    const rate = limiter.set.get(limit.name)
    return rate === undefined ? limit : { ...limit, rate }
  })
  limiter.limits = { ...published, limits }
  const ids = new Set(limits.map(windowId))
  for (const id of limiter.windows.keys()) if (!ids.has(id)) limiter.windows.delete(id)
  ids.delete('')
  const most = Math.floor(MOST_SUBJECTS / Math.max(1, ids.size))
  for (const windows of limiter.windows.values()) windows.most = most
  for (const clients of limiter.clients.values()) for (const client of clients.values()) recount(limiter, client)
  if (limiter.room !== undefined) markOnly(limiter.room, marksOf(limiter))
}

/** Carries out what a lane says; undefined: it is no question. `now` in milliseconds of the monotonic clock. */
export function receive(limiter: Limiter, lane: string, frame: LimitsFrame, now: number): LimitsVerdict | undefined {
  if (frame[0] !== 'alone') return carryOut(limiter, lane, frame, now, 'service')
  const [, process, places, said] = frame
  const { room } = limiter
  const isHere = room?.process === process
  if (isHere) told(room, places)
  carryOut(limiter, lane, said, now, isHere ? 'lane' : 'former')
  return undefined
}

function carryOut(limiter: Limiter, lane: string, frame: Said, now: number, by: Decider): LimitsVerdict | undefined {
  const [tag, ticket] = frame
  if (limiter.sharing !== undefined) limiter.sharing.now = now
  switch (tag) {
    case 'enter':
      return counted(limiter, enter(limiter, clientsOf(limiter, lane), ticket, frame[3], now, by))
    case 'login':
      return counted(limiter, login(limiter, clientOf(limiter, lane, ticket, frame[3]), frame[3], frame[4], now, by))
    case 'failed':
      return failed(limiter, clientsOf(limiter, lane).get(ticket), now)
    case 'use':
      return counted(limiter, use(limiter, frame[3], frame[4], now, by))
    case 'passed':
      passed(limiter, clientsOf(limiter, lane).get(ticket))
      return undefined
    case 'neither':
      settle(limiter, clientsOf(limiter, lane).get(ticket), true)
      return undefined
    case 'octets':
      for (const { limit, subject } of appliedTo(limiter.limits, 'octets', frame[2]))
        addIn(limiter, limit, subject, frame[3], now)
      return undefined
    case 'ended':
      ended(limiter, lane, ticket)
      return undefined
  }
}

/** The lane has died: none of its clients is here any longer. */
export function laneDied(limiter: Limiter, lane: string): void {
  const { room } = limiter
  for (const [ticket, { alone }] of clientsOf(limiter, lane)) {
    if (room !== undefined) change(room, alone.map(placeAtOnce), -1)
    ended(limiter, lane, ticket)
  }
  if (room !== undefined) forgetUntold(room)
  limiter.clients.delete(lane)
}

export function sweepAll(limiter: Limiter, now: number): void {
  for (const windows of limiter.windows.values()) sweep(windows, now)
  for (const table of [limiter.bans, limiter.waits, limiter.repeats]) expire(table as Expiring<unknown>, now)
  if (limiter.sharing !== undefined) sweepShares(limiter.sharing, ownCount(limiter, now))
  const { room } = limiter
  if (room === undefined) return
  markOnly(room, marksOf(limiter))
  useHosts(room, limiter.sharing?.hosts.size ?? 1)
  emptyNext(room, limiter.emptied, now + limiter.roomAhead)
}

function counted(limiter: Limiter, verdict: LimitsVerdict): LimitsVerdict {
  if ('limit' in verdict) limiter.refusals.set(verdict.limit, (limiter.refusals.get(verdict.limit) ?? 0) + 1)
  return verdict
}

function ended(limiter: Limiter, lane: string, ticket: number): void {
  const clients = clientsOf(limiter, lane)
  const client = clients.get(ticket)
  if (client === undefined) return
  settle(limiter, client, true)
  release(limiter, client)
  clients.delete(ticket)
}

function enter(
  limiter: Limiter,
  clients: Map<number, Client>,
  ticket: number,
  who: Who,
  now: number,
  by: Decider,
): LimitsVerdict {
  const applied = [...appliedTo(limiter.limits, 'sessions', who), ...appliedTo(limiter.limits, 'before-login', who)]
  const refused = by !== 'service' ? undefined : (banned(limiter, who, now) ?? full(limiter, applied, now))
  if (refused !== undefined) return refused
  countIn(limiter, applied, now, by)
  const client: Client = { who, beforeLogin: true, keys: [], alone: [], login: undefined }
  clients.set(ticket, client)
  recount(limiter, client, by)
  return GRANTED
}

function use(limiter: Limiter, who: Who, what: Used, now: number, by: Decider): LimitsVerdict {
  const applied = appliedTo(limiter.limits, what, who)
  const octets = what === 'messages' ? appliedTo(limiter.limits, 'octets', who) : []
  const refused = by !== 'service' ? undefined : full(limiter, [...applied, ...octets], now)
  if (refused !== undefined) return refused
  countIn(limiter, applied, now, by)
  return GRANTED
}
