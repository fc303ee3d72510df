import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Apply, FileDifference, Published } from '../../contract/configuration.ts'
import type { Daemon, RpcFailure } from '../../contract/daemon.ts'
import { globMatches } from '../../contract/pages.ts'
import { diffLines } from '../diff.ts'
import { octetGlob, octets } from '../octets.ts'
import { type Call, method } from '../row.ts'
import {
  apply,
  changedBy,
  configError,
  count,
  dryRun,
  fileTexts,
  ifSha256,
  list,
  reason,
  sha256,
  time,
} from '../schema.ts'
import { timeOf, wireConfigError, wireFailure, wireGeneration, without } from '../wire.ts'

const HASH = 'b7a1c0de'.repeat(8)
const OTHER = '0ddba115'.repeat(8)

const generationRow = z.object({
  generation: count,
  sha256,
  published: time,
  by: changedBy,
  reason: z.string().optional(),
  rules: count,
  sessions: count,
})
const exampleGeneration = {
  generation: 3,
  sha256: HASH,
  published: '2026-11-22T08:30:00.000Z',
  by: 'control',
  reason: 'shorter greeting',
  rules: 12,
  sessions: 40,
} as const

const published = z.object({
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

const fileDiff = z.object({
  file: z.string(),
  state: z.enum(['changed', 'added', 'removed']),
  needsRestart: z.boolean().describe('A reload leaves it as it is; only a restart of acceptd reads it.'),
  lines: list(z.object({ op: z.enum(['+', '-']), line: count, text: z.string().optional() })),
})

const wireDifference = ({ name, loaded, wanted, needsRestart }: FileDifference): z.input<typeof fileDiff> => ({
  file: name,
  state: loaded === undefined ? 'added' : wanted === undefined ? 'removed' : 'changed',
  needsRestart,
  lines: diffLines(loaded ?? '', wanted ?? ''),
})

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
const change = ({ plane, daemon }: Call, from: ChangeFrom, { ifSha256: wanted, ...how }: HowToChange) =>
  plane.inTurn(async (): Promise<Result<Answered, RpcFailure>> => {
    const conflict = await refuseUnless(daemon, wanted)
    if (conflict) return err(conflict)
    const { apply: to, reason: why, dryRun: tried } = how
    const order = { apply: to, by: 'control' as const, dryRun: tried, ...(why !== undefined && { reason: why }) }
    return publishedAnswer(await daemon.config.change({ ...from, ...order }), tried)
  })

export const configMethods = {
  'config.get': method({
    sentence: 'Shows the knobs in force, each with the source of its value, without secrets.',
    params: z.strictObject({
      name: octetGlob(255).exactOptional().describe('Only knobs that match this glob.'),
    }),
    result: z.object({
      generation: count,
      sha256,
      knobs: list(
        z.object({
          name: z.string(),
          value: z.string().optional(),
          secret: z.boolean(),
          source: z.discriminatedUnion('from', [
            z.object({ from: z.literal('file'), file: z.string(), line: count }),
            z.object({ from: z.literal('default') }),
          ]),
          needsRestart: z.boolean().describe('Whether a change needs a restart of acceptd.'),
        }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { name: 'timeout*' },
      result: {
        generation: 3,
        sha256: HASH,
        knobs: [
          {
            name: 'timeoutsmtpd',
            value: '1200',
            secret: false,
            source: { from: 'file', file: 'timeoutsmtpd', line: 1 },
            needsRestart: false,
          },
        ],
      },
    },
    cli: {
      args: ['name'],
      rows: 'knobs',
      columns: ['name', 'value', 'source.from', 'source.file', 'source.line', 'needsRestart'],
    },
    run: async ({ daemon }, { name }) => {
      const { current } = await daemon.config.status()
      const knobs = await daemon.config.knobs()
      return ok({
        generation: current.generation,
        sha256: current.sha256,
        knobs: knobs
          .filter((knob) => name === undefined || globMatches(name, knob.name))
          .map(({ changes, value, ...knob }) => ({
            ...knob,
            ...(value !== undefined && !knob.secret && { value }),
            needsRestart: changes === 'restart',
          })),
      })
    },
    // A knob that is a whole file, such as the rules, is a text of the configuration.
    redact: (result) => ({
      ...result,
      knobs: result.knobs.map((knob) =>
        knob.name === 'fixsmtpio' || knob.value?.includes('\n') ? without(knob, 'value') : knob,
      ),
    }),
  }),
  'config.status': method({
    sentence: 'Shows what is published, since when and why, what differs on disk, and the last errors.',
    params: z.strictObject({}),
    result: generationRow.extend({
      drift: z.boolean().describe('Whether a file on disk differs from what was loaded.'),
      files: list(
        z.object({ name: z.string(), disk: sha256.optional(), loaded: sha256.optional(), drift: z.boolean() }),
      ),
      lastError: z.object({ at: time, by: changedBy, errors: list(configError), errorCount: count }).optional(),
      generations: list(generationRow).describe('Those that a session uses.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        ...exampleGeneration,
        drift: true,
        files: [{ name: 'fixsmtpio', disk: OTHER, loaded: HASH, drift: true }],
        lastError: {
          at: '2026-11-22T08:29:00.000Z',
          by: 'control',
          errors: [
            {
              file: 'control/fixsmtpio',
              line: 7,
              column: 14,
              message: 'the rule ends after 4 of 6 fields',
              hint: '[env]:event:[request-prepend]:response-line-glob:[exitcode]:[response]',
            },
          ],
          errorCount: 1,
        },
        generations: [exampleGeneration],
      },
    },
    cli: {},
    run: async ({ daemon }) => {
      const { current, files, lastError, generations } = await daemon.config.status()
      const wireFiles = files.map(({ name, diskSha256, loadedSha256 }) => ({
        name,
        drift: diskSha256 !== loadedSha256,
        ...(diskSha256 !== undefined && { disk: diskSha256 }),
        ...(loadedSha256 !== undefined && { loaded: loadedSha256 }),
      }))
      return ok({
        ...wireGeneration(current),
        drift: wireFiles.some(({ drift }) => drift),
        files: wireFiles,
        ...(lastError && {
          lastError: { ...lastError, at: timeOf(lastError.at), errors: lastError.errors.map(wireConfigError) },
        }),
        generations: generations.map(wireGeneration),
      })
    },
  }),
  'config.check': method({
    sentence: 'Reads and compiles the control files, or the given texts, and reports every error; changes nothing.',
    params: z.strictObject({ files: fileTexts }),
    result: z.object({
      ok: z.boolean(),
      errors: list(configError).describe('The first hundred.'),
      errorCount: count,
      warnings: list(configError).describe('The first hundred.'),
      warningCount: count,
      needsRestart: list(z.string()).describe('Files that a reload would not change, since they need a restart.'),
      sha256: sha256.describe('Of what a reload would publish.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { files: { fixsmtpio: ':greeting::2*\n' } },
      result: {
        ok: false,
        errors: [
          {
            file: 'fixsmtpio',
            line: 1,
            column: 14,
            message: 'the rule ends after 4 of 6 fields',
            hint: '[env]:event:[request-prepend]:response-line-glob:[exitcode]:[response]',
          },
        ],
        errorCount: 1,
        warnings: [],
        warningCount: 0,
        needsRestart: [],
        sha256: OTHER,
      },
    },
    cli: { file: 'files', valid: 'ok', rows: 'errors', columns: ['file', 'line', 'column', 'message', 'hint'] },
    run: async ({ daemon }, { files }) => {
      const report = await daemon.config.check(files)
      return ok({
        ...report,
        ok: report.errorCount === 0,
        errors: report.errors.map(wireConfigError),
        warnings: report.warnings.map(wireConfigError),
      })
    },
  }),
  'config.diff': method({
    sentence: 'Shows line by line what a reload of the control files, or of the given texts, would change.',
    params: z.strictObject({ files: fileTexts }),
    result: z.object({ generation: count, sha256, files: list(fileDiff) }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        generation: 3,
        sha256: HASH,
        files: [
          {
            file: 'smtpgreeting',
            state: 'changed',
            needsRestart: false,
            lines: [
              { op: '-', line: 1, text: 'mx.example ESMTP' },
              { op: '+', line: 1, text: 'mail.example ESMTP' },
            ],
          },
        ],
      },
    },
    cli: { file: 'files', rows: 'files', diff: 'files' },
    run: async ({ daemon }, { files }) => {
      const { current } = await daemon.config.status()
      const different = await daemon.config.diff(files)
      return ok({
        generation: current.generation,
        sha256: current.sha256,
        files: different.map(wireDifference).toSorted((a, b) => (a.file < b.file ? -1 : 1)),
      })
    },
    redact: (result) => ({
      ...result,
      files: result.files.map((file) => ({ ...file, lines: file.lines.map(({ op, line }) => ({ op, line })) })),
    }),
  }),
  'config.reload': method({
    sentence:
      'Reads the control files again and publishes them to all lanes together; an error leaves everything as it was.',
    params: z.strictObject({
      only: z.array(octets(1, 255)).max(100).exactOptional().describe('Only these files; by default all.'),
      apply,
      ifSha256,
      reason,
      dryRun,
    }),
    result: published,
    level: 'control',
    changes: true,
    example: { params: { reason: 'shorter greeting' }, result: examplePublished },
    cli: {},
    run: (call, { only, ...how }) => change(call, { from: 'disk', ...(only !== undefined && { only }) }, how),
  }),
  'config.history': method({
    sentence: 'Lists the kept generations, newest first.',
    params: z.strictObject({}),
    result: z.object({ generation: count, sha256, generations: list(generationRow) }),
    level: 'status',
    changes: false,
    example: { params: {}, result: { generation: 3, sha256: HASH, generations: [exampleGeneration] } },
    cli: { rows: 'generations', columns: ['generation', 'published', 'by', 'rules', 'sessions', 'reason', 'sha256'] },
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
