import { z } from 'zod'
import { REQUEST_LIMIT } from '../../protocol/lines.ts'
import { REPLY_LIMIT } from '../../protocol/replies.ts'
import { VERBS } from '../../protocol/verbs.ts'
import { octets } from '../octets.ts'
import { method } from '../row.ts'
import { count, list, sha256, TEXT, time } from '../schema.ts'
import { timeOf, wireFailure, without } from '../wire.ts'

const HASH = 'b7a1c0de'.repeat(8)

const fields = z
  .object({ request: z.string().optional(), reply: z.string().optional(), exitcode: z.int().optional() })
  .meta({ title: 'RuleFields' })

const ruleRow = z
  .object({ line: count, text: z.string().optional(), event: z.string(), hits: count, lastHit: time.optional() })
  .meta({ title: 'Rule' })

/** For status.sock: an event that is no verb is a word of the configuration. */
const hiddenRule = (rule: z.input<typeof ruleRow>): z.input<typeof ruleRow> => ({
  ...without(rule, 'text'),
  event: VERBS.has(rule.event.toUpperCase()) ? rule.event : 'other',
})

type Words = z.input<typeof fields>

/** For status.sock: what a rule has put in place of the caller's own words is a text of the configuration, unless that is the caller's too. */
function ownWords(said: Words, { request, reply, text }: Words & { readonly text?: string }): Words {
  if (text !== undefined) return said
  const { exitcode } = said
  return {
    ...(said.request === request && request !== undefined && { request }),
    ...(said.reply === reply && reply !== undefined && { reply }),
    ...(exitcode !== undefined && { exitcode }),
  }
}

export const rulesMethods = {
  'rules.list': method({
    sentence: 'Lists the rules of a generation, with how often each matched and when it last did.',
    params: z.strictObject({ generation: count.exactOptional().describe('By default the published one.') }),
    result: z.object({
      generation: count,
      sha256,
      rules: list(ruleRow),
    }),
    level: 'status',
    changes: false,
    example: {
      params: {},
      result: {
        generation: 3,
        sha256: HASH,
        rules: [
          {
            line: 31,
            text: 'AUTHUP_USER:greeting::4*:14:&fixsmtpio_noop',
            event: 'greeting',
            hits: 2,
            lastHit: '2026-11-22T08:59:00.000Z',
          },
        ],
      },
    },
    cli: { rows: 'rules', columns: ['line', 'hits', 'lastHit', 'text'] },
    run: async ({ daemon }, { generation }) =>
      (await daemon.rules.list(generation)).map((answer) => ({
        generation: answer.generation,
        sha256: answer.sha256,
        rules: answer.rules.map(({ lastHit, ...known }) => ({
          ...known,
          ...(lastHit !== undefined && { lastHit: timeOf(lastHit) }),
        })),
      })),
    redact: (result) => ({ ...result, rules: result.rules.map(hiddenRule) }),
  }),
  'rules.eval': method({
    sentence: 'Applies the rules to a request and a reply and explains every step, without side effects.',
    params: z.strictObject({
      event: octets(1, 255).describe('What happened: a verb, greeting, timeout, ...'),
      request: octets(0, REQUEST_LIMIT).exactOptional().describe('The line from the client.'),
      reply: octets(0, REPLY_LIMIT).exactOptional().describe('The reply of the backend.'),
      env: z
        .record(z.string().min(1).max(255), octets(0, TEXT))
        .exactOptional()
        .describe('Environment variables of the session.'),
      generation: count.exactOptional().describe('Use the rules of this generation; by default the published one.'),
      text: octets(0, TEXT).exactOptional().describe('Use these rules, written as in control/fixsmtpio.'),
    }),
    result: fields.extend({
      trace: list(
        z
          .object({
            rule: z.string().optional(),
            line: count,
            matched: z.boolean(),
            before: fields,
            after: fields,
          })
          .meta({ title: 'RuleStep' }),
      ),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { event: 'greeting', reply: '421 try later', text: ':greeting::4*:14:&fixsmtpio_noop\n' },
      result: {
        reply: '421 try later',
        exitcode: 14,
        trace: [
          {
            rule: ':greeting::4*:14:&fixsmtpio_noop',
            line: 1,
            matched: true,
            before: { reply: '421 try later' },
            after: { reply: '421 try later', exitcode: 14 },
          },
        ],
      },
    },
    cli: { args: ['event'], file: 'text' },
    run: async ({ daemon }, question) => (await daemon.rules.evaluate(question)).mapErr(wireFailure),
    redact: ({ trace, ...result }, asked) => ({
      ...ownWords(result, asked),
      trace: trace.map((step) => ({
        ...without(step, 'rule'),
        before: ownWords(step.before, asked),
        after: ownWords(step.after, asked),
      })),
    }),
  }),
}
