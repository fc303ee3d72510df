// Who hears what the lanes say: the log, subscribers of events, traces; and what the lanes therefore have to say.

import type { LogLevel, TraceLine, TraceRequest } from '../contract/daemon.ts'
import type { DaemonEvent, NumberedEvent, Replay } from '../contract/events.ts'
import type { LogErrors, LogLevels } from '../contract/log.ts'
import { sessionMatcher } from '../contract/pages.ts'
import { monotonic } from '../edge/clock.ts'
import { isLogged, type LogFields, logError, logLine } from '../edge/log.ts'
import { createHistory, type History } from './history.ts'
import type { LaneHandle } from './lane-talk.ts'
import type { KeptErrors } from './log-errors.ts'

type Tracer = (lines: readonly TraceLine[]) => void

/** A trace hears once every lane has begun with it: what they had gathered before is not for it. */
type Begun = TraceRequest & { begun: boolean }

export interface Audience {
  readonly write: (text: string) => void
  readonly subscribers: Set<(event: NumberedEvent) => void>
  readonly history: History
  readonly errors: KeptErrors
  /** Of the monotonic clock: lanes tell their events until then, though nobody hears them, for a subscriber who comes back. */
  keepUntil: number
  readonly tracers: Map<Tracer, Begun>
  levels: LogLevels
}

/** Events go on being kept so long after the last subscriber has left, and after a runtime that died. */
const KEEP_MILLISECONDS = 10 * 60_000

export function newAudience(
  write: (text: string) => void,
  levels: LogLevels,
  { restarts, standby }: { readonly restarts: number; readonly standby?: boolean },
  errors: KeptErrors,
): Audience {
  if (standby !== true) errors.goOn()
  const subscribers = new Set<(event: NumberedEvent) => void>()
  return {
    write,
    subscribers,
    history: createHistory((event) => {
      for (const hear of subscribers) hear(event)
    }),
    errors,
    keepUntil: restarts > 0 || standby === true ? monotonic() + KEEP_MILLISECONDS : 0,
    tracers: new Map(),
    levels,
  }
}

export function log({ write, levels, errors }: Audience, at: LogLevel, event: string, fields: LogFields): void {
  const error = logError(at, event, fields)
  if (error !== undefined) errors.add([error])
  if (isLogged(at, event, levels)) write(logLine(at, event, fields))
}

export function emit({ history }: Audience, event: DaemonEvent): void {
  history.add(event)
}

export function showTraces({ tracers }: Audience, traces: readonly TraceLine[]): void {
  for (const [hear, { filter, since = 0, begun }] of tracers) {
    if (!begun) continue
    const matches = sessionMatcher(filter)
    const lines = traces.filter((line) => line.started >= since && matches(line, line.at))
    if (lines.length > 0) hear(lines)
  }
}

/** Tells a lane which log lines, events and traces are wanted of it. */
export const tellLane = ({ subscribers, keepUntil, levels, tracers }: Audience, lane: LaneHandle): Promise<unknown> =>
  lane
    .ask('listen', { events: subscribers.size > 0 || monotonic() < keepUntil, levels, traces: [...tracers.values()] })
    .catch(() => undefined)

export interface Listening {
  onEvent(listener: (event: NumberedEvent) => void): () => void
  eventsAfter(seq: number, most: number): Replay
  lastEvent(): number
  /** The last warnings and errors. */
  errors(): LogErrors
  /** Live verbs and replies of matching sessions, until the returned function is called. */
  trace(of: TraceRequest, listener: (lines: readonly TraceLine[]) => void): Promise<() => void>
}

/** Those who begin and end to hear; `tellLanes` says to every lane what is wanted of it now. */
export const listeningTo = (audience: Audience, tellLanes: () => Promise<unknown>): Listening => ({
  onEvent(listener) {
    audience.subscribers.add(listener)
    if (audience.subscribers.size === 1) void tellLanes()
    return () => {
      if (!audience.subscribers.delete(listener) || audience.subscribers.size > 0) return
      audience.keepUntil = monotonic() + KEEP_MILLISECONDS
      setTimeout(() => void tellLanes(), KEEP_MILLISECONDS + 1).unref()
    }
  },
  eventsAfter: (seq, most) => audience.history.after(seq, most),
  lastEvent: () => audience.history.last(),
  errors: () => audience.errors.all(),
  async trace(of, listener) {
    const tracer: Begun = { ...of, begun: false }
    audience.tracers.set(listener, tracer)
    await tellLanes()
    tracer.begun = true
    return () => {
      audience.tracers.delete(listener)
      void tellLanes()
    }
  },
})
