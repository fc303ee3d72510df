// Listeners: what each has accepted, and the pause of one.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { ListenerState, PauseMode, RpcFailure } from '../../contract/daemon.ts'
import { fleet, hostError, hostRows, onFleet, silentHosts } from '../on-fleet.ts'
import { type Call, method } from '../row.ts'
import { count, dryRun, ends, list, name, pauseMode, protocol, reason, ttl } from '../schema.ts'
import { timeOf } from '../wire.ts'

const listener = z
  .object({
    name,
    address: z.string(),
    port: count,
    protocol,
    tls: z.enum(['none', 'starttls', 'implicit']),
    chain: z.string(),
    mechanisms: list(z.string()).describe(
      'How clients may log in, in TLS where that is required; EXTERNAL: with a certificate.',
    ),
    paused: pauseMode.optional(),
    accepted: count,
    refused: count,
  })
  .meta({ title: 'Listener' })
const exampleListener = {
  name: 'submission',
  address: '0.0.0.0',
  port: 587,
  protocol: 'smtp',
  tls: 'starttls',
  chain: 'ofmip',
  mechanisms: ['LOGIN', 'PLAIN'],
  accepted: 120,
  refused: 0,
} as const

function noListener(wanted: string, listeners: readonly ListenerState[]): RpcFailure {
  return {
    failure: 'not-found',
    reason: 'no-such-listener',
    message: `No listener ${wanted}; there are ${listeners.map((one) => one.name).join(', ') || 'none'}`,
  }
}

const otherHosts = list(z.object({ host: z.string(), error: hostError }))
  .optional()
  .describe('With fleet: the other hosts that have answered.')

interface Pausing {
  readonly listener: string
  readonly reason?: string
  readonly dryRun: boolean
}

async function pause(
  { daemon, context }: Call,
  { listener: wanted, mode, ttl: seconds, reason: why, dryRun: dry }: Pausing & { mode: PauseMode; ttl?: number },
) {
  const listeners = await daemon.listeners.list()
  const before = listeners.find((one) => one.name === wanted)
  if (!before) return err(noListener(wanted, listeners))
  if (dry) return ok({ listener: before, dryRun: true })
  const paused = await daemon.listeners.pause(wanted, mode)
  if (paused.isErr()) return err(paused.error)
  if (seconds === undefined) {
    context.overrides.forget('listener.pause', wanted)
    return ok({ listener: paused.value, dryRun: false })
  }
  const override = context.overrides.add({ method: 'listener.pause', subject: wanted, ttl: seconds, reason: why })
  return ok({ listener: paused.value, ends: timeOf(override.ends), dryRun: false })
}

async function resume({ daemon, context }: Call, { listener: wanted, dryRun: dry }: Pausing) {
  const listeners = await daemon.listeners.list()
  const before = listeners.find((one) => one.name === wanted)
  if (!before) return err(noListener(wanted, listeners))
  if (dry) return ok({ listener: before, dryRun: true })
  context.overrides.forget('listener.pause', wanted)
  return (await daemon.listeners.resume(wanted)).map((state) => ({ listener: state, dryRun: false }))
}

export const listenerMethods = {
  'listener.list': method({
    sentence: 'Lists the bound addresses, with what each serves and has accepted.',
    params: z.strictObject({}),
    result: z.object({ listeners: list(listener) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { listeners: [exampleListener] } },
    cli: { rows: 'listeners' },
    run: async ({ daemon }) => ok({ listeners: await daemon.listeners.list() }),
  }),
  'listener.pause': method({
    sentence:
      'Accepts no new sessions on a listener: clients receive 421, or stay in the backlog; the descriptor stays open.',
    params: z.strictObject({
      listener: name.describe('Its name.'),
      mode: pauseMode
        .default('421')
        .describe('421: accept, reply 421 4.3.2 and close; hold: leave clients in the backlog.'),
      reason,
      ttl,
      fleet: fleet.describe('The listener of this name on every host of the fleet.'),
      dryRun,
    }),
    result: z.object({ listener, ends, hosts: otherHosts, silentHosts, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: {
      params: { listener: 'submission', mode: 'hold', ttl: 60 },
      result: { listener: { ...exampleListener, paused: 'hold' }, ends: '2026-11-22T09:01:00.000Z', dryRun: false },
    },
    cli: { args: ['listener'] },
    run: async (call, { fleet: everywhere, ...params }) => {
      const ending = params.ttl === undefined ? undefined : Date.now() + params.ttl * 1000
      const kept = params.dryRun ? undefined : { name: `listener ${params.listener}`, ends: ending }
      const question = { method: 'listener.pause', params, fleet: everywhere, ...(kept && { kept }) }
      const done = await onFleet(call.daemon, question, () => pause(call, params))
      return done.map(({ mine, others }) => ({ ...mine, ...hostRows(others, () => ({})) }))
    },
  }),
  'listener.resume': method({
    sentence: 'Ends a pause.',
    params: z.strictObject({
      listener: name.describe('Its name.'),
      reason,
      fleet: fleet.describe('The listener of this name on every host of the fleet.'),
      dryRun,
    }),
    result: z.object({ listener, hosts: otherHosts, silentHosts, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { listener: 'submission' }, result: { listener: exampleListener, dryRun: false } },
    cli: { args: ['listener'] },
    run: async (call, { fleet: everywhere, ...params }) => {
      const kept = params.dryRun ? undefined : { name: `listener ${params.listener}`, ends: undefined }
      const question = { method: 'listener.resume', params, fleet: everywhere, ...(kept && { kept }) }
      const done = await onFleet(call.daemon, question, () => resume(call, params))
      return done.map(({ mine, others }) => ({ ...mine, ...hostRows(others, () => ({})) }))
    },
  }),
}
