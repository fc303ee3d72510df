// The last warnings and errors of acceptd, its runtimes and their lanes, for log.errors: in memory, and in a file for the next runtime.

import { LOG_ERRORS_KEPT, type LogError, type LogErrors } from '../contract/log.ts'
import type { ErrorsFile } from '../edge/errors-file.ts'

export interface KeptErrors {
  readonly add: (errors: readonly LogError[]) => void
  readonly all: () => LogErrors
  /** Takes what an earlier runtime left, and keeps what comes for the next one: nobody else does any more. */
  readonly goOn: () => void
  readonly saved: () => Promise<void>
}

export function createLogErrors(file?: ErrorsFile): KeptErrors {
  // Lanes report ten times a second, so they come a little out of order.
  const newest = () => kept.toSorted((a, b) => a.at - b.at).slice(-LOG_ERRORS_KEPT)
  let since = Date.now()
  let kept: LogError[] = []
  let lost = false
  let isSaved = false

  function all(): LogErrors {
    const errors = newest()
    const complete = !lost && errors.length === kept.length
    return { errors, since: complete ? since : (errors[0]?.at ?? since) }
  }

  return {
    add(errors) {
      // Not as arguments of one call: a lane sends up to two thousand.
      for (const error of errors) kept.push(error)
      if (isSaved) file?.append(errors, all)
      if (kept.length <= 2 * LOG_ERRORS_KEPT) return
      kept = newest()
      lost = true
    },
    all,
    goOn() {
      const left = file?.read()
      const own = kept
      kept = [...(left?.errors ?? []), ...own]
      since = left?.since ?? since
      isSaved = true
      file?.append(own, all)
    },
    saved: () => file?.saved() ?? Promise.resolve(),
  }
}
