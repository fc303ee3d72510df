// The last events, in the order of their time and numbered, for those who hear them now and those who ask what they have missed.
//
//   lanes, ten times a second ─┐
//   main thread ───────────────┴─> waiting ── 150 ms ──> in order, numbered ──> ring, subscribers

import type { DaemonEvent, NumberedEvent, Replay } from '../contract/events.ts'

export const EVENTS_KEPT = 10_000
/** Lanes report ten times a second: what is older has come from all of them. */
const SETTLED_MILLISECONDS = 150

/** Told in one turn, so that a subscriber that reads can keep up with a burst. */
const TOGETHER = 200

export interface History {
  readonly add: (event: DaemonEvent) => void
  readonly after: (seq: number, most?: number) => Replay
  /** Of the newest event. */
  readonly last: () => number
}

/** `hear` gets each event in order. Numbers begin with the time, so that a later runtime goes on above an earlier one. */
export function createHistory(hear: (event: NumberedEvent) => void, now: () => number = Date.now): History {
  const first = now() * 1000
  let next = first + 1
  let ring: NumberedEvent[] = []
  let waiting: DaemonEvent[] = []
  let timer: NodeJS.Timeout | undefined

  const settle = (): void => {
    timer = undefined
    const until = now() - SETTLED_MILLISECONDS
    // The sort is stable: events of one millisecond stay as they came.
    const all = waiting.toSorted((a, b) => a.at - b.at)
    const settled = all.filter(({ at }) => at <= until)
    waiting = all.slice(Math.min(settled.length, TOGETHER))
    for (const event of settled.slice(0, TOGETHER)) {
      const numbered = { ...event, seq: next++ }
      ring.push(numbered)
      hear(numbered)
    }
    // Cut now and then, not at every event.
    if (ring.length > EVENTS_KEPT * 1.1) ring = ring.slice(-EVENTS_KEPT)
    const more = settled.length > TOGETHER
    if (waiting.length > 0) timer = setTimeout(settle, more ? 0 : SETTLED_MILLISECONDS / 3).unref()
  }

  return {
    add(event) {
      waiting.push(event)
      if (timer === undefined) timer = setTimeout(settle, SETTLED_MILLISECONDS + 1).unref()
    },
    after(seq, most = EVENTS_KEPT) {
      const from = Math.max(0, ring.length - EVENTS_KEPT)
      const oldest = ring[from]?.seq ?? next
      const at = from + Math.max(0, seq + 1 - oldest)
      const events = ring.slice(at, at + most)
      return { events, missed: Math.max(0, oldest - Math.max(seq, first) - 1) }
    },
    last: () => next - 1,
  }
}
