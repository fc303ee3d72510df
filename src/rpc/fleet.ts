// A method on every host of the fleet: what others ask of this one, and what this one asks of the others.

import type { z } from 'zod'
import { failure, wireError } from '../contract/failure.ts'
import type { FleetHandler } from '../contract/fleet.ts'
import type { Context } from './context.ts'
import { answerOf } from './dispatch.ts'
import { FORGET, forgetHere, type Holding, ORDER, PREPARE, PUBLISH, prepareHere, publishHere } from './fleet-reload.ts'
import { ASKED_QUERY, partHere, QUERY } from './fleet-sessions.ts'
import { METHOD_MAP, type MethodName } from './methods.ts'
import type { Client } from './streams.ts'

/** What other hosts may ask; each is asked with `fleet` left out. */
const ASKED: ReadonlySet<string> = new Set<MethodName>([
  'user.block',
  'user.unblock',
  'listener.pause',
  'listener.resume',
  'session.kill',
])

/** Another host is trusted like the control socket: who may write to the engine may do all this. */
const OTHER_HOST: Client = {
  level: 'control',
  transport: 'lines',
  open: () => undefined,
  has: () => false,
  endStream: () => false,
  streams: 0,
  isGone: false,
  dropped: 0,
}

export function fleetHandler(context: Context): FleetHandler {
  const holding = new Map<string, Holding>()
  const own: ReadonlyMap<string, FleetHandler> = new Map([
    [QUERY, understood(ASKED_QUERY, async (query) => ({ result: await partHere(context.daemon, query) }))],
    [PREPARE, understood(ORDER, (order) => prepareHere(context, holding, order))],
    [PUBLISH, understood(ORDER, (order) => publishHere(context, holding, order))],
    [FORGET, understood(ORDER, async (order) => forgetHere(holding, order))],
  ])
  return (name, params) => (own.get(name) ?? asked(context))(name, params)
}

/** The other host may have another version. */
const understood =
  <T>(schema: z.ZodType<T>, answer: (params: T) => ReturnType<FleetHandler>): FleetHandler =>
  async (name, params) => {
    const read = schema.safeParse(params)
    if (read.success) return answer(read.data)
    return { error: wireError(failure('invalid-params', 'invalid-params', `this version does not understand ${name}`)) }
  }

/** A method of the table, as it is asked on the control socket. */
const asked =
  (context: Context): FleetHandler =>
  async (name, params) => {
    const method = ASKED.has(name) ? METHOD_MAP.get(name) : undefined
    if (method === undefined)
      return { error: wireError(failure('method-not-found', 'method-not-found', `other hosts cannot ask ${name}`)) }
    const answered = await answerOf(context, name, method, OTHER_HOST, params)
    return answered.isOk() ? { result: answered.value } : { error: wireError(answered.error) }
  }
