// Listeners, users, login, lanes, backends, log, events and operations.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { ListenerState, RpcFailure, Topic } from '../daemon.ts'
import type { Override } from '../overrides.ts'
import { globMatches } from '../pages.ts'
import { method } from '../row.ts'
import {
  count,
  dryRun,
  filter,
  filterNames,
  list,
  logLevel,
  pauseMode,
  protocol,
  reason,
  seconds,
  silentLanes,
  time,
  topic,
  ttl,
} from '../schema.ts'
import { filterOf, timeOf, without } from '../wire.ts'
import { filterProblem, noStream } from './sessions.ts'

const name = z.string().min(1).max(255)
const ends = time.optional().describe('When it ends by itself.')

const listener = z.object({
  name,
  address: z.string(),
  port: count,
  protocol,
  tls: z.enum(['none', 'starttls', 'implicit']),
  chain: z.string(),
  paused: pauseMode.optional(),
  accepted: count,
  refused: count,
})
const exampleListener = {
  name: 'submission',
  address: '0.0.0.0',
  port: 587,
  protocol: 'smtp',
  tls: 'starttls',
  chain: 'ofmip',
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
      'Takes no new sessions on a listener: answers them 421, or leaves them in the backlog; the descriptor stays open.',
    params: z.strictObject({
      listener: name.describe('Its name.'),
      mode: pauseMode.default('421').describe('421: accept, say 421 4.3.2 and close; hold: leave them in the backlog.'),
      reason,
      ttl,
      dryRun,
    }),
    result: z.object({ listener, ends, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: {
      params: { listener: 'submission', mode: 'hold', ttl: 60 },
      result: { listener: { ...exampleListener, paused: 'hold' }, ends: '2026-11-22T09:01:00.000Z', dryRun: false },
    },
    cli: { args: ['listener'] },
    run: async ({ daemon, plane }, params) => {
      const listeners = await daemon.listeners.list()
      const before = listeners.find((one) => one.name === params.listener)
      if (!before) return err(noListener(params.listener, listeners))
      if (params.dryRun) return ok({ listener: before, dryRun: true })
      const paused = await daemon.listeners.pause(params.listener, params.mode)
      if (paused.isErr()) return err(paused.error)
      if (params.ttl === undefined) {
        plane.overrides.forget('listener.pause', params.listener)
        return ok({ listener: paused.value, dryRun: false })
      }
      const override = plane.overrides.add({
        method: 'listener.pause',
        subject: params.listener,
        ttl: params.ttl,
        reason: params.reason,
        end: () => daemon.listeners.resume(params.listener),
      })
      return ok({ listener: paused.value, ends: timeOf(override.ends), dryRun: false })
    },
  }),
  'listener.resume': method({
    sentence: 'Ends a pause.',
    params: z.strictObject({ listener: name.describe('Its name.'), reason, dryRun }),
    result: z.object({ listener, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { listener: 'submission' }, result: { listener: exampleListener, dryRun: false } },
    cli: { args: ['listener'] },
    run: async ({ daemon, plane }, params) => {
      const listeners = await daemon.listeners.list()
      const before = listeners.find((one) => one.name === params.listener)
      if (!before) return err(noListener(params.listener, listeners))
      if (params.dryRun) return ok({ listener: before, dryRun: true })
      plane.overrides.forget('listener.pause', params.listener)
      return (await daemon.listeners.resume(params.listener)).map((state) => ({ listener: state, dryRun: false }))
    },
  }),
}

export const userMethods = {
  'user.list': method({
    sentence: 'Lists users who have sessions or are blocked.',
    params: z.strictObject({
      user: name.exactOptional().describe('Only users that match this glob.'),
      limit: z.int().min(1).max(10_000).default(1000).describe('Those with most sessions first.'),
    }),
    result: z.object({
      users: list(
        z.object({
          user: z.string(),
          sessions: count,
          messages: count,
          blocked: z.object({ since: time, reason: z.string().optional() }).optional(),
        }),
      ),
      matched: count,
      silentLanes,
    }),
    level: 'status',
    changes: false,
    example: {
      params: { user: 'a*' },
      result: { users: [{ user: 'alice', sessions: 1, messages: 1 }], matched: 1, silentLanes: [] },
    },
    cli: {
      args: ['user'],
      rows: 'users',
      columns: ['user', 'sessions', 'messages', 'blocked.since', 'blocked.reason'],
      matched: 'matched',
    },
    run: async ({ daemon }, params) => {
      const { users, silentLanes: silent } = await daemon.users.list()
      const { user: glob } = params
      const matched = users.filter(({ user }) => glob === undefined || globMatches(glob, user))
      return ok({
        users: matched
          .toSorted((a, b) => b.sessions - a.sessions || (a.user < b.user ? -1 : 1))
          .slice(0, params.limit)
          .map(({ blocked, ...user }) => ({
            ...user,
            ...(blocked && { blocked: { ...blocked, since: timeOf(blocked.since) } }),
          })),
        matched: matched.length,
        silentLanes: silent,
      })
    },
  }),
  'user.block': method({
    sentence: 'Refuses logins of a user from now on and ends the running sessions at once.',
    params: z.strictObject({ user: name.describe('The user, exactly.'), reason, ttl, dryRun }),
    result: z.object({
      user: z.string(),
      blocked: z.boolean(),
      ended: count,
      ids: list(z.string()),
      ends,
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: {
      params: { user: 'alice', reason: 'stolen laptop', ttl: 3600 },
      result: {
        user: 'alice',
        blocked: true,
        ended: 1,
        ids: ['1.2f'],
        ends: '2026-11-22T10:00:00.000Z',
        dryRun: false,
      },
    },
    cli: { args: ['user'] },
    run: async ({ daemon, plane }, params) => {
      const { user } = params
      if (params.dryRun) {
        const { users } = await daemon.users.list()
        const known = users.find((one) => one.user === user)
        return ok({ user, blocked: known?.blocked !== undefined, ended: 0, ids: [], dryRun: true })
      }
      const blocked = await daemon.users.block(user, params.reason)
      if (blocked.isErr()) return err(blocked.error)
      const ids = blocked.value.ended
      const done = { user, blocked: true, ended: ids.length, ids, dryRun: false }
      if (params.ttl === undefined) {
        plane.overrides.forget('user.block', user)
        return ok(done)
      }
      const override = plane.overrides.add({
        method: 'user.block',
        subject: user,
        ttl: params.ttl,
        reason: params.reason,
        end: () => daemon.users.unblock(user),
      })
      return ok({ ...done, ends: timeOf(override.ends) })
    },
  }),
  'user.unblock': method({
    sentence: 'Lets a blocked user log in again.',
    params: z.strictObject({ user: name.describe('The user, exactly.'), reason, dryRun }),
    result: z.object({ user: z.string(), blocked: z.boolean(), dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { user: 'mallory' }, result: { user: 'mallory', blocked: false, dryRun: false } },
    cli: { args: ['user'] },
    run: async ({ daemon, plane }, { user, dryRun: dry }) => {
      if (dry) {
        const { users } = await daemon.users.list()
        const known = users.find((one) => one.user === user)
        return ok({ user, blocked: known?.blocked !== undefined, dryRun: true })
      }
      const unblocked = await daemon.users.unblock(user)
      if (unblocked.isErr()) return err(unblocked.error)
      plane.overrides.forget('user.block', user)
      return ok({ user, blocked: false, dryRun: false })
    },
  }),
  'auth.test': method({
    sentence: 'Runs the real login chain up to the start of the backend and says how it ended.',
    params: z.strictObject({
      user: z.string().min(1).max(512).describe('The user.'),
      password: z.string().max(1024).describe('The password; never logged, shown or sent on.'),
      chain: name.exactOptional().describe('The chain; left out, that of the first listener of the protocol.'),
      protocol: protocol.default('smtp').describe('Of which protocol.'),
    }),
    result: z.object({
      verdict: z.enum(['accepted', 'refused', 'misused', 'tempfail', 'crashed', 'timeout', 'blocked']),
      chain: z.string(),
      uid: count.optional(),
      gid: count.optional(),
      milliseconds: z.number(),
    }),
    level: 'control',
    changes: false,
    example: {
      params: { user: 'alice', password: 'not a real one' },
      result: { verdict: 'refused', chain: 'ofmip', milliseconds: 12.5 },
    },
    cli: { args: ['user'], secret: 'password' },
    run: async ({ daemon }, { user, password, chain, protocol: speaks }) => {
      const bytes = new TextEncoder().encode(password)
      try {
        return await daemon.auth.test({
          user,
          password: bytes,
          protocol: speaks,
          ...(chain !== undefined && { chain }),
        })
      } finally {
        bytes.fill(0)
      }
    },
  }),
}

const LANE_EXAMPLE = {
  lane: 1,
  state: 'running',
  sessions: 20,
  generation: 3,
  started: '2026-11-22T08:00:00.000Z',
  memoryBytes: 41_943_040,
  lagSeconds: 0.0012,
  deaths: 0,
} as const

export const laneMethods = {
  'lane.list': method({
    sentence: 'Lists the worker threads with their sessions, memory, lag and deaths.',
    params: z.strictObject({}),
    result: z.object({
      lanes: list(
        z.object({
          lane: count,
          state: z.enum(['starting', 'running', 'draining', 'silent']),
          sessions: count,
          generation: count,
          started: time,
          memoryBytes: count,
          lagSeconds: seconds,
          deaths: count,
        }),
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
    sentence: 'Replaces a lane: the new one takes sessions, the old one finishes its own.',
    params: z.strictObject({ lane: count.describe('Its number.'), reason, dryRun }),
    result: z.object({
      lane: count.describe('The replacement.'),
      sessions: count.describe('Still in the old one.'),
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: { params: { lane: 1, reason: 'memory' }, result: { lane: 3, sessions: 20, dryRun: false } },
    cli: { args: ['lane'] },
    run: async ({ daemon }, params) => {
      if (params.dryRun) {
        const lane = (await daemon.lanes.list()).find((one) => one.lane === params.lane)
        if (!lane) return err({ failure: 'not-found', reason: 'no-such-lane', message: `No lane ${params.lane}` })
        return ok({ lane: lane.lane, sessions: lane.sessions, dryRun: true })
      }
      return (await daemon.lanes.recycle(params.lane, params.reason)).map((done) => ({ ...done, dryRun: false }))
    },
  }),
  'backend.list': method({
    sentence: 'Lists the chains that a login can run.',
    params: z.strictObject({}),
    result: z.object({
      backends: list(
        z.object({
          chain: z.string(),
          kind: z.enum(['auth', 'guest']),
          argv: list(z.string()).optional(),
          sessions: count,
          parked: count,
        }),
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
  'log.get': method({
    sentence: 'Gives the log level of each component.',
    params: z.strictObject({}),
    result: z.object({ levels: z.record(z.string(), logLevel) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { levels: { session: 'info', rules: 'warn' } } },
    cli: {},
    run: async ({ daemon }) => ok({ levels: { ...(await daemon.log.levels()) } }),
  }),
  'log.set': method({
    sentence: 'Changes the log level of a component, for good or for a while.',
    params: z.strictObject({
      component: name.describe('One of log.get.'),
      level: logLevel.describe('The new level.'),
      reason,
      ttl,
      dryRun,
    }),
    result: z.object({ component: z.string(), level: logLevel, previous: logLevel, ends, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: {
      params: { component: 'session', level: 'debug', ttl: 600 },
      result: {
        component: 'session',
        level: 'debug',
        previous: 'info',
        ends: '2026-11-22T09:10:00.000Z',
        dryRun: false,
      },
    },
    cli: { args: ['component', 'level'] },
    run: async ({ daemon, plane }, { component, level, ...params }) => {
      const before = (await daemon.log.levels())[component]
      if (before === undefined)
        return err({ failure: 'not-found', reason: 'no-such-component', message: `No component ${component}` })
      if (params.dryRun) return ok({ component, level, previous: before, dryRun: true })
      const set = await daemon.log.set(component, level)
      if (set.isErr()) return err(set.error)
      const done = { component, level, previous: set.value, dryRun: false }
      if (params.ttl === undefined) {
        plane.overrides.forget('log.set', component)
        return ok(done)
      }
      const override = plane.overrides.add({
        method: 'log.set',
        subject: component,
        ttl: params.ttl,
        reason: params.reason,
        end: () => daemon.log.set(component, set.value),
      })
      return ok({ ...done, ends: timeOf(override.ends) })
    },
  }),
}

const operation = z.object({
  id: z.string(),
  method: z.string(),
  subject: z.string().describe('What it is about: a listener, a user, a component, a subscription.'),
  reason: z.string().optional(),
  since: time,
  ends: time,
})
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
      'Streams events as notifications named `event`, numbered; a reader who is too slow loses some and is told how many.',
    params: z.strictObject({
      topics: z
        .array(topic)
        .min(1)
        .max(topic.options.length)
        .default([...topic.options])
        .describe('Which; left out, all.'),
      ...filter,
    }),
    result: z.object({ subscription: z.string(), topics: list(topic) }),
    level: 'status',
    changes: false,
    example: {
      params: { topics: ['session', 'auth'], user: 'a*' },
      result: { subscription: 'e1', topics: ['session', 'auth'] },
    },
    cli: { args: ['topics'], stream: true },
    run: ({ plane, client }, params) => {
      const of = filterOf(params)
      const problem = filterProblem(of)
      if (problem) return err(problem)
      let stop: (() => void) | undefined
      const stream = client.open(() => stop?.())
      if (!stream) return err(noStream)
      const topics: ReadonlySet<Topic> = new Set(params.topics)
      const filtered = filterNames.some((one) => of[one] !== undefined)
      stop = plane.events.add({ topics, filter: filtered ? of : undefined, stream })
      return ok({ subscription: stream.id, topics: [...topics] })
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
    sentence: 'Lists what is in force for a time only.',
    params: z.strictObject({}),
    result: z.object({ operations: list(operation) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { operations: [EXAMPLE_OPERATION] } },
    cli: { rows: 'operations' },
    run: ({ plane }) => ok({ operations: plane.overrides.list().map(wireOverride) }),
  }),
  'op.cancel': method({
    sentence: 'Ends one of these now.',
    params: z.strictObject({ id: z.string().min(1).max(100).describe('Its id.'), reason, dryRun }),
    result: z.object({ operation, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { id: 'o1' }, result: { operation: EXAMPLE_OPERATION, dryRun: false } },
    cli: { args: ['id'] },
    run: async ({ plane }, params) => {
      const found = params.dryRun ? plane.overrides.find(params.id) : await plane.overrides.cancel(params.id)
      return found.map((override) => ({ operation: wireOverride(override), dryRun: params.dryRun }))
    },
  }),
}
