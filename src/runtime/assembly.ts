// The parts of a runtime that hear lanes, helper and certificates, put together.

import { commonHashOf } from '../config/generations.ts'
import type { DaemonEvent } from '../contract/events.ts'
import { VERSION } from '../contract/version.ts'
import { type HelperWatch, watchHelper } from '../edge/helper.ts'
import { descriptorsForSessions } from '../edge/sizing.ts'
import type { AcceptdChannel } from '../edge/succession.ts'
import type { TlsMaterial } from '../edge/tls.ts'
import { describeError } from '../protocol/errors.ts'
import { type Audience, emit, log, showTraces, tellLane } from './audience.ts'
import { type Capabilities, createCapabilities } from './capabilities.ts'
import { type Certificates, createCertificates } from './certificates.ts'
import { type Crew, laneEnded } from './crew.ts'
import { createFleetService, type FleetService } from './fleet.ts'
import { createFormers, type Formers } from './former.ts'
import type { PoolEvents } from './lane-talk.ts'
import { newLeases } from './leases.ts'
import type { LimitsService } from './limits.ts'
import type { Orders } from './orders.ts'
import { createPool, type Threads } from './pool.ts'
import { type Publishing, textsOf } from './publishing.ts'
import type { RuntimeOptions } from './runtime.ts'
import { newTotals } from './totals.ts'

/** The standing connection: it says how backends end, and ends those that were cut off. */
export function watchOf({ helper }: RuntimeOptions, audience: Audience): HelperWatch | undefined {
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

export const certificatesOf = (audience: Audience, publish: (material: TlsMaterial) => void): Certificates =>
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

export const capabilitiesOf = (
  { helper }: RuntimeOptions,
  publishing: Publishing,
  audience: Audience,
  publish: Parameters<typeof createCapabilities>[0]['publish'],
): Capabilities =>
  createCapabilities({
    place: helper.place,
    config: () => publishing.current.config,
    publish,
    log: (level, event, fields) => log(audience, level, event, fields),
  })

export function fleetOf(
  publishing: Publishing,
  audience: Audience,
  limits: LimitsService,
  isHanding: () => boolean,
  seen: number,
): FleetService {
  const fleet = createFleetService(
    {
      limiter: limits.limiter,
      now: limits.now,
      log: (level, event, fields) => log(audience, level, event, fields),
      facts() {
        const { generation, sha256, texts } = publishing.current
        return { version: VERSION, generation, sha256, common: commonHashOf(texts) }
      },
      isHanding,
    },
    seen,
  )
  limits.onCounted = fleet.counted
  fleet.use(publishing.current.config.fleet)
  return fleet
}

export interface Parts {
  readonly options: RuntimeOptions
  readonly publishing: Publishing
  readonly audience: Audience
  readonly orders: Orders
  readonly watch: HelperWatch | undefined
  readonly threads: Threads
  readonly certificates: Certificates
  readonly capabilities: Capabilities
  readonly limits: LimitsService
  readonly fleet: FleetService
  readonly save: () => void
  readonly acceptd: AcceptdChannel | undefined
}

export function crewOf(parts: Parts): {
  readonly crew: Crew
  readonly formers: Formers
} {
  const { options, publishing, audience, orders, watch, threads, certificates, capabilities, limits, save, acceptd } =
    parts
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
    pool: createPool(threads, events, limits.room),
    leases: newLeases(options.descriptors),
    settings: () => ({
      lanes: options.lanes,
      published: textsOf(publishing.current),
      helper: options.helper.place,
      descriptorsForSessions: descriptorsForSessions(descriptorLimit, descriptors.length, lanes),
      blocked: [...orders.blocked.keys()],
      secret: limits.secret(),
      refusing: orders.refusing,
      standby: crew.standby,
      paused: orders.paused,
      probed: capabilities.lines(),
      tls: certificates.material(),
    }),
    log: (level, event, fields) => log(audience, level, event, fields),
    died: save,
    started: (lane) => void tellLane(audience, lane),
    places: lanes,
    lanes: new Map(),
    draining: new Set(),
    former: () => formers.lanes(),
    deaths: new Map(),
    totals: newTotals(),
    lastNumber: options.firstLane ?? 0,
    missed: new WeakMap(),
    stopping: false,
    standby: options.standby === true,
  }
  const formers = createFormers((pid, message) => acceptd?.send({ toFormer: { pid, message } }), events, {
    added: crew.started,
    longest: () => publishing.current.config.upgradeDrain,
  })
  return { crew, formers }
}
