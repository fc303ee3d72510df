// How slow the machine is at the moment, since others may use it: how long a Node that does nothing takes, relative to the best of the run.
import { must } from '../system/run.ts'

export interface Pace {
  /** At least 1. */
  readonly slowness: () => Promise<number>
}

export function startPace(): Pace {
  let best = Number.POSITIVE_INFINITY
  return {
    slowness: async () => {
      const began = performance.now()
      await must([process.execPath, '-e', '0'])
      const took = performance.now() - began
      best = Math.min(best, took)
      return took / best
    },
  }
}
