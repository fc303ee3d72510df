// control/limits: how full its lines are, other rates for a time, and who is delayed or refused.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import { method } from '../row.ts'
import { count, dryRun, ends, list, name, reason, time, ttl } from '../schema.ts'
import { timeOf, without } from '../wire.ts'

const subject = z.string().min(1).max(600)
const use = { subject: z.string(), used: count, most: count.optional() }
const limitName = name.describe('The name of a line of control/limits.')

export const limitMethods = {
  'limit.list': method({
    sentence: 'Lists the lines of control/limits, how full they are, and who is nearest to each.',
    params: z.strictObject({}),
    result: z.object({
      limits: list(
        z
          .object({
            name: z.string(),
            line: count,
            text: z.string().optional(),
            rate: z.string(),
            set: z.boolean().describe('By limit.set.'),
            subjects: count.describe('Those that are counted now.'),
            refused: count,
            nearest: z.object(use).optional().describe('The subject that has most.'),
          })
          .meta({ title: 'LimitLine' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        limits: [
          {
            name: 'recipients-per-user',
            line: 27,
            text: 'recipients-per-user user recipients 1000/hour',
            rate: '1000/hour',
            set: false,
            subjects: 1,
            refused: 0,
            nearest: { subject: 'alice', used: 3, most: 1000 },
          },
        ],
      },
    },
    cli: {
      rows: 'limits',
      columns: ['name', 'rate', 'subjects', 'refused', 'nearest.subject', 'nearest.used', 'nearest.most'],
    },
    run: async ({ daemon }) => ok({ limits: await daemon.limits.list() }),
    redact: ({ limits }) => ({ limits: limits.map((limit) => without(limit, 'text')) }),
  }),
  'limit.eval': method({
    sentence: 'Tells which lines of control/limits count a client, and how much of each it has.',
    params: z.strictObject({
      ip: z.string().min(2).max(49).describe('The address of the client.'),
      user: name.exactOptional().describe('The user, if the client has logged in.'),
      listener: name.exactOptional().describe('The listener; by default none that has a line of its own.'),
    }),
    result: z.object({
      limits: list(
        z
          .object({
            name: z.string(),
            line: count,
            text: z.string().optional(),
            rate: z.string(),
            ...use,
            full: z.boolean().describe('One more would be refused.'),
          })
          .meta({ title: 'LimitUse' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { ip: '192.0.2.7', user: 'alice' },
      result: {
        limits: [
          {
            name: 'recipients-per-user',
            line: 27,
            text: 'recipients-per-user user recipients 1000/hour',
            rate: '1000/hour',
            subject: 'alice',
            used: 3,
            most: 1000,
            full: false,
          },
        ],
      },
    },
    cli: { args: ['ip', 'user'], rows: 'limits', columns: ['name', 'line', 'rate', 'subject', 'used', 'most', 'full'] },
    run: async ({ daemon }, { ip, user = '', listener = '' }) =>
      ok({ limits: await daemon.limits.evaluate({ ip, user, listener }) }),
    redact: ({ limits }) => ({ limits: limits.map((limit) => without(limit, 'text')) }),
  }),
  'limit.set': method({
    sentence: 'Gives a line of control/limits another rate for a time.',
    params: z.strictObject({
      limit: limitName,
      rate: z.string().min(1).max(64).describe('Of the kind that the line has, such as 5000/hour or 50; or off.'),
      ttl: ttl.unwrap().describe('Seconds after which the line has its own rate again.'),
      reason,
      dryRun,
    }),
    result: z.object({ limit: z.string(), rate: z.string(), ends, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: {
      params: { limit: 'recipients-per-user', rate: '5000/hour', ttl: 3600, reason: 'newsletter' },
      result: { limit: 'recipients-per-user', rate: '5000/hour', ends: '2026-11-22T10:00:00.000Z', dryRun: false },
    },
    cli: { args: ['limit', 'rate'] },
    run: async ({ daemon, context }, { limit, rate, ttl: seconds, reason: why, dryRun: dry }) => {
      if (dry) {
        const known = (await daemon.limits.list()).some((one) => one.name === limit)
        if (known) return ok({ limit, rate, dryRun: true })
      }
      const set = await daemon.limits.set(limit, rate)
      if (set.isErr()) return err(set.error)
      const override = context.overrides.add({
        method: 'limit.set',
        subject: limit,
        ttl: seconds,
        reason: why,
        value: rate,
      })
      return ok({ limit, rate: set.value, ends: timeOf(override.ends), dryRun: false })
    },
  }),
  'limit.clear': method({
    sentence: 'Forgets what a line of control/limits has counted, and ends what limit.set has set.',
    params: z.strictObject({
      limit: limitName,
      subject: subject.exactOptional().describe('Only what was counted of this one; the rate stays as it is.'),
      reason,
      dryRun,
    }),
    result: z.object({ limit: z.string(), cleared: count, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: {
      params: { limit: 'recipients-per-user', subject: 'alice' },
      result: { limit: 'recipients-per-user', cleared: 1, dryRun: false },
    },
    cli: { args: ['limit', 'subject'] },
    run: async ({ daemon, context }, { limit, subject: one, dryRun: dry }) => {
      if (dry) {
        const known = (await daemon.limits.list()).find((each) => each.name === limit)
        if (known !== undefined) return ok({ limit, cleared: one === undefined ? known.subjects : 0, dryRun: true })
      }
      const cleared = await daemon.limits.clear(limit, one)
      if (cleared.isErr()) return err(cleared.error)
      if (one === undefined) {
        const back = await daemon.limits.set(limit, undefined)
        if (back.isErr()) return err(back.error)
        context.overrides.forget('limit.set', limit)
      }
      return ok({ limit, cleared: cleared.value, dryRun: false })
    },
  }),
  'penalty.list': method({
    sentence: 'Lists who is delayed or refused for wrong passwords, and until when.',
    params: z.strictObject({
      limit: z.int().min(1).max(10_000).default(1000).describe('How many; bans come first.'),
    }),
    result: z.object({
      penalties: list(
        z
          .object({
            limit: z.string(),
            scope: z.string(),
            subject: z.string(),
            kind: z.enum(['delay', 'ban']),
            failures: count.optional().describe('In the last ten minutes.'),
            delay: z.number().optional().describe('Seconds that the next wrong password waits for its answer.'),
            ends: time.optional(),
          })
          .meta({ title: 'Penalty' }),
      ),
      matched: count,
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        penalties: [
          {
            limit: 'slow-guesses-by-address',
            scope: 'address',
            subject: '192.0.2.7',
            kind: 'delay',
            failures: 2,
            delay: 4,
          },
        ],
        matched: 1,
      },
    },
    cli: {
      rows: 'penalties',
      columns: ['kind', 'scope', 'subject', 'failures', 'delay', 'ends', 'limit'],
      matched: 'matched',
    },
    run: async ({ daemon }, { limit: most }) => {
      const all = await daemon.limits.penalties()
      return ok({
        penalties: all
          .toSorted((a, b) => (b.ends ?? 0) - (a.ends ?? 0) || (b.failures ?? 0) - (a.failures ?? 0))
          .slice(0, most)
          .map(({ ends: until, ...rest }) => ({ ...rest, ...(until !== undefined && { ends: timeOf(until) }) })),
        matched: all.length,
      })
    },
  }),
  'penalty.clear': method({
    sentence: 'Ends the delays and bans of a subject, or of all.',
    params: z.strictObject({
      subject: subject.exactOptional().describe('An address, a network or a user, as penalty.list shows it.'),
      all: z.boolean().default(false).describe('Without a subject: those of all.'),
      reason,
      dryRun,
    }),
    result: z.object({ cleared: count, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { subject: '192.0.2.7' }, result: { cleared: 1, dryRun: false } },
    cli: { args: ['subject'], matched: 'cleared' },
    run: async ({ daemon }, { subject: one, all, dryRun: dry }) => {
      if (one === undefined && !all)
        return err({ failure: 'invalid-params', reason: 'no-subject', message: 'name a subject, or say all' })
      if (dry) {
        const found = (await daemon.limits.penalties()).filter((each) => one === undefined || each.subject === one)
        return ok({ cleared: found.length, dryRun: true })
      }
      return (await daemon.limits.forgive(one)).map((cleared) => ({ cleared, dryRun: false }))
    },
  }),
}
