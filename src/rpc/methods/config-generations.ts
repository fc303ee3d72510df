// Generations of the configuration: publishing one from disk, listing them, publishing an old one again.
import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Apply, Published } from '../../contract/configuration.ts'
import type { Daemon, RpcFailure } from '../../contract/daemon.ts'
import { reloadAll } from '../fleet-reload.ts'
import { octets } from '../octets.ts'
import { fleet, hostError, hostRows, isJoined, notJoined, silentHosts } from '../on-fleet.ts'
import { type Call, method } from '../row.ts'
import { apply, changedBy, configError, count, dryRun, ifSha256, list, reason, sha256, time } from '../schema.ts'
import { wireConfigError, wireFailure, wireGeneration, without } from '../wire.ts'

export const HASH = 'b7a1c0de'.repeat(8)
export const OTHER = '0ddba115'.repeat(8)

export const generationRow = z
  .object({
    generation: count,
    sha256,
    published: time,
    by: changedBy,
    reason: z.string().optional(),
    rules: count,
    sessions: count,
  })
  .meta({ title: 'Generation' })
export const exampleGeneration = {
  generation: 3,
  sha256: HASH,
  published: '2026-11-22T08:30:00.000Z',
  by: 'control',
  reason: 'shorter greeting',
  rules: 12,
  sessions: 40,
} as const

const published = z
  .object({
    generation: count,
    previous: count,
    sha256,
    unchanged: z.boolean().describe('Nothing was published, since nothing differs.'),
    changed: list(z.string()).describe('Files whose content differs from the previous generation.'),
    needsRestart: list(z.string()).describe('Files that differ and that only a restart of acceptd reads.'),
    warnings: list(configError),
    rules: count,
    lanes: count.describe('Lanes that acknowledged it.'),
    olderSessions: count.describe('Sessions that continue with an older generation.'),
    milliseconds: z.number(),
    dryRun: z.boolean(),
  })
  .meta({ title: 'Publication' })
const examplePublished = {
  generation: 4,
  previous: 3,
  sha256: OTHER,
  unchanged: false,
  changed: ['fixsmtpio'],
  needsRestart: [],
  warnings: [],
  rules: 12,
  lanes: 2,
  olderSessions: 40,
  milliseconds: 3.2,
  dryRun: false,
}

type Answered = z.input<typeof published>

type ChangeFrom =
  | { readonly from: 'disk'; readonly only?: readonly string[] }
  | { readonly from: 'history'; readonly generation?: number }

async function refuseUnless(daemon: Daemon, wanted: string | undefined): Promise<RpcFailure | undefined> {
  if (wanted === undefined) return undefined
  const { current } = await daemon.config.status()
  if (current.sha256 === wanted) return undefined
  return {
    failure: 'conflict',
    reason: 'sha256-differs',
    message: `The published configuration is generation ${current.generation}, sha256 ${current.sha256}`,
    data: { generation: current.generation, sha256: current.sha256 },
  }
}

const publishedAnswer = (answer: Result<Published, RpcFailure>, tried: boolean): Result<Answered, RpcFailure> =>
  answer
    .map((value) => ({ ...value, warnings: value.warnings.map(wireConfigError), dryRun: tried }))
    .mapErr(wireFailure)

interface HowToChange {
  readonly ifSha256?: string
  readonly dryRun: boolean
  readonly apply: Apply
  readonly reason?: string
}

/** Reload and rollback, each alone in its turn. */
const change = ({ context, daemon }: Call, from: ChangeFrom, { ifSha256: wanted, ...how }: HowToChange) =>
  context.inTurn(async (): Promise<Result<Answered, RpcFailure>> => {
    const conflict = await refuseUnless(daemon, wanted)
    if (conflict) return err(conflict)
    const { apply: to, reason: why, dryRun: tried } = how
    const order = { apply: to, by: 'control' as const, dryRun: tried, ...(why !== undefined && { reason: why }) }
    return publishedAnswer(await daemon.config.change({ ...from, ...order }), tried)
  })

/** In the turn of this host, and of each other one. */
const changeAll = (call: Call, from: ChangeFrom & { from: 'disk' }, { ifSha256: wanted, ...how }: HowToChange) =>
  call.context.inTurn(async () => {
    const { daemon } = call
    const conflict = await refuseUnless(daemon, wanted)
    if (conflict) return err(conflict)
    const state = daemon.fleet.state()
    if (state === undefined || !isJoined(state)) return err(notJoined(state))
    const { apply: to, reason: why, dryRun: tried } = how
    const asked = { apply: to, ...(from.only && { only: from.only }), ...(why !== undefined && { reason: why }) }
    const done = await reloadAll(daemon, state, asked, tried)
    if (done.isErr()) return err(done.error)
    const others = 'mine' in done.value ? done.value.others : done.value
    const order = { ...from, apply: to, by: 'control' as const, dryRun: true }
    const mine = 'mine' in done.value ? ok(done.value.mine) : await daemon.config.change(order)
    return publishedAnswer(mine, tried).map((answer) => ({
      ...answer,
      ...hostRows({ answers: others.answers, silentHosts: others.silent }, ({ generation, sha256: hash }) => ({
        ...(typeof generation === 'number' && { generation }),
        ...(typeof hash === 'string' && { sha256: hash }),
      })),
    }))
  })

export const generationMethods = {
  'config.reload': method({
    sentence:
      'Reads the control files again and publishes them to all lanes together; an error leaves everything as it was.',
    params: z.strictObject({
      only: z.array(octets(1, 255)).max(100).exactOptional().describe('Only these files; by default all.'),
      apply,
      ifSha256,
      reason,
      fleet: fleet.describe('On every host of the fleet, each from its own disk: all publish it, or none does.'),
      dryRun,
    }),
    result: published.extend({
      hosts: list(
        z.object({ host: z.string(), generation: count.optional(), sha256: sha256.optional(), error: hostError }),
      )
        .optional()
        .describe('With fleet: the other hosts that have answered.'),
      silentHosts,
    }),
    level: 'control',
    changes: true,
    example: { params: { reason: 'shorter greeting' }, result: examplePublished },
    cli: {},
    run: (call, { only, fleet: everywhere, ...how }) => {
      const from = { from: 'disk' as const, ...(only !== undefined && { only }) }
      return everywhere ? changeAll(call, from, how) : change(call, from, how)
    },
  }),
  'config.history': method({
    sentence: 'Lists the kept generations, newest first.',
    params: z.strictObject({}),
    result: z.object({ generation: count, sha256, generations: list(generationRow) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { generation: 3, sha256: HASH, generations: [exampleGeneration] } },
    cli: { rows: 'generations', columns: ['generation', 'published', 'by', 'rules', 'sessions', 'reason', 'sha256'] },
    redact: (result) => ({ ...result, generations: result.generations.map((one) => without(one, 'reason')) }),
    run: async ({ daemon }) => {
      const { current } = await daemon.config.status()
      const generations = await daemon.config.history()
      return ok({
        generation: current.generation,
        sha256: current.sha256,
        generations: generations.toSorted((a, b) => b.generation - a.generation).map(wireGeneration),
      })
    },
  }),
  'config.rollback': method({
    sentence: 'Publishes a kept generation again, under a new number.',
    params: z.strictObject({
      generation: count
        .exactOptional()
        .describe('A number of config.history; by default the last one that differs from the current one.'),
      apply,
      ifSha256,
      reason,
      dryRun,
    }),
    result: published,
    level: 'control',
    changes: true,
    example: { params: { generation: 2, reason: 'customers complain' }, result: examplePublished },
    cli: { args: ['generation'] },
    run: (call, { generation, ...how }) =>
      change(call, { from: 'history', ...(generation !== undefined && { generation }) }, how),
  }),
}
