import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Apply, ConfigFile, Daemon, Published, RpcFailure } from '../../contract/daemon.ts'
import { globMatches } from '../../contract/pages.ts'
import type { ConfigError } from '../../protocol/errors.ts'
import { diffLines } from '../diff.ts'
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
import { configInvalid, timeOf, wireConfigError, wireGeneration, without } from '../wire.ts'

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
  changed: list(z.string()).describe('Files whose content differs from the previous generation.'),
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
  changed: ['fixsmtpio'],
  rules: 12,
  lanes: 2,
  olderSessions: 40,
  milliseconds: 3.2,
  dryRun: false,
}

const fileDiff = z.object({
  file: z.string(),
  state: z.enum(['changed', 'added', 'removed']),
  needsRestart: z.boolean().describe('A reload leaves it as it is; only a restart of acceptd reads it.'),
  lines: list(z.object({ op: z.enum(['+', '-']), line: count, text: z.string().optional() })),
})

function diffOf(before: readonly ConfigFile[], after: readonly ConfigFile[]): z.input<typeof fileDiff>[] {
  const old = new Map(before.map((file) => [file.name, file]))
  const now = new Map(after.map((file) => [file.name, file]))
  return [...new Set([...old.keys(), ...now.keys()])].toSorted().flatMap((name) => {
    const a = old.get(name)
    const b = now.get(name)
    if (a?.sha256 === b?.sha256) return []
    return [
      {
        file: name,
        state: a === undefined ? ('added' as const) : b === undefined ? ('removed' as const) : ('changed' as const),
        needsRestart: (b ?? a)?.changes === 'restart',
        // A secret has no text here, so its lines are not shown.
        lines: diffLines(a?.text ?? '', b?.text ?? ''),
      },
    ]
  })
}

/** The disk, with the caller's texts in place of the files of the same names. */
function withTexts(disk: readonly ConfigFile[], files: Readonly<Record<string, string>> | undefined): ConfigFile[] {
  const kept = new Map(disk.map((file) => [file.name, file]))
  for (const [name, text] of Object.entries(files ?? {})) {
    const before = kept.get(name)
    kept.set(name, {
      name,
      text,
      sha256: before?.text === text ? before.sha256 : '',
      changes: before?.changes ?? 'reload',
    })
  }
  return [...kept.values()]
}

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

function isConfigErrors(value: unknown): value is readonly ConfigError[] {
  return (
    Array.isArray(value) &&
    value.every((error: unknown) => typeof error === 'object' && error !== null && 'problem' in error)
  )
}

/** The daemon's own errors have `problem`; the wire has `message`. */
function publishedAnswer(answer: Result<Published, RpcFailure>): Result<z.input<typeof published>, RpcFailure> {
  if (answer.isOk()) return ok({ ...answer.value, dryRun: false })
  const { error } = answer
  const { errors, ...rest } = error.data ?? {}
  if (error.failure === 'config-invalid' && isConfigErrors(errors)) {
    const wire = configInvalid(errors)
    return err({ ...wire, data: { ...rest, ...wire.data } })
  }
  return err(error)
}

async function reload(
  { daemon }: Call,
  how: { only?: string[]; ifSha256?: string; dryRun: boolean; apply: Apply; reason?: string },
): Promise<Result<z.input<typeof published>, RpcFailure>> {
  const conflict = await refuseUnless(daemon, how.ifSha256)
  if (conflict) return err(conflict)
  if (how.dryRun) {
    const report = await daemon.config.check(undefined)
    if (report.errors.length > 0) return err(configInvalid(report.errors))
    const { current, generations } = await daemon.config.status()
    const { published: before, disk } = await daemon.config.texts()
    return ok({
      generation: current.generation,
      previous: current.generation,
      sha256: report.sha256,
      changed: diffOf(before, disk)
        .filter(({ file, needsRestart }) => !needsRestart && (how.only === undefined || how.only.includes(file)))
        .map(({ file }) => file),
      rules: current.rules,
      lanes: 0,
      olderSessions: generations.reduce((sum, { sessions }) => sum + sessions, 0),
      milliseconds: 0,
      dryRun: true,
    })
  }
  return publishedAnswer(
    await daemon.config.reload({
      apply: how.apply,
      by: 'control',
      ...(how.only !== undefined && { only: how.only }),
      ...(how.reason !== undefined && { reason: how.reason }),
    }),
  )
}

export const configMethods = {
  'config.get': method({
    sentence: 'Shows the knobs in force, each with the source of its value, without secrets.',
    params: z.strictObject({
      name: z.string().min(1).max(255).exactOptional().describe('Only knobs that match this glob.'),
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
            z.object({ from: z.literal('rpc') }),
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
      lastError: z.object({ at: time, by: changedBy, errors: list(configError) }).optional(),
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
          lastError: { at: timeOf(lastError.at), by: lastError.by, errors: lastError.errors.map(wireConfigError) },
        }),
        generations: generations.map(wireGeneration),
      })
    },
  }),
  'config.check': method({
    sentence: 'Reads and compiles the control files, or the given texts, and reports every error; changes nothing.',
    params: z.strictObject({ files: fileTexts }),
    result: z.object({ ok: z.boolean(), errors: list(configError), warnings: list(configError), sha256 }),
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
        warnings: [],
        sha256: OTHER,
      },
    },
    cli: { file: 'files', valid: 'ok', rows: 'errors', columns: ['file', 'line', 'column', 'message', 'hint'] },
    run: async ({ daemon }, { files }) => {
      const { errors, warnings, sha256: of } = await daemon.config.check(files)
      return ok({
        ok: errors.length === 0,
        errors: errors.map(wireConfigError),
        warnings: warnings.map(wireConfigError),
        sha256: of,
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
      const texts = await daemon.config.texts()
      return ok({
        generation: current.generation,
        sha256: current.sha256,
        files: diffOf(texts.published, withTexts(texts.disk, files)),
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
      only: z.array(z.string().min(1).max(255)).max(100).exactOptional().describe('Only these files; by default all.'),
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
    run: (call, params) => call.plane.inTurn(() => reload(call, params)),
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
      generation: count.describe('Which one, a number of config.history.'),
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
    run: ({ plane, daemon }, params) =>
      plane.inTurn(async () => {
        const conflict = await refuseUnless(daemon, params.ifSha256)
        if (conflict) return err(conflict)
        if (params.dryRun) {
          const { current, generations } = await daemon.config.status()
          const wanted = (await daemon.config.history()).find(({ generation }) => generation === params.generation)
          if (!wanted)
            return err({
              failure: 'not-found',
              reason: 'no-such-generation',
              message: `Generation ${params.generation} is not kept`,
            })
          return ok({
            generation: current.generation,
            previous: current.generation,
            sha256: wanted.sha256,
            changed: [],
            rules: wanted.rules,
            lanes: 0,
            olderSessions: generations.reduce((sum, { sessions }) => sum + sessions, 0),
            milliseconds: 0,
            dryRun: true,
          })
        }
        return publishedAnswer(
          await daemon.config.rollback({
            generation: params.generation,
            apply: params.apply,
            by: 'control',
            ...(params.reason !== undefined && { reason: params.reason }),
          }),
        )
      }),
  }),
}
