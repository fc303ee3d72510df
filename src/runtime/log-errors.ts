// The last warnings and errors of the main thread and its lanes, for log.errors: in memory, for as long as the runtime lives.

import { LOG_ERRORS_KEPT, type LogError, type LogErrors } from '../contract/log.ts'

export interface KeptErrors {
  readonly add: (errors: readonly LogError[]) => void
  readonly all: () => LogErrors
}

export function createLogErrors(): KeptErrors {
  const began = Date.now()
  // Lanes report ten times a second, so they come a little out of order.
  const newest = () => kept.toSorted((a, b) => a.at - b.at).slice(-LOG_ERRORS_KEPT)
  let kept: LogError[] = []
  let lost = false
  return {
    add(errors) {
      // Not as arguments of one call: a lane sends up to two thousand.
      for (const error of errors) kept.push(error)
      if (kept.length <= 2 * LOG_ERRORS_KEPT) return
      kept = newest()
      lost = true
    },
    all() {
      const errors = newest()
      const complete = !lost && errors.length === kept.length
      return { errors, since: complete ? began : (errors[0]?.at ?? began) }
    },
  }
}
