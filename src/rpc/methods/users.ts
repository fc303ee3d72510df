// Users: their sessions, blocking one, and a login for a test.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import { globMatches } from '../../contract/pages.ts'
import { fleet, hostError, hostRows, numberIn, onFleet, silentHosts } from '../on-fleet.ts'
import { type Call, method } from '../row.ts'
import {
  count,
  dryRun,
  ends,
  list,
  name,
  protocol,
  reason,
  silentLanes,
  time,
  ttl,
  userGlob,
  userName,
} from '../schema.ts'
import { timeOf, without } from '../wire.ts'

interface Blocking {
  readonly user: string
  readonly reason?: string
  readonly ttl?: number
  readonly dryRun: boolean
}

async function block({ daemon, context }: Call, { user, reason: why, ttl: seconds, dryRun: dry }: Blocking) {
  if (dry) {
    const { users } = await daemon.users.list()
    const known = users.find((one) => one.user === user)
    return ok({ user, blocked: known?.blocked !== undefined, ended: 0, ids: [], dryRun: true })
  }
  const blocked = await daemon.users.block(user, why)
  if (blocked.isErr()) return err(blocked.error)
  const ids = blocked.value.ended
  const done = { user, blocked: true, ended: ids.length, ids, dryRun: false }
  if (seconds === undefined) {
    context.overrides.forget('user.block', user)
    return ok(done)
  }
  const override = context.overrides.add({ method: 'user.block', subject: user, ttl: seconds, reason: why })
  return ok({ ...done, ends: timeOf(override.ends) })
}

/** `anyway`: it may be blocked on another host only. */
async function unblock({ daemon, context }: Call, { user, dryRun: dry }: Blocking, anyway: boolean) {
  if (dry) {
    const { users } = await daemon.users.list()
    const known = users.find((one) => one.user === user)
    return ok({ user, blocked: known?.blocked !== undefined, dryRun: true })
  }
  const unblocked = await daemon.users.unblock(user)
  if (unblocked.isErr() && !(anyway && unblocked.error.failure === 'not-found')) return err(unblocked.error)
  context.overrides.forget('user.block', user)
  return ok({ user, blocked: false, dryRun: false })
}

export const userMethods = {
  'user.list': method({
    sentence: 'Lists users who have sessions or are blocked.',
    params: z.strictObject({
      user: userGlob.exactOptional().describe('Only users that match this glob.'),
      limit: z.int().min(1).max(10_000).default(1000).describe('Those with most sessions first.'),
    }),
    result: z.object({
      users: list(
        z
          .object({
            user: z.string(),
            sessions: count,
            messages: count,
            blocked: z.object({ since: time, reason: z.string().optional() }).optional(),
          })
          .meta({ title: 'User' }),
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
    redact: (result) => ({
      ...result,
      users: result.users.map((user) => (user.blocked ? { ...user, blocked: without(user.blocked, 'reason') } : user)),
    }),
    run: async ({ daemon }, params) => {
      const { users, silentLanes: silent } = await daemon.users.list()
      const { user: glob } = params
      const matched = users.filter(({ user }) => glob === undefined || globMatches(glob, user))
      return ok({
        users: matched
          .toSorted((a, b) => b.sessions - a.sessions || (a.user < b.user ? -1 : 1))
          .slice(0, params.limit)
          .map(({ blocked, ...known }) => ({
            ...known,
            ...(blocked && { blocked: { ...blocked, since: timeOf(blocked.since) } }),
          })),
        matched: matched.length,
        silentLanes: silent,
      })
    },
  }),
  'user.block': method({
    sentence: 'Refuses further logins of a user and ends their sessions immediately.',
    params: z.strictObject({ user: userName.describe('The user, exactly.'), reason, ttl, fleet, dryRun }),
    result: z.object({
      user: z.string(),
      blocked: z.boolean(),
      ended: count,
      ids: list(z.string()),
      ends,
      hosts: list(z.object({ host: z.string(), ended: count.optional(), error: hostError }))
        .optional()
        .describe('With fleet: the other hosts that have answered.'),
      silentHosts,
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
    run: async (call, { fleet: everywhere, ...params }) => {
      const ending = params.ttl === undefined ? undefined : Date.now() + params.ttl * 1000
      const kept = params.dryRun ? undefined : { name: `user ${params.user}`, ends: ending }
      const question = { method: 'user.block', params, fleet: everywhere, ...(kept && { kept }) }
      const done = await onFleet(call.daemon, question, () => block(call, params))
      return done.map(({ mine, others }) => ({
        ...mine,
        ...hostRows(others, (result) => ({ ended: numberIn(result, 'ended') })),
      }))
    },
  }),
  'user.unblock': method({
    sentence: 'Lets a blocked user log in again.',
    params: z.strictObject({ user: userName.describe('The user, exactly.'), reason, fleet, dryRun }),
    result: z.object({
      user: z.string(),
      blocked: z.boolean(),
      hosts: list(z.object({ host: z.string(), error: hostError }))
        .optional()
        .describe('With fleet: the other hosts that have answered.'),
      silentHosts,
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: { params: { user: 'mallory' }, result: { user: 'mallory', blocked: false, dryRun: false } },
    cli: { args: ['user'] },
    run: async (call, { fleet: everywhere, ...params }) => {
      const kept = params.dryRun ? undefined : { name: `user ${params.user}`, ends: undefined }
      const question = { method: 'user.unblock', params, fleet: everywhere, ...(kept && { kept }) }
      const done = await onFleet(call.daemon, question, () => unblock(call, params, everywhere))
      return done.map(({ mine, others }) => ({ ...mine, ...hostRows(others, () => ({})) }))
    },
  }),
  'auth.test': method({
    sentence: 'Runs the real login chain up to the start of the backend and reports how it ended.',
    params: z.strictObject({
      user: userName.describe('The user.'),
      password: z.string().max(1024).describe('The password; never logged, shown or sent on.'),
      chain: name.exactOptional().describe('The chain; by default that of the first listener of the protocol.'),
      protocol: protocol.default('smtp').describe('The protocol.'),
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
    cli: {
      args: ['user'],
      secret: 'password',
      exits: {
        member: 'verdict',
        codes: { refused: 1, misused: 1, blocked: 1, tempfail: 75, crashed: 75, timeout: 75 },
      },
    },
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
