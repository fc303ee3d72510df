// What a control file, or one of its lines, does, and who uses it.
import { z } from 'zod'
import { EXPLAINED } from '../../contract/configuration.ts'
import { octets } from '../octets.ts'
import { method } from '../row.ts'
import { count, list, time } from '../schema.ts'
import { timeOf, without } from '../wire.ts'

export const explainMethods = {
  'config.explain': method({
    sentence: 'Says what a control file or one of its lines does, since when, how often it did, and who uses it.',
    params: z.strictObject({
      file: octets(1, 4096).describe('A control file, by its name or with its path.'),
      line: z.int().min(1).exactOptional().describe('One of its lines; to acceptctl also as FILE:LINE.'),
    }),
    result: z.object({
      file: z.string(),
      line: count.optional(),
      kind: z.enum(EXPLAINED),
      name: z.string().optional().describe('Of a listener, a chain or a limit.'),
      text: z.string().optional().describe('As it is written; of a knob the value in force.'),
      does: list(z.string()).describe('Sentences; none on status.sock.'),
      since: z.object({ generation: count, published: time }).describe('Since when it says so without a gap.'),
      hits: count
        .optional()
        .describe(
          'Of a rule replies that it matched, of a limit refusals, of a listener sessions accepted, of an access line clients decided on, of a line of senders MAIL commands judged, of certusers certificates that it fitted.',
        ),
      lastHit: time.optional(),
      sessions: count.describe('Those that it is about: of the filter, of the chain, else of the generations.'),
      filter: z
        .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
        .optional()
        .describe('For session.list: the sessions that it is about.'),
      usedBy: list(z.string()).optional().describe('What of the configuration names it.'),
      uses: list(z.object({ generation: count, sessions: count })).describe('Generations in use that say the same.'),
      needsRestart: z.boolean().describe('A change of it needs a restart of acceptd.'),
      drift: z.boolean().describe('The file on disk differs from the published one, which is explained.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { file: 'limits', line: 1 },
      result: {
        file: 'control/limits',
        line: 1,
        kind: 'limit',
        name: 'recipients-per-user',
        text: 'recipients-per-user user recipients 1000/hour',
        does: ['Of each user: at most 1000 recipients in any 3600 seconds.'],
        since: { generation: 1, published: '2026-11-22T08:00:00.000Z' },
        hits: 3,
        sessions: 20,
        uses: [{ generation: 3, sessions: 20 }],
        needsRestart: false,
        drift: false,
      },
    },
    cli: { args: ['file', 'line'], place: ['file', 'line'] },
    run: async ({ daemon }, { file, line }) =>
      (await daemon.config.explain(file, line)).map(({ since, lastHit, filter, ...rest }) => ({
        ...rest,
        since: { ...since, published: timeOf(since.published) },
        ...(lastHit !== undefined && { lastHit: timeOf(lastHit) }),
        ...(filter && { filter: { ...filter } }),
      })),
    // Words and filter repeat the text of the rule.
    redact: (result) => ({ ...without(result, 'text', 'filter'), does: [] }),
  }),
}
