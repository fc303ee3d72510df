// Where a session's backend comes from: a parked one (a warm login), or a run of its chain by the helper.

import type { ChainConfig } from '../config/chains.ts'
import type { Backend } from '../edge/backend.ts'
import { askHelper } from '../edge/helper.ts'
import { wipe } from '../protocol/bytes.ts'
import type { HelperStatus } from '../protocol/helper.ts'
import type { ClientSession } from '../session/session.ts'
import { environmentOf } from './settings.ts'
import { evictWhile, type Lane, nearlyOutOfDescriptors, outOfDescriptors, outOfProcesses, publishUse } from './state.ts'

type Kind = 'auth' | 'guest'

/** Calls `session.answered` with the helper's line and the backend, now or later. `credentials` are wiped in any case. */
export function openBackend(
  lane: Lane,
  session: ClientSession,
  kind: Kind,
  user: string,
  credentials: Uint8Array,
): void {
  if (kind === 'auth' && lane.blocked.has(user)) {
    wipe(credentials)
    session.answered({ is: 'blocked' }, undefined, credentials)
    return
  }
  const environment = environmentOf(session, kind)
  const chain = lane.generations.chainOf(session)
  const warmFor = kind === 'auth' && session.settings.warm ? (chain?.warm ?? 0) : 0
  const asked = performance.now()
  if (warmFor === 0) openCold(lane, session, { kind, environment, credentials, warmFor, asked })
  else openWarm(lane, session, { kind, environment, credentials, warmFor, asked })
}

interface Login {
  readonly kind: Kind
  readonly environment: readonly string[]
  readonly credentials: Uint8Array
  /** Seconds for which an acceptance may serve later logins; 0: never. */
  readonly warmFor: number
  readonly asked: number
}

function openCold(lane: Lane, session: ClientSession, login: Login): void {
  const { kind, environment, credentials, warmFor, asked } = login
  evictWhile(lane, (full) => outOfDescriptors(full) || outOfProcesses(full))
  if (outOfDescriptors(lane)) {
    wipe(credentials)
    session.answered({ is: 'busy' }, undefined, credentials)
    return
  }
  const giveUp = askHelper(
    lane.start.helper,
    { kind, session: session.name, chain: session.chain, environment, credentials },
    (status, backend, rest) => {
      lane.asking.delete(session)
      if (status.is === 'ok' && !session.closing) lane.serving += 1
      publishUse(lane)
      lane.counters.helper((performance.now() - asked) / 1000)
      if (status.is === 'ok' && warmFor > 0) lane.parking.verified(session, warmFor)
      else if (isRefused(status)) lane.parking.refused(session)
      else lane.parking.forget(session)
      session.answered(status, backend, rest)
    },
  )
  lane.asking.set(session, giveUp)
  publishUse(lane)
}

/** The password, or the user, is wrong. */
const isRefused = (status: HelperStatus): boolean =>
  status.is === 'root' || (status.is === 'exit' && (status.code === 1 || status.code === 2))

function openWarm(lane: Lane, session: ClientSession, login: Login): void {
  const { environment, credentials, warmFor, asked } = login
  lane.parking.take(session, credentials, environment.join('\0'), warmFor, (backend, accepted, greeting) => {
    if (session.closing) {
      // It went away while the parked backend was asked.
      wipe(credentials)
      backend?.discard()
      return
    }
    lane.counters.warm(backend !== undefined)
    if (backend === undefined) {
      openCold(lane, session, login)
      return
    }
    wipe(credentials)
    lane.serving += 1
    publishUse(lane)
    lane.counters.helper((performance.now() - asked) / 1000)
    session.answered({ is: 'ok', accepted }, backend, greeting)
  })
}

/** Takes over an idle backend for a later login; false if the lane does not want it. */
export function parkBackend(lane: Lane, session: ClientSession, backend: Backend, greeting: string): boolean {
  const chain: ChainConfig | undefined = lane.generations.chainOf(session)
  return (
    chain !== undefined &&
    chain.warm > 0 &&
    session.accepted !== undefined &&
    !lane.stopping &&
    !lane.blocked.has(session.user) &&
    !nearlyOutOfDescriptors(lane) &&
    lane.parking.park(session, backend, session.accepted, greeting)
  )
}
