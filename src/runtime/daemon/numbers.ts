// Everything that is counted and measured, for metrics and stats; contract/metrics.ts names the families. What is not zero yet is there as zero.

import { ENDINGS } from '../../actors/endings.ts'
import { mechanismsOf } from '../../config/mechanisms.ts'
import { histogramValue, newHistogram } from '../../contract/histogram.ts'
import { addSample, type Sample } from '../../contract/metrics.ts'
import { monotonic } from '../../edge/clock.ts'
import { processNumbers } from '../../edge/process-numbers.ts'
import type { Runtime } from '../runtime.ts'
import { configSamples } from './config.ts'
import { healthOf } from './health.ts'
import { fleetSamples, limitSamples } from './limits.ts'
import { type Measured, measureLanes, parkedBy } from './server.ts'

/** A lane that does not answer within this is counted with what it said last. */
const PATIENCE_SECONDS = 2

export async function samplesOf(runtime: Runtime, version: string): Promise<readonly Sample[]> {
  const [ofConfig, measured, checks] = await Promise.all([
    configSamples(runtime),
    measureLanes(runtime, PATIENCE_SECONDS),
    healthOf(runtime),
  ])
  return [
    ...ofRuntime(runtime, version),
    ...ofLanes(runtime, measured),
    ...runtime.counted(zeroes(runtime)),
    ...[...parkedBy(measured)].map(
      ([chain, value]): Sample => ({ metric: 'acceptd_backends_parked', labels: { chain }, value }),
    ),
    ...checks.map(
      ({ name, state }): Sample => ({ metric: 'acceptd_health', labels: { check: name }, value: STATES[state] }),
    ),
    ...ofConfig,
    ...runtime.certificates.samples(),
    ...runtime.succession.inherited(),
    ...limitSamples(runtime),
    ...fleetSamples(runtime),
  ]
}

const STATES = { ok: 0, warning: 1, failed: 2 } as const

function ofRuntime(runtime: Runtime, version: string): readonly Sample[] {
  const { options } = runtime
  const { startSeconds, cpuSeconds, residentBytes, virtualBytes, openDescriptors } = processNumbers()
  const helper = runtime.helperUp()
  return [
    { metric: 'acceptd_info', labels: { version }, value: 1 },
    { metric: 'acceptd_build_info', labels: { version, node: process.versions.node }, value: 1 },
    { metric: 'acceptd_uptime_seconds', labels: {}, value: (monotonic() - runtime.began) / 1000 },
    { metric: 'acceptd_start_time_seconds', labels: {}, value: startSeconds },
    { metric: 'acceptd_runtime_restarts_total', labels: {}, value: options.restarts },
    { metric: 'process_start_time_seconds', labels: {}, value: startSeconds },
    { metric: 'process_cpu_seconds_total', labels: {}, value: cpuSeconds },
    { metric: 'process_resident_memory_bytes', labels: {}, value: residentBytes },
    { metric: 'process_virtual_memory_bytes', labels: {}, value: virtualBytes },
    { metric: 'process_open_fds', labels: {}, value: openDescriptors },
    { metric: 'process_max_fds', labels: {}, value: options.descriptorLimit },
    { metric: 'acceptd_draining', labels: {}, value: runtime.refusing() ? 1 : 0 },
    { metric: 'acceptd_descriptors_open', labels: {}, value: openDescriptors },
    { metric: 'acceptd_descriptors_limit', labels: {}, value: options.descriptorLimit },
    { metric: 'acceptd_log_lines_lost_total', labels: {}, value: runtime.linesLost() },
    // Where it runs for each login there is none to be up.
    { metric: 'acceptd_helper_up', labels: {}, value: helper === false ? 0 : 1 },
  ]
}

function ofLanes(runtime: Runtime, measured: readonly Measured[]): readonly Sample[] {
  const sums = new Map<string, Sample>()
  const lanes = places(runtime)
  for (const { protocol } of runtime.current().config.listeners)
    for (const lane of lanes)
      addSample(sums, { metric: 'acceptd_sessions', labels: { lane, protocol, state: 'ready' }, value: 0 })
  for (const { lane, measure } of measured) {
    for (const sample of measure?.gauges ?? []) addSample(sums, sample)
    const labels = { lane: String(lane.place) }
    if (measure !== undefined)
      addSample(sums, { metric: 'acceptd_lane_memory_bytes', labels, value: measure.memoryBytes })
  }
  const deaths = lanes.map((lane): Sample => {
    return { metric: 'acceptd_lane_deaths_total', labels: { lane }, value: runtime.deaths(Number(lane)) }
  })
  return [...sums.values(), ...deaths]
}

const places = ({ options }: Runtime): readonly string[] =>
  Array.from({ length: options.lanes }, (_none, i) => String(i + 1))

const REFUSALS = ['shutting down', 'paused', 'no certificate', 'too many sessions', 'access denied', 'tls', 'proxy']
const OUTCOMES = ['accepted', 'refused', 'root', 'blocked', 'limited', 'tempfail']
const MESSAGES = ['accepted', 'tempfail', 'refused']

/** Whatever these listeners can count, before it happens: a rate needs a first value. */
function zeroes(runtime: Runtime): readonly Sample[] {
  const { config } = runtime.current()
  const { listeners } = config
  const zero: Sample[] = [
    { metric: 'acceptd_recipients_total', labels: {}, value: 0 },
    { metric: 'acceptd_limits_alone_total', labels: {}, value: 0 },
  ]
  for (const { name } of listeners) {
    zero.push({ metric: 'acceptd_sessions_accepted_total', labels: { listener: name }, value: 0 })
    for (const reason of REFUSALS)
      zero.push({ metric: 'acceptd_sessions_refused_total', labels: { listener: name, reason }, value: 0 })
  }
  for (const outcome of ['taken', 'cold'])
    zero.push({ metric: 'acceptd_warm_logins_total', labels: { outcome }, value: 0 })
  const empty = histogramValue(newHistogram())
  for (const lane of places(runtime))
    for (const outcome of OUTCOMES)
      zero.push({ metric: 'acceptd_login_seconds', labels: { lane, outcome }, value: empty })
  for (const protocol of new Set(listeners.map((one) => one.protocol))) {
    const mechanisms = listeners
      .filter((one) => one.protocol === protocol)
      .flatMap((listener) => mechanismsOf(config, listener))
    zero.push(...zeroesOf(protocol, new Set(mechanisms)))
  }
  return zero
}

function zeroesOf(protocol: 'smtp' | 'pop3', mechanisms: ReadonlySet<string>): readonly Sample[] {
  return [
    ...Object.keys(ENDINGS).map(
      (reason): Sample => ({ metric: 'acceptd_sessions_ended_total', labels: { protocol, reason }, value: 0 }),
    ),
    ...['in', 'out'].map(
      (direction): Sample => ({ metric: 'acceptd_bytes_total', labels: { protocol, direction }, value: 0 }),
    ),
    ...Array.from(mechanisms).flatMap((mechanism) =>
      OUTCOMES.map(
        (outcome): Sample => ({ metric: 'acceptd_logins_total', labels: { protocol, mechanism, outcome }, value: 0 }),
      ),
    ),
    ...(protocol === 'pop3' ? [] : MESSAGES).map(
      (outcome): Sample => ({ metric: 'acceptd_messages_total', labels: { protocol, outcome }, value: 0 }),
    ),
  ]
}
