// Counts within a sliding window, of so many subjects at most.
//
//   a window of an hour is ten parts of six minutes; the eleven parts that any hour can touch are counted together, so that no hour,
//   whenever it begins, has more than is allowed. A count is forgotten up to a part later than an exact log would.

export const PARTS = 10

interface Count {
  /** Number of its newest part. */
  part: number
  /** By number of the part modulo their number. */
  readonly parts: number[]
  sum: number
}

export interface Windows {
  readonly seconds: number
  /** Subjects that are remembered. */
  most: number
  readonly counts: Map<string, Count>
  /** Goes round the counts: a new iterator would step over all that was deleted before. */
  hand: Iterator<[string, Count]>
  swept: number
  forgotten: number
}

export function newWindows(seconds: number, most: number): Windows {
  const counts = new Map<string, Count>()
  return { seconds, most, counts, hand: counts.entries(), swept: 0, forgotten: 0 }
}

/** `now` in milliseconds of the monotonic clock. */
const partAt = ({ seconds }: Windows, now: number): number => Math.floor((now * PARTS) / (seconds * 1000))

function advance(count: Count, part: number): void {
  const steps = Math.min(part - count.part, PARTS + 1)
  for (let i = 1; i <= steps; i += 1) {
    const at = (count.part + i) % (PARTS + 1)
    count.sum -= count.parts[at] ?? 0
    count.parts[at] = 0
  }
  if (part > count.part) count.part = part
}

/** How much the window that ends now has. */
export function inWindow(windows: Windows, subject: string, now: number): number {
  const count = windows.counts.get(subject)
  if (count === undefined) return 0
  advance(count, partAt(windows, now))
  return count.sum
}

/** Answers the part in which it was counted, for `takeBack`. */
export function addTo(windows: Windows, subject: string, n: number, now: number): number {
  const part = partAt(windows, now)
  let count = windows.counts.get(subject)
  if (count === undefined) {
    if (windows.counts.size >= windows.most) forgetOne(windows, part)
    count = { part, parts: Array<number>(PARTS + 1).fill(0), sum: 0 }
    windows.counts.set(subject, count)
  } else advance(count, part)
  const at = count.part % (PARTS + 1)
  count.parts[at] = (count.parts[at] ?? 0) + n
  count.sum += n
  return count.part
}

export function takeBack(windows: Windows, subject: string, n: number, part: number): void {
  const count = windows.counts.get(subject)
  if (count === undefined || count.part - part > PARTS) return
  const at = part % (PARTS + 1)
  const back = Math.min(n, count.parts[at] ?? 0)
  count.parts[at] = (count.parts[at] ?? 0) - back
  count.sum -= back
}

/** Seconds until something of the window is forgotten. */
export function retryAfter(windows: Windows, subject: string, now: number): number {
  const count = windows.counts.get(subject)
  if (count === undefined) return 0
  const length = (windows.seconds * 1000) / PARTS
  for (let part = count.part - PARTS; part <= count.part; part += 1) {
    if (part >= 0 && (count.parts[part % (PARTS + 1)] ?? 0) > 0)
      return Math.max(1, Math.ceil(((part + PARTS + 1) * length - now) / 1000))
  }
  return 0
}

/** Subjects looked at to find the one that is forgotten. */
const LOOKED_AT = 8

/**
 * Of the next few the one with the least is forgotten: an attacker with a million addresses pushes out addresses that have done nothing,
 * not the one that has nearly reached its limit.
 */
function forgetOne(windows: Windows, part: number): void {
  let least = ''
  let sum = Number.POSITIVE_INFINITY
  for (let looked = 0; looked < LOOKED_AT && sum > 0; looked += 1) {
    let next = windows.hand.next()
    if (next.done === true) {
      windows.hand = windows.counts.entries()
      next = windows.hand.next()
    }
    if (next.done === true) break
    const [subject, count] = next.value
    advance(count, part)
    if (count.sum >= sum) continue
    least = subject
    sum = count.sum
  }
  windows.counts.delete(least)
  if (sum > 0) windows.forgotten += 1
}

/** Drops what is older than the window; at most once a part. */
export function sweep(windows: Windows, now: number): void {
  const part = partAt(windows, now)
  if (part === windows.swept) return
  windows.swept = part
  for (const [subject, count] of windows.counts) {
    advance(count, part)
    if (count.sum === 0) windows.counts.delete(subject)
  }
}
