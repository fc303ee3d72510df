import assert from 'node:assert/strict'
import type { Result } from 'neverthrow'

/** What a Result holds; an error fails the test and is shown. */
export function held<T>(result: Result<T, unknown>): T {
  if (result.isErr()) assert.fail(JSON.stringify(result.error))
  return result.value
}
