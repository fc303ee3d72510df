// config.reload on a whole fleet, all or nothing: every host prepares what is on its own disk and holds its turn, then all publish.
//
//   asking host   prepare ──> all        one refuses, or too few answer: forget ──> all
//                 publish ──> all        kept in the engine: a host that was away follows when it is back, or says that it differs

import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Apply, PreparedPublication, Published } from '../contract/configuration.ts'
import type { Daemon, RpcFailure } from '../contract/daemon.ts'
import { failure, wireError } from '../contract/failure.ts'
import type { FleetAnswers, FleetState, HostAnswer } from '../contract/fleet.ts'
import type { Context } from './context.ts'
import { wireFailure } from './wire.ts'

export const PREPARE = 'reload.prepare'
export const PUBLISH = 'reload.publish'
export const FORGET = 'reload.forget'

export interface FleetReload {
  readonly apply: Apply
  readonly only?: readonly string[]
  readonly reason?: string
}

/** What the asking host tells the others. */
export const ORDER = z.object({
  id: z.string(),
  common: z.string(),
  how: z.object({
    apply: z.enum(['new-sessions', 'next-transaction']),
    only: z.array(z.string()).readonly().exactOptional(),
    reason: z.string().exactOptional(),
  }),
  /** How long a host holds its turn. */
  seconds: z.number(),
})
type Order = z.output<typeof ORDER>

type Answered = Omit<HostAnswer, 'host'>

const orderFrom = ({ only, reason, apply }: FleetReload) => ({
  from: 'disk' as const,
  by: 'control' as const,
  apply,
  dryRun: false,
  ...(only !== undefined && { only }),
  ...(reason !== undefined && { reason }),
})

// ---- the host that asks, in its turn

export interface FleetPublished {
  readonly mine: Published
  readonly others: FleetAnswers
}

export async function reloadAll(
  daemon: Daemon,
  state: FleetState,
  how: FleetReload,
  dryRun: boolean,
): Promise<Result<FleetPublished | FleetAnswers, RpcFailure>> {
  const id = `${state.name} ${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`
  const seconds = 2 * state.deadline + 1
  const order: Order = { id, common: '', how, seconds }
  const [mine, asked] = await Promise.all([
    daemon.config.prepare(orderFrom(how)),
    daemon.fleet.ask({ method: PREPARE, params: order }),
  ])
  const trouble = troubleOf(state, mine, asked)
  if (trouble !== undefined || dryRun || mine.isErr() || asked.isErr()) {
    if (mine.isOk()) mine.value.forget()
    void daemon.fleet.ask({ method: FORGET, params: order })
    if (trouble !== undefined) return err(trouble)
    return asked
  }
  const { common, publish, forget } = mine.value
  const told = await daemon.fleet.ask({
    method: PUBLISH,
    params: { ...order, common },
    kept: { name: 'config', ends: undefined },
  })
  if (told.isOk()) return ok({ mine: await publish(), others: told.value })
  forget()
  return err(told.error)
}

/** Why it is not to be published anywhere. */
function troubleOf(
  { quorum }: FleetState,
  mine: Result<PreparedPublication, RpcFailure>,
  asked: Result<FleetAnswers, RpcFailure>,
): RpcFailure | undefined {
  if (mine.isErr()) return wireFailure(mine.error)
  if (asked.isErr()) return asked.error
  const { answers, silent } = asked.value
  const refusing = answers.filter(({ error }) => error !== undefined)
  const [first] = refusing
  if (first !== undefined) {
    const names = refusing.map(({ host }) => host).join(', ')
    const hosts = refusing.map(({ host, error }) => ({ host, error }))
    const isBad = refusing.some(({ error }) => error?.data.reason === 'config-invalid')
    const text = `${names}: ${first.error?.message ?? ''}; nothing was changed on any host`
    return failure(isBad ? 'config-invalid' : 'busy', isBad ? 'config-invalid' : 'host-refuses', text, { hosts })
  }
  const all = 1 + answers.length + silent.length
  const ready = 1 + answers.length
  const needed = quorum === 'all' ? all : quorum === 'majority' ? Math.floor(all / 2) + 1 : quorum
  if (ready >= needed) return undefined
  const text = `${ready} of ${all} hosts are ready, and ${needed} have to be; nothing was changed on any host`
  return failure('timeout', 'no-quorum', text, { silentHosts: silent })
}

// ---- the others

type Decision = 'publish' | 'forget'

/** Changes that are prepared here for other hosts, by their number. */
export interface Holding {
  readonly decide: (decision: Decision) => void
  readonly done: Promise<Answered>
}

const NOTHING: Answered = { result: {} }
const refusedBy = (reason: RpcFailure): Answered => ({ error: wireError(wireFailure(reason)) })

/** Resolves when it is prepared; then the turn is held until it is decided. */
export function prepareHere(context: Context, holding: Map<string, Holding>, order: Order): Promise<Answered> {
  const { id, how, seconds } = order
  return new Promise((resolve) => {
    const held = context.inTurn(async (): Promise<Result<undefined, RpcFailure>> => {
      const prepared = await context.daemon.config.prepare(orderFrom(how))
      if (prepared.isErr()) return err(prepared.error)
      await decided(holding, id, seconds, prepared.value, () => resolve({ result: { common: prepared.value.common } }))
      return ok(undefined)
    })
    // What is refused has not been answered yet.
    void held.then((result) => result.isErr() && resolve(refusedBy(result.error)))
  })
}

async function decided(
  holding: Map<string, Holding>,
  id: string,
  seconds: number,
  prepared: PreparedPublication,
  ready: () => void,
): Promise<void> {
  let over: (answer: Answered) => void = () => undefined
  const done = new Promise<Answered>((resolve) => {
    over = resolve
  })
  const decision = await new Promise<Decision>((resolve) => {
    // The asking host is gone, or cannot reach this one: what it has published is followed when it is heard of.
    const timer = setTimeout(() => resolve('forget'), seconds * 1000)
    const decide = (what: Decision) => {
      clearTimeout(timer)
      resolve(what)
    }
    holding.set(id, { decide, done })
    ready()
  })
  holding.delete(id)
  if (decision === 'publish') {
    const { generation, sha256 } = await prepared.publish()
    over({ result: { generation, sha256 } })
  } else {
    prepared.forget()
    over(NOTHING)
  }
}

export async function publishHere(
  context: Context,
  holding: ReadonlyMap<string, Holding>,
  { id, common }: Order,
): Promise<Answered> {
  const held = holding.get(id)
  if (held !== undefined) {
    held.decide('publish')
    return held.done
  }
  const followed = await context.inTurn(async () => ok(await context.daemon.config.follow(common)))
  if (followed.isErr()) return refusedBy(followed.error)
  if (followed.value === 'differs')
    return refusedBy(failure('wrong-state', 'differs', 'the control files of this host are others'))
  const { current } = await context.daemon.config.status()
  return { result: { generation: current.generation, sha256: current.sha256 } }
}

export function forgetHere(holding: ReadonlyMap<string, Holding>, { id }: Order): Answered {
  holding.get(id)?.decide('forget')
  return NOTHING
}
