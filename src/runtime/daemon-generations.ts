// The control plane's view of the generations: what is on disk, loaded and in use, publishing another, and the rules of each.

import { err, ok, type Result } from 'neverthrow'
import { type ControlTexts, compileConfig, KNOBS } from '../config/config.ts'
import { hashOf, readControl, type StoredGeneration } from '../config/generations.ts'
import type {
  ConfigFile,
  ConfigStatus,
  Daemon,
  FileState,
  Generation,
  Knob,
  Published,
  RpcFailure,
  RuleStep,
} from '../contract/daemon.ts'
import { failure, notFound } from '../contract/failure.ts'
import { histogramValue, newHistogram, record } from '../contract/histogram.ts'
import type { Sample } from '../contract/metrics.ts'
import { sha256Of } from '../edge/control-files.ts'
import { bytesOf } from '../protocol/bytes.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { promisesStatus } from '../protocol/status.ts'
import { explainReply, explainRequest } from '../rules/explain.ts'
import { parseRules } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'
import type { PublishError, PublishedResult, Runtime } from './runtime.ts'

export interface DaemonGenerations extends Pick<Daemon, 'config' | 'rules'> {
  /** How many control files differ from what is loaded. */
  readonly drift: () => number
  /** Metrics of the generations: their sessions, what their rules have hit, drift, reloads. */
  readonly samples: () => Promise<readonly Sample[]>
}

export function createDaemonGenerations(runtime: Runtime): DaemonGenerations {
  const { options } = runtime
  const reloads = new Map<string, number>()
  const reloadTime = newHistogram()

  const count = (by: string, outcome: string) =>
    reloads.set(`${by}\t${outcome}`, (reloads.get(`${by}\t${outcome}`) ?? 0) + 1)

  async function uses() {
    const { answers } = await runtime.askAll('generations', null)
    const sessions = new Map<number, number>()
    const hits = new Map<number, Map<number, { count: number; last: number }>>()
    for (const lane of answers) {
      for (const use of lane) {
        sessions.set(use.generation, (sessions.get(use.generation) ?? 0) + use.sessions)
        const rules = hits.get(use.generation) ?? new Map<number, { count: number; last: number }>()
        hits.set(use.generation, rules)
        for (const [rule, n, last] of use.hits) {
          const before = rules.get(rule) ?? { count: 0, last: 0 }
          rules.set(rule, { count: before.count + n, last: Math.max(before.last, last) })
        }
      }
    }
    return { sessions, hits }
  }

  const shown = (stored: StoredGeneration, sessions: ReadonlyMap<number, number>): Generation => ({
    generation: stored.generation,
    sha256: stored.sha256,
    published: stored.published,
    by: stored.by,
    ...(stored.reason === undefined ? {} : { reason: stored.reason }),
    rules: stored.config.rules.rules.length,
    sessions: sessions.get(stored.generation) ?? 0,
  })

  function publishFailure(error: PublishError): RpcFailure {
    switch (error.kind) {
      case 'invalid':
        return failure('config-invalid', 'config-invalid', `${error.errors.length} errors; nothing was changed`, {
          errors: error.errors,
        })
      case 'lane':
        return failure('lane-refused', 'lane-refused', `lane ${error.lane}: ${error.message}; nothing was changed`, {
          lane: error.lane,
        })
      case 'restart':
        return failure(
          'conflict',
          'needs-restart',
          `${error.files.join(', ')} cannot change while acceptd runs; restart it`,
          { files: error.files },
        )
    }
  }

  async function published(
    result: Result<PublishedResult, PublishError>,
    by: string,
  ): Promise<Result<Published, RpcFailure>> {
    count(by, result.isOk() ? 'ok' : result.error.kind)
    if (result.isErr()) return err(publishFailure(result.error))
    const { before, after, changed, lanes, milliseconds } = result.value
    record(reloadTime, milliseconds / 1000)
    const { sessions } = await uses()
    let older = 0
    for (const [generation, n] of sessions) if (generation < after.generation) older += n
    return ok({
      generation: after.generation,
      previous: before.generation,
      sha256: after.sha256,
      changed,
      rules: after.config.rules.rules.length,
      lanes,
      olderSessions: older,
      milliseconds: Math.round(milliseconds * 10) / 10,
    })
  }

  const disk = () => readControl(options.control)

  function fileStates(): FileState[] {
    const now = disk().texts
    const loaded = runtime.current().texts
    const hash = (text: string | undefined) => (text === undefined ? undefined : sha256Of(bytesOf(text)))
    return KNOBS.flatMap(({ name }) => {
      const [onDisk, inUse] = [hash(now[name]), hash(loaded[name])]
      if (onDisk === undefined && inUse === undefined) return []
      return [
        {
          name,
          ...(onDisk === undefined ? {} : { diskSha256: onDisk }),
          ...(inUse === undefined ? {} : { loadedSha256: inUse }),
        },
      ]
    })
  }

  const drift = () => fileStates().filter((file) => file.diskSha256 !== file.loadedSha256).length

  const files = (texts: ControlTexts): ConfigFile[] =>
    KNOBS.flatMap(({ name, changes }) => {
      const text = texts[name]
      return text === undefined ? [] : [{ name, text, sha256: sha256Of(bytesOf(text)), changes }]
    })

  async function samples(): Promise<readonly Sample[]> {
    const current = runtime.current()
    const { sessions, hits } = await uses()
    const all: Sample[] = [
      { metric: 'acceptd_generation', labels: {}, value: current.generation },
      { metric: 'acceptd_config_drift_files', labels: {}, value: drift() },
    ]
    for (const [generation, value] of sessions)
      all.push({ metric: 'acceptd_generation_sessions', labels: { generation: String(generation) }, value })
    for (const [rule, hit] of hits.get(current.generation) ?? []) {
      const row = current.config.rules.rules[rule]
      if (row !== undefined)
        all.push({
          metric: 'acceptd_rule_hits_total',
          labels: { line: String(row.line), event: row.event },
          value: hit.count,
        })
    }
    for (const [key, value] of reloads) {
      const [by = '', outcome = ''] = key.split('\t')
      all.push({ metric: 'acceptd_reloads_total', labels: { by, outcome }, value })
    }
    all.push({ metric: 'acceptd_reload_seconds', labels: {}, value: histogramValue(reloadTime) })
    return all
  }

  return {
    drift,
    samples,

    config: {
      knobs: () => {
        const { texts } = runtime.current()
        return KNOBS.map((row): Knob => {
          const text = texts[row.name]
          return {
            name: row.name,
            secret: false,
            changes: row.changes,
            ...(text === undefined ? { value: row.fallback ?? '' } : { value: text.replace(/\n$/, '') }),
            source:
              text === undefined
                ? { from: 'default' }
                : { from: 'file', file: `${options.control}/${row.name}`, line: 1 },
          }
        })
      },
      async status(): Promise<ConfigStatus> {
        const { sessions } = await uses()
        const last = runtime.lastError()
        const current = runtime.current()
        return {
          current: shown(current, sessions),
          files: fileStates(),
          ...(last === undefined ? {} : { lastError: last }),
          generations: runtime
            .history()
            .filter((stored) => stored === current || (sessions.get(stored.generation) ?? 0) > 0)
            .map((stored) => shown(stored, sessions)),
        }
      },
      check(given) {
        const read = disk()
        const texts = { ...read.texts, ...given }
        const compiled = compileConfig(texts)
        const errors: readonly ConfigError[] = [...read.errors, ...(compiled.isErr() ? compiled.error : [])]
        return { errors, warnings: [], sha256: hashOf(texts) }
      },
      texts: () => ({ published: files(runtime.current().texts), disk: files(disk().texts) }),
      async reload({ only, apply, by, reason }) {
        const read = disk()
        if (read.errors.length > 0)
          return err(
            failure(
              'config-invalid',
              'config-invalid',
              `${read.errors.length} files cannot be read; nothing was changed`,
              { errors: read.errors },
            ),
          )
        const unknown = only?.find((name) => !KNOBS.some((knob) => knob.name === name))
        if (unknown !== undefined) return notFound('no-such-file', `there is no control file ${unknown}`)
        // A file that needs a restart stays as it was loaded; config.diff shows it.
        const current = runtime.current().texts
        const texts: Record<string, string> = {}
        for (const { name, changes } of KNOBS) {
          const fresh = changes === 'reload' && (only === undefined || only.includes(name))
          const text = fresh ? read.texts[name] : current[name]
          if (text !== undefined) texts[name] = text
        }
        return published(await runtime.publish(texts, apply === 'next-transaction', by, reason), by)
      },
      async history() {
        const { sessions } = await uses()
        return runtime.history().map((stored) => shown(stored, sessions))
      },
      async rollback({ generation, apply, by, reason }) {
        const stored = runtime.history().find((one) => one.generation === generation)
        if (stored === undefined) return notFound('no-such-generation', `generation ${generation} is not kept`)
        return published(await runtime.publish(stored.texts, apply === 'next-transaction', by, reason), by)
      },
    },

    rules: {
      async list(generation) {
        const stored =
          generation === undefined ? runtime.current() : runtime.history().find((one) => one.generation === generation)
        if (stored === undefined) return notFound('no-such-generation', `generation ${generation} is not kept`)
        const hits = (await uses()).hits.get(stored.generation)
        return ok({
          generation: stored.generation,
          sha256: stored.sha256,
          rules: stored.config.rules.rules.map((rule, i) => {
            const hit = hits?.get(i)
            return {
              line: rule.line,
              text: rule.text,
              event: rule.event,
              hits: hit?.count ?? 0,
              ...(hit === undefined ? {} : { lastHit: hit.last }),
            }
          }),
        })
      },
      evaluate({ event, request, reply, env, generation, text }) {
        const stored =
          generation === undefined ? runtime.current() : runtime.history().find((one) => one.generation === generation)
        if (stored === undefined) return notFound('no-such-generation', `generation ${generation} is not kept`)
        const parsed =
          text === undefined
            ? ok<typeof stored.config.rules, readonly ConfigError[]>(stored.config.rules)
            : parseRules(text, 'text')
        if (parsed.isErr())
          return err(failure('config-invalid', 'config-invalid', 'the text has errors', { errors: parsed.error }))
        const rules = rulesFor(parsed.value, (name) => env !== undefined && Object.hasOwn(env, name))
        const trace: RuleStep[] = []
        let newRequest: string | undefined
        let newReply: string | undefined
        let exitcode: number | undefined
        if (request !== undefined) {
          const explained = explainRequest(rules, event, request)
          newRequest = explained.line
          for (const step of explained.trace) {
            const rule = parsed.value.rules[step.rule]
            trace.push({
              rule: rule?.text ?? '',
              line: rule?.line ?? 0,
              matched: step.matched,
              before: { request: step.before },
              after: { request: step.after },
            })
          }
        }
        if (reply !== undefined) {
          const explained = explainReply(rules, event, reply, {
            greeting: stored.config.smtpGreeting,
            tls: 'none',
            classic: false,
            enhanced: promisesStatus(stored.config.smtpCapabilities),
          })
          newReply = explained.reply
          exitcode = explained.exitcode
          for (const step of explained.trace) {
            const rule = parsed.value.rules[step.rule]
            trace.push({
              rule: rule?.text ?? '',
              line: rule?.line ?? 0,
              matched: step.matched,
              before: { reply: step.before },
              after: {
                reply: step.after,
                ...(rule?.exitcode !== undefined && step.matched ? { exitcode: rule.exitcode } : {}),
              },
            })
          }
        }
        return ok({
          ...(newRequest === undefined ? {} : { request: newRequest }),
          ...(newReply === undefined ? {} : { reply: newReply }),
          ...(exitcode === undefined ? {} : { exitcode }),
          trace,
        })
      },
    },
  }
}
