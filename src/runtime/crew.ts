// The lanes that run: started on leased descriptors, watched by pings, replaced when they die or are recycled.

import type { PauseMode } from '../contract/daemon.ts'
import { monotonic } from '../edge/clock.ts'
import type { LogFields } from '../edge/log.ts'
import type { LaneStart, QuestionName, Questions } from '../lane/messages.ts'
import { type Leases, lease, leaseSoon } from './leases.ts'
import type { LaneHandle, Pool } from './pool.ts'

const PING_SECONDS = 1
const MISSED_PINGS = 3
/** A thread loads and compiles before it answers for the first time. */
const STARTING_MILLISECONDS = 10_000
/** A lane that could not be replaced is tried again. */
const AGAIN_MILLISECONDS = 1000
/** Sessions of a lane that was recycled may take so long. */
const RECYCLED_SECONDS = 3600

/** What a lane is told when it starts, but for what each has of its own. */
export type LaneSettings = Omit<LaneStart, 'boot' | 'lane' | 'descriptors'>

export interface Crew {
  readonly pool: Pool
  readonly leases: Leases
  readonly settings: () => LaneSettings
  readonly log: (level: 'error' | 'info' | 'debug', event: string, fields: LogFields) => void
  /** One more death is counted. */
  readonly died: () => void
  /** A lane runs: it is to be told what is wanted of it. */
  readonly started: (lane: LaneHandle) => void
  readonly lanes: Map<number, LaneHandle>
  /** Replaced, with sessions that have not ended. */
  readonly draining: Set<LaneHandle>
  readonly deaths: Map<number, number>
  readonly missed: WeakMap<LaneHandle, number>
  stopping: boolean
}

export const liveLanes = ({ lanes, draining }: Crew): readonly LaneHandle[] =>
  [...lanes.values(), ...draining].filter((lane) => lane.state !== 'dead')

function startOn(crew: Crew, number: number, descriptors: LaneStart['descriptors']): LaneHandle {
  const lane = crew.pool.start({ ...crew.settings(), lane: number, descriptors })
  crew.lanes.set(number, lane)
  crew.started(lane)
  return lane
}

/** With the descriptors that are there, for the runtime's start. */
export function startLane(crew: Crew, number: number): void {
  const descriptors = lease(crew.leases)
  if (descriptors === undefined) crew.log('error', 'descriptors-used-up', { lane: number })
  else startOn(crew, number, descriptors)
}

/** A lane has ended: as it was told to, or it is replaced. */
export function laneEnded(crew: Crew, lane: LaneHandle, why: string): void {
  crew.draining.delete(lane)
  if (crew.lanes.get(lane.lane) !== lane) return
  if (crew.stopping) {
    crew.lanes.delete(lane.lane)
    return
  }
  crew.deaths.set(lane.lane, (crew.deaths.get(lane.lane) ?? 0) + 1)
  crew.died()
  crew.log('error', 'lane-died', { lane: lane.lane, why: why === '' ? 'ended by itself' : why })
  void replace(crew, lane)
}

/** The others go on meanwhile; the dead one keeps its place until there is another. */
async function replace(crew: Crew, dead: LaneHandle): Promise<void> {
  const { lane } = dead
  const descriptors = await leaseSoon(crew.leases)
  if (crew.stopping || crew.lanes.get(lane) !== dead) return
  if (descriptors !== undefined) {
    startOn(crew, lane, descriptors)
    return
  }
  crew.log('error', 'descriptors-used-up', { lane, again_ms: AGAIN_MILLISECONDS })
  setTimeout(() => void replace(crew, dead), AGAIN_MILLISECONDS).unref()
}

/** Starts another lane in the place of this one, which finishes its sessions; undefined if there is nothing to listen on. */
export async function recycleLane(crew: Crew, number: number): Promise<LaneHandle | undefined> {
  const descriptors = await leaseSoon(crew.leases)
  if (descriptors === undefined) return undefined
  const old = crew.lanes.get(number)
  const next = startOn(crew, number, descriptors)
  if (old === undefined || old.state === 'dead') return next
  old.state = 'draining'
  crew.draining.add(old)
  await next.settled
  void old.ask('stop', { grace: RECYCLED_SECONDS }).catch(() => undefined)
  return next
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
    () => {
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
