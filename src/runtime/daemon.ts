// The control plane's view of the runtime: each method of rpc/daemon.ts as questions to the lanes and values of the main thread.

import { err, ok, type Result } from 'neverthrow'
import { verdictOf } from '../actors/checkpassword.ts'
import { sha256Of } from '../edge/control-files.ts'
import { askHelper } from '../edge/helper.ts'
import { openDescriptors } from '../edge/sizing.ts'
import { bytesOf, concat } from '../protocol/bytes.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { acceptedLine } from '../protocol/helper.ts'
import type {
  AuthOutcome,
  ConfigFile,
  ConfigStatus,
  Daemon,
  FileState,
  Generation,
  HealthCheck,
  Knob,
  ListenerState,
  LogLevel,
  Published,
  RpcFailure,
  RuleStep,
} from '../rpc/daemon.ts'
import { histogramValue, newHistogram, record } from '../rpc/histogram.ts'
import type { Sample } from '../rpc/metrics.ts'
import { mergePages } from '../rpc/pages.ts'
import { explainReply, explainRequest } from '../rules/explain.ts'
import { parseRules } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'
import { type ControlTexts, compileConfig, KNOBS } from './config.ts'
import { hashOf, readControl, type StoredGeneration } from './generations.ts'
import type { PublishError, PublishedResult, Runtime } from './runtime.ts'

const failure = (
  name: RpcFailure['failure'],
  reason: string,
  message: string,
  data?: RpcFailure['data'],
): RpcFailure => ({
  failure: name,
  reason,
  message,
  ...(data === undefined ? {} : { data }),
})

const notFound = (reason: string, message: string) => err(failure('not-found', reason, message))

export function createDaemon(runtime: Runtime, version: string, stop: (grace: number) => void): Daemon {
  const { options } = runtime
  const blockedAt = new Map<string, { since: number; reason: string | undefined }>()
  const reloads = new Map<string, number>()
  const reloadTime = newHistogram()
  const levels: Record<string, LogLevel> = { acceptd: runtime.current().config.logLevel }

  const count = (by: string, outcome: string) =>
    reloads.set(`${by}\t${outcome}`, (reloads.get(`${by}\t${outcome}`) ?? 0) + 1)

  // ---- generations

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

  // ---- listeners

  async function listenerStates(): Promise<ListenerState[]> {
    const { answers } = await runtime.askAll('listeners', null)
    return runtime.current().config.listeners.map((listener, i) => {
      const paused = runtime.paused()[i]
      return {
        name: listener.name,
        address: listener.address,
        port: options.ports[i] ?? listener.port,
        protocol: listener.protocol,
        tls: 'none' as const,
        chain: listener.chain,
        ...(paused === undefined ? {} : { paused }),
        accepted: answers.reduce((sum, lane) => sum + (lane[i]?.accepted ?? 0), 0),
        refused: answers.reduce((sum, lane) => sum + (lane[i]?.refused ?? 0), 0),
      }
    })
  }

  async function setPaused(name: string, mode: '421' | 'hold' | undefined): Promise<Result<ListenerState, RpcFailure>> {
    const index = runtime.current().config.listeners.findIndex((listener) => listener.name === name)
    if (index < 0) return notFound('no-such-listener', `there is no listener ${name}`)
    await runtime.pause(index, mode)
    runtime.log('info', mode === undefined ? 'listener-resumed' : 'listener-paused', { listener: name, mode })
    return ok((await listenerStates())[index] as ListenerState)
  }

  return {
    server: {
      info: () => ({
        version,
        pid: process.pid,
        started: runtime.started,
        lanes: runtime.lanes().length,
        helper: { mode: options.helper.mode, privileged: options.helper.privileged },
        generation: runtime.current().generation,
        sha256: runtime.current().sha256,
        draining: runtime.refusing(),
      }),
      async measure() {
        const current = runtime.current()
        const [{ sessions, hits }, measured] = await Promise.all([
          uses(),
          Promise.all(
            runtime
              .lanes()
              .map(async (lane) => ({ lane, measure: await lane.ask('measure', null).catch(() => undefined) })),
          ),
        ])
        const samples: Sample[] = [
          { metric: 'acceptd_info', labels: { version }, value: 1 },
          { metric: 'acceptd_uptime_seconds', labels: {}, value: (Date.now() - runtime.started) / 1000 },
          { metric: 'acceptd_draining', labels: {}, value: runtime.refusing() ? 1 : 0 },
          { metric: 'acceptd_descriptors_open', labels: {}, value: openDescriptors() },
          { metric: 'acceptd_descriptors_limit', labels: {}, value: options.descriptorLimit },
          { metric: 'acceptd_generation', labels: {}, value: current.generation },
          { metric: 'acceptd_config_drift_files', labels: {}, value: drift() },
        ]
        const parked = new Map<string, number>()
        const sums = new Map<string, Sample>()
        for (const { lane, measure } of measured) {
          if (measure === undefined) continue
          for (const sample of measure.samples) addTo(sums, sample)
          samples.push({
            metric: 'acceptd_lane_memory_bytes',
            labels: { lane: String(lane.lane) },
            value: measure.memoryBytes,
          })
          for (const [chain, n] of Object.entries(measure.parked)) parked.set(chain, (parked.get(chain) ?? 0) + n)
        }
        samples.push(...sums.values())
        for (const [chain, value] of parked)
          samples.push({ metric: 'acceptd_backends_parked', labels: { chain }, value })
        for (let lane = 1; lane <= options.lanes; lane += 1) {
          samples.push({
            metric: 'acceptd_lane_deaths_total',
            labels: { lane: String(lane) },
            value: runtime.deaths(lane),
          })
        }
        for (const [generation, value] of sessions)
          samples.push({ metric: 'acceptd_generation_sessions', labels: { generation: String(generation) }, value })
        for (const [rule, hit] of hits.get(current.generation) ?? []) {
          const row = current.config.rules.rules[rule]
          if (row !== undefined)
            samples.push({
              metric: 'acceptd_rule_hits_total',
              labels: { line: String(row.line), event: row.event },
              value: hit.count,
            })
        }
        for (const [key, value] of reloads) {
          const [by = '', outcome = ''] = key.split('\t')
          samples.push({ metric: 'acceptd_reloads_total', labels: { by, outcome }, value })
        }
        samples.push({ metric: 'acceptd_reload_seconds', labels: {}, value: histogramValue(reloadTime) })
        return samples
      },
      async health() {
        const open = openDescriptors()
        const measured = await Promise.all(
          runtime.lanes().map((lane) => lane.ask('measure', null, 2).catch(() => undefined)),
        )
        const worst = Math.max(0, ...measured.map((one) => one?.lagSeconds ?? 0))
        const silent = measured.filter((one) => one === undefined).length
        const drifted = drift()
        const share = open / options.descriptorLimit
        return [
          helperCheck(runtime),
          {
            name: 'descriptors',
            state: share > 0.9 ? ('failed' as const) : share > 0.75 ? ('warning' as const) : ('ok' as const),
            detail: `${open} of ${options.descriptorLimit} descriptors are open`,
            value: open,
            limit: options.descriptorLimit,
          },
          {
            name: 'lanes',
            state: silent > 0 ? ('failed' as const) : worst > 0.25 ? ('warning' as const) : ('ok' as const),
            detail:
              silent > 0
                ? `${silent} lanes do not answer`
                : `the slowest turn of a lane in the last second was ${Math.round(worst * 1000)} ms late`,
            value: worst,
          },
          {
            name: 'files',
            state: drifted > 0 ? ('warning' as const) : ('ok' as const),
            detail:
              drifted > 0
                ? `${drifted} control files differ from what is loaded`
                : 'the control files are what is loaded',
            value: drifted,
          },
        ]
      },
      async drain(reason) {
        const sessions = await runtime.refuse(true)
        runtime.log('info', 'draining', { reason, sessions })
        return ok({ sessions })
      },
      async undrain() {
        const sessions = await runtime.refuse(false)
        runtime.log('info', 'undrained', { sessions })
        return ok({ sessions })
      },
      async stop({ grace, reason }) {
        const sessions = await runtime.refuse(true)
        runtime.log('info', 'stopping', { reason, grace })
        setTimeout(() => stop(grace), 50)
        return ok({ sessions })
      },
    },

    listeners: {
      list: listenerStates,
      pause: (name, mode) => setPaused(name, mode),
      resume: (name) => setPaused(name, undefined),
    },

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
          const explained = explainReply(rules, event, reply, { greeting: stored.config.smtpGreeting, tls: 'none' })
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

    sessions: {
      async query(query) {
        const { answers, silent } = await runtime.askAll('sessions', query)
        return {
          sessions: mergePages(
            answers.flatMap((answer) => answer.sessions),
            query,
          ),
          matched: answers.reduce((sum, answer) => sum + answer.matched, 0),
          silentLanes: silent,
        }
      },
      async get(id) {
        const { answers } = await runtime.askAll('session', { id })
        const found = answers.find((answer) => answer !== null)
        return found ? ok(found) : notFound('no-such-session', `there is no session ${id}`)
      },
      async kill({ filter, mode, reason }) {
        const { answers, silent } = await runtime.askAll('kill', {
          filter,
          graceful: mode === 'graceful',
          reason: reason ?? '',
          now: Date.now(),
        })
        return { ids: answers.flat(), silentLanes: silent }
      },
      trace(filter, listener) {
        return runtime.trace(filter, (lines) => {
          for (const line of lines) listener(line)
        })
      },
    },

    users: {
      async list() {
        const { answers, silent } = await runtime.askAll('users', null)
        const users = new Map<string, { user: string; sessions: number; messages: number }>()
        for (const row of answers.flat()) {
          const before = users.get(row.user)
          users.set(row.user, {
            user: row.user,
            sessions: row.sessions + (before?.sessions ?? 0),
            messages: row.messages + (before?.messages ?? 0),
          })
        }
        for (const user of blockedAt.keys()) if (!users.has(user)) users.set(user, { user, sessions: 0, messages: 0 })
        return {
          users: [...users.values()].map((row) => {
            const block = blockedAt.get(row.user)
            return block === undefined
              ? row
              : {
                  ...row,
                  blocked: { since: block.since, ...(block.reason === undefined ? {} : { reason: block.reason }) },
                }
          }),
          silentLanes: silent,
        }
      },
      async block(user, reason) {
        blockedAt.set(user, { since: blockedAt.get(user)?.since ?? Date.now(), reason })
        const ended = await runtime.block(user, true)
        runtime.log('warn', 'user-blocked', { user, reason, ended: ended.length })
        return ok({ ended })
      },
      async unblock(user) {
        if (!blockedAt.delete(user)) return notFound('not-blocked', `${user} is not blocked`)
        await runtime.block(user, false)
        runtime.log('info', 'user-unblocked', { user })
        return ok(undefined)
      },
    },

    auth: {
      test({ user, password, chain: wanted, protocol }) {
        const { chains, listeners } = runtime.current().config
        const chain = wanted ?? listeners.find((listener) => listener.protocol === protocol)?.chain ?? ''
        if (!chains.chains.some((one) => one.name === chain && one.kind === 'auth'))
          return notFound('no-such-chain', `there is no chain ${chain} of kind auth`)
        if (blockedAt.has(user)) return ok<AuthOutcome, RpcFailure>({ verdict: 'blocked', chain, milliseconds: 0 })
        const began = performance.now()
        const credentials = concat([bytesOf(`${user}\0`), password, bytesOf('\0\0')])
        return new Promise<Result<AuthOutcome, RpcFailure>>((resolve) => {
          const giveUp = askHelper(
            options.helper.place,
            { kind: 'auth', session: `test.${Date.now().toString(36)}`, chain, environment: [], credentials },
            (line, backend) => {
              clearTimeout(timer)
              backend?.discard()
              const milliseconds = Math.round((performance.now() - began) * 10) / 10
              const { verdict } = verdictOf(line)
              const accepted = acceptedLine(line)
              if (verdict === 'unreachable' || verdict === 'busy' || verdict === 'missing')
                resolve(err(failure('helper-unavailable', verdict, `the helper answered: ${line}`)))
              else if (verdict === 'accepted' && accepted !== undefined)
                resolve(ok({ verdict: 'accepted', chain, uid: accepted.uid, gid: accepted.gid, milliseconds }))
              else
                resolve(
                  ok({
                    verdict: verdict === 'root' ? 'refused' : (verdict as AuthOutcome['verdict']),
                    chain,
                    milliseconds,
                  }),
                )
            },
          )
          const timer = setTimeout(giveUp, 35_000)
        })
      },
    },

    lanes: {
      list: () =>
        Promise.all(
          runtime.lanes().map(async (lane) => {
            const measure = await lane.ask('measure', null, 2).catch(() => undefined)
            return {
              lane: lane.lane,
              state: measure === undefined || lane.state === 'dead' ? ('silent' as const) : lane.state,
              sessions: measure?.sessions ?? 0,
              generation: lane.generation,
              started: lane.started,
              memoryBytes: measure?.memoryBytes ?? 0,
              lagSeconds: measure?.lagSeconds ?? 0,
              deaths: runtime.deaths(lane.lane),
            }
          }),
        ),
      async recycle(number, reason) {
        const old = runtime.lanes().find((lane) => lane.lane === number && lane.state !== 'draining')
        if (old === undefined) return notFound('no-such-lane', `there is no lane ${number}`)
        const measure = await old.ask('measure', null).catch(() => undefined)
        runtime.log('info', 'lane-recycled', { lane: number, reason })
        await runtime.recycle(number)
        return ok({ lane: number, sessions: measure?.sessions ?? 0 })
      },
    },

    backends: {
      async list() {
        const measured = await Promise.all(
          runtime.lanes().map((lane) => lane.ask('measure', null).catch(() => undefined)),
        )
        const { answers } = await runtime.askAll('chains', null)
        return runtime.current().config.chains.chains.map((chain) => ({
          chain: chain.name,
          kind: chain.kind,
          argv: [...chain.backend],
          sessions: answers.reduce((sum, lane) => sum + (lane[chain.name] ?? 0), 0),
          parked: measured.reduce((sum, one) => sum + (one?.parked[chain.name] ?? 0), 0),
        }))
      },
    },

    log: {
      levels: () => levels,
      async set(component, level) {
        const before = levels[component]
        if (before === undefined)
          return notFound(
            'no-such-component',
            `there is no component ${component}; there is ${Object.keys(levels).join(', ')}`,
          )
        levels[component] = level
        await runtime.setLevel(level)
        return ok(before)
      },
    },

    subscribe: (listener) => runtime.onEvent(listener),
    bug: (where, error) =>
      runtime.log('error', 'bug', { where, stack: error instanceof Error ? error.stack : String(error) }),
  }
}

function helperCheck(runtime: Runtime): HealthCheck {
  const { privileged } = runtime.options.helper
  if (runtime.helperUp() === false) {
    return { name: 'helper', state: 'failed', detail: 'accept-helper does not answer on its socket; logins get 454' }
  }
  return {
    name: 'helper',
    state: privileged ? 'ok' : 'warning',
    detail: privileged
      ? 'accept-helper runs with its privileges'
      : 'accept-helper runs every chain as the account of acceptd',
  }
}

/** Adds up what several lanes, or several lives of one, have counted under the same labels. */
function addTo(sums: Map<string, Sample>, sample: Sample): void {
  const key = `${sample.metric}\t${JSON.stringify(sample.labels)}`
  const before = sums.get(key)
  if (before === undefined || typeof before.value !== 'number' || typeof sample.value !== 'number')
    sums.set(key, sample)
  else sums.set(key, { ...sample, value: before.value + sample.value } as Sample)
}
