// A method on every host of the fleet: what others ask of this one, and what this one asks of the others.

import { failure, wireError } from '../contract/failure.ts'
import type { FleetHandler } from '../contract/fleet.ts'
import type { Context } from './context.ts'
import { answerOf } from './dispatch.ts'
import { METHOD_MAP, type MethodName } from './methods.ts'
import type { Client } from './streams.ts'

/** What other hosts may ask; each is asked with `fleet` left out. */
const ASKED: ReadonlySet<string> = new Set<MethodName>(['user.block', 'user.unblock'])

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

export const fleetHandler =
  (context: Context): FleetHandler =>
  async (name, params) => {
    const method = ASKED.has(name) ? METHOD_MAP.get(name) : undefined
    if (method === undefined)
      return { error: wireError(failure('method-not-found', 'method-not-found', `other hosts cannot ask ${name}`)) }
    const answered = await answerOf(context, name, method, OTHER_HOST, params)
    return answered.isOk() ? { result: answered.value } : { error: wireError(answered.error) }
  }
