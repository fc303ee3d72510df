// Two clocks: every decision (a timeout, an age, a rate) uses the monotonic one; the wall clock, which an administrator or ntpd
// may set, is for what people read.

/** Milliseconds since some moment of this thread. */
export const monotonic = (): number => performance.now()

/** The second of the system's monotonic clock, which all threads and the helper share, and how many milliseconds are left of it. */
export function systemSecond(): { readonly second: number; readonly left: number } {
  const [second, nanoseconds] = process.hrtime()
  return { second, left: 1000 - Math.floor(nanoseconds / 1e6) }
}

/** A thread's own clock begins when it does. */
const begun = Number(process.hrtime.bigint()) / 1e6 - performance.now()

/** Milliseconds since some moment of this machine, the same in all threads. */
export const ofAllThreads = (): number => begun + performance.now()

/** Differences of the two clocks below this are slewing, which must not make a time that is shown twice differ. */
const STEP_MILLISECONDS = 100
let offset = performance.timeOrigin

/** A moment of the monotonic clock in milliseconds since 1970, as the wall clock has it now: an age that is counted from it is right even after the clock was set. */
export function wallTime(moment: number): number {
  const difference = Date.now() - performance.now()
  if (Math.abs(difference - offset) > STEP_MILLISECONDS) offset = difference
  return Math.round(offset + moment)
}
