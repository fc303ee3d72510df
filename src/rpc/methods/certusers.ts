// What control/certusers says of a certificate.
import { ok } from 'neverthrow'
import { z } from 'zod'
import { octets } from '../octets.ts'
import { method } from '../row.ts'
import { count, list } from '../schema.ts'

export const certusersMethods = {
  'certusers.eval': method({
    sentence: 'Tells whom a client certificate stands for, and which lines of control/certusers say so.',
    params: z.strictObject({
      name: octets(1, 512).describe('Of the certificate: ann@example.org, CN=Ann Example or sha256=FINGERPRINT.'),
    }),
    result: z.object({
      users: list(z.object({ user: z.string(), line: count.describe('Of control/certusers.') })).describe(
        'The first is whom it stands for by itself; a client may ask for another one.',
      ),
    }),
    level: 'status',
    changes: false,
    example: { params: { name: 'ann@example.org' }, result: { users: [{ user: 'ann', line: 1 }] } },
    cli: { args: ['name'], rows: 'users' },
    run: async ({ daemon }, { name }) => ok({ users: await daemon.certusers.evaluate(name) }),
  }),
}
