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

/** What the history takes from the machine: the wall clock in milliseconds, and a call after so many milliseconds. */
export interface HistoryClock {
  readonly now: () => number
  readonly later: (run: () => void, milliseconds: number) => void
}

const CLOCK: HistoryClock = {
  now: Date.now,
  later: (run, milliseconds) => void setTimeout(run, milliseconds).unref(),
}

/** `hear` gets each event in order. Numbers begin with the time, so that a later runtime goes on above an earlier one. */
export function createHistory(hear: (event: NumberedEvent) => void, clock: HistoryClock = CLOCK): History {
  const first = clock.now() * 1000
  let next = first + 1
  let ring: NumberedEvent[] = []
  /** In order, to be told by turns. */
  let settled: DaemonEvent[] = []
  let waiting: DaemonEvent[] = []
  let asleep = true

  const wake = (milliseconds: number): void => {
    asleep = false
    clock.later(settle, milliseconds)
  }
  const settle = (): void => {
    asleep = true
    if (settled.length === 0) {
      const until = clock.now() - SETTLED_MILLISECONDS
      // The sort is stable: events of one millisecond stay as they came.
      settled = waiting.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)
      waiting = waiting.filter(({ at }) => at > until)
    }
    const told = settled.slice(0, TOGETHER)
    settled = settled.slice(TOGETHER)
    for (const event of told) {
      const numbered = { ...event, seq: next++ }
      ring.push(numbered)
      hear(numbered)
    }
    // Cut now and then, not at every event.
    if (ring.length > EVENTS_KEPT * 1.1) ring = ring.slice(-EVENTS_KEPT)
    if (settled.length > 0) wake(0)
    else if (waiting.length > 0) wake(SETTLED_MILLISECONDS / 3)
  }

  return {
    add(event) {
      waiting.push(event)
      if (asleep) wake(SETTLED_MILLISECONDS + 1)
    },
    after(seq, most = EVENTS_KEPT) {
      // A number above ours is of an earlier runtime whose clock was ahead: all that there is has come after it. None has had 0.
      const restarted = (seq > 0 && seq < first) || seq >= next
      const seen = restarted ? first : Math.max(seq, first)
      const from = Math.max(0, ring.length - EVENTS_KEPT)
      const oldest = ring[from]?.seq ?? next
      const at = from + Math.max(0, seen + 1 - oldest)
      return {
        events: ring.slice(at, at + most),
        missed: Math.max(0, oldest - seen - 1),
        ...(restarted && { restarted: first }),
      }
    },
    last: () => next - 1,
  }
}
