// The service actor `limits`: one limiter for all lanes. What a lane asks is answered in the same turn.

import { randomBytes } from 'node:crypto'
import type { KeptOverride } from '../contract/daemon.ts'
import { monotonic, ofAllThreads } from '../edge/clock.ts'
import type { LimitsAnswer, LimitsFrame } from '../limits/frames.ts'
import { type KeptLimiter, keptOf, takeKept } from '../limits/kept.ts'
import type { Limits } from '../limits/limit.ts'
import { type Limiter, laneDied, newLimiter, receive, sweepAll, useLimits } from '../limits/limiter.ts'
import { setRate } from '../limits/report.ts'
import { askAlways, newRoom, type Room } from '../limits/room.ts'
import { fillRoom } from '../limits/table.ts'
import type { LaneHandle } from './lane-talk.ts'

const SWEEP_MILLISECONDS = 1000

export interface LimitsService {
  readonly limiter: Limiter
  /** Where lanes see for themselves that there is room. */
  readonly room: Room
  /** Key of what tells one wrong password from another, for all lanes. */
  readonly secret: () => Uint8Array
  /** Milliseconds of its clock, which is older than this process where it has taken over. */
  readonly now: () => number
  /** For the runtime that takes over. */
  readonly kept: () => KeptLimiter
  /** Nobody has taken over. */
  readonly keepOn: () => void
  readonly takeOver: (from: {
    readonly limits: KeptLimiter
    readonly clock: number
    readonly secret: Uint8Array
    readonly overrides: readonly KeptOverride[]
  }) => void
  readonly hear: (lane: LaneHandle, frames: readonly LimitsFrame[]) => void
  /** Called when something has been counted. */
  onCounted: () => void
  readonly died: (lane: LaneHandle) => void
  readonly use: (limits: Limits) => void
  readonly stop: () => void
}

function setRates(limiter: Limiter, overrides: readonly KeptOverride[]): void {
  for (const { method, subject, value } of overrides) {
    const limit = method === 'limit.set' ? limiter.published.limits.find(({ name }) => name === subject) : undefined
    if (limit !== undefined) setRate(limiter, limit, value)
  }
}

/** `overrides`: what limit.set had set in the runtime before. */
export function createLimits(first: Limits, overrides: readonly KeptOverride[]): LimitsService {
  const room = newRoom(process.pid)
  const limiter = newLimiter(room)
  useLimits(limiter, first)
  setRates(limiter, overrides)
  let secret: Uint8Array = randomBytes(32)
  // Windows of hosts with the same time begin together.
  let ahead = Date.now() - monotonic()
  const clock = () => monotonic() + ahead
  const agree = () => {
    limiter.roomAhead = ofAllThreads() - clock()
    sweepAll(limiter, clock())
  }
  agree()
  const sweeping = setInterval(() => sweepAll(limiter, clock()), SWEEP_MILLISECONDS).unref()
  const service: LimitsService = {
    limiter,
    room,
    secret: () => secret,
    now: clock,
    kept: () => {
      askAlways(room, true)
      return keptOf(limiter)
    },
    keepOn: () => askAlways(room, false),
    takeOver(from) {
      ahead = from.clock - monotonic()
      secret = from.secret
      limiter.set.clear()
      setRates(limiter, from.overrides)
      takeKept(limiter, from.limits)
      agree()
      for (const [id, { counts }] of limiter.windows)
        for (const subject of counts.keys()) fillRoom(limiter, id, subject, clock())
    },
    hear(lane, frames) {
      const now = clock()
      const answers: LimitsAnswer[] = []
      for (const frame of frames) {
        const verdict = receive(limiter, String(lane.lane), frame, now)
        if (verdict !== undefined) answers.push([frame[2] as number, verdict])
      }
      if (answers.length > 0) lane.tell('verdicts', answers)
      service.onCounted()
    },
    onCounted: () => undefined,
    died: (lane) => laneDied(limiter, String(lane.lane)),
    use: (limits) => useLimits(limiter, limits),
    stop: () => clearInterval(sweeping),
  }
  return service
}
