// What one host has the others do: asked on a channel that all hear, answered on one of its own. An order that is to last is kept in the
// engine, for hosts that are away or start later.

import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import { failure } from '../contract/failure.ts'
import type { FleetAnswers, FleetControl, FleetHandler, HostAnswer } from '../contract/fleet.ts'
import { monotonic } from '../edge/clock.ts'
import { randomDigits } from '../edge/random.ts'
import { reasonOf } from './engine.ts'
import { isHere, isJoined, namesOf, type State } from './state.ts'

/** Orders are forgotten after so long without another one. */
const KEPT_MILLISECONDS = 30 * 86_400_000

interface Order {
  /** By the engine's clock. */
  readonly at: number
  readonly host: string
  readonly method: string
  readonly params: Readonly<Record<string, unknown>>
  /** By the engine's clock; undefined: until another order takes its place. */
  readonly ends?: number
}

type Question = Parameters<FleetControl['ask']>[0]

export async function ask(state: State, question: Question): Promise<Result<FleetAnswers, RpcFailure>> {
  const { config, asked, members } = state
  if (!isJoined(state)) return err(notThere(state))
  const others = [...members.values()].filter(({ name }) => name !== config.name)
  const here = others.filter((one) => isHere(one, monotonic()))
  const id = randomDigits()
  const answers: HostAnswer[] = []
  const missing = new Set(here.map(({ name }) => name))
  let timer: NodeJS.Timeout | undefined
  const answered = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, config.deadline * 1000)
    asked.set(id, { missing, answers, done: resolve })
  })
  try {
    const at = await send(state, id, question)
    state.seen = Math.max(state.seen, at)
    if (missing.size > 0) await answered
  } catch (error) {
    return err(failure('timeout', 'fleet-away', `the engine of the fleet: ${reasonOf(error)}; ask each host`))
  } finally {
    clearTimeout(timer)
    asked.delete(id)
  }
  const silent = others.map(({ name }) => name).filter((name) => !answers.some(({ host }) => host === name))
  return ok({ answers, silent })
}

const notThere = ({ config, at }: State): RpcFailure =>
  failure('timeout', 'fleet-away', `the engine of the fleet, ${config.engine.text}, is ${at}`, { state: at })

/** Answers when it was given, if it is kept, by the engine's clock; else 0. */
async function send(state: State, id: string, { method, params, kept }: Question): Promise<number> {
  const { config, instance, engine, sharing, parts } = state
  const names = namesOf(config)
  const text = JSON.stringify(['ask', config.name, instance, id, method, params])
  if (kept === undefined) {
    await engine.tell(names.all, text)
    return 0
  }
  const at = Math.round(parts.now() + sharing.ahead)
  const left = kept.ends === undefined ? undefined : kept.ends - Date.now()
  const order: Order = {
    at,
    host: config.name,
    method,
    params: params as Order['params'],
    ...(left === undefined ? {} : { ends: at + left }),
  }
  await engine.keep(names.orders, kept.name, JSON.stringify(order), KEPT_MILLISECONDS, text)
  return at
}

/** Undefined: there is none. Another version may ask for what this one does not know, as if this host were not there. */
async function answerTo(handler: FleetHandler | undefined, method: string, params: unknown) {
  try {
    return await handler?.(method, params)
  } catch {
    return undefined
  }
}

/** Another host asks. */
export async function hearQuestion(state: State, [from, id, method, params]: readonly unknown[]): Promise<void> {
  const { parts, config, engine, instance } = state
  const handler = parts.handler()
  if (typeof from !== 'string' || typeof id !== 'string' || typeof method !== 'string') return
  if (handler === undefined || parts.isHanding()) return
  // While it joins, what it has missed is still to be read.
  if (isJoined(state)) state.seen = Math.max(state.seen, Math.round(parts.now() + state.sharing.ahead))
  const answer = await answerTo(handler, method, params)
  if (answer === undefined) return
  const text = JSON.stringify(['answer', config.name, instance, id, answer])
  await engine.tell(namesOf(config).to(from), text).catch(() => undefined)
}

export function hearAnswer({ asked }: State, host: string, [id, answer]: readonly unknown[]): void {
  const question = typeof id === 'string' ? asked.get(id) : undefined
  if (question === undefined || typeof answer !== 'object' || answer === null) return
  if (!question.missing.delete(host)) return
  question.answers.push({ ...(answer as Omit<HostAnswer, 'host'>), host })
  if (question.missing.size === 0) question.done()
}

/** Orders that were given while this host was away, the oldest first; among them one of its own whose taking it has not heard of. */
export async function loadOrders(state: State): Promise<void> {
  const { engine, config, parts, sharing } = state
  const { orders } = namesOf(config)
  const handler = parts.handler()
  const now = parts.now() + sharing.ahead
  const found: Order[] = []
  const over: string[] = []
  for (const [name, text] of Object.entries(await engine.fields(orders))) {
    const order = orderOf(text)
    const isOver = order === undefined || now - order.at > KEPT_MILLISECONDS || (order.ends ?? now + 1) <= now
    if (isOver) over.push(name)
    else if (order.at > state.seen) found.push(order)
  }
  if (over.length > 0) await engine.drop(orders, over)
  for (const { method, params, ends, at } of found.toSorted((a, b) => a.at - b.at)) {
    state.seen = Math.max(state.seen, at)
    await answerTo(handler, method, ends === undefined ? params : { ...params, ttl: (ends - now) / 1000 })
  }
}

function orderOf(text: string): Order | undefined {
  try {
    const order = JSON.parse(text) as Partial<Order>
    const { at, host, method, params, ends } = order
    if (!Number.isFinite(at) || typeof host !== 'string' || typeof method !== 'string') return undefined
    if (typeof params !== 'object' || params === null || (ends !== undefined && !Number.isFinite(ends)))
      return undefined
    return order as Order
  } catch {
    return undefined
  }
}
