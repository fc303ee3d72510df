// The configuration that runs: its generations, the plan of a change carried out on every lane or on none, and what became of the last one.

import { err, ok, type Result } from 'neverthrow'
import { type Disk, GENERATIONS_KEPT, readControl, type StoredGeneration } from '../config/generations.ts'
import { type Findings, type Plan, plan, restartErrors, type Verdict } from '../config/plan.ts'
import type { ChangedBy } from '../contract/configuration.ts'
import type { LogLevel } from '../contract/daemon.ts'
import type { DaemonEvent } from '../contract/events.ts'
import { type Histogram, histogramValue, newHistogram, record } from '../contract/histogram.ts'
import type { Sample } from '../contract/metrics.ts'
import { monotonic } from '../edge/clock.ts'
import type { LogFields } from '../edge/log.ts'
import type { GenerationTexts } from '../lane/messages.ts'
import { type ConfigError, describeError } from '../protocol/errors.ts'
import type { Beginning } from './beginning.ts'
import type { LaneHandle } from './lane-talk.ts'
import type { KeptGeneration } from './memory.ts'

export interface ChangeOrder {
  /** Running sessions follow at their next transaction. */
  readonly all: boolean
  readonly by: ChangedBy
  readonly reason: string | undefined
}

/** Nothing was changed. */
export type Refusal =
  | Exclude<Verdict, { do: 'publish' | 'nothing' }>
  | { readonly do: 'lane'; readonly lane: number; readonly message: string }

export interface PublishedResult {
  readonly before: StoredGeneration
  /** The one before where nothing was to be changed. */
  readonly after: StoredGeneration
  /** Lanes that acknowledged it. */
  readonly lanes: number
  readonly milliseconds: number
}

export interface LastError {
  readonly at: number
  readonly by: ChangedBy
  readonly errors: readonly ConfigError[]
  readonly errorCount: number
}

export interface Publishing {
  readonly control: string
  current: StoredGeneration
  /** The oldest first, the current one last. */
  kept: readonly KeptGeneration[]
  lastNumber: number
  lastError: LastError | undefined
  /** When a change was last taken, or found to change nothing; in milliseconds since 1970. */
  lastTaken: number
  lastRefused: boolean
  /** By who changed and what became of it, with a TAB between. */
  readonly reloads: Map<string, number>
  readonly seconds: Histogram
}

/** What publishing needs of the runtime. */
export interface PublishingHost {
  readonly lanes: () => readonly LaneHandle[]
  readonly log: (level: LogLevel, event: string, fields: LogFields) => void
  readonly emit: (event: DaemonEvent) => void
}

/** `kept` of an earlier runtime. */
export function startPublishing(
  control: string,
  { current, disk }: Beginning,
  kept: readonly KeptGeneration[],
): Publishing {
  const goesOn = kept.at(-1)?.generation === current.generation
  return {
    control,
    current,
    kept: goesOn ? kept : withNewest(kept, current),
    lastNumber: current.generation,
    lastError:
      disk === undefined ? undefined : { at: Date.now(), by: 'start', errors: disk.list, errorCount: disk.count },
    lastTaken: Date.now(),
    lastRefused: false,
    reloads: new Map(),
    seconds: newHistogram(),
  }
}

const withNewest = (
  kept: readonly KeptGeneration[],
  { config, ...stored }: StoredGeneration,
): readonly KeptGeneration[] => [...kept, { ...stored, rules: config.rules.count }].slice(-GENERATIONS_KEPT)

/** The plan for these files, the directory's if none are given, as things are now. */
export const planFor = (publishing: Publishing, disk?: Disk, only?: readonly string[]): Plan =>
  plan(publishing.current, disk ?? readControl(publishing.control), only)

/** Other certificates, or another use of them. */
export const changesTls = ({ changed }: Plan): boolean => changed.some((name) => name.startsWith('tls'))

export const textsOf = ({ generation, sha256, texts, config }: StoredGeneration): GenerationTexts => ({
  generation,
  sha256,
  texts: Object.fromEntries(Object.entries(texts).filter(([name]) => name !== 'fixsmtpio')),
  rules: config.rules,
})

/** A change that every lane is ready for, and none has. */
export interface PreparedChange {
  readonly publish: () => Promise<PublishedResult>
  /** Nothing is changed. */
  readonly forget: () => void
}

/** Carries a plan out up to the point from which nothing can refuse it: nothing else may change from the plan to the end of this. */
export async function prepareChange(
  publishing: Publishing,
  host: PublishingHost,
  planned: Plan,
  order: ChangeOrder,
): Promise<Result<PreparedChange, Refusal>> {
  const { verdict } = planned
  if (verdict.do !== 'publish' && verdict.do !== 'nothing') return err(refused(publishing, host, verdict, order))
  if (verdict.do === 'nothing')
    return ok({ publish: async () => unchanged(publishing, host, planned, order), forget: () => undefined })
  const began = monotonic()
  publishing.lastNumber += 1
  const { texts, sha256 } = planned
  const { by, reason } = order
  const generation = publishing.lastNumber
  const stored = { generation, sha256, texts, config: verdict.config, published: Date.now(), by, reason }
  const lanes = host.lanes()
  const refusal = await prepare(lanes, stored)
  if (refusal !== undefined) return err(refused(publishing, host, refusal, order))
  return ok({
    publish: () => publish(publishing, host, { planned, order, stored, lanes, began }),
    forget: () => forgetOn(lanes, stored),
  })
}

function unchanged(publishing: Publishing, host: PublishingHost, planned: Plan, order: ChangeOrder): PublishedResult {
  const { current } = publishing
  publishing.lastError = undefined
  count(publishing, order.by, 'unchanged')
  host.log('info', 'unchanged', { generation: current.generation, ...told(planned, order) })
  return { before: current, after: current, lanes: 0, milliseconds: 0 }
}

interface Publication {
  readonly planned: Plan
  readonly order: ChangeOrder
  readonly stored: StoredGeneration
  readonly lanes: readonly LaneHandle[]
  readonly began: number
}

async function publish(
  publishing: Publishing,
  host: PublishingHost,
  { planned, order, stored, lanes, began }: Publication,
): Promise<PublishedResult> {
  const { generation, sha256, by, config } = stored
  const before = publishing.current
  publishing.current = stored
  publishing.kept = withNewest(publishing.kept, stored)
  publishing.lastError = undefined
  const acknowledged = await switchTo(host, lanes, stored, order.all)
  const milliseconds = monotonic() - began
  count(publishing, by, 'ok')
  record(publishing.seconds, milliseconds / 1000)
  const changed = planned.changed.join(',')
  const took = { changed, milliseconds: Math.round(milliseconds) }
  host.log('info', 'published', { generation, sha256, ...told(planned, order), ...took })
  host.emit({ at: Date.now(), topic: 'config', name: 'published', data: { generation, sha256, by } })
  if (planned.changed.includes('fixsmtpio')) {
    const rules = config.rules.count
    const data = { generation, rules, before: before.config.rules.count }
    host.emit({ at: Date.now(), topic: 'rules', name: 'changed', data })
  }
  return { before, after: stored, lanes: acknowledged, milliseconds }
}

/** First every lane prepares; after one refusal nothing has changed anywhere. */
async function prepare(lanes: readonly LaneHandle[], stored: StoredGeneration): Promise<Refusal | undefined> {
  const prepared = await Promise.allSettled(lanes.map((lane) => lane.ask('prepare', textsOf(stored))))
  const refusal = prepared.findIndex((one) => one.status === 'rejected' || one.value.errors.length > 0)
  if (refusal < 0) return undefined
  forgetOn(lanes, stored)
  const one = prepared[refusal]
  const message = one?.status === 'rejected' ? String(one.reason) : 'it does not compile there'
  return { do: 'lane', lane: lanes[refusal]?.lane ?? 0, message }
}

function forgetOn(lanes: readonly LaneHandle[], { generation }: StoredGeneration): void {
  for (const lane of lanes) void lane.ask('forget', { generation }).catch(() => undefined)
}

/** Then all switch; the number of those that say they have. */
async function switchTo(
  host: PublishingHost,
  lanes: readonly LaneHandle[],
  stored: StoredGeneration,
  all: boolean,
): Promise<number> {
  const { generation } = stored
  const published = await Promise.allSettled(lanes.map((lane) => lane.ask('publish', { generation, all })))
  lanes.forEach((lane, i) => {
    // A lane that died in between is replaced by one that starts with the new generation.
    if (published[i]?.status === 'fulfilled') lane.generation = generation
  })
  // One that was started between the two phases knows only the generation before.
  const late = host.lanes().filter((lane) => !lanes.includes(lane) && lane.generation !== generation)
  await Promise.allSettled(
    late.map(async (lane) => {
      await lane.ask('prepare', textsOf(stored))
      await lane.ask('publish', { generation, all })
      lane.generation = generation
    }),
  )
  return published.filter((one) => one.status === 'fulfilled').length
}

/** A refused change is reported in the same way, no matter who asked for it. */
function refused(publishing: Publishing, host: PublishingHost, refusal: Refusal, { by }: ChangeOrder): Refusal {
  if (refusal.do === 'unknown') return refusal
  count(publishing, by, OUTCOMES[refusal.do])
  const errors = refusalErrors(refusal)
  const first = refusal.do === 'lane' ? refusal.message : describeError(errors.list[0])
  if (errors.count > 0) publishing.lastError = { at: Date.now(), by, errors: errors.list, errorCount: errors.count }
  host.log('error', 'reload-failed', { by, errors: errors.count, first })
  host.emit({ at: Date.now(), topic: 'config', name: 'refused', data: { by, errors: errors.count } })
  return refusal
}

/** As labels of acceptd_reloads_total. */
const OUTCOMES = { refuse: 'invalid', restart: 'restart', lane: 'lane' } as const

const NONE: Findings = { list: [], count: 0 }

export function refusalErrors(refusal: Refusal): Findings {
  if (refusal.do === 'refuse') return refusal.errors
  return refusal.do === 'restart' ? restartErrors(refusal.files) : NONE
}

const told = ({ needsRestart, warnings }: Plan, { by, reason }: ChangeOrder): LogFields => ({
  by,
  reason,
  ...(needsRestart.length > 0 ? { needs_restart: needsRestart.join(',') } : {}),
  ...(warnings.count > 0 ? { warnings: warnings.count } : {}),
})

function count(publishing: Publishing, by: ChangedBy, outcome: Outcome): void {
  const { reloads } = publishing
  publishing.lastRefused = outcome !== 'ok' && outcome !== 'unchanged'
  if (!publishing.lastRefused) publishing.lastTaken = Date.now()
  const key = `${by}\t${outcome}`
  reloads.set(key, (reloads.get(key) ?? 0) + 1)
}

type Outcome = 'ok' | 'unchanged' | (typeof OUTCOMES)[keyof typeof OUTCOMES]
const ALL_OUTCOMES: readonly Outcome[] = ['ok', 'unchanged', ...Object.values(OUTCOMES)]

export function reloadSamples({ reloads, seconds, lastTaken, lastRefused }: Publishing): readonly Sample[] {
  const counts = ['signal', 'file', 'control', 'fleet'].flatMap((by) =>
    ALL_OUTCOMES.map((outcome): Sample => {
      const value = reloads.get(`${by}\t${outcome}`) ?? 0
      return { metric: 'acceptd_reloads_total', labels: { by, outcome }, value }
    }),
  )
  const time = { metric: 'acceptd_last_reload_success_timestamp_seconds', labels: {}, value: lastTaken / 1000 } as const
  const success = { metric: 'acceptd_last_reload_successful', labels: {}, value: lastRefused ? 0 : 1 } as const
  return [...counts, time, success, { metric: 'acceptd_reload_seconds', labels: {}, value: histogramValue(seconds) }]
}

/** The last generation before the current one that says something else. */
export const lastDifferent = ({ kept, current }: Publishing): KeptGeneration | undefined =>
  kept.findLast((stored) => stored.sha256 !== current.sha256)
