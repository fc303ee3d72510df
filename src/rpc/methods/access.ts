// What control/access says of an address.
import { ok } from 'neverthrow'
import { z } from 'zod'
import { method } from '../row.ts'
import { count, list } from '../schema.ts'

export const accessMethods = {
  'access.eval': method({
    sentence: 'Tells whether a client of this address may connect, and which rule of control/access says so.',
    params: z.strictObject({
      ip: z.string().describe('An IPv4 or IPv6 address.'),
      host: z.string().optional().describe('Its name, for rules that have one.'),
      info: z.string().optional().describe('Its user, for rules that have one.'),
      listener: z.string().optional().describe('By the access= file of this listener, if it has one.'),
    }),
    result: z.object({
      allowed: z.boolean(),
      line: count.optional().describe('Of control/access; without a rule everybody may connect.'),
      rule: z.string().optional().describe('The address of the rule, as it was written.'),
      variables: list(z.string()).describe('NAME=VALUE, for rules and chains.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { ip: '192.0.2.7' },
      result: { allowed: true, line: 3, rule: '192.0.2.', variables: ['ACCEPTD_SITE=office'] },
    },
    cli: { args: ['ip'] },
    run: async ({ daemon }, { ip, host, info, listener }) =>
      ok(await daemon.access.evaluate({ ip, host, info, listener })),
    redact: ({ allowed, line }) => ({ allowed, ...(line === undefined ? {} : { line }), variables: [] }),
  }),
}
