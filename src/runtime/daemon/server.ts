// The control plane's view of the runtime as a whole: what it is, what it has counted, how it is, and its end.

import { err, ok } from 'neverthrow'
import type { Daemon } from '../../contract/daemon.ts'
import { failure } from '../../contract/failure.ts'
import { wallTime } from '../../edge/clock.ts'
import { isPrivileged } from '../../edge/helper.ts'
import type { LaneMeasure } from '../../lane/messages.ts'
import type { LaneHandle } from '../lane-talk.ts'
import type { Runtime } from '../runtime.ts'
import { healthOf } from './health.ts'
import { samplesOf } from './numbers.ts'

/** How long a reply has to be written before the runtime ends. */
const LAST_REPLY_MILLISECONDS = 50

export const serverOf = (runtime: Runtime, version: string, stop: (grace: number) => void): Daemon['server'] => ({
  info: () => ({
    version,
    pid: process.pid,
    started: wallTime(runtime.began),
    lanes: runtime.lanes().length,
    helper: { mode: runtime.options.helper.mode, privileged: isPrivileged(runtime.options.helper) },
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
  async upgrade({ dryRun, reason }) {
    await runtime.saved()
    const unsaved = runtime.notSaved()
    if (unsaved !== undefined)
      return err(
        failure('io', 'not-saved', `what runs is not on the disk, where the next runtime reads it: ${unsaved}`),
      )
    const done = await runtime.succession.upgrade({ trial: dryRun, reason })
    if (done.isOk()) {
      const { pid, sessions, milliseconds } = done.value
      return ok({ version: done.value.version, from: version, pid: pid || process.pid, sessions, milliseconds })
    }
    const { message, errors } = done.error
    if (errors !== undefined)
      return err(failure('config-invalid', 'config-invalid', `${message}; the runtime before goes on`, { errors }))
    const busy = runtime.succession.isUnderWay()
    return err(failure(busy ? 'busy' : 'wrong-state', busy ? 'upgrading' : 'upgrade-failed', message))
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
    runtime.lanes().map(async (lane) => {
      const measure = await lane.ask('measure', null, withinSeconds).catch(() => undefined)
      if (measure !== undefined) lane.heard.counted = measure.counted
      return { lane, measure }
    }),
  )

/** Backends that wait for their user, by chain. */
export function parkedBy(measured: readonly Measured[]): ReadonlyMap<string, number> {
  const parked = new Map<string, number>()
  for (const { measure } of measured)
    for (const [chain, n] of Object.entries(measure?.parked ?? {})) parked.set(chain, (parked.get(chain) ?? 0) + n)
  return parked
}
