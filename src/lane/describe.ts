// A session of this lane as the rows of contract/session-view.ts look at it.

import type { Place, SessionState, Viewed } from '../contract/session-view.ts'
import { wallTime } from '../edge/clock.ts'
import type { ClientSession } from '../session/session.ts'

export function stateOf(session: ClientSession): SessionState {
  if (session.streams.closing) return 'ending'
  const served = session.actors.fixsmtpio
  if (session.front === 'authup') {
    const { at, helo, user } = session.actors.authup
    if (at === 'checking') return 'checking'
    return helo === '' && user === undefined && session.streams.bytesIn === 0
      ? 'greeting'
      : at === 'served'
        ? 'ready'
        : 'login'
  }
  if (served === undefined || served.at === 'ending' || served.at === 'over') return 'ending'
  if (served.at === 'body' || served.at === 'data') return 'data'
  return served.transaction ? 'transaction' : 'ready'
}

export const viewed = (session: ClientSession, place: Place): Viewed => ({
  session,
  state: stateOf(session),
  place,
  wallTime,
})
