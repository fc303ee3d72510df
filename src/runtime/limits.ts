// The service actor `limits`: one limiter for all lanes. What a lane asks is answered in the same turn.

import { randomBytes } from 'node:crypto'
import type { KeptOverride } from '../contract/daemon.ts'
import { monotonic } from '../edge/clock.ts'
import type { LimitsAnswer, LimitsFrame } from '../limits/frames.ts'
import type { Limits } from '../limits/limit.ts'
import { type Limiter, laneDied, newLimiter, receive, sweepAll, useLimits } from '../limits/limiter.ts'
import { setRate } from '../limits/report.ts'
import type { LaneHandle } from './pool.ts'

const SWEEP_MILLISECONDS = 1000

export interface LimitsService {
  readonly limiter: Limiter
  /** Key of what tells one wrong password from another, for all lanes. */
  readonly secret: Uint8Array
  readonly hear: (lane: LaneHandle, frames: readonly LimitsFrame[]) => void
  readonly died: (lane: LaneHandle) => void
  readonly use: (limits: Limits) => void
  readonly stop: () => void
}

/** `overrides`: what limit.set had set in the runtime before. */
export function createLimits(first: Limits, overrides: readonly KeptOverride[]): LimitsService {
  const limiter = newLimiter()
  useLimits(limiter, first)
  for (const { method, subject, value } of overrides) {
    const limit = method === 'limit.set' ? first.limits.find(({ name }) => name === subject) : undefined
    if (limit !== undefined) setRate(limiter, limit, value)
  }
  const sweeping = setInterval(() => sweepAll(limiter, monotonic()), SWEEP_MILLISECONDS).unref()
  return {
    limiter,
    secret: randomBytes(32),
    hear(lane, frames) {
      const now = monotonic()
      const answers: LimitsAnswer[] = []
      for (const frame of frames) {
        const verdict = receive(limiter, String(lane.lane), frame, now)
        if (verdict !== undefined) answers.push([frame[2] as number, verdict])
      }
      if (answers.length > 0) lane.tell('verdicts', answers)
    },
    died: (lane) => laneDied(limiter, String(lane.lane)),
    use: (limits) => useLimits(limiter, limits),
    stop: () => clearInterval(sweeping),
  }
}
