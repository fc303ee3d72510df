// The control plane's view of what serves: listeners, lanes, backends.

import { err, ok, type Result } from 'neverthrow'
import type { TlsMode } from '../../config/tls.ts'
import type { Daemon, ListenerState, PauseMode, RpcFailure } from '../../contract/daemon.ts'
import { failure, notFound } from '../../contract/failure.ts'
import { wallTime } from '../../edge/clock.ts'
import type { Runtime } from '../runtime.ts'
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
  const { answers } = await runtime.askAll('listeners', null)
  return runtime.current().config.listeners.map(({ name, address, port, protocol, chain, tls }, i) => {
    const paused = runtime.paused()[i]
    return {
      name,
      address,
      port: runtime.options.ports[i] ?? port,
      protocol,
      tls: TLS[tls],
      chain,
      ...(paused === undefined ? {} : { paused }),
      accepted: answers.reduce((sum, lane) => sum + (lane[i]?.accepted ?? 0), 0),
      refused: answers.reduce((sum, lane) => sum + (lane[i]?.refused ?? 0), 0),
    }
  })
}

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
      state: measure === undefined || lane.state === 'dead' ? ('silent' as const) : lane.state,
      sessions: measure?.sessions ?? 0,
      generation: lane.generation,
      started: wallTime(lane.began),
      memoryBytes: measure?.memoryBytes ?? 0,
      lagSeconds: measure?.lagSeconds ?? 0,
      deaths: runtime.deaths(lane.lane),
    }))
  },
  async recycle(number, reason) {
    const old = runtime.lanes().find((lane) => lane.lane === number && lane.state !== 'draining')
    if (old === undefined) return notFound('no-such-lane', `there is no lane ${number}`)
    const measure = await old.ask('measure', null).catch(() => undefined)
    if ((await runtime.recycle(number)) === undefined)
      return err(failure('busy', 'no-descriptors', 'there is nothing that another lane could listen on'))
    runtime.log('info', 'lane-recycled', { lane: number, reason })
    return ok({ lane: number, sessions: measure?.sessions ?? 0 })
  },
})

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
})
