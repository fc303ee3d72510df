// The lanes that run: started on leased descriptors, watched by pings, replaced when they die or are recycled.

import type { PauseMode } from '../contract/daemon.ts'
import { monotonic } from '../edge/clock.ts'
import type { LogFields } from '../edge/log.ts'
import type { LaneStart, QuestionName, Questions } from '../lane/messages.ts'
import type { LaneHandle } from './lane-talk.ts'
import { giveBack, type Leases, lease, leaseSoon } from './leases.ts'
import type { OwnLane, Pool } from './pool.ts'
import { absorb, type Totals } from './totals.ts'

const PING_SECONDS = 1
const MISSED_PINGS = 3
/** A thread loads and compiles before it answers for the first time. */
const STARTING_MILLISECONDS = 10_000
/** A lane that could not be replaced is tried again. */
const AGAIN_MILLISECONDS = 1000
/** One that was recycled and has no sessions is gone by then. */
const GONE_MILLISECONDS = 2000

/** What every lane gets at its start, without what differs from lane to lane. */
export type LaneSettings = Omit<LaneStart, 'boot' | 'lane' | 'place' | 'descriptors'>

export interface Crew {
  readonly pool: Pool
  readonly places: number
  readonly leases: Leases
  readonly settings: () => LaneSettings
  readonly log: (level: 'error' | 'info' | 'debug', event: string, fields: LogFields) => void
  /** One more death is counted. */
  readonly died: () => void
  /** A lane runs: it is to be told what is wanted of it. */
  readonly started: (lane: LaneHandle) => void
  /** By place. */
  readonly lanes: Map<number, OwnLane>
  /** Replaced, with sessions that have not ended. */
  readonly draining: Set<OwnLane>
  /** Lanes of former runtimes. */
  readonly former: () => readonly LaneHandle[]
  /** By place. */
  readonly deaths: Map<number, number>
  readonly totals: Totals
  /** Of the lane that was started last. */
  lastNumber: number
  readonly missed: WeakMap<LaneHandle, number>
  stopping: boolean
  /** Lanes do not listen before they are told to. */
  standby: boolean
}

/** Of this process. */
export const ownLanes = ({ lanes, draining }: Crew): readonly OwnLane[] =>
  [...lanes.values(), ...draining].filter((lane) => lane.state !== 'dead')

export const liveLanes = (crew: Crew): readonly LaneHandle[] => [
  ...ownLanes(crew),
  ...crew.former().filter((lane) => lane.state !== 'dead'),
]

function startOn(crew: Crew, place: number, number: number, descriptors: LaneStart['descriptors']): OwnLane {
  crew.lastNumber = Math.max(crew.lastNumber, number)
  const lane = crew.pool.start({ ...crew.settings(), lane: number, place, descriptors })
  crew.lanes.set(place, lane)
  crew.started(lane)
  return lane
}

/** With the descriptors that are there. */
export function startLane(crew: Crew, place: number, number: number): void {
  const descriptors = lease(crew.leases)
  if (descriptors === undefined) crew.log('error', 'descriptors-used-up', { lane: place })
  else startOn(crew, place, number, descriptors)
}

/** A lane has ended: as it was told to, or it is replaced. */
export function laneEnded(crew: Crew, lane: LaneHandle, why: string): void {
  absorb(crew.totals, lane.heard)
  crew.draining.delete(lane as OwnLane)
  if (crew.lanes.get(lane.place) !== lane) {
    if (why !== '') crew.log('error', 'lane-died', { lane: lane.lane, why })
    return
  }
  if (crew.stopping) {
    crew.lanes.delete(lane.place)
    return
  }
  crew.deaths.set(lane.place, (crew.deaths.get(lane.place) ?? 0) + 1)
  crew.died()
  crew.log('error', 'lane-died', { lane: lane.lane, why: why === '' ? 'ended by itself' : why })
  void replace(crew, lane as OwnLane)
}

/** The others go on meanwhile; the dead one keeps its place until there is another. */
async function replace(crew: Crew, dead: OwnLane): Promise<void> {
  const { lane, place } = dead
  const descriptors = await leaseSoon(crew.leases)
  if (crew.stopping || crew.lanes.get(place) !== dead) return
  if (descriptors !== undefined) {
    startOn(crew, place, lane, descriptors)
    return
  }
  crew.log('error', 'descriptors-used-up', { lane, again_ms: AGAIN_MILLISECONDS })
  setTimeout(() => void replace(crew, dead), AGAIN_MILLISECONDS).unref()
}

export type NotRecycled = 'no-such-lane' | 'still-draining' | 'no-descriptors'

/** Starts a lane with a number of its own in the place of this one, which finishes its sessions. */
export async function recycleLane(crew: Crew, number: number): Promise<LaneHandle | NotRecycled> {
  await oneGone(crew)
  const old = [...crew.lanes.values()].find(({ lane }) => lane === number)
  if (old === undefined) return 'no-such-lane'
  // There are threads for twice as many lanes as there are places.
  if (crew.draining.size >= crew.lanes.size) return 'still-draining'
  const descriptors = await leaseSoon(crew.leases)
  if (crew.stopping || crew.lanes.get(old.place) !== old) {
    if (descriptors !== undefined) giveBack(crew.leases, descriptors)
    return 'no-such-lane'
  }
  if (descriptors === undefined) return 'no-descriptors'
  if (old.state !== 'dead') {
    old.state = 'draining'
    crew.draining.add(old)
  }
  const next = startOn(crew, old.place, crew.lastNumber + 1, descriptors)
  await next.settled
  void old.ask('retire', null).catch(() => undefined)
  return next
}

/** Waits for one to end if as many drain as are allowed. */
async function oneGone({ draining, lanes }: Crew): Promise<void> {
  if (draining.size < lanes.size) return
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GONE_MILLISECONDS)
  })
  await Promise.race([late, ...[...draining].map(({ gone }) => gone)])
  clearTimeout(timer)
}

/** A lane that misses three pings is spinning or out of memory: it is ended and replaced; no other lane notices. */
export function startPings(crew: Crew): () => void {
  const timer = setInterval(() => {
    for (const lane of liveLanes(crew)) ping(crew, lane)
  }, PING_SECONDS * 1000)
  return () => clearInterval(timer)
}

function ping({ missed }: Crew, lane: LaneHandle): void {
  if (lane.state === 'starting' && monotonic() - lane.began < STARTING_MILLISECONDS) return
  const count = (missed.get(lane) ?? 0) + 1
  missed.set(lane, count)
  if (count > 1 && lane.state === 'running') lane.state = 'silent'
  if (count > MISSED_PINGS) {
    lane.end('silent')
    return
  }
  lane.ask('ping', null, PING_SECONDS * (MISSED_PINGS + 1)).then(
    (counted) => {
      lane.heard.counted = counted
      missed.set(lane, 0)
      if (lane.state === 'silent') lane.state = 'running'
    },
    () => undefined,
  )
}

/** Asks every lane; those that do not answer are named. */
export async function askLanes<Q extends QuestionName>(
  crew: Crew,
  question: Q,
  ask: Questions[Q]['ask'],
): Promise<{ readonly answers: readonly Questions[Q]['answer'][]; readonly silent: readonly number[] }> {
  const lanes = liveLanes(crew)
  const settled = await Promise.allSettled(lanes.map((lane) => lane.ask(question, ask)))
  const answers: Questions[Q]['answer'][] = []
  const silent: number[] = []
  settled.forEach((one, i) => {
    if (one.status === 'fulfilled') answers.push(one.value)
    else silent.push(lanes[i]?.lane ?? 0)
  })
  return { answers, silent }
}

export async function pauseListener(crew: Crew, listener: number, mode: PauseMode | undefined): Promise<void> {
  await Promise.allSettled(liveLanes(crew).map((lane) => lane.ask('pause', { listener, mode: mode ?? null })))
}

/** Resolves when the last lane has ended; what has not by then is ended with its threads. */
export async function stopCrew(crew: Crew, graceSeconds: number): Promise<void> {
  crew.stopping = true
  const lanes = liveLanes(crew)
  await Promise.allSettled(lanes.map((lane) => lane.ask('stop', { grace: graceSeconds })))
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, (graceSeconds + 5) * 1000)
  })
  await Promise.race([late, Promise.all(lanes.map((lane) => lane.gone))])
  clearTimeout(timer)
  await crew.pool.close()
}
