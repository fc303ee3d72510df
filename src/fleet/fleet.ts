// START HERE for the fleet: what hosts share through a Valkey or Redis. The runtime loads this, and the client of the engine with it, only
// where there is a control/fleet; all of it is on the main thread, and no verdict, no session and no reload of this host alone waits for it.
//
//   engine.ts   the connections        counts.ts   limits, bans        asking.ts   questions and orders
//   state.ts    how it stands          hosts.ts    who is here         ../limits/sharing.ts   what counts are worth
//
// Channels: PREFIX:all, which every host hears, and PREFIX:to:INSTANCE for answers. A message is a JSON array: what, host, instance, ...

import type { FleetConfig, FleetSecrets } from '../config/fleet.ts'
import type { FleetControl, FleetState } from '../contract/fleet.ts'
import { monotonic, wallTime } from '../edge/clock.ts'
import { randomDigits } from '../edge/random.ts'
import { newSharing } from '../limits/sharing.ts'
import { marked, markOf } from '../limits/table.ts'
import { ask, hearAnswer, hearQuestion, loadOrders } from './asking.ts'
import { exchange, hearCounts, loadCounts, REFRESH_MILLISECONDS, refresh, TICK_MILLISECONDS, tick } from './counts.ts'
import { connectEngine, isRefusal, reasonOf } from './engine.ts'
import { BEAT_MILLISECONDS, beat, factsOf, loadHosts, lookAround, meet } from './hosts.ts'
import { type FleetParts, hasTwin, hearTwin, isHere, isJoined, namesOf, type State, stand } from './state.ts'

export type { FleetParts } from './state.ts'

/** An engine that takes longer is as good as none for what is near its limit. */
const SLOW_MILLISECONDS = 20
/** For so long answers are slow, or in time again, before it is said. */
const SURE_MILLISECONDS = 1000

export interface Fleet {
  readonly state: () => FleetState
  readonly ask: FleetControl['ask']
  /** The limiter has counted. */
  readonly counted: () => void
  readonly stop: () => void
  /** What has been heard of orders; for the one after it. */
  readonly seen: () => number
}

export function createFleet(parts: FleetParts, config: FleetConfig, secrets: FleetSecrets, seen = 0): Fleet {
  const instance = randomDigits()
  const names = namesOf(config)
  const sharing = newSharing((key) => void marked(parts.limiter, markOf(key)))
  parts.limiter.sharing = sharing
  const events = {
    ready: () => void join(state),
    lost: (why: string) => stand(state, 'away', why),
    heard: (text: string) => hear(state, text),
    took: (milliseconds: number) => took(state, milliseconds),
  }
  const state: State = {
    parts,
    config,
    instance,
    sharing,
    engine: connectEngine(config, secrets, [names.all, names.to(instance)], events),
    at: 'joining',
    since: Date.now(),
    message: undefined,
    isTold: false,
    losses: 0,
    milliseconds: 0,
    slowSince: undefined,
    fastSince: undefined,
    isExchanging: false,
    members: new Map(),
    asked: new Map(),
    twin: undefined,
    seen,
  }
  const timers = [
    setInterval(() => tick(state), TICK_MILLISECONDS),
    setInterval(() => void keepUp(state), BEAT_MILLISECONDS),
    setInterval(() => refresh(state), REFRESH_MILLISECONDS),
  ].map((timer) => timer.unref())
  let isWaiting = false
  return {
    state: () => stateOf(state),
    ask: (question) => ask(state, question),
    counted() {
      if (isWaiting || !sharing.urgent || !isJoined(state)) return
      isWaiting = true
      setImmediate(() => {
        isWaiting = false
        exchange(state)
      })
    },
    stop() {
      for (const timer of timers) clearInterval(timer)
      if (parts.limiter.sharing === sharing) parts.limiter.sharing = undefined
      state.engine.close()
    },
    seen: () => state.seen,
  }
}

/** After the connection is made: what the engine knows, then what this host has. */
async function join(state: State): Promise<void> {
  stand(state, 'joining')
  try {
    await beat(state)
    await loadHosts(state)
    await loadCounts(state)
    await loadOrders(state)
    stand(state, 'together')
    exchange(state)
  } catch (error) {
    // What is no answer of the engine has ended the connection.
    if (isRefusal(error)) stand(state, 'wrong', reasonOf(error))
  }
}

async function keepUp(state: State): Promise<void> {
  lookAround(state)
  if (state.at === 'joining' || state.at === 'away') return
  try {
    await beat(state)
    if (hasTwin(state, monotonic())) stand(state, 'wrong', `another host has the name ${state.config.name}`)
    else if (state.at === 'wrong') await join(state)
  } catch (error) {
    if (isRefusal(error)) stand(state, 'wrong', reasonOf(error))
  }
}

function took(state: State, milliseconds: number): void {
  const now = monotonic()
  state.milliseconds = milliseconds
  if (milliseconds > SLOW_MILLISECONDS) {
    state.fastSince = undefined
    state.slowSince ??= now
    const text = `answers take more than ${SLOW_MILLISECONDS} ms`
    if (state.at === 'together' && now - state.slowSince >= SURE_MILLISECONDS) stand(state, 'slow', text)
  } else {
    state.slowSince = undefined
    state.fastSince ??= now
    if (state.at === 'slow' && now - state.fastSince >= SURE_MILLISECONDS) stand(state, 'together')
  }
}

function hear(state: State, text: string): void {
  const [what, host, instance, ...rest] = messageOf(text)
  if (typeof host !== 'string' || typeof instance !== 'string' || instance === state.instance) return
  if (host === state.config.name) {
    if (what === 'here') hearTwin(state, monotonic())
    return
  }
  const known = state.members.get(host)
  if (known !== undefined) state.members.set(host, { ...known, heard: monotonic() })
  if (what === 'counts') hearCounts(state, host, rest[0], rest[1])
  else if (what === 'here') {
    const facts = factsOf(rest[0])
    if (facts !== undefined) meet(state, { ...facts, name: host, instance, heard: monotonic() })
  } else if (what === 'ask') void hearQuestion(state, [instance, ...rest])
  else if (what === 'answer') hearAnswer(state, host, rest)
}

function messageOf(text: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? (value as readonly unknown[]) : []
  } catch {
    return []
  }
}

function stateOf({ config, at, since, message, milliseconds, members, sharing, losses }: State): FleetState {
  const now = monotonic()
  return {
    name: config.name,
    engine: config.engine.text,
    quorum: config.quorum,
    deadline: config.deadline,
    state: at,
    since,
    message,
    milliseconds,
    hosts: [...members.values()]
      .map(({ name, heard, version, generation, sha256, common }) => {
        const here = isHere({ heard } as never, now)
        return { name, here, heard: wallTime(heard), version, generation, sha256, common }
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    shared: sharing.shares.size,
    losses,
  }
}
