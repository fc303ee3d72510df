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
import { errorsFile } from '../edge/errors-file.ts'
import { type LogFields, useLogFormat } from '../edge/log.ts'
import type { LogWriter } from '../edge/log-writer.ts'
import { openStore } from '../edge/store.ts'
import { type AcceptdChannel, channelToAcceptd } from '../edge/succession.ts'
import type { QuestionName, Questions } from '../lane/messages.ts'
import { describeError } from '../protocol/errors.ts'
import type { HelperMode, HelperPlace } from '../protocol/helper.ts'
import { capabilitiesOf, certificatesOf, crewOf, fleetOf, type Parts, watchOf } from './assembly.ts'
import { type Audience, emit, type Listening, listeningTo, log, newAudience, tellLane } from './audience.ts'
import { type Beginning, type BeginWith, begin } from './beginning.ts'
import type { Capabilities } from './capabilities.ts'
import type { Certificates } from './certificates.ts'
import {
  askLanes,
  type Crew,
  liveLanes,
  type NotRecycled,
  ownLanes,
  pauseListener,
  recycleLane,
  startLane,
  startPings,
  stopCrew,
} from './crew.ts'
import type { FleetService } from './fleet.ts'
import type { LaneHandle } from './lane-talk.ts'
import { closeAll, supplied } from './leases.ts'
import { createLimits, type LimitsService } from './limits.ts'
import { createLogErrors } from './log-errors.ts'
import { type Block, contentOf, recall } from './memory.ts'
import { forgetLevels, levelsInForce, memoryOf, type Orders, ordersOf } from './orders.ts'
import { type Threads, workerThreads } from './pool.ts'
import {
  type ChangeOrder,
  changesTls,
  type PreparedChange,
  type Publishing,
  prepareChange,
  type Refusal,
  startPublishing,
} from './publishing.ts'
import { createSuccession, type Succession } from './succession.ts'
import { countedBy, type Hits, hitsBy } from './totals.ts'

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
  /** Its lanes are numbered from the next one on. */
  readonly firstLane?: number
  /** Another one serves: this one takes over from it. */
  readonly standby?: boolean
}

export interface Runtime extends Listening {
  readonly options: RuntimeOptions
  /** Of the monotonic clock. */
  readonly began: number
  readonly publishing: Publishing
  current(): StoredGeneration
  /** Carries out a plan that was made of what is current, but for its last step. */
  prepare(planned: Plan, order: ChangeOrder): Promise<Result<PreparedChange, Refusal>>
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
  /** By the rule's text, or the lineKey of another line. */
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
  readonly fleet: FleetService
  readonly succession: Succession
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
  acceptd: AcceptdChannel | undefined = channelToAcceptd(),
): Promise<Result<Runtime, Findings>> {
  const began = monotonic()
  const kept = () => memoryOf(publishing, orders, crew, fleet.seen())
  const store = openStore(
    options.state,
    () => contentOf(kept()),
    (trouble) => tellSaving(audience, options.state, trouble),
  )
  const { memory, troubles } = recall(store)
  const begun = begin(options.control, memory.generations, beginsWith(options))
  if (begun.isErr()) return err(begun.error)
  const publishing = startPublishing(options.control, begun.value, memory.generations)
  const orders = ordersOf(options, publishing, memory)
  useLogFormat(publishing.current.config.logFormat)
  const errors = createLogErrors(errorsFile(options.state))
  const audience = newAudience(write, levelsInForce(publishing, orders), options, errors)
  tellBeginning(audience, options, begun.value, troubles)
  const watch = watchOf(options, audience)
  const certificates = certificatesOf(audience, (material) => void askLanes(crew, 'tls', material))
  const save = () => {
    if (!crew.standby && !succession.isHanding()) void store.save()
  }
  const limits = createLimits(publishing.current.config.limits, memory.overrides)
  const fleet = fleetOf(publishing, audience, limits, () => succession.isHanding(), memory.seen)
  const capabilities = capabilitiesOf(options, publishing, audience, (lines) => void askLanes(crew, 'probed', lines))
  const parts = { publishing, audience, orders, certificates, capabilities, limits, fleet, save }
  const { crew, formers } = crewOf({ ...parts, options, watch, threads, acceptd })
  for (const [place, deaths] of memory.deaths) crew.deaths.set(place, deaths)
  crew.leases.request = descriptorRequests((listener, fd) => supplied(crew.leases, listener, fd))
  const read = certificates.load(publishing.current.config, 'start')
  if (read.isErr() && ['disk', 'reload'].includes(beginsWith(options)))
    return err({ list: read.error, count: read.error.length })
  const stopPings = startPings(crew)
  const rest = () => {
    stopPings()
    for (const service of [watch, certificates, capabilities, fleet, limits]) service?.stop()
  }
  const given = { ...parts, options, crew, formers, memory: kept, store, linesLost: dropped, rest, acceptd }
  const succession = createSuccession(given)
  save()
  for (let place = 1; place <= options.lanes; place += 1) startLane(crew, place, (options.firstLane ?? 0) + place)
  await allSettled(crew)
  capabilities.look()
  return ok({
    options,
    began,
    publishing,
    certificates,
    capabilities,
    limits,
    fleet,
    current: () => publishing.current,
    ...lanesOf(crew, orders, save),
    ...hearingOf({ ...parts, crew }),
    overrides: () => orders.overrides,
    keep: (overrides) => {
      orders.overrides = overrides
      save()
    },
    saved: async () => void (await Promise.all([store.saved(), errors.saved()])),
    notSaved: () => store.trouble(),
    linesLost: dropped,
    helperUp: () => watch?.connected(),
    forgetVerified: () => watch?.forget(),
    probing: crew.pool.probing,
    succession,
    async stop(graceSeconds) {
      rest()
      sayStopping()
      closeAll(crew.leases)
      await stopCrew(crew, graceSeconds)
      await Promise.all([store.saved(), errors.saved()])
    },
  })
}

/** One that dies meanwhile has been replaced by then. */
async function allSettled({ lanes }: Crew): Promise<void> {
  while (lanes.size > 0 && [...lanes.values()].some((lane) => lane.state === 'starting'))
    await Promise.all([...lanes.values()].map((lane) => lane.settled))
}

function tellSaving(audience: Audience, path: string, trouble: string | undefined): void {
  if (trouble !== undefined) log(audience, 'error', 'state-not-saved', { path, message: trouble })
  else log(audience, 'info', 'state-saved', { path })
}

/** What runs is the last good configuration once a runtime has died, and where the operator asks for it. */
const beginsWith = ({ restarts, lastGood, standby }: RuntimeOptions): BeginWith =>
  standby ? 'reload' : restarts > 0 ? 'kept' : lastGood ? 'disk-or-kept' : 'disk'

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

type Hearing = Omit<Parts, 'options' | 'watch' | 'threads' | 'acceptd'> & { readonly crew: Crew }

const hearingOf = (hearing: Hearing) => {
  const { crew, audience, publishing, certificates, capabilities, limits, fleet, orders, save } = hearing
  const tellLanes = () => Promise.all(liveLanes(crew).map((lane) => tellLane(audience, lane)))
  const host = {
    lanes: () => ownLanes(crew),
    log: (level: LogLevel, event: string, fields: LogFields) => log(audience, level, event, fields),
    emit: (event: DaemonEvent) => emit(audience, event),
  }
  /** The rest of the runtime follows. */
  const published = (planned: Plan) => {
    const { config } = publishing.current
    if (planned.changed.includes('loglevel')) {
      forgetLevels(orders)
      audience.levels = levelsInForce(publishing, orders)
      void tellLanes()
    }
    save()
    if (planned.changed.includes('limits')) limits.use(config.limits)
    fleet.use(config.fleet)
    if (planned.changed.includes('chains') || planned.changed.includes('smtpcapabilities')) capabilities.look()
    if (changesTls(planned)) certificates.load(config, 'reload')
  }
  return {
    log: host.log,
    emit: host.emit,
    async prepare(planned, order) {
      const prepared = await prepareChange(publishing, host, planned, order)
      return prepared.map(({ publish, forget }) => ({
        forget,
        async publish() {
          const result = await publish()
          published(planned)
          return result
        },
      }))
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
