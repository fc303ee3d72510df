// Lanes of runtimes that have been upgraded and finish their sessions: for this main thread they are lanes like its own, that take no clients.
//
//   former runtime: its main thread passes on what a lane says <── acceptd ──> this one: FormerLane
//
// Their program may be an older one: what it does not understand of us, it answers with an error, and nobody waits for more.

import { monotonic } from '../edge/clock.ts'
import type { ToLane } from '../lane/messages.ts'
import { encodeMessage } from '../session/codec.ts'
import { decode64, encode64, type FormerSays, type LaneKept, laneKept, type ServingSays } from './baton.ts'
import { type LaneHandle, LaneTalk, type PoolEvents } from './lane-talk.ts'

/** Seconds to the next boundary of a session, as at a stop. */
const GRACE_SECONDS = 60

const stopLane = (lane: LaneHandle): Promise<unknown> =>
  lane.ask('stop', { grace: GRACE_SECONDS }).catch(() => undefined)

type Send = (pid: number, message: ServingSays) => void

class FormerLane extends LaneTalk {
  readonly pid: number
  /** When it gave way. */
  readonly since: number
  private readonly send: Send

  constructor(kept: LaneKept, now: number, events: PoolEvents, send: Send) {
    const { pid, age, retired, counted, hits, ...facts } = kept
    super({ ...facts, began: now - age, heard: { counted, hits }, state: 'draining' }, events)
    this.pid = pid
    this.since = now - retired
    this.send = send
  }

  post(message: ToLane): void {
    this.send(this.pid, { lane: this.lane, bytes: encode64(encodeMessage(message)) })
  }

  end(why: string): void {
    this.send(this.pid, { end: this.lane, why })
  }
}

export interface Formers {
  readonly lanes: () => readonly LaneHandle[]
  /** For the next main thread. */
  readonly kept: (now: number) => readonly LaneKept[]
  /** Processes that have not ended. */
  readonly processes: () => number
  readonly add: (kept: readonly LaneKept[]) => void
  /** Undefined: the process has ended. */
  readonly hear: (pid: number, message: FormerSays | undefined) => void
  /** Another one serves by now. */
  readonly forget: () => void
}

/** `longest`: seconds that a lane's sessions may go on. */
export function createFormers(
  send: Send,
  events: PoolEvents,
  { added, longest }: { readonly added: (lane: LaneHandle) => void; readonly longest: () => number },
): Formers {
  const all = new Map<number, Map<number, FormerLane>>()

  function add(kept: readonly LaneKept[]): void {
    for (const one of kept) {
      const lanes = all.get(one.pid) ?? new Map<number, FormerLane>()
      all.set(one.pid, lanes)
      if (lanes.has(one.lane)) continue
      const now = monotonic()
      const lane = new FormerLane(one, now, events, send)
      lanes.set(one.lane, lane)
      added(lane)
      const left = longest() * 1000 - (now - lane.since)
      setTimeout(() => void stopLane(lane), Math.max(0, left)).unref()
    }
  }

  return {
    lanes: () => [...all.values()].flatMap((lanes) => [...lanes.values()]),
    kept: (now) =>
      [...all.values()].flatMap((lanes) =>
        [...lanes.values()].map((lane) => laneKept(lane, lane.pid, now, now - lane.since)),
      ),
    processes: () => all.size,
    add,
    hear(pid, message) {
      const lanes = all.get(pid)
      if (message === undefined) {
        all.delete(pid)
        for (const lane of lanes?.values() ?? []) lane.over('its runtime has ended')
      } else if ('announced' in message) add(message.announced)
      else if ('said' in message) lanes?.get(message.said)?.hear(decode64(message.bytes))
      else {
        const lane = lanes?.get(message.gone)
        lanes?.delete(message.gone)
        lane?.over(message.why)
      }
    },
    forget: () => all.clear(),
  }
}
