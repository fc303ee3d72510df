// A clock that a test moves: the monotonic one of this thread, with every timer of a second or more that is started from now on.

const LONG = 1000

interface Timer {
  readonly call: () => void
  /** Milliseconds; undefined: once. */
  readonly every: number | undefined
  due: number
}

/** Returns the function that moves the clock by so many milliseconds. `runs`: it also advances in real time, and so do the timers. */
export function stepClock({ runs = false } = {}): (milliseconds: number) => void {
  const { setTimeout: once, setInterval: often, clearTimeout, clearInterval } = globalThis
  const begun = performance.now()
  const now = runs ? performance.now.bind(performance) : () => begun
  let ahead = 0
  performance.now = () => now() + ahead
  const timers = new Map<unknown, Timer>()

  const start = (call: () => void, milliseconds: number, isInterval: boolean): NodeJS.Timeout => {
    const go = () => {
      timer.due = performance.now() + milliseconds
      if (!isInterval) timers.delete(handle)
      call()
    }
    const timer: Timer = {
      call: go,
      every: isInterval ? milliseconds : undefined,
      due: performance.now() + milliseconds,
    }
    // Even a timer that never fires on its own keeps a process alive, or does not.
    const own = runs ? go : () => undefined
    const handle: NodeJS.Timeout = isInterval ? often(own, milliseconds) : once(own, runs ? milliseconds : 2 ** 31 - 1)
    timers.set(handle, timer)
    return handle
  }
  const patched =
    (isInterval: boolean, real: typeof once) =>
    (call: (...given: unknown[]) => void, milliseconds = 0, ...given: unknown[]) =>
      milliseconds < LONG ? real(call, milliseconds, ...given) : start(() => call(...given), milliseconds, isInterval)
  const cleared = (real: typeof clearTimeout) => (handle: NodeJS.Timeout | undefined) => {
    timers.delete(handle)
    real(handle)
  }
  Object.assign(globalThis, {
    setTimeout: patched(false, once),
    setInterval: patched(true, often as typeof once),
    clearTimeout: cleared(clearTimeout),
    clearInterval: cleared(clearInterval),
  })
  return (milliseconds) => {
    ahead += milliseconds
    const due = [...timers].filter(([, timer]) => timer.due <= performance.now())
    for (const [handle, timer] of due) {
      if (timer.every === undefined) clearTimeout(handle as NodeJS.Timeout)
      timer.call()
    }
  }
}
