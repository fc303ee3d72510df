// A lane as a value: what its files share. Each file of this folder says what it does with it; lane.ts puts them together.

import type { ShutdownText } from '../actors/endings.ts'
import { TAG } from '../actors/frames.ts'
import type { PauseMode } from '../contract/daemon.ts'
import { monotonic } from '../edge/clock.ts'
import type { Listening } from '../edge/listening.ts'
import type { Reading } from '../edge/reading.ts'
import type { Turns } from '../limits/turns.ts'
import { notNow } from '../protocol/dialogue.ts'
import type { BackendSource } from '../session/backends/backends.ts'
import type { WarmBackends } from '../session/backends/warm.ts'
import type { Step } from '../session/door.ts'
import type { SessionSettings } from '../session/host.ts'
import type { ClientSession } from '../session/session.ts'
import type { Stages } from '../session/stages.ts'
import type { BeforeLogin } from './before-login.ts'
import type { Counters } from './counters.ts'
import type { Farewells } from './farewell.ts'
import type { Generations } from './generations.ts'
import type { Handshakes } from './handshakes.ts'
import type { LaneLimits } from './limits.ts'
import type { LaneStart } from './messages.ts'
import type { Reporter } from './reporter.ts'
import { beforeLoginInUse, descriptorsInUse, sessionsInUse, setUse, type Usage } from './usage.ts'

/** A login in its turn. */
export interface QueuedLogin {
  readonly begin: () => void
  /** Too many wait. */
  readonly refuse: () => void
}

export interface Lane {
  readonly start: LaneStart
  /** Shared by all lanes; this one writes its slot. */
  readonly usage: Usage
  readonly slot: number
  /** By number, the oldest first. */
  readonly sessions: Map<number, ClientSession>
  readonly byName: Map<string, ClientSession>
  /** Logins that wait for the helper, each with the function that gives up. */
  readonly asking: Map<ClientSession, () => void>
  /** Those of them that control/limits lets wait: they have no process and no second descriptor. */
  readonly delayed: Set<ClientSession>
  /** Those of them whose turn has not come: they have neither as well. */
  readonly turns: Turns<QueuedLogin>
  /** Waits for the next second, in which there are more attempts. */
  nextSecond: NodeJS.Timeout | undefined
  /** Users who may not log in. */
  readonly blocked: Set<string>
  /** Key of what tells one wrong password from another. */
  secret: Uint8Array
  readonly generations: Generations
  readonly counters: Counters
  readonly reporter: Reporter
  readonly reading: Reading
  /** Backends that the helper runs, and those that wait for a later login. */
  readonly cold: BackendSource
  readonly warm: WarmBackends
  readonly handshakes: Handshakes
  readonly limits: LaneLimits
  /** Sessions that have not logged in, the oldest first. */
  readonly beforeLogin: BeforeLogin
  readonly farewells: Farewells
  readonly stages: Stages<ClientSession>
  /** What a client passes before it is a session. */
  door: readonly Step[]
  /** By listener: its open descriptors, and how it is paused. */
  readonly listening: Listening[][]
  readonly pauses: (PauseMode | undefined)[]
  /** Clients in the door: they take a descriptor and a place, too. */
  entering: number
  /** Sessions whose backend runs. */
  serving: number
  refusing: boolean
  /** Its listeners are closed, and it ends with its last session. retire: they take their time; stop: they are told; cut: they have had it. */
  stopping: 'retire' | 'stop' | 'cut' | undefined
  nextId: number
  /** The longest that the last second's ticks came late, in seconds. */
  lag: number
  /** What session.trace follows, and the sessions that it does. */
  traces: readonly ((session: ClientSession) => boolean)[]
  readonly traced: Set<ClientSession>
  /** Ends the task. */
  readonly end: () => void
}

/** What a log line, an event or the session's view says about where it is. */
export const placeOf = (lane: Lane, session: ClientSession) => ({
  lane: lane.start.lane,
  listener: session.settings.listener,
  generation: lane.generations.numberOf(session),
})

const helpersAsked = ({ asking, delayed, turns }: Lane): number => asking.size - delayed.size - turns.waiting

export function publishUse(lane: Lane): void {
  const sessions = lane.sessions.size + lane.entering
  setUse(
    lane.usage,
    lane.slot,
    sessions,
    sessions + helpersAsked(lane) + lane.serving + lane.warm.size(),
    sessions - lane.serving,
  )
}

/** A new session is taken below this share of the descriptors, so that those who are connected can still log in. */
const FOR_NEW_SESSIONS = 0.95

/** Sessions that have not logged in take no more than this share, however many they are. */
const BEFORE_LOGIN = 15 / 16

export const nearlyOutOfDescriptors = (lane: Lane): boolean =>
  descriptorsInUse(lane.usage) >= Math.floor(lane.start.descriptorsForSessions * FOR_NEW_SESSIONS)

export const outOfDescriptors = (lane: Lane): boolean =>
  descriptorsInUse(lane.usage) >= lane.start.descriptorsForSessions

/** There is no room for the clients in the door, who are counted as published. */
export function isFull(lane: Lane): boolean {
  if (beforeLoginInUse(lane.usage) > Math.floor(lane.start.descriptorsForSessions * BEFORE_LOGIN)) return true
  const most = lane.generations.published().config.maxSessions
  return (most > 0 && sessionsInUse(lane.usage) > most) || nearlyOutOfDescriptors(lane)
}

/** Evict parked backends before this share of the processes is taken: evicted ones need a moment to exit. */
const FOR_BACKENDS = 0.9

/** One more backend would exceed this lane's share of processes. */
export function outOfProcesses(lane: Lane): boolean {
  const share = (lane.generations.published().config.chains.maxProcesses * FOR_BACKENDS) / lane.start.lanes
  return helpersAsked(lane) + lane.serving + lane.warm.size() + 1 > share
}

/** Logins under way take no more than half of the lane's share: those who have logged in keep theirs. */
export const mostLogins = (lane: Lane): number =>
  Math.max(1, lane.generations.published().config.chains.maxProcesses / 2 / lane.start.lanes)

/** Ends the parked backends that have waited longest while `short` holds. */
export function evictWhile(lane: Lane, short: (lane: Lane) => boolean): void {
  while (lane.warm.size() > 0 && short(lane)) {
    lane.warm.dropOldest()
    publishUse(lane)
  }
}

/** One that has been silent for less may be about to speak. */
const SILENT_MILLISECONDS = 1000
const LOOKED_AT = 64

/**
 * Ends the oldest session before login that says nothing, for a client of this address that may have something to say: one that has been
 * silent for long enough, or else one of an address that has more of them than the client's. False: there is none.
 */
export function displaceSilent(lane: Lane, ip: string): boolean {
  const now = monotonic()
  let looked = 0
  let most = Math.max(1, lane.beforeLogin.of(ip))
  let crowded: ClientSession | undefined
  for (const [session, address] of lane.beforeLogin.oldestFirst()) {
    looked += 1
    if (looked > LOOKED_AT) break
    if (lane.asking.has(session) || session.streams.closing) continue
    if (now - Math.max(session.started, session.streams.seen) >= SILENT_MILLISECONDS) return displace(session)
    const others = lane.beforeLogin.of(address)
    if (others <= most || session.streams.bytesIn > 0) continue
    most = others
    crowded = session
  }
  return crowded !== undefined && displace(crowded)
}

function displace(session: ClientSession): true {
  const text = notNow(session.settings.dialogue, '4.7.0', 'too many sessions before login')
  session.perform({ do: 'reply', text })
  session.abandon('displaced')
  return true
}

/** A client in the door may still become a session. */
export function endIfIdle(lane: Lane): void {
  if (lane.stopping === undefined || lane.sessions.size > 0) return
  if (lane.entering === 0 || lane.stopping === 'cut') lane.end()
}

export const shutDown = (lane: Lane, session: ClientSession, text: ShutdownText) =>
  lane.stages.post(session, [TAG.shutdown, session.id, text])

/** Seconds that a client may be silent, as the generation of its session has it. */
export function idleSeconds(lane: Lane, { dialogue }: SessionSettings, session?: ClientSession): number {
  const { config } = (session && lane.generations.of(session)) ?? lane.generations.published()
  return dialogue.protocol === 'smtp' ? config.smtpTimeout : config.pop3Timeout
}
