// The control plane's view of what serves: listeners, lanes, backends.

import { err, ok, type Result } from 'neverthrow'
import { mechanismsOf } from '../../config/mechanisms.ts'
import type { TlsMode } from '../../config/tls.ts'
import type { Daemon, ListenerState, PauseMode, Recycled, RpcFailure } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import type { Sample } from '../../contract/metrics.ts'
import { wallTime } from '../../edge/clock.ts'
import type { Runtime } from '../runtime.ts'
import { probeBackend } from './probe.ts'
import { measureLanes, parkedBy } from './server.ts'

export const listenersOf = (runtime: Runtime): Daemon['listeners'] => ({
  list: () => listenerStates(runtime),
  pause: (name, mode) => setPaused(runtime, name, mode),
  resume: (name) => setPaused(runtime, name, undefined),
})

/** control/listeners also says who must use it. */
const TLS: Readonly<Record<TlsMode, ListenerState['tls']>> = {
  off: 'none',
  offer: 'starttls',
  require: 'starttls',
  implicit: 'implicit',
}

async function listenerStates(runtime: Runtime): Promise<readonly ListenerState[]> {
  await measureLanes(runtime, SHOWN_SECONDS)
  const counted = runtime.counted([])
  const sum = (metric: Sample['metric'], listener: string) =>
    counted.reduce((all, one) => (isOf(one, metric, listener) ? all + Number(one.value) : all), 0)
  const { config } = runtime.current()
  return config.listeners.map((listener, i) => {
    const { name, address, port, protocol, chain, tls } = listener
    const paused = runtime.paused()[i]
    return {
      name,
      address,
      port: runtime.options.ports[i] ?? port,
      protocol,
      tls: TLS[tls],
      chain,
      mechanisms: mechanismsOf(config, listener),
      ...(paused === undefined ? {} : { paused }),
      accepted: sum('acceptd_sessions_accepted_total', name),
      refused: sum('acceptd_sessions_refused_total', name),
    }
  })
}

const isOf = ({ metric, labels }: Sample, wanted: Sample['metric'], listener: string): boolean =>
  metric === wanted && 'listener' in labels && labels.listener === listener

async function setPaused(
  runtime: Runtime,
  name: string,
  mode: PauseMode | undefined,
): Promise<Result<ListenerState, RpcFailure>> {
  const index = runtime.current().config.listeners.findIndex((listener) => listener.name === name)
  if (index < 0) return notFound('no-such-listener', `there is no listener ${name}`)
  await runtime.pause(index, mode)
  runtime.log('info', mode === undefined ? 'listener-resumed' : 'listener-paused', { listener: name, mode })
  return ok((await listenerStates(runtime))[index] as ListenerState)
}

/** A lane that does not answer so soon is shown as silent. */
const SHOWN_SECONDS = 2

export const lanesOf = (runtime: Runtime): Daemon['lanes'] => ({
  async list() {
    const measured = await measureLanes(runtime, SHOWN_SECONDS)
    return measured.map(({ lane, measure }) => ({
      lane: lane.lane,
      place: lane.place,
      state: measure === undefined || lane.state === 'dead' ? ('silent' as const) : lane.state,
      sessions: measure?.sessions ?? 0,
      generation: lane.generation,
      started: wallTime(lane.began),
      memoryBytes: measure?.memoryBytes ?? 0,
      lagSeconds: measure?.lagSeconds ?? 0,
      deaths: runtime.deaths(lane.place),
    }))
  },
  async recycle(which, reason) {
    const serving = runtime.lanes().filter((lane) => lane.state !== 'draining')
    const wanted = which === 'all' ? serving : serving.filter((lane) => lane.lane === which)
    if (wanted.length === 0) return notFound('no-such-lane', `there is no lane ${which}`)
    const done: Recycled[] = []
    for (const { lane, ask } of wanted.map((one) => ({ lane: one.lane, ask: () => one.ask('measure', null) }))) {
      const sessions = (await ask().catch(() => undefined))?.sessions ?? 0
      const next = await runtime.recycle(lane)
      if (typeof next === 'string') return err(failure(next === 'no-such-lane' ? 'not-found' : 'busy', next, WHY[next]))
      runtime.log('info', 'lane-recycled', { lane, replacement: next.lane, reason })
      done.push({ lane, replacement: next.lane, sessions })
    }
    return ok(done)
  },
})

const WHY = {
  'no-such-lane': 'the lane is gone',
  'still-draining': 'as many lanes as serve still finish their sessions; wait for one to end',
  'no-descriptors': 'there is nothing that another lane could listen on',
} as const

export const backendsOf = (runtime: Runtime): Daemon['backends'] => ({
  async list() {
    const parked = parkedBy(await measureLanes(runtime))
    const { answers } = await runtime.askAll('chains', null)
    return runtime.current().config.chains.chains.map(({ name, kind, backend }) => ({
      chain: name,
      kind,
      argv: [...backend],
      sessions: answers.reduce((sum, lane) => sum + (lane[name] ?? 0), 0),
      parked: parked.get(name) ?? 0,
    }))
  },
  probe: (chain) => probeBackend(runtime, chain),
})
