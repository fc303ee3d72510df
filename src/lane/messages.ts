// What the main thread and a lane say to each other, as msgpack over the lane's MessagePort; `prepare` alone goes as it is, since its
// rules are in memory that threads share. Questions are answered between reads.

import type { ControlTexts } from '../config/knobs.ts'
import type { PauseMode, TraceLine, TraceRequest } from '../contract/daemon.ts'
import type { DaemonEvent } from '../contract/events.ts'
import type { LogError, LogLevels } from '../contract/log.ts'
import type { Sample } from '../contract/metrics.ts'
import type { SessionFilter, SessionQuery } from '../contract/pages.ts'
import type { SessionDetail, SessionSummary } from '../contract/session-view.ts'
import type { TlsMaterial } from '../edge/tls.ts'
import type { LimitsAnswer, LimitsFrame } from '../limits/frames.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { HelperPlace } from '../protocol/helper.ts'
import type { RuleSet } from '../rules/ruleset.ts'

/** A numbered set of control files, immutable once it is published. The rules have been parsed and checked. */
export interface GenerationTexts {
  readonly generation: number
  readonly sha256: string
  /** Without control/fixsmtpio. */
  readonly texts: ControlTexts
  readonly rules: RuleSet
}

/** What a lane is started with; the MessagePort and the AbortSignal travel beside it. */
export interface LaneStart {
  /** A number that no other lane of this runtime has had. */
  readonly lane: number
  /** The lanes of one place replace each other. */
  readonly place: number
  /** Distinguishes the sessions of a lane from those of the one that it replaces. */
  readonly boot: string
  readonly lanes: number
  readonly published: GenerationTexts
  /** Listening descriptors, by index of the listener in control/listeners. */
  readonly descriptors: readonly (readonly number[])[]
  readonly helper: HelperPlace
  /** Descriptors that sessions and backends of all lanes may take. */
  readonly descriptorsForSessions: number
  readonly blocked: readonly string[]
  /** Key of what tells one wrong password from another. */
  readonly secret: Uint8Array
  readonly refusing: boolean
  /** It does not listen before `open`. */
  readonly standby?: boolean
  readonly paused: readonly (PauseMode | undefined)[]
  /** What a backend offers, where control/smtpcapabilities says `probe`. */
  readonly probed: readonly string[]
  /** Undefined: no listener has TLS. Holds keys. */
  readonly tls: TlsMaterial | undefined
}

export interface Questions {
  /** Compile, keep ready, say what is wrong with it. */
  prepare: { ask: GenerationTexts; answer: { errors: readonly ConfigError[] } }
  /** Use it for new sessions; `all`: for running ones too, at their next transaction. */
  publish: { ask: { generation: number; all: boolean }; answer: { milliseconds: number } }
  forget: { ask: { generation: number }; answer: null }
  sessions: { ask: SessionQuery; answer: { sessions: readonly SessionSummary[]; matched: number } }
  session: { ask: { id: string }; answer: SessionDetail | null }
  kill: { ask: { filter: SessionFilter; graceful: boolean; reason: string; now: number }; answer: readonly string[] }
  users: { ask: null; answer: readonly { user: string; sessions: number; messages: number }[] }
  block: { ask: { user: string; blocked: boolean }; answer: readonly string[] }
  measure: { ask: null; answer: LaneMeasure }
  refuse: { ask: { refuse: boolean }; answer: { sessions: number } }
  pause: { ask: { listener: number; mode: PauseMode | null }; answer: null }
  /** Listen, with what has changed since its start. */
  open: { ask: Pick<LaneStart, 'blocked' | 'secret' | 'refusing' | 'paused'>; answer: null }
  /** Sessions whose backend serves, by chain. */
  chains: { ask: null; answer: Readonly<Record<string, number>> }
  /** Session counts by generation, and rule hits. */
  generations: { ask: null; answer: { uses: readonly GenerationUse[]; hits: readonly RuleHit[] } }
  listen: { ask: { events: boolean; levels: LogLevels; traces: readonly TraceRequest[] }; answer: null }
  /** Certificates and ticket keys for new handshakes. */
  tls: { ask: TlsMaterial; answer: null }
  /** What a backend offers. */
  probed: { ask: readonly string[]; answer: null }
  /** Told, not asked. */
  verdicts: { ask: readonly LimitsAnswer[]; answer: null }
  /** What it has counted. */
  ping: { ask: null; answer: readonly Sample[] }
  /** Close the listeners; the task ends when the last session has. */
  retire: { ask: null; answer: null }
  /** Close the listeners; the task ends when the last session has, or after so many seconds. */
  stop: { ask: { grace: number }; answer: null }
}

export interface LaneMeasure {
  readonly counted: readonly Sample[]
  readonly gauges: readonly Sample[]
  readonly sessions: number
  readonly memoryBytes: number
  readonly lagSeconds: number
  readonly parked: Readonly<Record<string, number>>
}

export interface GenerationUse {
  readonly generation: number
  readonly sessions: number
}

/** Of a rule or of another line, by its key; since the lane began. */
export type RuleHit = readonly [key: string, count: number, last: number]

export type QuestionName = keyof Questions

export type ToLane = { readonly [Q in QuestionName]: { q: Q; n: number; ask: Questions[Q]['ask'] } }[QuestionName]

export type FromLane =
  | { readonly a: number; readonly answer: unknown }
  | { readonly failed: number; readonly message: string }
  | { readonly ready: true }
  /** The last word of a lane that ends as it was told to. */
  | { readonly last: { readonly counted: readonly Sample[]; readonly hits: readonly RuleHit[] } }
  /** Backends that must not be left to end by themselves, by session. */
  | { readonly kill: readonly string[] }
  /** For the service actor `limits`. */
  | { readonly limits: readonly LimitsFrame[] }
  | { readonly log: string }
  | { readonly errors: readonly LogError[] }
  | { readonly events: readonly DaemonEvent[] }
  | { readonly traces: readonly TraceLine[] }
