// The control plane's view of the runtime as a whole: what it is, what it has counted, how it is, and its end.

import { ok } from 'neverthrow'
import type { Daemon } from '../../contract/daemon.ts'
import type { Sample } from '../../contract/metrics.ts'
import { monotonic, wallTime } from '../../edge/clock.ts'
import { openDescriptors } from '../../edge/sizing.ts'
import type { LaneMeasure } from '../../lane/messages.ts'
import type { LaneHandle } from '../pool.ts'
import type { Runtime } from '../runtime.ts'
import { configSamples } from './config.ts'
import { healthOf } from './health.ts'

/** What a reply has to be written in before the runtime ends. */
const LAST_REPLY_MILLISECONDS = 50

export const serverOf = (runtime: Runtime, version: string, stop: (grace: number) => void): Daemon['server'] => ({
  info: () => ({
    version,
    pid: process.pid,
    started: wallTime(runtime.began),
    lanes: runtime.lanes().length,
    helper: { mode: runtime.options.helper.mode, privileged: runtime.options.helper.privileged },
    generation: runtime.current().generation,
    sha256: runtime.current().sha256,
    draining: runtime.refusing(),
  }),
  measure: () => samplesOf(runtime, version),
  health: () => healthOf(runtime),
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
    setTimeout(() => stop(grace), LAST_REPLY_MILLISECONDS)
    return ok({ sessions })
  },
})

export interface Measured {
  readonly lane: LaneHandle
  /** Undefined: it did not answer in time. */
  readonly measure: LaneMeasure | undefined
}

export const measureLanes = (runtime: Runtime, withinSeconds?: number): Promise<readonly Measured[]> =>
  Promise.all(
    runtime.lanes().map(async (lane) => ({
      lane,
      measure: await lane.ask('measure', null, withinSeconds).catch(() => undefined),
    })),
  )

async function samplesOf(runtime: Runtime, version: string): Promise<readonly Sample[]> {
  const { options } = runtime
  const [ofConfig, measured] = await Promise.all([configSamples(runtime), measureLanes(runtime)])
  const sums = new Map<string, Sample>()
  for (const sample of measured.flatMap(({ measure }) => measure?.samples ?? [])) addTo(sums, sample)
  const deaths = Array.from({ length: options.lanes }, (_, i): Sample => {
    const labels = { lane: String(i + 1) }
    return { metric: 'acceptd_lane_deaths_total', labels, value: runtime.deaths(i + 1) }
  })
  return [
    { metric: 'acceptd_info', labels: { version }, value: 1 },
    { metric: 'acceptd_uptime_seconds', labels: {}, value: (monotonic() - runtime.began) / 1000 },
    { metric: 'acceptd_draining', labels: {}, value: runtime.refusing() ? 1 : 0 },
    { metric: 'acceptd_descriptors_open', labels: {}, value: openDescriptors() },
    { metric: 'acceptd_descriptors_limit', labels: {}, value: options.descriptorLimit },
    { metric: 'acceptd_log_lines_lost_total', labels: {}, value: runtime.linesLost() },
    ...measured.flatMap(({ lane, measure }): Sample[] => {
      if (measure === undefined) return []
      const labels = { lane: String(lane.lane) }
      return [{ metric: 'acceptd_lane_memory_bytes', labels, value: measure.memoryBytes }]
    }),
    ...sums.values(),
    ...[...parkedBy(measured)].map(
      ([chain, value]): Sample => ({ metric: 'acceptd_backends_parked', labels: { chain }, value }),
    ),
    ...deaths,
    ...ofConfig,
    ...runtime.certificates.samples(),
  ]
}

/** Backends that wait for their user, by chain. */
export function parkedBy(measured: readonly Measured[]): ReadonlyMap<string, number> {
  const parked = new Map<string, number>()
  for (const { measure } of measured)
    for (const [chain, n] of Object.entries(measure?.parked ?? {})) parked.set(chain, (parked.get(chain) ?? 0) + n)
  return parked
}

/** Adds up what several lanes, or several lives of one, have counted under the same labels. */
function addTo(sums: Map<string, Sample>, sample: Sample): void {
  const key = `${sample.metric}\t${JSON.stringify(sample.labels)}`
  const before = sums.get(key)
  if (before === undefined || typeof before.value !== 'number' || typeof sample.value !== 'number')
    sums.set(key, sample)
  else sums.set(key, { ...sample, value: before.value + sample.value } as Sample)
}
