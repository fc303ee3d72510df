// The configuration as it is: what is in force, what is on disk, what is wrong, what a reload would change.
import { err, ok } from 'neverthrow'
import { z } from 'zod'
import type { FileDifference } from '../../contract/configuration.ts'
import { globMatches } from '../../contract/pages.ts'
import { diffLines } from '../diff.ts'
import { octetGlob } from '../octets.ts'
import { fleet, notJoined } from '../on-fleet.ts'
import { method } from '../row.ts'
import { changedBy, configError, count, fileTexts, list, sha256, time } from '../schema.ts'
import { placeOf, timeOf, wireConfigError, wireGeneration, without } from '../wire.ts'
import { exampleGeneration, generationRow, HASH, OTHER } from './config-generations.ts'

const fileDiff = z
  .object({
    file: z.string(),
    state: z.enum(['changed', 'added', 'removed']),
    needsRestart: z.boolean().describe('A reload leaves it as it is; only a restart of acceptd reads it.'),
    lines: list(z.object({ op: z.enum(['+', '-']), line: count, text: z.string().optional() })),
  })
  .meta({ title: 'FileDifference' })

const wireDifference = ({ name, loaded, wanted, needsRestart }: FileDifference): z.input<typeof fileDiff> => ({
  file: name,
  state: loaded === undefined ? 'added' : wanted === undefined ? 'removed' : 'changed',
  needsRestart,
  lines: diffLines(loaded ?? '', wanted ?? ''),
})

const fleetHost = z
  .object({
    name: z.string(),
    here: z.boolean().describe('It has been heard of in the last seconds.'),
    heard: time,
    version: z.string(),
    generation: count,
    sha256,
    common: sha256.describe('Of all files but me and fleet, which hosts cannot have in common.'),
  })
  .meta({ title: 'FleetHost' })

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
        z
          .object({
            name: z.string(),
            value: z.string().optional(),
            secret: z.boolean(),
            table: z.boolean().describe('A file of lines; status.sock does not show what it says.'),
            source: z.discriminatedUnion('from', [
              z.object({ from: z.literal('file'), file: z.string(), line: count }),
              z.object({ from: z.literal('default') }),
            ]),
            needsRestart: z.boolean().describe('Whether a change needs a restart of acceptd.'),
          })
          .meta({ title: 'Knob' }),
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
            table: false,
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
    redact: (result) => ({
      ...result,
      knobs: result.knobs.map((knob) => (knob.table || knob.value?.includes('\n') ? without(knob, 'value') : knob)),
    }),
  }),
  'config.status': method({
    sentence: 'Shows what is published, since when and why, what differs on disk, and the last errors.',
    params: z.strictObject({
      fleet: fleet.describe('And what every host of the fleet has published.'),
    }),
    result: generationRow.extend({
      drift: z.boolean().describe('Whether a file on disk differs from what was loaded.'),
      files: list(
        z.object({ name: z.string(), disk: sha256.optional(), loaded: sha256.optional(), drift: z.boolean() }),
      ),
      lastError: z.object({ at: time, by: changedBy, errors: list(configError), errorCount: count }).optional(),
      generations: list(generationRow).describe('Those that a session uses.'),
      hosts: list(fleetHost).optional().describe('With fleet: all hosts that are known, this one included.'),
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
    redact: ({ lastError, ...result }) => ({
      ...without(result, 'reason'),
      ...(lastError && { lastError: { ...lastError, errors: lastError.errors.map(placeOf) } }),
      generations: result.generations.map((one) => without(one, 'reason')),
    }),
    run: async ({ daemon }, { fleet: everywhere }) => {
      const state = everywhere ? daemon.fleet.state() : undefined
      if (everywhere && state === undefined) return err(notJoined(undefined))
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
        ...(state && { hosts: state.hosts.map(({ heard, ...host }) => ({ ...host, heard: timeOf(heard) })) }),
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
    redact: (result) => ({
      ...result,
      errors: result.errors.map(placeOf),
      warnings: result.warnings.map(placeOf),
    }),
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
}
