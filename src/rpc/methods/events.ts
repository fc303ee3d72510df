// Streams of events, and what is in force for a time only.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { Topic } from '../../contract/events.ts'
import type { Override } from '../overrides.ts'
import { method } from '../row.ts'
import { count, dryRun, filter, filterNames, list, reason, time, topic } from '../schema.ts'
import { filterOf, timeOf, without } from '../wire.ts'
import { filterProblem, noStream } from './sessions.ts'

const operation = z
  .object({
    id: z.string(),
    method: z.string(),
    subject: z.string().describe('What it is about: a listener, a user, a component, a subscription.'),
    reason: z.string().optional(),
    since: time,
    ends: time,
  })
  .meta({ title: 'Operation' })
const EXAMPLE_OPERATION = {
  id: 'o1',
  method: 'listener.pause',
  subject: 'submission',
  reason: 'disk full',
  since: '2026-11-22T09:00:00.000Z',
  ends: '2026-11-22T09:01:00.000Z',
}

function wireOverride({ since, ends: until, ...rest }: Override): z.input<typeof operation> {
  return { ...rest, since: timeOf(since), ends: timeOf(until) }
}

export const eventMethods = {
  'event.subscribe': method({
    sentence:
      'Streams events as notifications named `event`, numbered; a reader that is too slow misses some and learns how many.',
    params: z.strictObject({
      topics: z
        .array(topic)
        .min(1)
        .max(topic.options.length)
        .default([...topic.options])
        .describe('The topics; by default all.'),
      since: count
        .exactOptional()
        .describe('`seq` of the last event that was seen: those after it come first, of the last 10,000.'),
      ...filter,
    }),
    result: z.object({
      subscription: z.string(),
      topics: list(topic),
      seq: count.describe('Of the newest event there is.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { topics: ['session', 'auth'], user: 'a*' },
      result: { subscription: 'e1', topics: ['session', 'auth'], seq: 1_795_338_000_000_012 },
    },
    cli: { args: ['topics'], stream: true },
    run: ({ context, daemon, client }, params) => {
      const of = filterOf(params)
      const problem = filterProblem(of)
      if (problem) return err(problem)
      let stop: (() => void) | undefined
      const stream = client.open(() => stop?.())
      if (!stream) return err(noStream)
      const topics: ReadonlySet<Topic> = new Set(params.topics)
      const filtered = filterNames.some((one) => of[one] !== undefined)
      stop = context.events.add({
        topics,
        filter: filtered ? of : undefined,
        stream,
        level: client.level,
        ...(params.since !== undefined && { since: params.since }),
      })
      return ok({ subscription: stream.id, topics: [...topics], seq: daemon.events.last() })
    },
  }),
  'event.unsubscribe': method({
    sentence: 'Ends a subscription or a trace of this connection.',
    params: z.strictObject({ subscription: z.string().min(1).max(100).describe('Its id.') }),
    result: z.object({ ended: z.literal(true) }),
    level: 'status',
    changes: false,
    example: { params: { subscription: 'e1' }, result: { ended: true } },
    cli: { args: ['subscription'] },
    run: ({ client }, { subscription }) =>
      client.endStream(subscription)
        ? ok({ ended: true as const })
        : err({
            failure: 'not-found',
            reason: 'no-such-subscription',
            message: `This connection has no subscription ${subscription}`,
          }),
  }),
  'op.list': method({
    sentence: 'Lists the changes that are in force for a limited time.',
    params: z.strictObject({}),
    result: z.object({ operations: list(operation) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { operations: [EXAMPLE_OPERATION] } },
    cli: { rows: 'operations' },
    run: ({ context }) => ok({ operations: context.overrides.list().map(wireOverride) }),
    redact: (result) => ({ operations: result.operations.map((one) => without(one, 'reason')) }),
  }),
  'op.cancel': method({
    sentence: 'Ends one of them now.',
    params: z.strictObject({ id: z.string().min(1).max(100).describe('Its id.'), reason, dryRun }),
    result: z.object({ operation, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { id: 'o1' }, result: { operation: EXAMPLE_OPERATION, dryRun: false } },
    cli: { args: ['id'] },
    run: async ({ context }, params) => {
      const found = params.dryRun ? context.overrides.find(params.id) : await context.overrides.cancel(params.id)
      return found.map((override) => ({ operation: wireOverride(override), dryRun: params.dryRun }))
    },
  }),
}
