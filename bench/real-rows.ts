// What a user gets: a backend that runs a queue program for each message, or the mail system of this machine.
import { realBackendAbsent } from './backends.ts'
import { cpu, login, messages, ownCpu, p99, ratio, sessions } from './readings.ts'
import type { Point, Row } from './row.ts'

const clients: readonly Point[] = [
  { clients: 1, when: 'full' },
  { clients: 16, when: 'full' },
  { clients: 64 },
  { clients: 256, when: 'full' },
  { clients: 1000 },
]
const cold = [sessions({ target: ratio(1.9, 2.4), from: 64 }), p99(), login(), cpu()]

const queue: readonly Row[] = [
  {
    row: 'queue-cold',
    sentence: 'cold, over a backend that runs a queue program for each message',
    against: 'chain',
    setup: { backend: 'queue' },
    ours: {},
    limit: 'hash, fork, exec',
    load: {},
    points: clients,
    readings: cold,
  },
  {
    row: 'queue-linked',
    sentence: 'the same with checkpassword linked into the helper',
    against: 'chain',
    setup: { backend: 'queue' },
    ours: { chain: 'builtin' },
    limit: 'hash, fork, exec',
    load: {},
    points: clients,
    readings: [sessions(), p99(), login(), cpu()],
  },
  {
    row: 'queue-warm',
    sentence: 'warm logins over that backend',
    against: 'chain',
    setup: { backend: 'queue' },
    ours: { warm: true },
    load: {},
    points: clients,
    readings: [sessions(), p99(), login(), cpu(), ownCpu({ oursOnly: true })],
  },
]

const few: readonly Point[] = [
  { clients: 1, when: 'full' },
  { clients: 16, when: 'full' },
  { clients: 64 },
  { clients: 256 },
  { clients: 1000, when: 'full' },
]

const real: readonly Row[] = [
  {
    row: 'real-cold',
    sentence: 'cold, over ofmipd and qmail-queue where QMAIL names a qmail, else sendmail -bs of Postfix',
    against: 'chain',
    setup: { backend: 'real' },
    ours: {},
    load: {},
    points: few,
    readings: cold,
  },
  {
    row: 'real-linked',
    sentence: 'the same with checkpassword linked into the helper',
    against: 'chain',
    setup: { backend: 'real' },
    ours: { chain: 'builtin' },
    load: {},
    points: few,
    readings: [sessions(), p99(), login(), cpu()],
  },
  {
    row: 'real-warm',
    sentence: 'warm logins over that backend',
    against: 'chain',
    setup: { backend: 'real' },
    ours: { warm: true },
    load: {},
    points: few,
    readings: [sessions(), p99(), login(), cpu(), ownCpu({ oursOnly: true })],
  },
  {
    row: 'real-messages',
    sentence: '20 messages of 4 KB a session over that backend, warm',
    against: 'chain',
    setup: { backend: 'real' },
    ours: { warm: true },
    load: { messages: 20 },
    points: [{ clients: 64 }],
    readings: [messages(), cpu()],
  },
  {
    row: 'real-warm-postfix',
    sentence: 'warm logins over that backend against Postfix submission with its queue',
    against: 'postfix',
    ours: { warm: true, backend: 'real' },
    load: {},
    points: [{ clients: 16, when: 'full' }, { clients: 64 }, { clients: 256 }],
    readings: [sessions({ target: ratio(2.2, 2.8) }), p99(), cpu()],
  },
  {
    row: 'real-warm-postfix-discarding',
    sentence: 'the same against Postfix that throws each message away',
    against: 'postfix, discarding',
    ours: { warm: true, backend: 'real' },
    load: {},
    points: [{ clients: 16, when: 'full' }, { clients: 64 }, { clients: 256 }],
    readings: [sessions({ target: ratio(1.7, 2.2) }), p99(), cpu()],
  },
]

export const realRows: readonly Row[] = [...queue, ...real.map((row) => ({ ...row, absent: realBackendAbsent }))]
