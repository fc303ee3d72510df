// Logins: what a guess costs. A login counts as failed from its question on and is taken back if it has not, so that many at the same time
// are no more guesses than one after the other.

import { keep, recall } from './expiring.ts'
import { GRANTED, type LimitsVerdict } from './frames.ts'
import { type Applied, appliedTo, type Who } from './limit.ts'
import { change, windowId } from './room.ts'
import { announce, counted, foreign, tell, windowKey } from './sharing.ts'
import {
  type Attempt,
  addIn,
  banKey,
  banned,
  byUser,
  type Client,
  count,
  countIn,
  type Decider,
  forgetCount,
  full,
  inAll,
  type Limiter,
  marked,
  recount,
  windowsOf,
} from './table.ts'
import { takeBack } from './windows.ts'

/** For so long the same wrong password counts once. */
const REPEAT_MILLISECONDS = 3_600_000

export const pendingKey = ({ id, subject }: { readonly id: string; readonly subject: string }): string =>
  `${id} ${subject}`

/** The login is no longer under way; `back`: it has not failed. */
function resolve({ pending, room, sharing }: Limiter, { reserved }: Attempt, back: boolean): void {
  for (const one of reserved) {
    count(pending, pendingKey(one), -1)
    if (back) takeBack(one.windows, one.subject, 1, one.part)
    if (sharing !== undefined) counted(sharing, windowKey(one.id, one.subject), back ? -1 : 0)
    if (back && room !== undefined && one.place >= 0) change(room, [one.place], -1)
  }
}

export function login(
  limiter: Limiter,
  client: Client,
  who: Who,
  hash: string,
  now: number,
  by: Decider = 'service',
): LimitsVerdict {
  settle(limiter, client, true)
  const { limits } = limiter
  const sessions = appliedTo(limits, 'sessions', who).filter(byUser)
  const failures = appliedTo(limits, 'failed-logins', who)
  const logins = appliedTo(limits, 'logins', who)
  const refused =
    by !== 'service'
      ? undefined
      : (banned(limiter, who, now) ?? full(limiter, [...sessions, ...logins, ...failures], now))
  if (refused !== undefined) return refused
  countIn(limiter, [...logins, ...sessions], now, by)
  // A login counts as failed until it has not: many at the same time are not more guesses than one after the other.
  const fresh = failures.filter((one) => !isRepeat(limiter, one, hash, now))
  client.login = { hash, reserved: countIn(limiter, fresh, now, by), before: client.who }
  for (const one of client.login.reserved) count(limiter.pending, pendingKey(one), 1)
  client.who = who
  recount(limiter, client, by)
  return { wait: waitOf(limiter, failures, now) }
}

/** An address with a delay has to wait for it to end, whichever user logs in; a user does not, or everybody could keep a user out. */
function waitOf({ waits }: Limiter, failures: readonly Applied[], now: number): number {
  let until = now
  for (const one of failures)
    if (one.limit.rate.kind === 'delay' && one.limit.scope === 'address')
      until = Math.max(until, recall(waits, banKey(one), now) ?? 0)
  return until - now
}

const repeatKey = ({ limit, subject }: Applied, hash: string): string => `${limit.scope} ${subject} ${hash}`

const isRepeat = ({ repeats }: Limiter, one: Applied, hash: string, now: number): boolean =>
  recall(repeats, repeatKey(one, hash), now) !== undefined

/** 2, 4, 8, ... seconds. */
export const delayAfter = (failures: number, longest: number): number =>
  failures === 0 ? 0 : Math.min(2 ** Math.min(failures, 10), longest)

/** A wrong password. The same one again is no second guess. */
export function failed(limiter: Limiter, client: Client | undefined, now: number): LimitsVerdict {
  if (client?.login === undefined) return GRANTED
  const { hash } = client.login
  const { who } = client
  settle(limiter, client, false)
  const applied = appliedTo(limiter.limits, 'failed-logins', who)
  let seconds = 0
  for (const one of applied) {
    const { rate, scope } = one.limit
    const windows = windowsOf(limiter, one.limit)
    const id = windowId(one.limit)
    const sure =
      inAll(limiter, id, windows, one.subject, now) -
      (limiter.pending.get(pendingKey({ id, subject: one.subject })) ?? 0)
    if (rate.kind === 'window' && rate.ban > 0 && sure >= rate.most) {
      keep(limiter.bans, marked(limiter, banKey(one)), one, now + rate.ban * 1000)
      announce(limiter.sharing, { ban: one.limit.name, subject: one.subject, seconds: rate.ban })
    }
    if (rate.kind !== 'delay') continue
    if (!isRepeat(limiter, one, hash, now)) addIn(limiter, one.limit, one.subject, 1, now)
    if (limiter.sharing !== undefined) tell(limiter.sharing, windowKey(id, one.subject))
    const delay = delayAfter(inAll(limiter, id, windows, one.subject, now), rate.longest)
    seconds = Math.max(seconds, delay)
    if (scope === 'address') keep(limiter.waits, marked(limiter, banKey(one)), now + delay * 1000, now + delay * 1000)
  }
  for (const one of applied) keep(limiter.repeats, repeatKey(one, hash), true, now + REPEAT_MILLISECONDS)
  return { wait: seconds * 1000 }
}

/** The login is over and has not been accepted. */
export function settle(limiter: Limiter, client: Client | undefined, back: boolean): void {
  if (client?.login === undefined) return
  resolve(limiter, client.login, back)
  client.who = client.login.before
  client.login = undefined
  recount(limiter, client)
}

export function passed(limiter: Limiter, client: Client | undefined): void {
  if (client === undefined) return
  client.beforeLogin = false
  // Nobody had asked about it while no line counted logins.
  if (client.login !== undefined) forgiven(limiter, client.login, client.who)
  client.login = undefined
  recount(limiter, client)
}

function forgiven(limiter: Limiter, attempt: Attempt, who: Who): void {
  resolve(limiter, attempt, true)
  for (const one of appliedTo(limiter.limits, 'failed-logins', who)) {
    if (one.limit.rate.kind !== 'delay' || one.limit.scope !== 'address') continue
    const id = windowId(one.limit)
    if (foreign(limiter.sharing, windowKey(id, one.subject)) > 0)
      announce(limiter.sharing, { forget: id, subject: one.subject })
    forgetCount(limiter, id, one.subject)
    limiter.waits.values.delete(banKey(one))
  }
}
