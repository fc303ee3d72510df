// TLS 1.3 from the first octet, certificate and key exchange with P-256. The row `tls` is in tls.ts.
import { cpu, octets, p99, ratio, resumed, sessions } from './readings.ts'
import type { Row } from './row.ts'

const tls = { tls: true } as const

export const tlsRows: readonly Row[] = [
  {
    row: 'tls-warm',
    sentence: 'warm logins, a full handshake a session, against Postfix submission with TLS and Dovecot SASL',
    against: 'postfix',
    setup: tls,
    ours: { warm: true },
    load: { tls: 'full' },
    points: [{ clients: 64 }],
    readings: [sessions({ target: ratio(1.3, 2) }), p99(), cpu()],
  },
  {
    row: 'tls-resumed',
    sentence: 'the same, resumed: each client has the ticket of its last session',
    against: 'postfix',
    setup: tls,
    ours: { warm: true },
    load: { tls: 'resumed' },
    points: [{ clients: 64 }],
    readings: [sessions({ target: ratio(1.5, 2.5) }), p99(), cpu(), resumed()],
  },
  {
    row: 'tls-cold',
    sentence:
      'cold, a full handshake a session, against the chain under a parent in C with OpenSSL (native/base-tls.c)',
    against: 'chain',
    setup: tls,
    ours: {},
    load: { tls: 'full' },
    points: [{ clients: 64 }],
    readings: [sessions({ target: ratio(1.6, 2.5) }), p99(), cpu()],
  },
  {
    row: 'tls-20mb',
    sentence: 'one message of 20 MB at a time over TLS, against Postfix',
    against: 'postfix',
    setup: tls,
    ours: { warm: true },
    load: { tls: 'full', size: 20_000_000 },
    points: [{ clients: 1 }],
    readings: [octets({ target: ratio(1, 1.5) }), cpu()],
  },
]
