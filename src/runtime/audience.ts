// Who hears what the lanes say: the log, subscribers of events, traces; and what the lanes therefore have to say.

import type { DaemonEvent, LogLevel, TraceLine, TraceRequest } from '../contract/daemon.ts'
import { sessionMatcher } from '../contract/pages.ts'
import { isLogged, type LogFields, logLine } from '../edge/log.ts'
import type { LaneHandle } from './pool.ts'

type Tracer = (lines: readonly TraceLine[]) => void

/** A trace hears once every lane has begun with it: what they had gathered before is not for it. */
export type Begun = TraceRequest & { begun: boolean }

export interface Audience {
  readonly write: (text: string) => void
  readonly subscribers: Set<(event: DaemonEvent) => void>
  readonly tracers: Map<Tracer, Begun>
  level: LogLevel
}

export const newAudience = (write: (text: string) => void, level: LogLevel): Audience => ({
  write,
  subscribers: new Set(),
  tracers: new Map(),
  level,
})

export function log({ write, level }: Audience, at: LogLevel, event: string, fields: LogFields): void {
  if (isLogged(at, level)) write(logLine(at, event, fields))
}

export function emit({ subscribers }: Audience, event: DaemonEvent): void {
  for (const hear of subscribers) hear(event)
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
export const tellLane = ({ subscribers, level, tracers }: Audience, lane: LaneHandle): Promise<unknown> =>
  lane.ask('listen', { events: subscribers.size > 0, level, traces: [...tracers.values()] }).catch(() => undefined)
