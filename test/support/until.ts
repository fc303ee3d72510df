// Waiting in tests: for a condition, or for a promise with a deadline. Nothing else of the tests polls.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** The real one, whatever a test does to the clock. */
const now = performance.now.bind(performance)

export interface Patience {
  /** Milliseconds. */
  readonly timeout?: number
  /** Milliseconds between two checks. */
  readonly every?: number
  /** What the error shows in addition. */
  readonly show?: () => string
}

/** Checks until the result is neither false nor undefined, and returns it; throws an error that names `what`. */
export async function until(what: string, ask: () => boolean | Promise<boolean>, patience?: Patience): Promise<void>
export async function until<T>(
  what: string,
  ask: () => T | false | undefined | Promise<T | false | undefined>,
  patience?: Patience,
): Promise<T>
export async function until<T>(
  what: string,
  ask: () => T | false | undefined | Promise<T | false | undefined>,
  { timeout = 10_000, every = 5, show }: Patience = {},
): Promise<T> {
  const end = now() + timeout
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined) return answer
    if (now() > end)
      throw new Error(`waited ${timeout} ms in vain for ${what}${show === undefined ? '' : `\n${show()}`}`)
    // What is checked is in another process or thread, or in the kernel, and sends no event.
    await sleep(every)
  }
}

/** The promise, or an error that names `what` when it takes longer than so many milliseconds. */
export async function within<T>(what: string, promise: Promise<T>, timeout = 10_000): Promise<T> {
  const over = AbortSignal.timeout(timeout)
  const late = once(over, 'abort').then(() => Promise.reject(new Error(`waited ${timeout} ms in vain for ${what}`)))
  return Promise.race([promise, late])
}
