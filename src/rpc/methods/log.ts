// The log: its level, and the last warnings and errors.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import { LOG_ERRORS_KEPT, type LogError } from '../../contract/log.ts'
import { AS_CONTROL } from '../overrides.ts'
import { method } from '../row.ts'
import { count, dryRun, ends, list, logLevel, moment, name, reason, time, ttl } from '../schema.ts'
import { timeOf } from '../wire.ts'

/** Fields of a log line that quote no text of control/, no path and no reason of an operator. */
const OPEN_FIELDS: ReadonlySet<string> = new Set(
  'session ip port listener user auth remaining limit what lane seconds errors by asked ended exit verdict lines chain'.split(
    ' ',
  ),
)
const openFields = (fields: LogError['fields']): LogError['fields'] =>
  Object.fromEntries(Object.entries(fields).filter(([field]) => OPEN_FIELDS.has(field)))

export const logMethods = {
  'log.get': method({
    sentence: 'Shows the log level of each component.',
    params: z.strictObject({}),
    result: z.object({ levels: z.record(z.string(), logLevel) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { levels: { acceptd: 'info' } } },
    cli: {},
    run: async ({ daemon }) => ok({ levels: { ...(await daemon.log.levels()) } }),
  }),
  'log.set': method({
    sentence: 'Changes the log level of a component, permanently or for a limited time.',
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
      params: { component: 'acceptd', level: 'debug', ttl: 600 },
      result: {
        component: 'acceptd',
        level: 'debug',
        previous: 'info',
        ends: '2026-11-22T09:10:00.000Z',
        dryRun: false,
      },
    },
    cli: { args: ['component', 'level'] },
    run: async ({ daemon, context }, { component, level, ...params }) => {
      const levels = await daemon.log.levels()
      const before = Object.hasOwn(levels, component) ? levels[component] : undefined
      if (before === undefined)
        return err({ failure: 'not-found', reason: 'no-such-component', message: `No component ${component}` })
      if (params.dryRun) return ok({ component, level, previous: before, dryRun: true })
      const set = await daemon.log.set(component, level)
      if (set.isErr()) return err(set.error)
      const done = { component, level, previous: set.value.previous, dryRun: false }
      if (params.ttl === undefined) {
        context.overrides.forget('log.set', component)
        return ok(done)
      }
      const override = context.overrides.add({
        method: 'log.set',
        subject: component,
        ttl: params.ttl,
        reason: params.reason,
        before: set.value.set ?? AS_CONTROL,
      })
      return ok({ ...done, ends: timeOf(override.ends) })
    },
  }),
  'log.errors': method({
    sentence: `Shows the last ${LOG_ERRORS_KEPT} warnings and errors, also of runtimes that have died, the oldest first, whatever the log level.`,
    params: z.strictObject({
      since: moment.exactOptional().describe('Only those from this time on; to acceptctl also 30s, 10m, 2h or 1d ago.'),
      level: z.enum(['error', 'warn']).default('warn').describe('error: no warnings.'),
      limit: z.int().min(1).max(LOG_ERRORS_KEPT).default(LOG_ERRORS_KEPT).describe('How many; the newest.'),
    }),
    result: z.object({
      errors: list(
        z
          .object({
            at: time,
            level: z.enum(['error', 'warn']),
            event: z.string(),
            fields: z
              .record(z.string(), z.union([z.string(), z.number()]))
              .describe('As in the line of the log; on status.sock without what may quote control/ or give a reason.'),
          })
          .meta({ title: 'LogError' }),
      ),
      matched: count,
      since: time.describe('Earlier ones are not kept: acceptd was new, or there have been more.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { level: 'warn', limit: 20 },
      result: {
        errors: [
          {
            at: '2026-11-22T08:59:00.000Z',
            level: 'warn',
            event: 'login-failed',
            fields: {
              session: '1.2f',
              ip: '192.0.2.7',
              port: 50_312,
              listener: 'submission',
              user: 'alice',
              remaining: 4,
            },
          },
        ],
        matched: 1,
        since: '2026-11-22T08:00:00.000Z',
      },
    },
    cli: { rows: 'errors', columns: ['at', 'level', 'event', 'fields'], matched: 'matched' },
    run: async ({ daemon, client }, { since, level, limit }) => {
      const { errors, since: begin } = await daemon.log.errors()
      const from = since === undefined ? 0 : Date.parse(since)
      const found = errors.filter((one) => one.at >= from && (level === 'warn' || one.level === level))
      return ok({
        errors: found.slice(-limit).map(({ at, fields, ...rest }) => ({
          at: timeOf(at),
          ...rest,
          fields: client.level === 'control' ? fields : openFields(fields),
        })),
        matched: found.length,
        since: timeOf(begin),
      })
    },
  }),
}
