import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { HealthCheck } from '../../contract/daemon.ts'
import { histogramCount, mergeHistograms, quantile } from '../../contract/histogram.ts'
import type { Sample } from '../../contract/metrics.ts'
import { openrpcDocument } from '../openrpc.ts'
import { PROMETHEUS_TYPE, prometheusText } from '../prometheus.ts'
import { type Call, method } from '../row.ts'
import { count, dryRun, list, protocol, reason, seconds, sha256, time } from '../schema.ts'
import { openHealth, timeOf } from '../wire.ts'

export const NAME = 'acceptd'
/** Major.minor of what these methods mean; results only gain members within a major one. */
export const PROTOCOL_VERSION = '1.0'
const HASH = 'b7a1c0de'.repeat(8)

async function samplesOf(call: Call): Promise<readonly Sample[]> {
  return call.context.samples()
}

const labels = z.record(z.string(), z.string()).readonly()
const measured = z.object({ name: z.string(), labels, value: z.number() }).meta({ title: 'Sample' })
const latency = z
  .object({
    name: z.string(),
    labels,
    count,
    sum: seconds,
    p50: seconds,
    p95: seconds,
    p99: seconds,
  })
  .meta({ title: 'Latency' })

function latencyOf(samples: readonly Sample[]): z.input<typeof latency>[] {
  const rows = new Map<
    string,
    { name: string; labels: Readonly<Record<string, string>>; values: Parameters<typeof mergeHistograms>[0][number][] }
  >()
  const put = (name: string, of: Readonly<Record<string, string>>, value: Parameters<typeof quantile>[0]) => {
    const key = `${name} ${JSON.stringify(of)}`
    const row = rows.get(key) ?? { name, labels: of, values: [] }
    rows.set(key, row)
    row.values.push(value)
  }
  for (const { metric, labels: of, value } of samples) {
    if (typeof value === 'number') continue
    const { lane, ...others }: Readonly<Record<string, string>> = of
    // All lanes together first, then each.
    put(metric, others, value)
    if (lane !== undefined) put(metric, of, value)
  }
  return [...rows.values()].map(({ name, labels: of, values }) => {
    const value = mergeHistograms(values)
    return {
      name,
      labels: of,
      count: histogramCount(value),
      sum: value.sum,
      p50: quantile(value, 0.5),
      p95: quantile(value, 0.95),
      p99: quantile(value, 0.99),
    }
  })
}

export const serverMethods = {
  'rpc.discover': method({
    sentence: 'Describes every method as an OpenRPC document.',
    params: z.strictObject({}),
    result: z.looseObject({ openrpc: z.string(), methods: list(z.looseObject({ name: z.string() })) }),
    verbatim: true,
    level: 'status',
    changes: false,
    example: { params: {}, result: { openrpc: '1.2.6', methods: [{ name: 'server.ping' }] } },
    cli: {},
    run: async ({ daemon }) => ok({ ...openrpcDocument((await daemon.server.info()).version) }),
  }),
  'server.info': method({
    sentence:
      'Describes the running server: version, process, listeners, lanes, helper, and the published configuration.',
    params: z.strictObject({}),
    result: z.object({
      name: z.string(),
      version: z.string(),
      protocol: z.string(),
      pid: count,
      started: time,
      uptime: seconds,
      listeners: list(z.object({ name: z.string(), address: z.string(), port: count, protocol })),
      lanes: count,
      helper: z.object({ mode: z.enum(['serve', 'unit', 'run']), privileged: z.boolean() }),
      generation: count,
      sha256,
      draining: z.boolean(),
      level: z.enum(['control', 'status']),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        name: NAME,
        version: '0.1.0',
        protocol: PROTOCOL_VERSION,
        pid: 4242,
        started: '2026-11-22T08:00:00.000Z',
        uptime: 3600.5,
        listeners: [{ name: 'submission', address: '0.0.0.0', port: 587, protocol: 'smtp' }],
        lanes: 2,
        helper: { mode: 'serve', privileged: true },
        generation: 3,
        sha256: HASH,
        draining: false,
        level: 'control',
      },
    },
    cli: {},
    run: async ({ daemon, client }) => {
      const info = await daemon.server.info()
      const listeners = await daemon.listeners.list()
      return ok({
        name: NAME,
        version: info.version,
        protocol: PROTOCOL_VERSION,
        pid: info.pid,
        started: timeOf(info.started),
        uptime: (Date.now() - info.started) / 1000,
        listeners: listeners.map(({ name, address, port, protocol: speaks }) => ({
          name,
          address,
          port,
          protocol: speaks,
        })),
        lanes: info.lanes,
        helper: info.helper,
        generation: info.generation,
        sha256: info.sha256,
        draining: info.draining,
        level: client.level,
      })
    },
  }),
  'server.ping': method({
    sentence: 'Replies immediately.',
    params: z.strictObject({}),
    result: z.object({ pong: z.literal(true), now: time }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { pong: true, now: '2026-11-22T09:00:00.000Z' } },
    cli: {},
    run: () => ok({ pong: true as const, now: timeOf(Date.now()) }),
  }),
  'server.whoami': method({
    sentence: 'Shows what this connection may do.',
    params: z.strictObject({}),
    result: z.object({ level: z.enum(['control', 'status']), transport: z.enum(['lines', 'http']), streams: count }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { level: 'control', transport: 'lines', streams: 0 } },
    cli: {},
    run: ({ client }) => ok({ level: client.level, transport: client.transport, streams: client.streams }),
  }),
  'server.stats': method({
    sentence:
      'Shows every counter and gauge, and percentiles of login, helper, first reply and lane lag, in total and per lane.',
    params: z.strictObject({}),
    result: z.object({ now: time, counters: list(measured), latencies: list(latency) }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        now: '2026-11-22T09:00:00.000Z',
        counters: [{ name: 'acceptd_sessions_accepted_total', labels: { listener: 'submission' }, value: 120 }],
        latencies: [
          {
            name: 'acceptd_login_seconds',
            labels: { outcome: 'accepted' },
            count: 90,
            sum: 1.4,
            p50: 0.014,
            p95: 0.028,
            p99: 0.056,
          },
        ],
      },
    },
    cli: {},
    run: async (call) => {
      const samples = await samplesOf(call)
      return ok({
        now: timeOf(Date.now()),
        counters: samples.flatMap(({ metric, labels: of, value }) =>
          typeof value === 'number' ? [{ name: metric, labels: of, value }] : [],
        ),
        latencies: latencyOf(samples),
      })
    },
  }),
  'server.metrics': method({
    sentence: 'Shows the same as text for Prometheus, like `GET /metrics`.',
    params: z.strictObject({}),
    result: z.object({ contentType: z.string(), text: z.string() }),
    verbatim: true,
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        contentType: PROMETHEUS_TYPE,
        text: '# HELP acceptd_draining 1 while no new sessions are taken.\n# TYPE acceptd_draining gauge\nacceptd_draining 0\n',
      },
    },
    cli: { raw: 'text' },
    run: async (call) => ok({ contentType: PROMETHEUS_TYPE, text: prometheusText(await samplesOf(call)) }),
  }),
  'server.health': method({
    sentence:
      'Checks helper, listeners, programs, certificates, descriptors, lanes and control files; `state` is the worst of them.',
    params: z.strictObject({}),
    result: z.object({
      state: z.enum(['ok', 'warning', 'failed']),
      summary: z.string().describe('One line, as Nagios and its kin show it.'),
      checks: list(
        z
          .object({
            name: z.string(),
            state: z.enum(['ok', 'warning', 'failed']),
            detail: z.string(),
            value: z.number().optional(),
            limit: z.number().optional(),
          })
          .meta({ title: 'HealthCheck' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        state: 'ok',
        summary: 'ACCEPTD OK: 9 checks',
        checks: [{ name: 'helper', state: 'ok', detail: 'accept-helper answers, with the rights of root' }],
      },
    },
    cli: {
      rows: 'checks',
      columns: ['name', 'state', 'detail'],
      summary: 'summary',
      // The plugin guidelines of Nagios: 1 warning, 2 critical, 3 unknown.
      exits: { member: 'state', codes: { warning: 1, failed: 2 }, unknown: 3 },
    },
    run: async ({ daemon, client }) => {
      const all = await daemon.server.health()
      const checks = client.level === 'control' ? all : openHealth(all)
      const state = worstOf(checks)
      return ok({ state, summary: summaryOf(state, checks), checks })
    },
  }),
  'server.drain': method({
    sentence: 'Accepts no new sessions and lets the running ones finish, until server.undrain.',
    params: z.strictObject({ reason, dryRun }),
    result: z.object({ draining: z.boolean(), sessions: count.describe('Still running.'), dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { reason: 'kernel update' }, result: { draining: true, sessions: 17, dryRun: false } },
    cli: {},
    run: async ({ daemon }, params) => {
      if (params.dryRun) return ok({ ...(await drainState(daemon)), dryRun: true })
      return (await daemon.server.drain(params.reason)).map(({ sessions }) => ({
        draining: true,
        sessions,
        dryRun: false,
      }))
    },
  }),
  'server.undrain': method({
    sentence: 'Accepts new sessions again.',
    params: z.strictObject({ reason, dryRun }),
    result: z.object({ draining: z.boolean(), sessions: count, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: {}, result: { draining: false, sessions: 17, dryRun: false } },
    cli: {},
    run: async ({ daemon }, params) => {
      if (params.dryRun) return ok({ ...(await drainState(daemon)), dryRun: true })
      return (await daemon.server.undrain()).map(({ sessions }) => ({ draining: false, sessions, dryRun: false }))
    },
  }),
  'server.upgrade': method({
    sentence:
      'Starts a runtime of the installed program on the same sockets; once it serves, the one before finishes its sessions. If it does not, nothing has changed.',
    params: z.strictObject({ reason, dryRun }),
    result: z.object({
      upgraded: z.boolean(),
      version: z.string(),
      from: z.string().describe('The version before.'),
      pid: count.describe('Of the runtime that serves.'),
      sessions: count.describe('That finish in the runtime before.'),
      milliseconds: count,
      dryRun: z.boolean(),
    }),
    level: 'control',
    changes: true,
    example: {
      params: { reason: 'security fix', dryRun: true },
      result: {
        upgraded: false,
        version: '0.2.0',
        from: '0.1.0',
        pid: 4242,
        sessions: 0,
        milliseconds: 640,
        dryRun: true,
      },
    },
    cli: { follows: 'op' },
    run: async ({ daemon, context }, params) =>
      (await context.inTurn(() => daemon.server.upgrade({ dryRun: params.dryRun, reason: params.reason }))).map(
        (done) => ({ upgraded: !params.dryRun, ...done, dryRun: params.dryRun }),
      ),
  }),
  'server.stop': method({
    sentence: 'Stops acceptd: sessions receive 421 at their next boundary and are cut after `grace` seconds.',
    params: z.strictObject({
      grace: z.number().nonnegative().max(86_400).default(0).describe('Seconds for running sessions to finish.'),
      reason,
      dryRun,
    }),
    result: z.object({ stopping: z.boolean(), sessions: count, dryRun: z.boolean() }),
    level: 'control',
    changes: true,
    example: { params: { grace: 30 }, result: { stopping: true, sessions: 17, dryRun: false } },
    cli: {},
    run: async ({ daemon }, params) => {
      if (params.dryRun) return ok({ stopping: false, sessions: (await drainState(daemon)).sessions, dryRun: true })
      const stopped = await daemon.server.stop({ grace: params.grace, reason: params.reason })
      if (stopped.isErr()) return err(stopped.error)
      return ok({ stopping: true, sessions: stopped.value.sessions, dryRun: false })
    },
  }),
}

const WORDS = { ok: 'OK', warning: 'WARNING', failed: 'CRITICAL' } as const

const worstOf = (checks: readonly HealthCheck[]): HealthCheck['state'] =>
  (['failed', 'warning'] as const).find((one) => checks.some(({ state }) => state === one)) ?? 'ok'

/** A bar would begin what Nagios takes for numbers. */
function summaryOf(state: HealthCheck['state'], checks: readonly HealthCheck[]): string {
  const wrong = checks.filter((check) => check.state === state && state !== 'ok')
  const said = wrong.map(({ name, detail }) => `${name}: ${detail}`).join('; ')
  return `ACCEPTD ${WORDS[state]}: ${said.replaceAll('|', '/') || `${checks.length} checks`}`
}

async function drainState(daemon: Call['daemon']): Promise<{ draining: boolean; sessions: number }> {
  const { draining } = await daemon.server.info()
  const { generations } = await daemon.config.status()
  return { draining, sessions: generations.reduce((sum, { sessions }) => sum + sessions, 0) }
}
