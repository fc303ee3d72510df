// The runtime's main thread, put together: the lanes (crew.ts), the configuration (publishing.ts), and who hears of them (audience.ts).
// It reads nothing from a client.

import { err, ok, type Result } from 'neverthrow'
import type { StoredGeneration } from '../config/generations.ts'
import type { Findings, Plan } from '../config/plan.ts'
import type { KeptOverride, LogLevel, PauseMode } from '../contract/daemon.ts'
import type { DaemonEvent } from '../contract/events.ts'
import type { LogComponent, LogLevels } from '../contract/log.ts'
import type { Sample } from '../contract/metrics.ts'
import { monotonic } from '../edge/clock.ts'
import { descriptorRequests, sayStopping } from '../edge/descriptors.ts'
import { type HelperWatch, watchHelper } from '../edge/helper.ts'
import { type LogFields, useLogFormat } from '../edge/log.ts'
import type { LogWriter } from '../edge/log-writer.ts'
import { descriptorsForSessions } from '../edge/sizing.ts'
import { openStore } from '../edge/store.ts'
import type { TlsMaterial } from '../edge/tls.ts'
import type { QuestionName, Questions } from '../lane/messages.ts'
import { describeError } from '../protocol/errors.ts'
import type { HelperMode, HelperPlace } from '../protocol/helper.ts'
import { type Audience, emit, type Listening, listeningTo, log, newAudience, showTraces, tellLane } from './audience.ts'
import { type Beginning, type BeginWith, begin } from './beginning.ts'
import { type Capabilities, createCapabilities } from './capabilities.ts'
import { type Certificates, createCertificates } from './certificates.ts'
import {
  askLanes,
  type Crew,
  laneEnded,
  liveLanes,
  type NotRecycled,
  pauseListener,
  recycleLane,
  startLane,
  startPings,
  stopCrew,
} from './crew.ts'
import { closeAll, newLeases, supplied } from './leases.ts'
import { createLimits, type LimitsService } from './limits.ts'
import { type Block, contentOf, recall } from './memory.ts'
import { forgetLevels, levelsInForce, memoryOf, type Orders, ordersOf } from './orders.ts'
import { createPool, type LaneHandle, type PoolEvents, type Threads, workerThreads } from './pool.ts'
import {
  type ChangeOrder,
  carryOut,
  changesTls,
  type PublishedResult,
  type Publishing,
  type Refusal,
  startPublishing,
  textsOf,
} from './publishing.ts'
import { countedBy, type Hits, hitsBy, newTotals } from './totals.ts'

/** What the supervisor hands down. */
export interface RuntimeOptions {
  readonly control: string
  readonly run: string
  readonly helper: {
    readonly mode: HelperMode
    readonly place: HelperPlace
    /** What its own check said. */
    readonly privileged: boolean
    /** acceptd was started by root, and so a login becomes its user. */
    readonly root: boolean
    readonly program: string
  }
  /** Listening descriptors by index of the listener: some for each lane, the rest for lanes that replace them. */
  readonly descriptors: readonly (readonly number[])[]
  readonly ports: readonly number[]
  readonly lanes: number
  readonly descriptorLimit: number
  /** Where what was set is kept for the next one. */
  readonly state: string
  /** Runtimes of this acceptd before it. */
  readonly restarts: number
  /** At a start of acceptd a bad control directory is no obstacle where an earlier runtime has kept a good one. */
  readonly lastGood: boolean
}

export interface Runtime extends Listening {
  readonly options: RuntimeOptions
  /** Of the monotonic clock. */
  readonly began: number
  readonly publishing: Publishing
  current(): StoredGeneration
  /** Carries out a plan that was made of what is current. */
  change(planned: Plan, order: ChangeOrder): Promise<Result<PublishedResult, Refusal>>
  lanes(): readonly LaneHandle[]
  /** Of a place. */
  deaths(place: number): number
  /** Asks every lane; those that do not answer are named. */
  askAll<Q extends QuestionName>(
    question: Q,
    ask: Questions[Q]['ask'],
  ): Promise<{ readonly answers: readonly Questions[Q]['answer'][]; readonly silent: readonly number[] }>
  recycle(lane: number): Promise<LaneHandle | NotRecycled>
  /** Totals of what lanes have counted; `zero` has what is to be there from the start. */
  counted(zero: readonly Sample[]): readonly Sample[]
  /** By the rule's text. */
  hits(): ReadonlyMap<string, Hits>
  pause(listener: number, mode: PauseMode | undefined): Promise<void>
  paused(): readonly (PauseMode | undefined)[]
  refuse(refuse: boolean): Promise<number>
  refusing(): boolean
  /** Whether the helper has been heard of lately; undefined where it runs for each login. */
  helperUp(): boolean | undefined
  /** Has the helper check every password again, whatever a chain's `verified` says. */
  forgetVerified(): void
  /** Lanes let a client go that comes from this port of this host to the listener, unseen; 0: no longer. */
  probing(listener: number, port: number): void
  blocks(): ReadonlyMap<string, Block>
  /** Undefined: no longer. Ids of the sessions that it ended. */
  block(user: string, block: Block | undefined): Promise<readonly string[]>
  overrides(): readonly KeptOverride[]
  keep(overrides: readonly KeptOverride[]): void
  saved(): Promise<void>
  /** Why what was told is not on disk. */
  notSaved(): string | undefined
  log(level: LogLevel, event: string, fields: LogFields): void
  readonly certificates: Certificates
  readonly capabilities: Capabilities
  readonly limits: LimitsService
  /** Log lines that could not be written. */
  linesLost(): number
  levels(): LogLevels
  /** Undefined: as control/loglevel has it. What had been set before. */
  setLevel(component: LogComponent, level: LogLevel | undefined): Promise<LogLevel | undefined>
  emit(event: DaemonEvent): void
  /** Closes the listeners, lets sessions end, resolves when the last lane has. */
  stop(graceSeconds: number): Promise<void>
}

export async function startRuntime(
  options: RuntimeOptions,
  { write, dropped }: LogWriter,
  threads: Threads = workerThreads(options.lanes),
): Promise<Result<Runtime, Findings>> {
  const began = monotonic()
  const store = openStore(
    options.state,
    () => contentOf(memoryOf(publishing, orders, crew)),
    (trouble) => {
      if (trouble !== undefined) log(audience, 'error', 'state-not-saved', { path: options.state, message: trouble })
      else log(audience, 'info', 'state-saved', { path: options.state })
    },
  )
  const { memory, troubles } = recall(store)
  const begun = begin(options.control, memory.generations, beginsWith(options))
  if (begun.isErr()) return err(begun.error)
  const publishing = startPublishing(options.control, begun.value, memory.generations)
  const orders = ordersOf(options, publishing, memory)
  useLogFormat(publishing.current.config.logFormat)
  const audience = newAudience(write, levelsInForce(publishing, orders), options.restarts > 0)
  tellBeginning(audience, options, begun.value, troubles)
  const watch = watchOf(options, audience)
  const certificates = certificatesOf(audience, (material) => void askLanes(crew, 'tls', material))
  const save = () => void store.save()
  const limits = createLimits(publishing.current.config.limits, memory.overrides)
  const capabilities = createCapabilities({
    place: options.helper.place,
    config: () => publishing.current.config,
    publish: (lines) => void askLanes(crew, 'probed', lines),
    log: (level, event, fields) => log(audience, level, event, fields),
  })
  const parts = { publishing, audience, orders, certificates, capabilities, limits, save }
  const crew = crewOf({ ...parts, options, watch, threads })
  for (const [place, deaths] of memory.deaths) crew.deaths.set(place, deaths)
  crew.leases.request = descriptorRequests((listener, fd) => supplied(crew.leases, listener, fd))
  const read = certificates.load(publishing.current.config, 'start')
  if (read.isErr() && beginsWith(options) === 'disk') return err({ list: read.error, count: read.error.length })
  void store.save()
  for (let place = 1; place <= options.lanes; place += 1) startLane(crew, place)
  const stopPings = startPings(crew)
  // One that dies meanwhile has been replaced by then.
  while (crew.lanes.size > 0 && [...crew.lanes.values()].some((lane) => lane.state === 'starting'))
    await Promise.all([...crew.lanes.values()].map((lane) => lane.settled))
  capabilities.look()
  return ok({
    options,
    began,
    publishing,
    certificates,
    capabilities,
    limits,
    current: () => publishing.current,
    ...lanesOf(crew, orders, save),
    ...hearingOf({ ...parts, crew }),
    overrides: () => orders.overrides,
    keep: (overrides) => {
      orders.overrides = overrides
      save()
    },
    saved: () => store.saved(),
    notSaved: () => store.trouble(),
    linesLost: dropped,
    helperUp: () => watch?.connected(),
    forgetVerified: () => watch?.forget(),
    probing: crew.pool.probing,
    async stop(graceSeconds) {
      stopPings()
      watch?.stop()
      certificates.stop()
      capabilities.stop()
      limits.stop()
      sayStopping()
      closeAll(crew.leases)
      await stopCrew(crew, graceSeconds)
      await store.saved()
    },
  })
}

/** What runs is the last good configuration once a runtime has died, and where the operator asks for it. */
const beginsWith = ({ restarts, lastGood }: RuntimeOptions): BeginWith =>
  restarts > 0 ? 'kept' : lastGood ? 'disk-or-kept' : 'disk'

function tellBeginning(
  audience: Audience,
  { control }: RuntimeOptions,
  { current, disk }: Beginning,
  troubles: readonly string[],
): void {
  for (const message of troubles) log(audience, 'error', 'state-unreadable', { message })
  const { generation, sha256, by } = current
  log(audience, 'info', 'generation', { generation, sha256, by })
  if (disk !== undefined) {
    const first = describeError(disk.list[0])
    log(audience, 'error', 'last-good-runs', { control, generation, errors: disk.count, first })
  }
}

/** The standing connection: it says how backends end, and ends those that were cut off. */
function watchOf({ helper }: RuntimeOptions, audience: Audience): HelperWatch | undefined {
  if (!('socket' in helper.place)) return undefined
  const tell = (name: string, data: DaemonEvent['data'] = {}) =>
    emit(audience, { at: Date.now(), topic: 'helper', name, data })
  return watchHelper(
    helper.place.socket,
    (session, pid, how, code) => {
      if (how !== 'signal' && code === 0) return
      log(audience, 'info', 'backend-ended', { session, pid, [how]: code })
      tell('ended', { session, pid, how, code })
    },
    (up) => tell(up ? 'up' : 'down'),
  )
}

const certificatesOf = (audience: Audience, publish: (material: TlsMaterial) => void): Certificates =>
  createCertificates({
    publish,
    loaded: (list, by, reason) => {
      if (list.length === 0 || by === 'start') return
      log(audience, 'info', 'certificates-loaded', { by, reason, certificates: list.length })
      emit(audience, { at: Date.now(), topic: 'tls', name: 'loaded', data: { by, certificates: list.length } })
    },
    failed: (errors, by) => {
      log(audience, 'error', 'certificates-failed', { by, errors: errors.length, first: describeError(errors[0]) })
      emit(audience, { at: Date.now(), topic: 'tls', name: 'failed', data: { by, errors: errors.length } })
    },
  })

interface Parts {
  readonly options: RuntimeOptions
  readonly publishing: Publishing
  readonly audience: Audience
  readonly orders: Orders
  readonly watch: HelperWatch | undefined
  readonly threads: Threads
  readonly certificates: Certificates
  readonly capabilities: Capabilities
  readonly limits: LimitsService
  readonly save: () => void
}

function crewOf(parts: Parts): Crew {
  const { options, publishing, audience, orders, watch, threads, certificates, capabilities, limits, save } = parts
  const { descriptorLimit, descriptors, lanes } = options
  const events: PoolEvents = {
    said: (lane, message) => {
      if ('limits' in message) limits.hear(lane, message.limits)
      else if ('log' in message) audience.write(message.log)
      else if ('errors' in message) audience.errors.add(message.errors)
      else if ('kill' in message) for (const session of message.kill) watch?.kill(session)
      else if ('events' in message) for (const event of message.events) emit(audience, event)
      else if ('traces' in message) showTraces(audience, message.traces)
      else if ('ready' in message) {
        log(audience, 'debug', 'lane-ready', { lane: lane.lane })
        emit(audience, { at: Date.now(), topic: 'lane', name: 'started', data: { lane: lane.lane } })
      }
    },
    died: (lane, why) => {
      limits.died(lane)
      if (crew.lanes.get(lane.place) === lane && !crew.stopping)
        emit(audience, { at: Date.now(), topic: 'lane', name: 'died', data: { lane: lane.lane, why } })
      laneEnded(crew, lane, why)
    },
  }
  const crew: Crew = {
    pool: createPool(threads, events),
    leases: newLeases(options.descriptors),
    settings: () => ({
      lanes: options.lanes,
      published: textsOf(publishing.current),
      helper: options.helper.place,
      descriptorsForSessions: descriptorsForSessions(descriptorLimit, descriptors.length, lanes),
      blocked: [...orders.blocked.keys()],
      secret: limits.secret,
      refusing: orders.refusing,
      paused: orders.paused,
      probed: capabilities.lines(),
      tls: certificates.material(),
    }),
    log: (level, event, fields) => log(audience, level, event, fields),
    died: save,
    started: (lane) => void tellLane(audience, lane),
    lanes: new Map(),
    draining: new Set(),
    deaths: new Map(),
    totals: newTotals(),
    lastNumber: 0,
    missed: new WeakMap(),
    stopping: false,
  }
  return crew
}

const heardOf = (crew: Crew) => liveLanes(crew).map(({ heard }) => heard)

const lanesOf = (crew: Crew, orders: Orders, save: () => void) =>
  ({
    lanes: () => liveLanes(crew),
    deaths: (place) => crew.deaths.get(place) ?? 0,
    counted: (zero) => countedBy(crew.totals, heardOf(crew), zero),
    hits: () => hitsBy(crew.totals, heardOf(crew)),
    askAll: (question, ask) => askLanes(crew, question, ask),
    recycle: (number) => recycleLane(crew, number),
    paused: () => orders.paused,
    async pause(listener, mode) {
      orders.paused[listener] = mode
      save()
      await pauseListener(crew, listener, mode)
    },
    refusing: () => orders.refusing,
    async refuse(refuse) {
      orders.refusing = refuse
      save()
      const { answers } = await askLanes(crew, 'refuse', { refuse })
      return answers.reduce((sum, answer) => sum + answer.sessions, 0)
    },
    blocks: () => orders.blocked,
    async block(user, block) {
      if (block === undefined) orders.blocked.delete(user)
      else orders.blocked.set(user, block)
      save()
      return (await askLanes(crew, 'block', { user, blocked: block !== undefined })).answers.flat()
    },
  }) satisfies Partial<Runtime>

type Hearing = Omit<Parts, 'options' | 'watch' | 'threads'> & { readonly crew: Crew }

const hearingOf = ({ crew, audience, publishing, certificates, capabilities, limits, orders, save }: Hearing) => {
  const tellLanes = () => Promise.all(liveLanes(crew).map((lane) => tellLane(audience, lane)))
  const host = {
    lanes: () => liveLanes(crew),
    log: (level: LogLevel, event: string, fields: LogFields) => log(audience, level, event, fields),
    emit: (event: DaemonEvent) => emit(audience, event),
  }
  return {
    log: host.log,
    emit: host.emit,
    async change(planned, order) {
      const result = await carryOut(publishing, host, planned, order)
      if (result.isErr()) return result
      if (planned.changed.includes('loglevel')) {
        forgetLevels(orders)
        audience.levels = levelsInForce(publishing, orders)
        void tellLanes()
      }
      save()
      if (planned.changed.includes('limits')) limits.use(publishing.current.config.limits)
      if (planned.changed.includes('chains') || planned.changed.includes('smtpcapabilities')) capabilities.look()
      if (changesTls(planned)) certificates.load(publishing.current.config, 'reload')
      return result
    },
    ...listeningTo(audience, tellLanes),
    levels: () => audience.levels,
    async setLevel(component, wanted) {
      const before = orders.levels.get(component)
      if (wanted === undefined) orders.levels.delete(component)
      else orders.levels.set(component, wanted)
      audience.levels = levelsInForce(publishing, orders)
      save()
      await tellLanes()
      return before
    },
  } satisfies Partial<Runtime>
}
