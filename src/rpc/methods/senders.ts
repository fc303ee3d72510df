// What control/senders says of a user.
import { ok } from 'neverthrow'
import { z } from 'zod'
import { octets } from '../octets.ts'
import { method } from '../row.ts'
import { count, list, userName } from '../schema.ts'

export const sendersMethods = {
  'senders.eval': method({
    sentence: 'Tells which senders a user may give, and which line of control/senders says so.',
    params: z.strictObject({
      user: userName.describe('As in a login.'),
      sender: octets(0, 512).exactOptional().describe('Whether the user may give this one.'),
    }),
    result: z.object({
      bound: z.boolean().describe('False: any sender.'),
      line: count.optional().describe('Of control/senders.'),
      senders: list(z.string()),
      allowed: z.boolean().optional().describe('Of `sender`.'),
      trouble: z.string().optional().describe('Why the cdb cannot be used; until it can, the user may give none.'),
    }),
    level: 'status',
    changes: false,
    example: {
      params: { user: 'ann', sender: 'ann@example.org' },
      result: { bound: true, line: 2, senders: ['ann@example.org', '*@lists.example.org'], allowed: true },
    },
    cli: { args: ['user'] },
    run: async ({ daemon }, { user, sender }) => ok(await daemon.senders.evaluate(user, sender)),
    redact: ({ bound, allowed }) => ({ bound, senders: [], ...(allowed === undefined ? {} : { allowed }) }),
  }),
}
