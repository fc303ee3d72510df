// Where a session's backend comes from: a parked one (a warm login), or a run of its chain by the helper.

import { wipe } from '../protocol/bytes.ts'
import type { HelperKind } from '../protocol/helper.ts'
import { isChallenged } from '../protocol/sasl.ts'
import type { BackendSource, Login, Opened, Refused } from '../session/backends/backends.ts'
import type { ClientSession } from '../session/session.ts'
import { isWrong, withinLimits } from './limits.ts'
import { environmentOf } from './settings.ts'
import { type Lane, nearlyOutOfDescriptors, publishUse } from './state.ts'

/** Ends in session.loggedIn, now or later. `credentials` are wiped in any case. */
export function openBackend(
  lane: Lane,
  session: ClientSession,
  kind: HelperKind,
  user: string,
  credentials: Uint8Array,
): void {
  if (kind !== 'guest' && lane.blocked.has(user)) {
    wipe(credentials)
    session.loggedIn({ is: 'blocked' })
    return
  }
  const { chain } = session.login
  const { me } = (lane.generations.of(session) ?? lane.generations.published()).config
  const environment = environmentOf(me, session, kind)
  const login: Login = {
    kind,
    session: session.name,
    user,
    chain,
    environment,
    helo: session.actors.authup.helo,
    credentials,
  }
  const asked = performance.now()
  let pending = true
  const giveUp = withinLimits(lane, session, sourceOf(lane, session, kind)).open(login, (outcome) => {
    pending = false
    lane.asking.delete(session)
    settle(lane, session, asked, outcome)
  })
  if (pending) lane.asking.set(session, giveUp)
  publishUse(lane)
}

function settle(lane: Lane, session: ClientSession, asked: number, outcome: Opened | Refused): void {
  if ('backend' in outcome && !session.streams.closing) {
    lane.serving += 1
    lane.beforeLogin.delete(session)
  }
  // A client that hangs up before the answer has guessed all the same.
  if (session.streams.closing && isWrong(outcome)) {
    const remaining = Math.max(0, session.actors.reup.tries - 1)
    const { user, mechanism } = session.login
    lane.reporter.logOf(session, 'warn', 'login-failed', { user, remaining, auth: mechanism })
  }
  publishUse(lane)
  lane.counters.helper((performance.now() - asked) / 1000)
  session.loggedIn(outcome)
}

function sourceOf(lane: Lane, session: ClientSession, kind: HelperKind): BackendSource {
  // An answer to a challenge is right once.
  const lasts = kind === 'auth' && !isChallenged(session.login.mechanism)
  const seconds = lasts && session.settings.warm ? (lane.generations.chainOf(session)?.warm ?? 0) : 0
  return seconds === 0 ? lane.cold : lane.warm.source(seconds, (taken) => lane.counters.warm(taken))
}

/** Takes over an idle backend for a later login; false if the lane does not want it. */
export function parkBackend(lane: Lane, session: ClientSession, opened: Opened, greeting: string): boolean {
  const { user, chain } = session.login
  const { backend, accepted, ticket } = opened
  return (
    ticket !== '' &&
    (lane.generations.chainOf(session)?.warm ?? 0) > 0 &&
    !lane.stopping &&
    !lane.blocked.has(user) &&
    !nearlyOutOfDescriptors(lane) &&
    lane.warm.park({ backend, accepted, user, chain, greeting, ticket })
  )
}
