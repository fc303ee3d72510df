// The control plane's view of the configuration: what is on disk, loaded and in use, and a change of it. Every answer comes from a plan.

import { err, ok, type Result } from 'neverthrow'
import { changedFiles, commonHashOf, readControl } from '../../config/generations.ts'
import { filesIn, KNOBS } from '../../config/knobs.ts'
import { type Plan, planBack, withTexts } from '../../config/plan.ts'
import type {
  ChangeRequest,
  CheckReport,
  ConfigStatus,
  FileDifference,
  FileState,
  Generation,
  Knob,
  PreparedPublication,
  Published,
} from '../../contract/configuration.ts'
import type { Daemon, RpcFailure } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import type { Sample } from '../../contract/metrics.ts'
import { sha256Of } from '../../edge/control-files.ts'
import { bytesOf } from '../../protocol/bytes.ts'
import { controlLines } from '../../protocol/control-lines.ts'
import { VERBS } from '../../protocol/verbs.ts'
import { rulesIn } from '../../rules/parse.ts'
import type { RuleSet } from '../../rules/ruleset.ts'
import type { KeptGeneration } from '../memory.ts'
import { lastDifferent, planFor, type Refusal, refusalErrors, reloadSamples } from '../publishing.ts'
import type { Runtime } from '../runtime.ts'
import { explainLine } from './explain.ts'
import { type Uses, usesOf } from './uses.ts'

type GivenTexts = Readonly<Record<string, string>> | undefined

export const configOf = (runtime: Runtime): Daemon['config'] => ({
  knobs: () => knobs(runtime),
  status: () => status(runtime),
  check: (files) => check(runtime, files),
  diff: (files) => differences(runtime, planFor(runtime.publishing, diskWith(runtime, files))),
  change: (how) => change(runtime, how),
  async prepare(how) {
    const planned = planOf(runtime, how)
    return planned.isErr() ? err(planned.error) : prepareAs(runtime, how, planned.value)
  },
  follow: (common) => follow(runtime, common),
  explain: (file, line) => explainLine(runtime, file, line),
  async history() {
    const { sessions } = await usesOf(runtime)
    return runtime.publishing.kept.map((stored) => shown(stored, sessions))
  },
})

function diskWith({ publishing }: Runtime, files: GivenTexts) {
  const disk = readControl(publishing.control)
  return files === undefined ? disk : withTexts(disk, files)
}

const shown = (stored: KeptGeneration, sessions: Uses['sessions']): Generation => ({
  generation: stored.generation,
  sha256: stored.sha256,
  published: stored.published,
  by: stored.by,
  ...(stored.reason === undefined ? {} : { reason: stored.reason }),
  rules: stored.rules,
  sessions: sessions.get(stored.generation) ?? 0,
})

function knobs({ publishing, options }: Runtime): readonly Knob[] {
  const { texts } = publishing.current
  return KNOBS.map(({ name, changes, fallback, ...more }): Knob => {
    const text = texts[name]
    const row = { name, secret: false, table: 'isTable' in more, changes }
    if (text === undefined) return { ...row, value: fallback ?? '', source: { from: 'default' } }
    // What is in force, without its comments, and its place.
    const lines = controlLines(text)
    const source = { from: 'file' as const, file: `${options.control}/${name}`, line: lines[0]?.line ?? 1 }
    return { ...row, value: lines.map((line) => line.text).join('\n'), source }
  })
}

async function status(runtime: Runtime): Promise<ConfigStatus> {
  const { sessions } = await usesOf(runtime)
  const { current, kept, lastError } = runtime.publishing
  const isCurrent = ({ generation }: KeptGeneration) => generation === current.generation
  const inUse = kept.filter((stored) => isCurrent(stored) || (sessions.get(stored.generation) ?? 0) > 0)
  return {
    current: shown({ ...current, rules: current.config.rules.count }, sessions),
    files: fileStates(runtime),
    ...(lastError === undefined ? {} : { lastError }),
    generations: inUse.map((stored) => shown(stored, sessions)),
  }
}

function fileStates({ publishing }: Runtime): readonly FileState[] {
  const disk = readControl(publishing.control).texts
  const loaded = publishing.current.texts
  const hash = (text: string | undefined) => (text === undefined ? undefined : sha256Of(bytesOf(text)))
  return filesIn(disk, loaded).flatMap((name) => {
    const [diskSha256, loadedSha256] = [hash(disk[name]), hash(loaded[name])]
    if (diskSha256 === undefined && loadedSha256 === undefined) return []
    return [
      {
        name,
        ...(diskSha256 === undefined ? {} : { diskSha256 }),
        ...(loadedSha256 === undefined ? {} : { loadedSha256 }),
      },
    ]
  })
}

/** How many control files differ from what is loaded. */
export const drift = (runtime: Runtime): number =>
  fileStates(runtime).filter((file) => file.diskSha256 !== file.loadedSha256).length

function check(runtime: Runtime, files: GivenTexts): CheckReport {
  const { verdict, warnings, needsRestart, sha256 } = planFor(runtime.publishing, diskWith(runtime, files))
  const errors = verdict.do === 'refuse' ? verdict.errors : { list: [], count: 0 }
  return {
    errors: errors.list,
    errorCount: errors.count,
    warnings: warnings.list,
    warningCount: warnings.count,
    needsRestart,
    sha256,
  }
}

function differences({ publishing }: Runtime, { wanted, needsRestart }: Plan): readonly FileDifference[] {
  const { texts } = publishing.current
  return changedFiles(texts, wanted).map((name) => {
    const [before, after] = [texts[name], wanted[name]]
    return {
      name,
      needsRestart: needsRestart.includes(name),
      ...(before === undefined ? {} : { loaded: before }),
      ...(after === undefined ? {} : { wanted: after }),
    }
  })
}

async function change(runtime: Runtime, how: ChangeRequest): Promise<Result<Published, RpcFailure>> {
  const planned = planOf(runtime, how)
  if (planned.isErr()) return err(planned.error)
  const { verdict } = planned.value
  if (how.dryRun) {
    if (verdict.do !== 'publish' && verdict.do !== 'nothing') return err(refusalFailure(verdict))
    const { current } = runtime.publishing
    const outcome = { generation: current.generation, previous: current.generation, lanes: 0, milliseconds: 0 }
    return ok({ ...(await published(runtime, planned.value)), ...outcome })
  }
  const prepared = await prepareAs(runtime, how, planned.value)
  return prepared.isErr() ? err(prepared.error) : ok(await prepared.value.publish())
}

async function prepareAs(
  runtime: Runtime,
  how: ChangeRequest,
  planned: Plan,
): Promise<Result<PreparedPublication, RpcFailure>> {
  const order = { all: how.apply === 'next-transaction', by: how.by, reason: how.reason }
  const prepared = await runtime.prepare(planned, order)
  if (prepared.isErr()) return err(refusalFailure(prepared.error))
  return ok({
    common: commonHashOf(planned.texts),
    sha256: planned.sha256,
    forget: prepared.value.forget,
    async publish() {
      const { before, after, lanes, milliseconds } = await prepared.value.publish()
      runtime.forgetVerified()
      const outcome = { generation: after.generation, previous: before.generation, lanes }
      const took = Math.round(milliseconds * 10) / 10
      return { ...(await published(runtime, planned)), ...outcome, milliseconds: took }
    },
  })
}

/** Another host has published this for the fleet while this one was away. */
async function follow(runtime: Runtime, common: string): Promise<'same' | 'taken' | 'differs'> {
  if (commonHashOf(runtime.current().texts) === common) return 'same'
  const how = { from: 'disk', apply: 'new-sessions', by: 'fleet', dryRun: false } as const
  const planned = planFor(runtime.publishing)
  if (commonHashOf(planned.texts) !== common) {
    runtime.log('warn', 'fleet-differs', { common, loaded: commonHashOf(runtime.current().texts) })
    return 'differs'
  }
  const done = (await prepareAs(runtime, how, planned)).asyncMap(({ publish }) => publish())
  return (await done).isOk() ? 'taken' : 'differs'
}

function planOf({ publishing }: Runtime, how: ChangeRequest): Result<Plan, RpcFailure> {
  if (how.from === 'disk') return ok(planFor(publishing, undefined, how.only))
  const { generation } = how
  const stored =
    generation === undefined ? lastDifferent(publishing) : publishing.kept.find((one) => one.generation === generation)
  if (stored !== undefined) return ok(planBack(publishing.current, stored.texts))
  const what = generation === undefined ? 'no generation with another content' : `generation ${generation}`
  return notFound('no-such-generation', `${what} is ${generation === undefined ? '' : 'not '}kept`)
}

/** What a dry run and the change say alike. */
async function published(
  runtime: Runtime,
  { verdict, sha256, changed, needsRestart, warnings }: Plan,
): Promise<Omit<Published, 'generation' | 'previous' | 'lanes' | 'milliseconds'>> {
  const { sessions } = await usesOf(runtime)
  const { current } = runtime.publishing
  let older = 0
  for (const [generation, n] of sessions) if (generation < current.generation || sha256 !== current.sha256) older += n
  const { config } = verdict.do === 'publish' || verdict.do === 'nothing' ? verdict : current
  return {
    sha256,
    unchanged: verdict.do === 'nothing',
    changed,
    needsRestart,
    warnings: warnings.list,
    rules: config.rules.count,
    olderSessions: older,
  }
}

function refusalFailure(refusal: Refusal): RpcFailure {
  const { list, count } = refusalErrors(refusal)
  switch (refusal.do) {
    case 'refuse':
      return failure('config-invalid', 'config-invalid', `${count} errors; nothing was changed`, {
        errors: list,
        errorCount: count,
      })
    case 'restart': {
      const files = refusal.files.map((name) => `control/${name}`).join(', ')
      const message = `${files}: cannot change while acceptd runs; restart it`
      return failure('needs-restart', 'needs-restart', message, { needsRestart: refusal.files })
    }
    case 'unknown':
      return failure('not-found', 'no-such-file', `there is no control file ${refusal.file}`)
    case 'lane': {
      const { lane, message } = refusal
      return failure('lane-refused', 'lane-refused', `lane ${lane}: ${message}; nothing was changed`, { lane })
    }
  }
}

/** Metrics of the generations: their sessions, what their rules have matched, drift, reloads. */
export async function configSamples(runtime: Runtime): Promise<readonly Sample[]> {
  const { current } = runtime.publishing
  const { sessions, hits } = await usesOf(runtime)
  return [
    { metric: 'acceptd_generation', labels: {}, value: current.generation },
    { metric: 'acceptd_config_drift_files', labels: {}, value: drift(runtime) },
    ...[...sessions].map(
      ([generation, value]): Sample => ({
        metric: 'acceptd_generation_sessions',
        labels: { generation: String(generation) },
        value,
      }),
    ),
    ...ruleSamples(current.config.rules, hits),
    ...reloadSamples(runtime.publishing),
  ]
}

/** Any other word is a text of the configuration. */
const knownEvent = (event: string): string => (VERBS.has(event.toUpperCase()) ? event : 'other')

/** With more rules than this only those that have matched are shown. */
const RULES_SHOWN = 1000

function ruleSamples(set: RuleSet, hits: Uses['hits']): readonly Sample[] {
  const rules = rulesIn(set)
  const told = new Set<string>()
  const samples: Sample[] = []
  for (const rule of rules) {
    const value = hits.get(rule.text)?.count ?? 0
    // Two of the same text count as one.
    if ((value === 0 && rules.length > RULES_SHOWN) || told.has(rule.text)) continue
    told.add(rule.text)
    const labels = { rule: sha256Of(bytesOf(rule.text)).slice(0, 12), event: knownEvent(rule.event) }
    samples.push({ metric: 'acceptd_rule_hits_total', labels, value })
    samples.push({ metric: 'acceptd_rule_line', labels, value: rule.line })
  }
  return samples
}
