// The row `cost`: warm sessions a second with something besides, against the plain one in the same turns.
import { interleave } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { fleetAbsent } from './features.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { buildPrograms } from './fixture.ts'
import type { Load } from './loadgen.ts'
import { plainSetup, type Setup } from './side.ts'

interface Cost {
  readonly name: string
  readonly setup: Partial<Setup>
  readonly load?: Load
  readonly target?: Target
  /** Of p99, as a ratio. */
  readonly p99?: Target
  readonly absent?: () => string | undefined
}

const COSTS: readonly Cost[] = [
  { name: '1,000 rules', setup: { rules: 1000 } },
  { name: '50 lines of limits', setup: { features: ['limits'] } },
  {
    name: '50 lines of limits and a fleet',
    setup: { features: ['limits', 'fleet'] },
    target: { of: 'ours', least: 5 },
    p99: { of: 'ratio', least: 1.1 },
    absent: fleetAbsent,
  },
  { name: '1,000 lines of access', setup: { features: ['access'] } },
  { name: '1,000 lines of senders', setup: { features: ['senders'] } },
  { name: 'a trace of one user', setup: { features: ['trace'] } },
  { name: 'metrics scraped each second', setup: { features: ['metrics'] } },
  {
    name: 'all of these together',
    setup: { rules: 1000, features: ['limits', 'access', 'senders', 'trace', 'metrics'] },
    target: { of: 'ours', least: 10 },
  },
  { name: 'TLS, a full handshake a session', setup: { tls: true }, load: { tls: 'full' } },
  { name: 'TLS, resumed', setup: { tls: true }, load: { tls: 'resumed' } },
]

async function costOf({ name, setup, load, target, p99, absent }: Cost, context: Context): Promise<Outcome> {
  const side = context.ours
  if (!side) return { figures: [], problems: [] }
  const why = absent?.()
  if (why !== undefined) return { figures: [], problems: [], notes: [`cost, ${name}: absent, ${why}`] }
  const clients = 64
  const base: Setup = { ...plainSetup, clients, warm: true }
  const duration = (run: number): number =>
    (run === 0 ? Math.min(context.settling, side.settling ?? 0) : context.seconds) + context.warmup
  const loadOf = (run: number, contestant: number): Load => ({
    clients,
    users: base.users,
    duration: duration(run),
    warmup: context.warmup,
    ramp: context.warmup / 4,
    ...(contestant === 1 ? load : {}),
  })
  const contestants = [
    { side, setup: base },
    { side, setup: { ...base, ...setup } },
  ]
  context.progress(`cost: ${name}`)
  // A few per cent take more runs than a ratio of two.
  const { measured, problems } = await interleave(contestants, loadOf, context.runs * 2)
  const [plain = [], more = []] = measured.map((runs) => runs.map((run) => run.load.perSecond.sessions))
  const [before = [], after = []] = measured.map((runs) => runs.map((run) => run.load.ms.session.p99))
  const common = { row: 'cost', clients, against: 'acceptd, plain', target: undefined }
  const figures: readonly Figure[] = [
    {
      ...common,
      figure: name,
      unit: '%',
      better: 'less',
      ours: sampleOf(more.map((rate, run) => 100 * (1 - rate / (plain[run] ?? Number.NaN)))),
      baseline: undefined,
      target,
    },
    {
      ...common,
      figure: `sessions/s with ${name}`,
      unit: '/s',
      better: 'more',
      ours: sampleOf(more),
      baseline: sampleOf(plain),
    },
    {
      ...common,
      figure: `session p99 with ${name}`,
      unit: 'ms',
      better: 'less',
      ours: sampleOf(after),
      baseline: sampleOf(before),
      target: p99,
    },
  ]
  return { figures, problems: problems.map(({ side: which, text }) => ({ side: which, text: `${name}: ${text}` })) }
}

export async function cost(context: Context): Promise<Outcome> {
  buildPrograms('loadgen-tls')
  const outcomes: Outcome[] = []
  for (const each of COSTS) outcomes.push(await costOf(each, context))
  return {
    figures: outcomes.flatMap(({ figures }) => figures),
    problems: outcomes.flatMap(({ problems }) => problems),
    notes: outcomes.flatMap(({ notes = [] }) => notes),
  }
}
