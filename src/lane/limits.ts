// A lane's questions about control/limits. Where no limit is near, as the room that all threads share shows, the lane goes on and tells the
// main thread a little later. Else the main thread decides, for all lanes together; what a turn of the lane asks goes in one message. A lane
// that hears nothing for 50 ms decides by what it heard last, and says so.
//
//   door, login, MAIL, RCPT ──> room? ──> the client goes on; tell
//                                 └─> ask ──> main thread ──> hear ──> the client goes on, waits, or is refused

import { TAG } from '../actors/frames.ts'
import { monotonic } from '../edge/clock.ts'
import { expire, keep, newExpiring, recall } from '../limits/expiring.ts'
import {
  GRANTED,
  type LimitsAnswer,
  type LimitsFrame,
  type LimitsVerdict,
  type Refused,
  type Said,
  type Used,
} from '../limits/frames.ts'
import type { Who } from '../limits/limit.ts'
import type { Places } from '../limits/room.ts'
import { wipe } from '../protocol/bytes.ts'
import type { BackendSource, Login, Refused as NotOpened, Opened } from '../session/backends/backends.ts'
import type { Refusal, Step } from '../session/door.ts'
import { passwordHash } from '../session/password-hash.ts'
import type { ClientSession } from '../session/session.ts'
import type { Counters } from './counters.ts'
import type { FromLane } from './messages.ts'
import type { Reporter } from './reporter.ts'
import type { LaneRoom } from './room.ts'
import type { Lane } from './state.ts'

const PATIENCE_MILLISECONDS = 50
/** What nobody waits for is told so much later. */
const TELL_MILLISECONDS = 5
/** Refusals that a lane remembers for when it has to decide alone. */
const REMEMBERED = 4096

interface Asked {
  readonly at: number
  /** Whom and what it is about. */
  readonly key: string
  readonly decide: (verdict: LimitsVerdict) => void
}

type Ask = (frame: (n: number) => Said, key: string, decide: (verdict: LimitsVerdict) => void) => void

export interface LaneLimits {
  readonly ask: Ask
  /** Asks unless the room, given back the frame's places, has some for it. */
  readonly askOr: (places: Places | undefined, ...question: Parameters<Ask>) => void
  readonly room: LaneRoom
  tell(frame: Said): void
  /** What is not told yet is told now. */
  flush(): void
  hear(answers: readonly LimitsAnswer[]): void
}

/** Frames go in the order in which they were given. */
function createOutbox(tell: (message: FromLane) => void) {
  let frames: LimitsFrame[] = []
  let timer: NodeJS.Timeout | undefined
  let isDue = false

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    isDue = false
    if (frames.length === 0) return
    tell({ limits: frames })
    frames = []
  }

  return {
    flush,
    /** Nobody waits for it. */
    later(frame: LimitsFrame): void {
      frames.push(frame)
      if (!isDue) timer ??= setTimeout(flush, TELL_MILLISECONDS).unref()
    },
    /** With what else this turn has. */
    now(frame: LimitsFrame): void {
      frames.push(frame)
      if (!isDue) setImmediate(flush)
      isDue = true
    },
  }
}

/** Those that the service may count: of nobody else it is told what becomes of them. */
class Clients {
  private readonly room: LaneRoom
  private readonly counted = new Set<number>()

  constructor(room: LaneRoom) {
    this.room = room
  }

  asked(frame: Said): Said {
    const [tag, ticket] = frame
    if (tag === 'enter' || tag === 'login') this.counted.add(ticket)
    return frame
  }

  /** Gives back in the room; false: the service does not count it. */
  said([tag, ticket]: Said): boolean {
    if (tag === 'octets') return true
    if (!this.counted.has(ticket)) return false
    if (tag === 'passed') this.room.passed(ticket)
    else if (tag === 'neither') this.room.neither(ticket, false)
    else if (tag === 'ended') {
      this.room.ended(ticket)
      this.counted.delete(ticket)
    }
    return true
  }
}

export function createLaneLimits(
  tell: (message: FromLane) => void,
  reporter: Reporter,
  counters: Counters,
  room: LaneRoom,
): LaneLimits {
  const waiting = new Map<number, Asked>()
  const clients = new Clients(room)
  const refusals = newExpiring<Refused>(REMEMBERED)
  const outbox = createOutbox(tell)
  let next = 1
  let watching = false
  let silent = false

  function ask(frame: (n: number) => Said, key: string, decide: (verdict: LimitsVerdict) => void): void {
    const n = next
    next += 1
    waiting.set(n, { at: monotonic(), key, decide })
    outbox.now(clients.asked(frame(n)))
    watch(PATIENCE_MILLISECONDS)
  }

  const watch = (milliseconds: number) => {
    // Answers that have come while the lane was busy are heard first.
    if (!watching) setTimeout(() => setImmediate(giveUp), milliseconds).unref()
    watching = true
  }

  function giveUp(): void {
    watching = false
    const time = monotonic()
    expire(refusals, time)
    for (const [n, { at, key, decide }] of waiting) {
      if (time - at < PATIENCE_MILLISECONDS) {
        watch(PATIENCE_MILLISECONDS - (time - at))
        return
      }
      waiting.delete(n)
      counters.alone()
      if (!silent) reporter.log('warn', 'limits-silent', { asked: waiting.size + 1 })
      silent = true
      decide(recall(refusals, key, time) ?? GRANTED)
    }
  }

  return {
    flush: outbox.flush,
    ask,
    askOr(places, frame, key, decide) {
      if (places === undefined) ask(frame, key, decide)
      else {
        outbox.later(['alone', room.process, places, clients.asked(frame(0))])
        decide(GRANTED)
      }
    },
    room,
    tell(frame) {
      if (clients.said(frame)) outbox.later(frame)
    },
    hear(answers) {
      if (silent) reporter.log('info', 'limits-answer', {})
      silent = false
      for (const [n, verdict] of answers) {
        const asked = waiting.get(n)
        if (asked === undefined) continue
        waiting.delete(n)
        if ('limit' in verdict) keep(refusals, asked.key, verdict, monotonic() + Math.max(1, verdict.retry) * 1000)
        else refusals.values.delete(asked.key)
        asked.decide(verdict)
      }
    },
  }
}

// ---- the door

/** Before the client gets a reply. */
export const limited =
  (lane: Lane): Step =>
  (arrival, next) => {
    if (!lane.generations.published().asks.door) {
      next(arrival)
      return
    }
    const { socket, peer, settings, id } = arrival
    const lost = () => undefined
    // What the client sends meanwhile stays in the kernel; without a listener an error would end the lane.
    socket.on('error', lost).pause()
    askDoor(lane, id, peer.ip, settings.listener, (refusal) => {
      if (refusal !== undefined) {
        next(refusal)
        return
      }
      socket.off('error', lost)
      if (socket.destroyed) next({ refused: 'gone', gone: true })
      else next(arrival)
    })
  }

/** Whether a client of this address may stay, under this number. */
export function askDoor(
  lane: Lane,
  id: number,
  ip: string,
  listener: string,
  decide: (refusal: Refusal | undefined) => void,
): void {
  const who: Who = { ip, listener, user: '' }
  const { limits } = lane.generations.published().config
  lane.limits.askOr(
    lane.limits.room.enter(limits, id, who),
    (n) => ['enter', id, n, who],
    `enter ${ip}`,
    (verdict) =>
      decide('limit' in verdict ? { refused: verdict.text, status: '4.7.0', limit: verdict.limit } : undefined),
  )
}

// ---- logins

const whoOf = ({ ip, settings, login }: ClientSession): Who => ({ ip, listener: settings.listener, user: login.user })

/** The password, or the user, is wrong. */
export const isWrong = (outcome: Opened | NotOpened): boolean =>
  !('backend' in outcome) &&
  (outcome.is === 'root' || (outcome.is === 'exit' && (outcome.code === 1 || outcome.code === 2)))

/** Asks the source when the limits say so, and keeps its answer to a wrong password as long as they say. Nothing but a timer waits. */
export const withinLimits = (lane: Lane, session: ClientSession, source: BackendSource): BackendSource => ({
  open(login, done) {
    if (login.kind === 'guest') return source.open(login, done)
    if (!lane.generations.published().asks.login)
      return source.open(login, (outcome) => {
        if ('backend' in outcome) lane.limits.tell(['passed', session.id])
        done(outcome)
      })
    return new LimitedLogin(lane, session, source, login, done).giveUp
  },
})

class LimitedLogin {
  private readonly lane: Lane
  private readonly session: ClientSession
  private readonly login: Login
  private readonly done: (outcome: Opened | NotOpened) => void
  private timer: NodeJS.Timeout | undefined
  /** Ends what goes on now. */
  private stop: () => void
  private over = false

  constructor(
    lane: Lane,
    session: ClientSession,
    source: BackendSource,
    login: Login,
    done: (outcome: Opened | NotOpened) => void,
  ) {
    this.lane = lane
    this.session = session
    this.login = login
    this.done = done
    this.stop = () => {
      wipe(login.credentials)
      this.settle({ is: 'timeout' })
    }
    lane.delayed.add(session)
    const hash = passwordHash(lane.secret, login.credentials)
    const who = whoOf(session)
    const { limits } = lane.generations.published().config
    lane.limits.askOr(
      lane.limits.room.login(limits, session.id, who),
      (n) => ['login', session.id, n, who, hash],
      `login ${who.ip} ${who.user}`,
      (verdict) => this.decided(verdict, source),
    )
  }

  readonly giveUp = (): void => {
    clearTimeout(this.timer)
    this.stop()
  }

  private decided(verdict: LimitsVerdict, source: BackendSource): void {
    if (this.over) {
      this.lane.limits.tell(['neither', this.session.id])
      return
    }
    if (!('limit' in verdict)) {
      this.after(verdict.wait, () => {
        // A source looks for room before this login takes some.
        this.stop = source.open(this.login, (outcome) => this.answered(outcome))
        this.lane.delayed.delete(this.session)
      })
      return
    }
    wipe(this.login.credentials)
    this.over = true
    this.lane.delayed.delete(this.session)
    this.done({ is: verdict.inUse ? 'in-use' : 'limited', text: verdict.text })
  }

  private answered(outcome: Opened | NotOpened): void {
    if (!isWrong(outcome)) {
      this.settle(outcome)
      return
    }
    const { id } = this.session
    this.lane.limits.room.neither(id, true)
    this.stop = () => this.finish(outcome)
    this.lane.delayed.add(this.session)
    this.lane.limits.ask(
      (n) => ['failed', id, n],
      '',
      (verdict) => {
        if (!this.over) this.after('wait' in verdict ? verdict.wait : 0, () => this.finish(outcome))
      },
    )
  }

  /** The lane's clock gives a login its time from here on. */
  private after(milliseconds: number, go: () => void): void {
    this.session.login.askedAt = monotonic() + milliseconds
    if (milliseconds <= 0) go()
    else this.timer = setTimeout(go, milliseconds)
  }

  private settle(outcome: Opened | NotOpened): void {
    this.lane.limits.tell(['backend' in outcome ? 'passed' : 'neither', this.session.id])
    this.finish(outcome)
  }

  private finish(outcome: Opened | NotOpened): void {
    if (this.over) return
    this.over = true
    this.lane.delayed.delete(this.session)
    this.done(outcome)
  }
}

// ---- after login

export function askUse(lane: Lane, session: ClientSession, what: Used): void {
  const who = whoOf(session)
  const { limits } = lane.generations.published().config
  lane.limits.askOr(
    lane.limits.room.use(limits, who, what),
    (n) => ['use', session.id, n, who, what],
    `${what} ${who.ip} ${who.user}`,
    (verdict) => {
      if (session.streams.closing) return
      const refused = 'limit' in verdict ? verdict : undefined
      if (refused !== undefined) {
        const reached = { user: who.user, limit: refused.limit, what }
        lane.reporter.logOf(session, 'warn', 'limit-reached', reached)
        lane.reporter.event('limit', 'reached', session, reached)
      }
      lane.stages.post(session, [TAG.limits, session.id, refused?.text ?? ''])
    },
  )
}

/** After a message: all that the client has sent since the last one is counted with it. */
export function countOctets(lane: Lane, session: ClientSession): void {
  if (lane.generations.of(session)?.asks.octets !== true) return
  const { bytesIn } = session.streams
  const octets = bytesIn - session.counters.octets
  session.counters.octets = bytesIn
  lane.limits.tell(['octets', session.id, whoOf(session), octets])
}
