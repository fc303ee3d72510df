// This runtime in an upgrade: how it takes over from the one before it, and how it gives way to the next. edge/succession.ts has the picture.

import { err, ok, type Result } from 'neverthrow'
import { addSample, METRICS, type Sample } from '../contract/metrics.ts'
import { monotonic } from '../edge/clock.ts'
import type { Left } from '../edge/store.ts'
import type { AcceptdChannel, FromAcceptd, NotTaken, ToAcceptd } from '../edge/succession.ts'
import { type Audience, emit, log } from './audience.ts'
import { batonOf, batonText, decode64, encode64, type FormerSays, laneKept, type ServingSays } from './baton.ts'
import type { Certificates } from './certificates.ts'
import { type Crew, liveLanes, ownLanes, startLane } from './crew.ts'
import type { FleetService } from './fleet.ts'
import type { Formers } from './former.ts'
import { closeAll } from './leases.ts'
import type { LimitsService } from './limits.ts'
import { contentOf, type Memory, recall } from './memory.ts'
import { follow, levelsInForce, type Orders } from './orders.ts'
import type { OwnLane } from './pool.ts'
import { type Publishing, reloadSamples } from './publishing.ts'

export interface SuccessionParts {
  readonly options: { readonly standby?: boolean }
  readonly acceptd: AcceptdChannel | undefined
  readonly crew: Crew
  readonly formers: Formers
  readonly publishing: Publishing
  readonly orders: Orders
  readonly audience: Audience
  readonly certificates: Certificates
  readonly limits: LimitsService
  readonly fleet: FleetService
  readonly memory: () => Memory
  readonly store: Left
  readonly linesLost: () => number
  /** Ends what only the runtime that serves does. */
  readonly rest: () => void
  readonly save: () => void
}

/** What the control sockets do when another runtime takes them. */
export interface ControlSide {
  /** Listens no more where two cannot; what it has counted. */
  readonly release: () => Promise<readonly Sample[]>
  readonly reclaim: () => Promise<void>
  /** Another runtime has the sockets. */
  readonly leave: () => void
}

export interface UpgradeOrder {
  readonly reason: string | undefined
  readonly trial: boolean
}

export interface Upgraded {
  readonly version: string
  /** 0: it was a trial. */
  readonly pid: number
  /** That go on in this process. */
  readonly sessions: number
  readonly milliseconds: number
}

export interface Succession {
  readonly upgrade: (order: UpgradeOrder) => Promise<Result<Upgraded, NotTaken>>
  readonly isUnderWay: () => boolean
  /** What changes now is not known to the one that takes over. */
  readonly isHanding: () => boolean
  readonly lastFailure: () => { readonly at: number; readonly message: string } | undefined
  readonly formers: () => { readonly processes: number; readonly lanes: number }
  /** Counted by main threads before this one, and upgrades. */
  readonly inherited: () => readonly Sample[]
  /** For the one that takes over: says that it could serve, and resolves when it has what the other knew. */
  readonly takeOver: (version: string) => Promise<void>
  /** Its lanes listen, and the other one gives way. */
  readonly serve: () => Promise<void>
  readonly controlledBy: (side: ControlSide) => void
}

type Stage =
  | { readonly at: 'serving' }
  | { readonly at: 'asking' }
  /** The baton is given; what lanes say waits until it is known who serves. */
  | { readonly at: 'handing'; readonly kept: FormerSays[] }
  | { readonly at: 'former'; readonly since: number }

interface Asked {
  readonly began: number
  version: string
  sessions: number
  readonly settle: (result: Result<Upgraded, NotTaken>) => void
}

export function createSuccession(parts: SuccessionParts): Succession {
  const send = parts.acceptd?.send ?? (() => undefined)
  const state: State = {
    parts,
    send,
    stage: { at: 'serving' },
    asked: undefined,
    control: undefined,
    lastFailure: undefined,
    inherited: [],
    outcomes: { ok: 0, failed: 0 },
    version: '',
    taken: () => undefined,
  }
  parts.acceptd?.hear((message) => hear(state, message))
  const { crew, formers, save } = parts
  return {
    upgrade: (order) => begin(state, order),
    isUnderWay: () => state.asked !== undefined,
    isHanding: () => state.stage.at === 'handing' || state.stage.at === 'former',
    lastFailure: () => state.lastFailure,
    formers: () => ({ processes: formers.processes(), lanes: formers.lanes().length }),
    inherited: () => [...state.inherited, ...upgradeSamples(state)],
    takeOver: (version) =>
      new Promise((resolve) => {
        state.version = version
        state.taken = resolve
        send({ ready: { version } })
      }),
    async serve() {
      if (parts.options.standby !== true) {
        send({ ready: { version: state.version } })
        return
      }
      crew.standby = false
      const { blocked, paused, refusing } = parts.orders
      const order = { blocked: [...blocked.keys()], paused, refusing, secret: parts.limits.secret() }
      await Promise.all(ownLanes(crew).map((lane) => lane.ask('open', order)))
      state.outcomes.ok += 1
      send({ serving: true })
      tell(state, 'info', 'upgraded', { version: state.version, pid: process.pid })
      save()
    },
    controlledBy: (side) => {
      state.control = side
    },
  }
}

interface State {
  readonly parts: SuccessionParts
  readonly send: (message: ToAcceptd) => void
  stage: Stage
  asked: Asked | undefined
  control: ControlSide | undefined
  lastFailure: { readonly at: number; readonly message: string } | undefined
  inherited: readonly Sample[]
  readonly outcomes: Record<'ok' | 'failed', number>
  version: string
  taken: () => void
}

const upgradeSamples = ({ outcomes }: State): readonly Sample[] =>
  (['ok', 'failed'] as const).map((outcome) => ({
    metric: 'acceptd_upgrades_total',
    labels: { outcome },
    value: outcomes[outcome],
  }))

function tell(
  { parts: { audience } }: State,
  level: 'error' | 'info',
  name: string,
  fields: Readonly<Record<string, string | number | undefined>>,
): void {
  log(audience, level, name, fields)
  emit(audience, { at: Date.now(), topic: 'op', name, data: fields })
}

// ---- giving way

function begin(state: State, { reason, trial }: UpgradeOrder): Promise<Result<Upgraded, NotTaken>> {
  if (state.parts.acceptd === undefined) return Promise.resolve(err({ message: 'no acceptd has started this runtime' }))
  if (state.asked !== undefined || state.stage.at !== 'serving')
    return Promise.resolve(err({ message: 'an upgrade is under way' }))
  tell(state, 'info', 'upgrade-begins', { reason })
  state.stage = { at: 'asking' }
  return new Promise((resolve) => {
    state.asked = { began: monotonic(), version: '', sessions: 0, settle: resolve }
    state.send({ upgrade: { lastLane: state.parts.crew.lastNumber, trial } })
  })
}

function settle(state: State, result: Result<Upgraded, NotTaken>): void {
  const { asked } = state
  state.asked = undefined
  asked?.settle(result)
}

function hear(state: State, message: FromAcceptd): void {
  const { formers } = state.parts
  if ('handOver' in message) void handOver(state, message.handOver.version)
  else if ('tried' in message) tried(state, message.tried.version)
  else if ('keepOn' in message) void keepOn(state, message.keepOn)
  else if ('retire' in message) retire(state, message.retire.pid)
  else if ('announce' in message) announce(state)
  else if ('errors' in message) state.parts.audience.errors.add(message.errors)
  else if ('fromServing' in message) obey(state, message.fromServing as ServingSays)
  else if ('fromFormer' in message) {
    const { pid, message: says } = message.fromFormer
    formers.hear(pid, says as FormerSays | undefined)
  } else if ('baton' in message) take(state, message.baton as string)
}

function tried(state: State, version: string): void {
  state.stage = { at: 'serving' }
  const milliseconds = Math.round(monotonic() - (state.asked?.began ?? monotonic()))
  tell(state, 'info', 'upgrade-tried', { version })
  settle(state, ok({ version, pid: 0, sessions: 0, milliseconds }))
}

async function handOver(state: State, version: string): Promise<void> {
  const { asked, parts } = state
  if (asked === undefined) return
  asked.version = version
  tell(state, 'info', 'upgrade-ready', { version })
  const counted = (await state.control?.release()) ?? []
  const { crew } = parts
  asked.sessions = await countAll(crew)
  if (state.asked !== asked) {
    await state.control?.reclaim()
    return
  }
  const kept: FormerSays[] = []
  state.stage = { at: 'handing', kept }
  // Nothing is counted, remembered or replaced here from this moment on, unless the next one fails.
  crew.stopping = true
  for (const lane of ownLanes(crew)) sendElsewhere(state, lane)
  state.send({ baton: batonText(batonFor(state, counted)) })
}

/** The number of their sessions. */
async function countAll(crew: Crew): Promise<number> {
  const counts = await Promise.all(
    liveLanes(crew)
      .map(async (lane) => {
        const [measure, { hits }] = await Promise.all([lane.ask('measure', null), lane.ask('generations', null)])
        Object.assign(lane.heard, { counted: measure.counted, hits })
        return measure.sessions
      })
      .map((one) => one.catch(() => 0)),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

function sendElsewhere(state: State, lane: OwnLane): void {
  lane.speakTo((bytes) => say(state, { said: lane.lane, bytes: encode64(bytes) }))
  void lane.gone.then((why) => say(state, { gone: lane.lane, why }))
}

function say(state: State, says: FormerSays): void {
  if (state.stage.at === 'handing') state.stage.kept.push(says)
  else if (state.stage.at === 'former') state.send({ toServing: says })
  if ('gone' in says) endWithLast(state)
}

/** Sums of counters only: what is measured is measured again. */
function batonFor(state: State, counted: readonly Sample[]) {
  const { crew, publishing, certificates, limits, memory, linesLost } = state.parts
  const sums = new Map<string, Sample>()
  const lost: Sample = { metric: 'acceptd_log_lines_lost_total', labels: {}, value: linesLost() }
  const all = [...state.inherited, ...upgradeSamples(state), ...counted, ...certificates.samples(), lost]
  for (const sample of [...all, ...reloadSamples(publishing)]) {
    if (METRICS[sample.metric].type !== 'gauge') addSample(sums, sample)
  }
  const now = monotonic()
  return {
    state: contentOf(memory()).text,
    totals: [...crew.totals.counted.values()],
    hits: [...crew.totals.hits].map(([text, { count, last }]) => [text, count, last] as const),
    inherited: [...sums.values()],
    limits: limits.kept(),
    clock: limits.now(),
    secret: limits.secret(),
    tickets: certificates.tickets(),
    lanes: [...ownLanes(crew).map((lane) => laneKept(lane, process.pid, now, 0)), ...state.parts.formers.kept(now)],
  }
}

/** The next one does not serve: all goes on here as if nothing had happened. */
async function keepOn(state: State, { message, errors }: NotTaken): Promise<void> {
  const { parts, stage } = state
  if (state.asked === undefined) return
  state.lastFailure = { at: Date.now(), message }
  state.outcomes.failed += 1
  state.stage = { at: 'serving' }
  if (stage.at === 'handing') {
    parts.limits.keepOn()
    takeBack(parts.crew, stage.kept)
  }
  tell(state, 'error', 'upgrade-failed', { message })
  if (stage.at === 'handing') await state.control?.reclaim()
  settle(state, err({ message, ...(errors === undefined ? {} : { errors }) }))
}

function takeBack(crew: Crew, kept: readonly FormerSays[]): void {
  crew.stopping = false
  const lanes = new Map(ownLanes(crew).map((lane) => [lane.lane, lane]))
  for (const lane of lanes.values()) lane.speakTo(undefined)
  for (const says of kept) if ('said' in says) lanes.get(says.said)?.hear(decode64(says.bytes))
  for (let place = 1; place <= crew.places; place += 1)
    if (!crew.lanes.has(place)) startLane(crew, place, crew.lastNumber + 1)
}

/** The next one serves: the lanes finish their sessions, and this process ends with the last of them. */
function retire(state: State, pid: number): void {
  const { stage, asked, parts } = state
  const { crew, formers } = parts
  if (stage.at !== 'handing') return
  state.stage = { at: 'former', since: monotonic() }
  for (const says of stage.kept) state.send({ toServing: says })
  for (const lane of ownLanes(crew)) void lane.ask('retire', null).catch(() => undefined)
  closeAll(crew.leases)
  parts.rest()
  const milliseconds = Math.round(monotonic() - (asked?.began ?? 0))
  const { version = '', sessions = 0 } = asked ?? {}
  emit(parts.audience, { at: Date.now(), topic: 'op', name: 'upgraded', data: { version, pid } })
  settle(state, ok({ version, pid, sessions, milliseconds }))
  state.control?.leave()
  // Questions that were asked here before are still answered.
  setTimeout(() => formers.forget(), LAST_WORDS_MILLISECONDS).unref()
  endWithLast(state)
}

/** Questions that were asked here before have been answered by then. */
const LAST_WORDS_MILLISECONDS = 5000

function endWithLast({ stage, parts: { crew } }: State): void {
  if (stage.at !== 'former' || ownLanes(crew).length > 0) return
  setTimeout(() => process.exit(0), LAST_WORDS_MILLISECONDS)
}

/** A runtime serves that was not given the baton. */
function announce(state: State): void {
  const { stage, parts } = state
  if (stage.at !== 'former') return
  const now = monotonic()
  const announced = ownLanes(parts.crew).map((lane) => laneKept(lane, process.pid, now, now - stage.since))
  state.send({ toServing: { announced } satisfies FormerSays })
}

/** The serving runtime speaks to a lane here. */
function obey({ parts: { crew } }: State, says: ServingSays): void {
  const number = 'lane' in says ? says.lane : says.end
  const lane = ownLanes(crew).find((one) => one.lane === number)
  if ('lane' in says) lane?.postBytes(decode64(says.bytes))
  else lane?.end(says.why)
}

// ---- taking over

function take(state: State, text: string): void {
  const { parts } = state
  const { audience, certificates, crew, fleet, limits, orders, publishing } = parts
  const baton = batonOf(text)
  const { memory } = recall({ ...parts.store, read: () => baton.state, putAside: () => '' })
  follow(orders, publishing, memory)
  audience.levels = levelsInForce(publishing, orders)
  for (const [place, deaths] of memory.deaths) crew.deaths.set(place, deaths)
  for (const sample of baton.totals) addSample(crew.totals.counted, sample)
  for (const [rule, count, last] of baton.hits) crew.totals.hits.set(rule, { count, last })
  state.inherited = baton.inherited
  audience.errors.goOn()
  limits.takeOver({ ...baton, overrides: memory.overrides })
  fleet.takeOver(memory.seen)
  certificates.useTickets(baton.tickets)
  parts.formers.add(baton.lanes)
  state.taken()
}
