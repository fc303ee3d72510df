// A lane's two ticks: each second for sessions that are late, ten times a second for its own lag and its reports.

import { monotonic } from '../edge/clock.ts'
import type { ClientSession } from '../session/session.ts'
import { idleSeconds, type Lane, publishUse } from './state.ts'

/** Upper bound on a login, including checkpassword's 30 s and the helper's own work. */
const HELPER_SECONDS = 35
/** A client that has everything, says nothing, and does not close. */
const LINGER_SECONDS = 5
/** A backend that goes on after its input was closed. */
const ENDING_SECONDS = 60

/** A message has so long before its rate counts. */
const FIRST_SECONDS = 60

const REPORT_MILLISECONDS = 100

/** Returns the function that stops it. */
export function startClock(lane: Lane): () => void {
  let lastTick = monotonic()
  let worst = 0
  const reports = setInterval(() => {
    const late = monotonic() - lastTick - REPORT_MILLISECONDS
    lastTick = monotonic()
    worst = Math.max(worst, late / 1000)
    lane.counters.lag(Math.max(late, 0) / 1000)
    lane.reporter.flush()
  }, REPORT_MILLISECONDS)
  const seconds = setInterval(() => {
    lane.lag = worst
    worst = 0
    const now = monotonic()
    for (const session of lane.sessions.values()) checkTime(lane, session, now)
    lane.warm.sweep(now)
    lane.handshakes.sweep(now)
    publishUse(lane)
  }, 1000)
  return () => {
    clearInterval(seconds)
    clearInterval(reports)
  }
}

/** A login that takes too long in all, and a message that comes too slowly, each however often the client says something. */
function checkPace(lane: Lane, session: ClientSession, now: number): void {
  const { loginTimeout, minDataRate } = (lane.generations.of(session) ?? lane.generations.published()).config
  if (session.front === 'authup') {
    if (loginTimeout === 0 || now - session.started < loginTimeout * 1000 || session.login.accepted !== undefined)
      return
    lane.reporter.logOf(session, 'warn', 'login-timeout', { seconds: loginTimeout })
    session.timedOut()
    return
  }
  const pace = minDataRate > 0 ? session.streams.bodyPace(now) : undefined
  if (pace === undefined || pace.seconds < FIRST_SECONDS || pace.octets >= pace.seconds * minDataRate) return
  lane.reporter.logOf(session, 'warn', 'too-slow', {
    user: session.login.user,
    octets: pace.octets,
    seconds: Math.round(pace.seconds),
  })
  session.abandon('too-slow')
}

function checkTime(lane: Lane, session: ClientSession, now: number): void {
  session.streams.noticeProgress(now)
  const limit = idleSeconds(lane, session.settings, session)
  if (session.streams.closing) {
    const patience = session.streams.owes ? limit : Math.min(LINGER_SECONDS, limit)
    if (session.streams.lingering(now, limit) > patience) session.abandon('lingering')
    return
  }
  const silent = (now - session.streams.seen) / 1000
  const giveUp = lane.asking.get(session)
  if (giveUp !== undefined) {
    if ((now - session.login.askedAt) / 1000 > HELPER_SECONDS) giveUp()
    return
  }
  if (session.actors.fixsmtpio?.at === 'ending' || session.streams.isHalfClosed) {
    if (silent > ENDING_SECONDS) session.abandon('ending')
    return
  }
  if (silent >= limit) session.timedOut()
  else checkPace(lane, session, now)
}
