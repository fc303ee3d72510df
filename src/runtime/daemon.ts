// The control plane's view of the runtime: each method of rpc/daemon.ts as questions to the lanes and values of the main thread.

import { err, ok, type Result } from 'neverthrow'
import { verdictOf } from '../actors/checkpassword.ts'
import type { AuthOutcome, Daemon, HealthCheck, ListenerState, LogLevel, RpcFailure } from '../contract/daemon.ts'
import { failure, notFound } from '../contract/failure.ts'
import type { Sample } from '../contract/metrics.ts'
import { mergePages } from '../contract/pages.ts'
import { monotonic, wallTime } from '../edge/clock.ts'
import { askHelper } from '../edge/helper.ts'
import { openDescriptors } from '../edge/sizing.ts'
import { bytesOf, concat } from '../protocol/bytes.ts'
import { acceptedLine } from '../protocol/helper.ts'
import { createDaemonGenerations } from './daemon-generations.ts'
import type { Runtime } from './runtime.ts'

export function createDaemon(runtime: Runtime, version: string, stop: (grace: number) => void): Daemon {
  const { options } = runtime
  const blockedAt = new Map<string, { since: number; reason: string | undefined }>()
  const generations = createDaemonGenerations(runtime)
  const levels: Record<string, LogLevel> = { acceptd: runtime.current().config.logLevel }

  // ---- listeners

  async function listenerStates(): Promise<ListenerState[]> {
    const { answers } = await runtime.askAll('listeners', null)
    return runtime.current().config.listeners.map((listener, i) => {
      const paused = runtime.paused()[i]
      return {
        name: listener.name,
        address: listener.address,
        port: options.ports[i] ?? listener.port,
        protocol: listener.protocol,
        tls: 'none' as const,
        chain: listener.chain,
        ...(paused === undefined ? {} : { paused }),
        accepted: answers.reduce((sum, lane) => sum + (lane[i]?.accepted ?? 0), 0),
        refused: answers.reduce((sum, lane) => sum + (lane[i]?.refused ?? 0), 0),
      }
    })
  }

  async function setPaused(name: string, mode: '421' | 'hold' | undefined): Promise<Result<ListenerState, RpcFailure>> {
    const index = runtime.current().config.listeners.findIndex((listener) => listener.name === name)
    if (index < 0) return notFound('no-such-listener', `there is no listener ${name}`)
    await runtime.pause(index, mode)
    runtime.log('info', mode === undefined ? 'listener-resumed' : 'listener-paused', { listener: name, mode })
    return ok((await listenerStates())[index] as ListenerState)
  }

  return {
    server: {
      info: () => ({
        version,
        pid: process.pid,
        started: wallTime(runtime.began),
        lanes: runtime.lanes().length,
        helper: { mode: options.helper.mode, privileged: options.helper.privileged },
        generation: runtime.current().generation,
        sha256: runtime.current().sha256,
        draining: runtime.refusing(),
      }),
      async measure() {
        const [ofGenerations, measured] = await Promise.all([
          generations.samples(),
          Promise.all(
            runtime
              .lanes()
              .map(async (lane) => ({ lane, measure: await lane.ask('measure', null).catch(() => undefined) })),
          ),
        ])
        const samples: Sample[] = [
          { metric: 'acceptd_info', labels: { version }, value: 1 },
          { metric: 'acceptd_uptime_seconds', labels: {}, value: (monotonic() - runtime.began) / 1000 },
          { metric: 'acceptd_draining', labels: {}, value: runtime.refusing() ? 1 : 0 },
          { metric: 'acceptd_descriptors_open', labels: {}, value: openDescriptors() },
          { metric: 'acceptd_descriptors_limit', labels: {}, value: options.descriptorLimit },
          { metric: 'acceptd_log_lines_lost_total', labels: {}, value: runtime.linesLost() },
        ]
        const parked = new Map<string, number>()
        const sums = new Map<string, Sample>()
        for (const { lane, measure } of measured) {
          if (measure === undefined) continue
          for (const sample of measure.samples) addTo(sums, sample)
          samples.push({
            metric: 'acceptd_lane_memory_bytes',
            labels: { lane: String(lane.lane) },
            value: measure.memoryBytes,
          })
          for (const [chain, n] of Object.entries(measure.parked)) parked.set(chain, (parked.get(chain) ?? 0) + n)
        }
        samples.push(...sums.values())
        for (const [chain, value] of parked)
          samples.push({ metric: 'acceptd_backends_parked', labels: { chain }, value })
        for (let lane = 1; lane <= options.lanes; lane += 1) {
          samples.push({
            metric: 'acceptd_lane_deaths_total',
            labels: { lane: String(lane) },
            value: runtime.deaths(lane),
          })
        }
        samples.push(...ofGenerations)
        return samples
      },
      async health() {
        const open = openDescriptors()
        const measured = await Promise.all(
          runtime.lanes().map((lane) => lane.ask('measure', null, 2).catch(() => undefined)),
        )
        const worst = Math.max(0, ...measured.map((one) => one?.lagSeconds ?? 0))
        const silent = measured.filter((one) => one === undefined).length
        const drifted = generations.drift()
        const share = open / options.descriptorLimit
        return [
          helperCheck(runtime),
          {
            name: 'descriptors',
            state: share > 0.9 ? ('failed' as const) : share > 0.75 ? ('warning' as const) : ('ok' as const),
            detail: `${open} of ${options.descriptorLimit} descriptors are open`,
            value: open,
            limit: options.descriptorLimit,
          },
          {
            name: 'lanes',
            state: silent > 0 ? ('failed' as const) : worst > 0.25 ? ('warning' as const) : ('ok' as const),
            detail:
              silent > 0
                ? `${silent} lanes do not answer`
                : `the slowest turn of a lane in the last second was ${Math.round(worst * 1000)} ms late`,
            value: worst,
          },
          {
            name: 'files',
            state: drifted > 0 ? ('warning' as const) : ('ok' as const),
            detail:
              drifted > 0
                ? `${drifted} control files differ from what is loaded`
                : 'the control files are what is loaded',
            value: drifted,
          },
        ]
      },
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
        setTimeout(() => stop(grace), 50)
        return ok({ sessions })
      },
    },

    listeners: {
      list: listenerStates,
      pause: (name, mode) => setPaused(name, mode),
      resume: (name) => setPaused(name, undefined),
    },

    config: generations.config,
    rules: generations.rules,

    sessions: {
      async query(query) {
        const { answers, silent } = await runtime.askAll('sessions', query)
        return {
          sessions: mergePages(
            answers.flatMap((answer) => answer.sessions),
            query,
          ),
          matched: answers.reduce((sum, answer) => sum + answer.matched, 0),
          silentLanes: silent,
        }
      },
      async get(id) {
        const { answers } = await runtime.askAll('session', { id })
        const found = answers.find((answer) => answer !== null)
        return found ? ok(found) : notFound('no-such-session', `there is no session ${id}`)
      },
      async kill({ filter, mode, reason }) {
        const { answers, silent } = await runtime.askAll('kill', {
          filter,
          graceful: mode === 'graceful',
          reason: reason ?? '',
          now: Date.now(),
        })
        return { ids: answers.flat(), silentLanes: silent }
      },
      trace(filter, listener) {
        return runtime.trace(filter, (lines) => {
          for (const line of lines) listener(line)
        })
      },
    },

    users: {
      async list() {
        const { answers, silent } = await runtime.askAll('users', null)
        const users = new Map<string, { user: string; sessions: number; messages: number }>()
        for (const row of answers.flat()) {
          const before = users.get(row.user)
          users.set(row.user, {
            user: row.user,
            sessions: row.sessions + (before?.sessions ?? 0),
            messages: row.messages + (before?.messages ?? 0),
          })
        }
        for (const user of blockedAt.keys()) if (!users.has(user)) users.set(user, { user, sessions: 0, messages: 0 })
        return {
          users: [...users.values()].map((row) => {
            const block = blockedAt.get(row.user)
            return block === undefined
              ? row
              : {
                  ...row,
                  blocked: { since: block.since, ...(block.reason === undefined ? {} : { reason: block.reason }) },
                }
          }),
          silentLanes: silent,
        }
      },
      async block(user, reason) {
        blockedAt.set(user, { since: blockedAt.get(user)?.since ?? Date.now(), reason })
        const ended = await runtime.block(user, true)
        runtime.log('warn', 'user-blocked', { user, reason, ended: ended.length })
        return ok({ ended })
      },
      async unblock(user) {
        if (!blockedAt.delete(user)) return notFound('not-blocked', `${user} is not blocked`)
        await runtime.block(user, false)
        runtime.log('info', 'user-unblocked', { user })
        return ok(undefined)
      },
    },

    auth: {
      test({ user, password, chain: wanted, protocol }) {
        const { chains, listeners } = runtime.current().config
        const chain = wanted ?? listeners.find((listener) => listener.protocol === protocol)?.chain ?? ''
        if (!chains.chains.some((one) => one.name === chain && one.kind === 'auth'))
          return notFound('no-such-chain', `there is no chain ${chain} of kind auth`)
        if (blockedAt.has(user)) return ok<AuthOutcome, RpcFailure>({ verdict: 'blocked', chain, milliseconds: 0 })
        const began = performance.now()
        const credentials = concat([bytesOf(`${user}\0`), password, bytesOf('\0\0')])
        return new Promise<Result<AuthOutcome, RpcFailure>>((resolve) => {
          const giveUp = askHelper(
            options.helper.place,
            { kind: 'auth', session: `test.${Date.now().toString(36)}`, chain, environment: [], credentials },
            (line, backend) => {
              clearTimeout(timer)
              backend?.discard()
              const milliseconds = Math.round((performance.now() - began) * 10) / 10
              const { verdict } = verdictOf(line)
              const accepted = acceptedLine(line)
              if (verdict === 'unreachable' || verdict === 'busy' || verdict === 'missing')
                resolve(err(failure('helper-unavailable', verdict, `the helper answered: ${line}`)))
              else if (verdict === 'accepted' && accepted !== undefined)
                resolve(ok({ verdict: 'accepted', chain, uid: accepted.uid, gid: accepted.gid, milliseconds }))
              else
                resolve(
                  ok({
                    verdict: verdict === 'root' ? 'refused' : (verdict as AuthOutcome['verdict']),
                    chain,
                    milliseconds,
                  }),
                )
            },
          )
          const timer = setTimeout(giveUp, 35_000)
        })
      },
    },

    lanes: {
      list: () =>
        Promise.all(
          runtime.lanes().map(async (lane) => {
            const measure = await lane.ask('measure', null, 2).catch(() => undefined)
            return {
              lane: lane.lane,
              state: measure === undefined || lane.state === 'dead' ? ('silent' as const) : lane.state,
              sessions: measure?.sessions ?? 0,
              generation: lane.generation,
              started: wallTime(lane.began),
              memoryBytes: measure?.memoryBytes ?? 0,
              lagSeconds: measure?.lagSeconds ?? 0,
              deaths: runtime.deaths(lane.lane),
            }
          }),
        ),
      async recycle(number, reason) {
        const old = runtime.lanes().find((lane) => lane.lane === number && lane.state !== 'draining')
        if (old === undefined) return notFound('no-such-lane', `there is no lane ${number}`)
        const measure = await old.ask('measure', null).catch(() => undefined)
        runtime.log('info', 'lane-recycled', { lane: number, reason })
        await runtime.recycle(number)
        return ok({ lane: number, sessions: measure?.sessions ?? 0 })
      },
    },

    backends: {
      async list() {
        const measured = await Promise.all(
          runtime.lanes().map((lane) => lane.ask('measure', null).catch(() => undefined)),
        )
        const { answers } = await runtime.askAll('chains', null)
        return runtime.current().config.chains.chains.map((chain) => ({
          chain: chain.name,
          kind: chain.kind,
          argv: [...chain.backend],
          sessions: answers.reduce((sum, lane) => sum + (lane[chain.name] ?? 0), 0),
          parked: measured.reduce((sum, one) => sum + (one?.parked[chain.name] ?? 0), 0),
        }))
      },
    },

    log: {
      levels: () => levels,
      async set(component, level) {
        const before = levels[component]
        if (before === undefined)
          return notFound(
            'no-such-component',
            `there is no component ${component}; there is ${Object.keys(levels).join(', ')}`,
          )
        levels[component] = level
        await runtime.setLevel(level)
        return ok(before)
      },
    },

    subscribe: (listener) => runtime.onEvent(listener),
    bug: (where, error) =>
      runtime.log('error', 'bug', { where, stack: error instanceof Error ? error.stack : String(error) }),
  }
}

function helperCheck(runtime: Runtime): HealthCheck {
  const { privileged } = runtime.options.helper
  if (runtime.helperUp() === false) {
    return { name: 'helper', state: 'failed', detail: 'accept-helper does not answer on its socket; logins get 454' }
  }
  return {
    name: 'helper',
    state: privileged ? 'ok' : 'warning',
    detail: privileged
      ? 'accept-helper runs with its privileges'
      : 'accept-helper runs every chain as the account of acceptd',
  }
}

/** Adds up what several lanes, or several lives of one, have counted under the same labels. */
function addTo(sums: Map<string, Sample>, sample: Sample): void {
  const key = `${sample.metric}\t${JSON.stringify(sample.labels)}`
  const before = sums.get(key)
  if (before === undefined || typeof before.value !== 'number' || typeof sample.value !== 'number')
    sums.set(key, sample)
  else sums.set(key, { ...sample, value: before.value + sample.value } as Sample)
}
