// The rows of the bench: a load, the two sides it goes to, and what is read from it with which target. Rows that are more than a load
// put on two sides are in special.ts.
import type { Measured } from './compare.ts'
import type { Target } from './figures.ts'
import type { Load, Times } from './loadgen.ts'
import type { Setup } from './side.ts'

export interface Reading {
  readonly figure: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly of: (measured: Measured) => number
  readonly target?: Target
  /** The target holds for these numbers of clients only. */
  readonly from?: number
  /** Only ours has it. */
  readonly oursOnly?: boolean
}

export interface Point {
  readonly clients: number
  readonly x?: number
  readonly load?: Load
  readonly setup?: Partial<Setup>
  /** In `--quick` too / in `--full` only. */
  readonly when?: 'quick' | 'full'
  /** Too much for the baseline: ours alone. */
  readonly oursAlone?: boolean
}

export interface Row {
  readonly row: string
  readonly sentence: string
  /** The classic chain, acceptd itself without the knob, or a peer by its name. */
  readonly against: 'chain' | 'acceptd, cold' | 'postfix' | 'dovecot' | 'haraka' | 'smtp-server'
  readonly ours: Partial<Setup>
  readonly baseline?: Partial<Setup>
  readonly load: Load
  readonly points: readonly Point[]
  readonly readings: readonly Reading[]
  /** Takes each user once only, so that no login can be a warm one. */
  readonly freshUsers?: boolean
  readonly full?: boolean
}

const ratio = (least: number, aim?: number): Target => ({ of: 'ratio', least, ...(aim === undefined ? {} : { aim }) })
const ours = (least: number, aim?: number): Target => ({ of: 'ours', least, ...(aim === undefined ? {} : { aim }) })

/** NaN, which no sample takes in, where nothing was timed. */
const quantile = (times: Times, name: 'p50' | 'p99'): number => (times.count > 0 ? times[name] : Number.NaN)

type About = Partial<Pick<Reading, 'target' | 'from' | 'oursOnly'>>
const sessions = (about: About = {}): Reading => ({
  figure: 'sessions/s',
  unit: '/s',
  better: 'more',
  of: (run) => run.load.perSecond.sessions,
  ...about,
})
const messages = (about: About = {}): Reading => ({
  figure: 'messages/s',
  unit: '/s',
  better: 'more',
  of: (run) => run.load.perSecond.messages,
  ...about,
})
const p99 = (about: About = {}): Reading => ({
  figure: 'session p99',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.session, 'p99'),
  ...about,
})
const login = (about: About = {}): Reading => ({
  figure: 'login p50',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.login, 'p50'),
  ...about,
})
const cpu = (about: About = {}): Reading => ({
  figure: 'CPU a session',
  unit: 'µs',
  better: 'less',
  of: (run) => run.cpuPerSession,
  ...about,
})
const ownCpu = (about: About = {}): Reading => ({
  figure: 'own CPU a session',
  unit: 'µs',
  better: 'less',
  of: (run) => run.ownCpuPerSession,
  ...about,
})
const latency = (about: About = {}): Reading => ({
  figure: 'message p50',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.message, 'p50'),
  ...about,
})
const octets = (about: About = {}): Reading => ({
  figure: 'MB/s in a message',
  unit: 'MB/s',
  better: 'more',
  of: (run) => run.load.octets / Math.max(1, run.load.messages) / 1e3 / quantile(run.load.ms.message, 'p50'),
  ...about,
})

const clientCurve: readonly Point[] = [
  { clients: 1 },
  { clients: 16 },
  { clients: 64, when: 'quick' },
  { clients: 256 },
  { clients: 1000 },
  { clients: 4000, when: 'full' },
]
const messageCurve: readonly Point[] = [1, 20, 200].map((count) => ({
  clients: 64,
  x: count,
  load: { messages: count },
}))
const sizeCurve: readonly Point[] = [1_000, 16_000, 256_000, 2_000_000, 20_000_000].map((size) => ({
  clients: 4,
  x: size,
  load: { size },
}))
const ruleCurve: readonly Point[] = [12, 100, 1000, 10_000].map((rules) => ({
  clients: 16,
  x: rules,
  setup: { rules },
}))

export const rows: readonly Row[] = [
  {
    row: 'cold',
    sentence: 'a login by checkpassword and a message of 4 KB a session',
    against: 'chain',
    ours: {},
    load: {},
    points: clientCurve,
    readings: [
      sessions({ target: ratio(1.6, 2.5), from: 64 }),
      p99({ target: ratio(0.6, 0.4), from: 64 }),
      login(),
      cpu(),
      ownCpu({ target: ours(900, 400), from: 64, oursOnly: true }),
    ],
  },
  {
    row: 'linked',
    sentence: 'the same with checkpassword linked into the helper',
    against: 'chain',
    ours: { chain: 'builtin' },
    load: {},
    points: [{ clients: 64, when: 'quick' }, { clients: 256 }, { clients: 1000 }],
    readings: [
      sessions({ target: ratio(2, 3) }),
      p99(),
      login(),
      cpu(),
      ownCpu({ target: ours(900, 400), oursOnly: true }),
    ],
  },
  {
    row: 'warm',
    sentence: 'warm logins, 100 users in turn',
    against: 'chain',
    ours: { warm: true },
    load: {},
    points: clientCurve,
    readings: [
      sessions({ target: ratio(4, 6), from: 16 }),
      p99({ target: ratio(0.4, 0.25), from: 16 }),
      login(),
      cpu(),
      ownCpu({ target: ours(900, 400), from: 16, oursOnly: true }),
    ],
  },
  {
    row: 'warm-postfix',
    sentence: 'warm logins against Postfix submission with Dovecot SASL',
    against: 'postfix',
    ours: { warm: true },
    load: {},
    points: [{ clients: 16 }, { clients: 64 }, { clients: 256 }],
    readings: [sessions({ target: ratio(1.2, 1.6) }), p99(), cpu({ target: ratio(0.85, 0.65) })],
  },
  ...(['dovecot', 'haraka', 'smtp-server'] as const).map(
    (against): Row => ({
      row: `warm-${against}`,
      sentence: `warm logins against ${against}, if it is installed`,
      against,
      ours: { warm: true },
      load: {},
      points: [{ clients: 64 }],
      readings: [sessions(), p99(), cpu()],
    }),
  ),
  {
    row: 'knob',
    sentence: 'warm logins on, but each user comes once only: the cost of the knob',
    against: 'acceptd, cold',
    ours: { warm: true, users: 6000 },
    baseline: { users: 6000 },
    load: {},
    points: [{ clients: 64 }],
    readings: [sessions({ target: ratio(0.85, 0.95) }), cpu()],
    freshUsers: true,
  },
  {
    row: 'messages',
    sentence: '20 messages of 4 KB a session, cold',
    against: 'chain',
    ours: {},
    load: { messages: 20 },
    points: [{ clients: 64, when: 'quick' }],
    readings: [messages({ target: ratio(1, 1.2) }), latency(), cpu()],
  },
  {
    row: 'messages-warm',
    sentence: '20 messages of 4 KB a session, warm',
    against: 'chain',
    ours: { warm: true },
    load: { messages: 20 },
    points: [{ clients: 64, when: 'quick' }],
    readings: [messages({ target: ratio(1, 1.5) }), latency(), cpu()],
  },
  {
    row: 'large',
    sentence: 'one message of 20 MB at a time',
    against: 'chain',
    ours: {},
    load: { size: 20_000_000 },
    points: [{ clients: 1, when: 'quick' }],
    readings: [octets({ target: ratio(1, 2) })],
  },
  {
    row: 'latency',
    sentence: 'an unloaded server, one client, 50 messages a session',
    against: 'chain',
    ours: {},
    load: { messages: 50 },
    points: [{ clients: 1, when: 'quick' }],
    readings: [latency({ target: ratio(2.5, 1.5) })],
  },
  {
    row: 'pop3',
    sentence: 'POP3: USER, PASS, STAT, QUIT',
    against: 'chain',
    ours: { protocol: 'pop3' },
    baseline: { protocol: 'pop3' },
    load: { protocol: 'pop3' },
    points: [{ clients: 64 }],
    readings: [sessions(), p99(), login(), cpu()],
  },
  {
    row: 'wrong-passwords',
    sentence: 'half of the sessions give a wrong password, say QUIT after the 535',
    against: 'chain',
    ours: {},
    load: { wrong: 0.5 },
    points: [{ clients: 64 }],
    readings: [sessions(), p99(), cpu()],
  },
  {
    row: 'paced',
    sentence: 'open loop, 200 sessions a second begin whatever the server does; times from the intended beginning',
    against: 'chain',
    ours: {},
    load: { rate: 200 },
    points: [{ clients: 1000 }],
    readings: [p99(), login(), cpu()],
  },
  {
    row: 'slow-clients',
    sentence: 'each client sends its message at 20 KB a second',
    against: 'chain',
    ours: {},
    load: { slow: 20_000, size: 16_000 },
    points: [{ clients: 100 }],
    readings: [sessions(), cpu()],
  },
  {
    row: 'curve-messages',
    sentence: 'messages/s as messages a session grow',
    against: 'chain',
    ours: {},
    load: {},
    points: messageCurve,
    readings: [messages(), cpu()],
    full: true,
  },
  {
    row: 'curve-size',
    sentence: 'octets a second as messages grow',
    against: 'chain',
    ours: {},
    load: {},
    points: sizeCurve,
    readings: [octets(), latency()],
    full: true,
  },
  {
    row: 'curve-rules',
    sentence: 'messages/s as rules grow, 20 messages a session',
    against: 'chain',
    ours: {},
    load: { messages: 20 },
    points: ruleCurve,
    readings: [messages(), cpu()],
    full: true,
  },
]
