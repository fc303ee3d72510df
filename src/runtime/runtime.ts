// The runtime's main thread: starts the lanes, publishes generations to them in two phases, replaces what dies.
// It reads nothing from a client.

import { err, ok, type Result } from 'neverthrow'
import { type Config, type ControlTexts, compileConfig, KNOBS } from '../config/config.ts'
import { changedFiles, GENERATIONS_KEPT, hashOf, readControl, type StoredGeneration } from '../config/generations.ts'
import type { ChangedBy, DaemonEvent, LogLevel, PauseMode, SessionFilter, TraceLine } from '../contract/daemon.ts'
import { sessionMatcher } from '../contract/pages.ts'
import { monotonic } from '../edge/clock.ts'
import { watchHelper } from '../edge/helper.ts'
import { isLogged, type LogFields, logLine } from '../edge/log.ts'
import type { LogWriter } from '../edge/log-writer.ts'
import { otherDescriptors } from '../edge/sizing.ts'
import type { GenerationTexts, QuestionName, Questions } from '../lane/messages.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { HelperMode, HelperPlace } from '../protocol/helper.ts'
import { createCertificates } from './certificates.ts'
import { createPool, type LaneHandle } from './pool.ts'

/** What the supervisor hands down. */
export interface RuntimeOptions {
  readonly control: string
  readonly run: string
  readonly helper: {
    readonly mode: HelperMode
    readonly place: HelperPlace
    readonly privileged: boolean
  }
  /** Listening descriptors by index of the listener: some for each lane, the rest for lanes that replace them. */
  readonly descriptors: readonly (readonly number[])[]
  readonly ports: readonly number[]
  readonly lanes: number
  readonly descriptorLimit: number
}

/** More than one, since libuv accepts about one client a turn and descriptor. */
export const DESCRIPTORS_A_LANE = 3
const PING_SECONDS = 1
const MISSED_PINGS = 3

export type PublishError =
  | { readonly kind: 'invalid'; readonly errors: readonly ConfigError[] }
  | { readonly kind: 'lane'; readonly lane: number; readonly message: string }
  | { readonly kind: 'restart'; readonly files: readonly string[] }

export interface PublishedResult {
  readonly before: StoredGeneration
  readonly after: StoredGeneration
  readonly changed: readonly string[]
  readonly lanes: number
  readonly milliseconds: number
}

export interface Runtime {
  readonly options: RuntimeOptions
  /** Of the monotonic clock. */
  readonly began: number
  current(): StoredGeneration
  history(): readonly StoredGeneration[]
  lastError(): { at: number; by: ChangedBy; errors: readonly ConfigError[] } | undefined
  /** Publishes these texts; `all`: running sessions follow at their next transaction. */
  publish(
    texts: ControlTexts,
    all: boolean,
    by: ChangedBy,
    reason: string | undefined,
  ): Promise<Result<PublishedResult, PublishError>>
  lanes(): readonly LaneHandle[]
  deaths(lane: number): number
  /** Asks every lane; those that do not answer are named. */
  askAll<Q extends QuestionName>(
    question: Q,
    ask: Questions[Q]['ask'],
  ): Promise<{ answers: Questions[Q]['answer'][]; silent: number[] }>
  recycle(lane: number): Promise<LaneHandle>
  pause(listener: number, mode: PauseMode | undefined): Promise<void>
  paused(): readonly (PauseMode | undefined)[]
  refuse(refuse: boolean): Promise<number>
  refusing(): boolean
  /** Whether the helper has been heard of lately; undefined where it runs for each login. */
  helperUp(): boolean | undefined
  block(user: string, blocked: boolean): Promise<readonly string[]>
  log(level: LogLevel, event: string, fields: LogFields): void
  /** Log lines that could not be written. */
  linesLost(): number
  onEvent(listener: (event: DaemonEvent) => void): () => void
  /** Live verbs and replies of matching sessions, until the returned function is called. */
  trace(filter: SessionFilter, listener: (lines: readonly TraceLine[]) => void): () => void
  setLevel(level: LogLevel): Promise<void>
  emit(event: DaemonEvent): void
  /** Closes the listeners, lets sessions end, resolves when the last lane has. */
  stop(graceSeconds: number): Promise<void>
}

export async function startRuntime(
  options: RuntimeOptions,
  { write, dropped }: LogWriter,
): Promise<Result<Runtime, readonly ConfigError[]>> {
  const read = readControl(options.control)
  const compiled = compileConfig(read.texts)
  if (read.errors.length > 0 || compiled.isErr())
    return err([...read.errors, ...(compiled.isErr() ? compiled.error : [])])

  const generation = (
    number: number,
    texts: ControlTexts,
    config: Config,
    by: ChangedBy,
    reason: string | undefined,
  ): StoredGeneration => ({
    generation: number,
    sha256: hashOf(texts),
    texts,
    config,
    published: Date.now(),
    by,
    reason,
  })
  let current = generation(1, read.texts, compiled.value, 'start', undefined)
  let kept: StoredGeneration[] = [current]
  let lastNumber = 1
  let lastError: ReturnType<Runtime['lastError']>
  const began = monotonic()

  const listeners = new Set<(event: DaemonEvent) => void>()
  const tracers = new Map<(lines: readonly TraceLine[]) => void, SessionFilter>()
  let level: LogLevel = compiled.value.logLevel
  const spares = options.descriptors.map((list) => [...list])
  const handles = new Map<number, LaneHandle>()
  const draining = new Set<LaneHandle>()
  const deaths = new Map<number, number>()
  const missed = new WeakMap<LaneHandle, number>()
  const paused: (PauseMode | undefined)[] = options.descriptors.map(() => undefined)
  const blocked = new Set<string>()
  let refusing = false
  let stopping = false

  const log = (at: LogLevel, event: string, fields: LogFields) => {
    if (isLogged(at, level)) write(logLine(at, event, fields))
  }

  const descriptorsForSessions = Math.max(
    128,
    options.descriptorLimit - otherDescriptors(options.descriptors.length, options.lanes),
  )

  const takeDescriptors = (): number[][] => spares.map((list) => list.splice(0, DESCRIPTORS_A_LANE))

  // The standing connection: it says how backends end, and ends those that were cut off.
  const watch =
    'socket' in options.helper.place
      ? watchHelper(options.helper.place.socket, (session, pid, how, code) => {
          if (how === 'signal' || code !== 0) log('info', 'backend-ended', { session, pid, [how]: code })
        })
      : undefined

  const pool = createPool(options.lanes, {
    said(lane, message) {
      if ('log' in message) write(message.log)
      else if ('kill' in message) for (const session of message.kill) watch?.kill(session)
      else if ('events' in message) for (const event of message.events) for (const hear of listeners) hear(event)
      else if ('traces' in message)
        for (const [hear, filter] of tracers) {
          const matches = sessionMatcher(filter)
          const lines = message.traces.filter((line) => matches(line, line.at))
          if (lines.length > 0) hear(lines)
        }
      else log('debug', 'lane-ready', { lane: lane.lane })
    },
    died(lane, why) {
      draining.delete(lane)
      if (handles.get(lane.lane) !== lane) return
      if (stopping) {
        handles.delete(lane.lane)
        return
      }
      deaths.set(lane.lane, (deaths.get(lane.lane) ?? 0) + 1)
      log('error', 'lane-died', { lane: lane.lane, why: why === '' ? 'ended by itself' : why })
      emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane: lane.lane, why } })
      startLane(lane.lane)
    },
  })

  const certificates = createCertificates({
    publish: (material) => void askAll('tls', material),
    loaded: (list, by) =>
      list.length > 0 && by !== 'start' && log('info', 'certificates-loaded', { by, certificates: list.length }),
    failed: (errors, by) =>
      log('error', 'certificates-failed', { by, errors: errors.length, first: describeError(errors[0]) }),
  })

  function emit(event: DaemonEvent): void {
    for (const hear of listeners) hear(event)
  }

  function startLane(number: number): LaneHandle {
    const descriptors = takeDescriptors()
    if (descriptors.some((list) => list.length === 0)) {
      // Every spare is used up: the supervisor, which still holds the sockets, starts a new runtime on them.
      log('error', 'descriptors-used-up', { lane: number, remedy: 'the runtime is started anew' })
      process.exit(75)
    }
    const handle = pool.start({
      lane: number,
      lanes: options.lanes,
      published: textsOf(current),
      descriptors,
      helper: options.helper.place,
      descriptorsForSessions,
      blocked: [...blocked],
      refusing,
      paused,
      tls: certificates.material(),
    })
    handles.set(number, handle)
    void tellListening(handle)
    return handle
  }

  const textsOf = (stored: StoredGeneration): GenerationTexts => ({
    generation: stored.generation,
    sha256: stored.sha256,
    texts: stored.texts,
  })
  const live = (): LaneHandle[] => [...handles.values(), ...draining].filter((lane) => lane.state !== 'dead')

  async function askAll<Q extends QuestionName>(question: Q, ask: Questions[Q]['ask']) {
    const lanes = live()
    const settled = await Promise.allSettled(lanes.map((lane) => lane.ask(question, ask)))
    const answers: Questions[Q]['answer'][] = []
    const silent: number[] = []
    settled.forEach((one, i) => {
      if (one.status === 'fulfilled') answers.push(one.value)
      else silent.push(lanes[i]?.lane ?? 0)
    })
    return { answers, silent }
  }

  function tellListening(lane: LaneHandle): Promise<unknown> {
    return lane
      .ask('listen', { events: listeners.size > 0, level, traces: [...tracers.values()] })
      .catch(() => undefined)
  }

  const read1 = certificates.load(compiled.value, 'start')
  if (read1.isErr()) return err(read1.error)
  for (let lane = 1; lane <= options.lanes; lane += 1) startLane(lane)

  // A lane that misses three pings is spinning or out of memory: it is ended and replaced; no other lane notices.
  const pinger = setInterval(() => {
    for (const lane of live()) {
      if (lane.state === 'starting' && monotonic() - lane.began < 10_000) continue
      const count = (missed.get(lane) ?? 0) + 1
      missed.set(lane, count)
      if (count > 1 && lane.state === 'running') lane.state = 'silent'
      if (count > MISSED_PINGS) {
        lane.end('silent')
        continue
      }
      lane.ask('ping', null, PING_SECONDS * (MISSED_PINGS + 1)).then(
        () => {
          missed.set(lane, 0)
          if (lane.state === 'silent') lane.state = 'running'
        },
        () => undefined,
      )
    }
  }, PING_SECONDS * 1000)

  const runtime: Runtime = {
    options,
    began,
    current: () => current,
    history: () => kept,
    lastError: () => lastError,
    lanes: live,
    deaths: (lane) => deaths.get(lane) ?? 0,
    askAll,
    log,
    linesLost: dropped,
    emit,
    paused: () => paused,
    refusing: () => refusing,
    helperUp: () => watch?.connected(),
    async publish(texts, all, by, reason) {
      const asked = monotonic()
      const next = compileConfig(texts)
      if (next.isErr()) {
        lastError = { at: Date.now(), by, errors: next.error }
        log('error', 'reload-failed', { by, errors: next.error.length, first: describeError(next.error[0]) })
        emit({ at: Date.now(), topic: 'config', name: 'refused', data: { by, errors: next.error.length } })
        return err({ kind: 'invalid', errors: next.error })
      }
      const changed = changedFiles(current.texts, texts)
      const restart: string[] = changed.filter((name) =>
        KNOBS.some((knob) => knob.name === name && knob.changes === 'restart'),
      )
      // Chains may come and go, but the account and its helper are those that acceptd was started with.
      const [was, will] = [current.config.chains, next.value.chains]
      if (was.account !== will.account || was.group !== will.group || was.socket !== will.socket) {
        restart.push('account, group and socket in chains')
      }
      if (restart.length > 0) return err({ kind: 'restart', files: restart })
      lastNumber += 1
      const stored = generation(lastNumber, texts, next.value, by, reason)
      // First every lane prepares; one refusal and nothing has changed anywhere.
      const lanes = live()
      const prepared = await Promise.allSettled(lanes.map((lane) => lane.ask('prepare', textsOf(stored))))
      const refusal = prepared.findIndex((one) => one.status === 'rejected' || one.value.errors.length > 0)
      if (refusal >= 0) {
        for (const lane of lanes) void lane.ask('forget', { generation: stored.generation }).catch(() => undefined)
        const one = prepared[refusal]
        const message = one?.status === 'rejected' ? String(one.reason) : 'it does not compile there'
        return err({ kind: 'lane', lane: lanes[refusal]?.lane ?? 0, message })
      }
      const before = current
      current = stored
      kept = [...kept, stored].slice(-GENERATIONS_KEPT)
      const published = await Promise.allSettled(
        lanes.map((lane) => lane.ask('publish', { generation: stored.generation, all })),
      )
      lanes.forEach((lane, i) => {
        // A lane that died in between is replaced by one that starts with the new generation.
        if (published[i]?.status === 'fulfilled') lane.generation = stored.generation
      })
      // One that was started between the two phases knows only the generation before.
      const late = live().filter((lane) => !lanes.includes(lane) && lane.generation !== stored.generation)
      await Promise.allSettled(
        late.map(async (lane) => {
          await lane.ask('prepare', textsOf(stored))
          await lane.ask('publish', { generation: stored.generation, all })
          lane.generation = stored.generation
        }),
      )
      lastError = undefined
      if (changed.includes('loglevel')) {
        level = stored.config.logLevel
        void Promise.all(live().map(tellListening))
      }
      const milliseconds = monotonic() - asked
      log('info', 'published', {
        generation: stored.generation,
        sha256: stored.sha256,
        by,
        reason,
        changed: changed.join(','),
        milliseconds: Math.round(milliseconds),
      })
      emit({
        at: Date.now(),
        topic: 'config',
        name: 'published',
        data: { generation: stored.generation, sha256: stored.sha256, by },
      })
      return ok({
        before,
        after: stored,
        changed,
        lanes: published.filter((one) => one.status === 'fulfilled').length,
        milliseconds,
      })
    },
    async recycle(number) {
      const old = handles.get(number)
      const next = startLane(number)
      if (old !== undefined) {
        old.state = 'draining'
        draining.add(old)
        await until(() => next.state === 'running' || next.state === 'dead')
        void old.ask('stop', { grace: 3600 }).catch(() => undefined)
      }
      return next
    },
    async pause(listener, mode) {
      const before = paused[listener]
      paused[listener] = mode
      for (const lane of live()) {
        const descriptors =
          before === 'hold' && mode !== 'hold' ? (spares[listener] ?? []).splice(0, DESCRIPTORS_A_LANE) : []
        await lane.ask('pause', { listener, mode: mode ?? null, descriptors })
      }
    },
    async refuse(refuse) {
      refusing = refuse
      const { answers } = await askAll('refuse', { refuse })
      return answers.reduce((sum, answer) => sum + answer.sessions, 0)
    },
    async block(user, block) {
      if (block) blocked.add(user)
      else blocked.delete(user)
      const { answers } = await askAll('block', { user, blocked: block })
      return answers.flat()
    },
    onEvent(listener) {
      const first = listeners.size === 0
      listeners.add(listener)
      if (first) for (const lane of live()) void tellListening(lane)
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) for (const lane of live()) void tellListening(lane)
      }
    },
    trace(filter, listener) {
      tracers.set(listener, filter)
      for (const lane of live()) void tellListening(lane)
      return () => {
        tracers.delete(listener)
        for (const lane of live()) void tellListening(lane)
      }
    },
    async setLevel(wanted) {
      level = wanted
      await Promise.all(live().map(tellListening))
    },
    async stop(graceSeconds) {
      stopping = true
      clearInterval(pinger)
      watch?.stop()
      await Promise.allSettled(live().map((lane) => lane.ask('stop', { grace: graceSeconds })))
      const deadline = monotonic() + (graceSeconds + 5) * 1000
      await until(() => live().length === 0 || monotonic() > deadline)
      await pool.close()
    },
  }

  await until(() => [...handles.values()].every((lane) => lane.state !== 'starting'))
  return ok(runtime)
}

const until = (holds: () => boolean): Promise<void> =>
  new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!holds()) return
      clearInterval(timer)
      resolve()
    }, 10)
  })

/** For a log line or a terminal. */
export const describeError = (error: ConfigError | undefined): string =>
  error === undefined ? '' : `${error.file}:${error.line}:${error.column}: ${error.problem}; ${error.hint}`
