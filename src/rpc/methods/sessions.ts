import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { RpcFailure } from '../../contract/daemon.ts'
import { addressMatcher, afterCursor, cursorAfter, SESSION_SORTS, type SessionFilter } from '../../contract/pages.ts'
import { DETAIL_FIELDS, LIST_FIELDS, SESSION_COLUMNS } from '../../contract/session-view.ts'
import { filterHere, querySessions } from '../fleet-sessions.ts'
import { fleet, hostError, hostRows, numberIn, onFleet, silentHosts } from '../on-fleet.ts'
import { type Call, method } from '../row.ts'
import { count, dryRun, filter, filterNames, id, list, reason, silentLanes } from '../schema.ts'
import { sessionDetail, sessionSummary, wireSession } from '../session-schema.ts'
import { filterOf } from '../wire.ts'

const PAGE = 1000
/** Shown whatever fields are asked for. */
const ALWAYS = ['id'] as const

const exampleSession = {
  id: '1.2f',
  protocol: 'smtp',
  state: 'ready',
  listener: 'submission',
  lane: 1,
  generation: 3,
  ip: '192.0.2.7',
  port: 51_234,
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  helo: 'laptop.example',
  user: 'alice',
  started: '2026-11-22T08:58:00.000Z',
  idle: 2.5,
  login: { at: '2026-11-22T08:58:01.000Z', mechanism: 'PLAIN' },
  backend: { chain: 'ofmip', pid: 4711, uid: 1000, gid: 1000 },
  messages: 1,
  recipients: 2,
  bytesIn: 2048,
  bytesOut: 512,
  lastVerb: 'RSET',
} as const

/** What a filter says that cannot be: refused before a lane is asked. */
export function filterProblem(of: SessionFilter): RpcFailure | undefined {
  if (of.ip === undefined || addressMatcher(of.ip)) return undefined
  return {
    failure: 'invalid-params',
    reason: 'invalid-params',
    message: 'ip: neither an address nor a CIDR block',
    data: { problems: [{ param: 'ip', problem: 'neither an address nor a CIDR block' }] },
  }
}

export const noStream: RpcFailure = {
  failure: 'busy',
  reason: 'too-many-streams',
  message: 'This connection has as many subscriptions as it may have',
}

interface Killing {
  readonly mode: 'graceful' | 'now'
  readonly reason?: string
  readonly dryRun: boolean
}

async function kill({ daemon }: Call, of: SessionFilter, { mode, reason: why, dryRun: dry }: Killing) {
  const filterOfHost = filterHere(daemon, of)
  if (dry) {
    const answer = await daemon.sessions.query({
      filter: filterOfHost,
      sort: 'id',
      descending: false,
      // All of them, as the kill itself would name them.
      limit: Number.MAX_SAFE_INTEGER,
      now: Date.now(),
    })
    const ids = answer.sessions.map((one) => one.id)
    return { matched: answer.matched, killed: 0, ids, silentLanes: answer.silentLanes, dryRun: true }
  }
  const { ids, silentLanes: silent } = await daemon.sessions.kill({ filter: filterOfHost, mode, reason: why })
  return { matched: ids.length, killed: ids.length, ids, silentLanes: silent, dryRun: false }
}

export const sessionMethods = {
  'session.list': method({
    sentence: 'Lists the open sessions, in pages.',
    params: z.strictObject({
      ...filter,
      fields: z
        .array(z.enum(LIST_FIELDS))
        .min(1)
        .max(LIST_FIELDS.length)
        .exactOptional()
        .describe('Only these members; id always comes.'),
      sort: z
        .enum(SESSION_SORTS)
        .default('started')
        .describe('The order; sessions of equal value come in the order of their ids.'),
      descending: z.boolean().default(false).describe('Reverse the order.'),
      limit: z.int().min(1).max(PAGE).default(100).describe('Sessions on a page.'),
      cursor: z.string().max(1000).exactOptional().describe('`next` of the previous page.'),
      fleet: fleet.describe('Those of every host of the fleet; an id then begins with the name of its host.'),
    }),
    result: z.object({
      sessions: list(sessionSummary),
      matched: count.describe('The total number of matches.'),
      next: z.string().optional().describe('Cursor of the next page; absent on the last one.'),
      silentLanes,
      silentHosts,
    }),
    level: 'status',
    changes: false,
    example: {
      params: { user: 'a*', limit: 1 },
      result: { sessions: [exampleSession], matched: 1, silentLanes: [] },
    },
    cli: {
      rows: 'sessions',
      columns: SESSION_COLUMNS,
      matched: 'matched',
    },
    run: async ({ daemon, client }, params) => {
      const of = filterOf(params)
      const problem = filterProblem(of)
      if (problem) return err(problem)
      const { sort, descending, limit, cursor } = params
      const after = cursor === undefined ? undefined : afterCursor(cursor, sort, descending)
      if (cursor !== undefined && after === undefined)
        return err({
          failure: 'invalid-params',
          reason: 'invalid-cursor',
          message: 'cursor: not one of this order',
          data: { problems: [{ param: 'cursor', problem: 'not one of this order' }] },
        })
      const now = Date.now()
      // One more than the page, to know whether there is a next one.
      const query = { filter: of, sort, descending, limit: limit + 1, now, ...(after && { after }) }
      const asked = await querySessions(daemon, query, params.fleet)
      if (asked.isErr()) return err(asked.error)
      const answer = asked.value
      const page = answer.sessions.slice(0, limit)
      const last = page.at(-1)
      const wanted = params.fields && new Set([...ALWAYS, ...params.fields])
      const fields = wanted ? LIST_FIELDS.filter((field) => wanted.has(field)) : LIST_FIELDS
      return ok({
        sessions: page.map((one) => wireSession(fields, one, client.level, now)),
        matched: answer.matched,
        ...(last && answer.sessions.length > limit && { next: cursorAfter(last, sort, descending) }),
        silentLanes: answer.silentLanes,
        ...(answer.silentHosts && { silentHosts: answer.silentHosts }),
      })
    },
  }),
  'session.get': method({
    sentence: 'Shows everything about one session: its last 50 verbs with their replies, and its actors.',
    params: z.strictObject({ id: id.describe('The session.') }),
    result: sessionDetail,
    level: 'status',
    changes: false,
    example: {
      params: { id: '1.2f' },
      result: {
        ...exampleSession,
        verbs: [
          { at: '2026-11-22T08:58:00.500Z', verb: 'EHLO', code: '250' },
          { at: '2026-11-22T08:58:01.000Z', verb: 'AUTH', code: '235' },
        ],
        actors: [{ name: 'fixsmtpio', at: 'commands', waiting: 0 }],
      },
    },
    cli: { args: ['id'] },
    run: async ({ daemon, client }, params) =>
      (await daemon.sessions.get(params.id)).map((one) => wireSession(DETAIL_FIELDS, one, client.level, Date.now())),
  }),
  'session.kill': method({
    sentence: 'Ends the sessions that match: with 421 at the next boundary, or now.',
    params: z.strictObject({
      ...filter,
      all: z.boolean().default(false).describe('Required to end every session, without a filter.'),
      mode: z
        .enum(['graceful', 'now'])
        .default('graceful')
        .describe('graceful: 421 at the next boundary; now: immediately.'),
      reason,
      fleet: fleet.describe('On every host of the fleet; an id may begin with the name of a host: mx1/1.2f.'),
      dryRun,
    }),
    result: z.object({
      matched: count.describe('On this host.'),
      killed: count,
      ids: list(id),
      silentLanes,
      hosts: list(z.object({ host: z.string(), matched: count.optional(), killed: count.optional(), error: hostError }))
        .optional()
        .describe('With fleet: the other hosts that have answered.'),
      silentHosts,
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: {
      params: { user: 'alice', mode: 'now', reason: 'stolen laptop' },
      result: { matched: 1, killed: 1, ids: ['1.2f'], silentLanes: [], dryRun: false },
    },
    cli: { args: ['id'], matched: 'matched' },
    run: async (call, { fleet: everywhere, ...params }) => {
      const of = filterOf(params)
      const problem = filterProblem(of)
      if (problem) return err(problem)
      if (filterNames.every((name) => of[name] === undefined) && !params.all)
        return err({
          failure: 'invalid-params',
          reason: 'empty-filter',
          message: 'an empty filter ends every session: say so with all',
          data: { problems: [{ param: 'all', problem: 'needed with an empty filter' }] },
        })
      const question = { method: 'session.kill', params, fleet: everywhere }
      const done = await onFleet(call.daemon, question, async () => ok(await kill(call, of, params)))
      return done.map(({ mine, others }) => ({
        ...mine,
        ...hostRows(others, (result) => ({
          matched: numberIn(result, 'matched'),
          killed: numberIn(result, 'killed'),
        })),
      }))
    },
  }),
}
