// Lanes, and the backends that their sessions have.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { RpcFailure } from '../../contract/daemon.ts'
import { method } from '../row.ts'
import { count, dryRun, list, name, reason, seconds, time } from '../schema.ts'
import { timeOf, without } from '../wire.ts'

const LANE_EXAMPLE = {
  lane: 1,
  place: 1,
  state: 'running',
  sessions: 20,
  generation: 3,
  started: '2026-11-22T08:00:00.000Z',
  memoryBytes: 41_943_040,
  lagSeconds: 0.0012,
  deaths: 0,
} as const

const ONE_OR_ALL: RpcFailure = {
  failure: 'invalid-params',
  reason: 'one-or-all',
  message: 'Name one lane, or all: true',
}

interface Done {
  readonly lane: number
  readonly replacement?: number
  readonly sessions: number
}

const summary = (recycled: readonly Done[]) => ({
  ...(recycled.length === 1 && { lane: recycled[0]?.replacement ?? recycled[0]?.lane }),
  sessions: recycled.reduce((sum, { sessions }) => sum + sessions, 0),
  recycled: [...recycled],
})

export const laneMethods = {
  'lane.list': method({
    sentence: 'Lists the worker threads with their sessions, memory, lag and deaths.',
    params: z.strictObject({}),
    result: z.object({
      lanes: list(
        z
          .object({
            lane: count,
            place: count.describe('Lanes of one place replace each other; metrics are by place.'),
            state: z.enum(['starting', 'running', 'draining', 'silent']),
            sessions: count,
            generation: count,
            started: time,
            memoryBytes: count,
            lagSeconds: seconds,
            deaths: count,
          })
          .meta({ title: 'Lane' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { lanes: [LANE_EXAMPLE] } },
    cli: { rows: 'lanes' },
    run: async ({ daemon }) =>
      ok({ lanes: (await daemon.lanes.list()).map((lane) => ({ ...lane, started: timeOf(lane.started) })) }),
  }),
  'lane.recycle': method({
    sentence: 'Replaces a lane, or all one after the other: a new one accepts sessions, the old one finishes its own.',
    params: z.strictObject({
      lane: count.exactOptional().describe('Its number.'),
      all: z.boolean().default(false).describe('Every lane.'),
      reason,
      dryRun,
    }),
    result: z.object({
      lane: count.optional().describe('The replacement, if it was one.'),
      sessions: count.describe('Still in the old ones.'),
      recycled: list(z.object({ lane: count, replacement: count.optional(), sessions: count })),
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: {
      params: { lane: 1, reason: 'memory' },
      result: { lane: 3, sessions: 20, recycled: [{ lane: 1, replacement: 3, sessions: 20 }], dryRun: false },
    },
    cli: { args: ['lane'], rows: 'recycled' },
    run: async ({ daemon }, { lane, all, reason: why, dryRun: dry }) => {
      if (all === (lane !== undefined)) return err(ONE_OR_ALL)
      if (!dry)
        return (await daemon.lanes.recycle(lane ?? 'all', why)).map((done) => ({ ...summary(done), dryRun: false }))
      const lanes = (await daemon.lanes.list()).filter(({ state }) => state !== 'draining')
      const wanted = lanes.filter((one) => all || one.lane === lane)
      if (wanted.length === 0)
        return err({ failure: 'not-found', reason: 'no-such-lane', message: `No lane ${lane ?? ''}` })
      return ok({ ...summary(wanted.map((one) => ({ lane: one.lane, sessions: one.sessions }))), dryRun: true })
    },
  }),
  'backend.list': method({
    sentence: 'Lists the chains that a login can run.',
    params: z.strictObject({}),
    result: z.object({
      backends: list(
        z
          .object({
            chain: z.string(),
            kind: z.enum(['auth', 'certificate', 'guest', 'probe']),
            argv: list(z.string()).optional(),
            sessions: count,
            parked: count,
          })
          .meta({ title: 'Backend' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        backends: [{ chain: 'ofmip', kind: 'auth', argv: ['/var/qmail/bin/qmail-smtpd'], sessions: 20, parked: 0 }],
      },
    },
    cli: { rows: 'backends' },
    run: async ({ daemon }) => ok({ backends: await daemon.backends.list() }),
    redact: (result) => ({ backends: result.backends.map((backend) => without(backend, 'argv')) }),
  }),
  'backend.probe': method({
    sentence: 'Runs a backend and says what control/smtpcapabilities must change to offer what it does.',
    params: z.strictObject({
      chain: name.exactOptional().describe('A chain of kind probe or guest; by default the first of kind probe.'),
    }),
    result: z.object({
      chain: z.string(),
      greeting: z.string(),
      backend: list(z.string()),
      offered: list(z.string()),
      advice: list(z.object({ do: z.enum(['add', 'remove', 'change']), line: z.string(), why: z.string() })),
    }),
    level: 'control',
    changes: false,
    example: {
      params: { chain: 'open' },
      result: {
        chain: 'open',
        greeting: '220 mx.example ESMTP',
        backend: ['8BITMIME', 'DSN'],
        offered: ['8BITMIME'],
        advice: [{ do: 'add', line: 'DSN', why: 'the backend offers it' }],
      },
    },
    cli: { args: ['chain'], rows: 'advice' },
    run: async ({ daemon }, { chain }) => daemon.backends.probe(chain),
  }),
}
