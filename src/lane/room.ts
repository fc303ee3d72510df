// What a lane allows by itself, where the room that all threads share shows that nothing is near its limit; and gives back.
//
//   taken at      enter                    login                          MAIL, RCPT
//   given back    before-login: passed     of the user: neither, ended    never: their windows end
//                 sessions: ended          as a failure: passed, neither

import { ofAllThreads } from '../edge/clock.ts'
import type { Used } from '../limits/frames.ts'
import { type Applied, appliedTo, counts, type Limits, type Who } from '../limits/limit.ts'
import { change, isInWindow, isMarked, type Places, type Room, take, untake } from '../limits/room.ts'
import { banKey, byUser } from '../limits/table.ts'

/** What one client has taken and gives back. */
interface Held {
  readonly sessions: Places
  readonly beforeLogin: Places
  readonly user: Places
  readonly failure: Places
}

const NONE: Places = []
const NOTHING: Held = { sessions: NONE, beforeLogin: NONE, user: NONE, failure: NONE }
const isAtOnce = (place: number): boolean => !isInWindow(place)

export class LaneRoom {
  private readonly room: Room
  private readonly now: () => number
  private readonly held = new Map<number, Held>()

  constructor(room: Room, now = ofAllThreads) {
    this.room = room
    this.now = now
  }

  get process(): number {
    return this.room.process
  }

  /** All that it takes, or undefined: the service has to be asked. */
  enter(limits: Limits, ticket: number, who: Who): Places | undefined {
    if (this.isRefused(appliedTo(limits, 'failed-logins', who))) return undefined
    const sessions = this.take(appliedTo(limits, 'sessions', who))
    if (sessions === undefined) return undefined
    const beforeLogin = this.take(appliedTo(limits, 'before-login', who))
    if (beforeLogin === undefined) return this.untake(sessions)
    this.held.set(ticket, {
      ...NOTHING,
      sessions: sessions.filter(isAtOnce),
      beforeLogin: beforeLogin.filter(isAtOnce),
    })
    return [...sessions, ...beforeLogin]
  }

  login(limits: Limits, ticket: number, who: Who): Places | undefined {
    const failures = appliedTo(limits, 'failed-logins', who)
    if (this.isRefused(failures)) return undefined
    const sessions = appliedTo(limits, 'sessions', who).filter(byUser)
    const own = this.take([...sessions, ...appliedTo(limits, 'logins', who)])
    if (own === undefined) return undefined
    const failure = this.take(failures)
    if (failure === undefined) return this.untake(own)
    const before = this.held.get(ticket) ?? NOTHING
    this.held.set(ticket, { ...before, user: own.filter(isAtOnce), failure })
    return [...own, ...failure]
  }

  use(limits: Limits, who: Who, what: Used): Places | undefined {
    // So many octets are not counted here.
    if (what === 'messages' && counts(limits, 'octets') && appliedTo(limits, 'octets', who).length > 0) return undefined
    return this.take(appliedTo(limits, what, who))
  }

  passed(ticket: number): void {
    const held = this.held.get(ticket)
    if (held === undefined) return
    change(this.room, held.beforeLogin, -1)
    change(this.room, held.failure, -1)
    this.held.set(ticket, { ...held, beforeLogin: NONE, failure: NONE })
  }

  /** `failed`: it goes on counting as a failure. */
  neither(ticket: number, failed: boolean): void {
    const held = this.held.get(ticket)
    if (held === undefined) return
    change(this.room, held.user, -1)
    if (!failed) change(this.room, held.failure, -1)
    this.held.set(ticket, { ...held, user: NONE, failure: NONE })
  }

  ended(ticket: number): void {
    const held = this.held.get(ticket)
    if (held === undefined) return
    for (const places of Object.values(held) as Places[]) change(this.room, places, -1)
    this.held.delete(ticket)
  }

  /** Or somebody is whose mark is the same. */
  private isRefused(failures: readonly Applied[]): boolean {
    return failures.some((one) => isMarked(this.room, banKey(one)))
  }

  private take(applied: readonly Applied[]): Places | undefined {
    return take(this.room, applied, this.now())
  }

  private untake(places: Places): undefined {
    untake(this.room, places)
    return undefined
  }
}
