// What is read from a run: a figure, its unit, its target.
import type { Measured } from './compare.ts'
import type { Target } from './figures.ts'
import type { Times } from './loadgen.ts'

export interface Reading {
  readonly figure: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly of: (measured: Measured) => number
  readonly target?: Target
  /** Of the row's limit, as a figure of its own. */
  readonly share?: Target
  /** The targets hold for these numbers of clients only. */
  readonly from?: number
  /** Only ours has it. */
  readonly oursOnly?: boolean
}

export const ratio = (least: number, aim?: number): Target => ({
  of: 'ratio',
  least,
  ...(aim === undefined ? {} : { aim }),
})
export const ours = (least: number, aim?: number): Target => ({
  of: 'ours',
  least,
  ...(aim === undefined ? {} : { aim }),
})

/** NaN, which no sample takes in, where nothing was timed. */
const quantile = (times: Times, name: 'p50' | 'p99'): number => (times.count > 0 ? times[name] : Number.NaN)

type About = Partial<Pick<Reading, 'target' | 'share' | 'from' | 'oursOnly'>>
export const sessions = (about: About = {}): Reading => ({
  figure: 'sessions/s',
  unit: '/s',
  better: 'more',
  of: (run) => run.load.perSecond.sessions,
  ...about,
})
export const messages = (about: About = {}): Reading => ({
  figure: 'messages/s',
  unit: '/s',
  better: 'more',
  of: (run) => run.load.perSecond.messages,
  ...about,
})
export const p99 = (about: About = {}): Reading => ({
  figure: 'session p99',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.session, 'p99'),
  ...about,
})
export const login = (about: About = {}): Reading => ({
  figure: 'login p50',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.login, 'p50'),
  ...about,
})
export const cpu = (about: About = {}): Reading => ({
  figure: 'CPU a session',
  unit: 'µs',
  better: 'less',
  of: (run) => run.cpuPerSession,
  ...about,
})
export const ownCpu = (about: About = {}): Reading => ({
  figure: 'own CPU a session',
  unit: 'µs',
  better: 'less',
  of: (run) => run.ownCpuPerSession,
  ...about,
})
export const latency = (about: About = {}): Reading => ({
  figure: 'message p50',
  unit: 'ms',
  better: 'less',
  of: (run) => quantile(run.load.ms.message, 'p50'),
  ...about,
})
export const octets = (about: About = {}): Reading => ({
  figure: 'MB/s in a message',
  unit: 'MB/s',
  better: 'more',
  of: (run) => run.load.octets / Math.max(1, run.load.messages) / 1e3 / quantile(run.load.ms.message, 'p50'),
  ...about,
})
/** The rest are the first sessions of each client. */
export const resumed = (about: About = {}): Reading => ({
  figure: 'handshakes resumed',
  unit: '%',
  better: 'more',
  of: ({ load }) => (load.handshakes > 0 ? (100 * load.resumed) / load.handshakes : Number.NaN),
  ...about,
})
