// The row `burst`: so many connections in one moment.
import { type Contestant, problemsOf, started } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import type { Figure, Target } from './figures.ts'
import { figure, type Problems } from './holding.ts'
import { type LoadReport, runLoad } from './loadgen.ts'
import { listenOverflows } from './proc.ts'
import { plainSetup, type Running } from './side.ts'

type Name = 'cold' | 'warm' | 'chain' | 'postfix'

interface Burst {
  readonly overflows: number
  readonly errors: number
  readonly banner: number
  readonly slowest: number
  readonly silence: number
  readonly seconds: number
}

const problemOf = (side: string, load: LoadReport): Problems => [
  ...problemsOf(side, { load, cpuPerSession: 0, ownCpuPerSession: 0, ownCpu: 0 }),
]

async function burstOn(running: Running, side: string, clients: number, problems: Problems): Promise<Burst> {
  const before = listenOverflows()
  const report = await runLoad(running.port, { clients, sessions: clients, users: 100, timeout: 60 })
  problems.push(...problemOf(side, report))
  return {
    overflows: listenOverflows() - before,
    errors: report.errors.total,
    banner: report.ms.banner.p99,
    slowest: report.ms.banner.max,
    silence: report.longestSilence,
    seconds: report.seconds,
  }
}

async function burstOf(clients: number, context: Context): Promise<Outcome> {
  const problems: Problems = []
  const setup = { ...plainSetup, clients }
  const postfix = context.peers.find(({ name }) => name === 'postfix')
  const sides: readonly (readonly [Name, Contestant | undefined])[] = [
    ['cold', context.ours && { side: context.ours, setup }],
    ['warm', context.ours && { side: context.ours, setup: { ...setup, warm: true } }],
    // 4000 chains at once are 16,000 processes; only --full asks that of the machine.
    [
      'chain',
      context.chain && (clients <= 2000 || context.extent === 'full') ? { side: context.chain, setup } : undefined,
    ],
    ['postfix', postfix && clients <= 2000 ? { side: postfix, setup } : undefined],
  ]
  const there = sides.flatMap(([name, contestant]) => (contestant ? [{ name, contestant }] : []))
  const results = new Map<Name, Burst[]>(there.map(({ name }) => [name, []]))
  await started(
    there.map(({ contestant }) => contestant),
    async (running) => {
      for (let run = 0; run <= context.runs; run++)
        for (const [index, each] of running.entries()) {
          const { name, contestant } = there[index] ?? {}
          if (!name || !contestant) continue
          context.progress(`burst: ${clients} connections at once, ${name}`)
          const { settling = 0 } = contestant.side
          const load = { clients: 64, users: 100, duration: Math.min(context.settling, settling) }
          if (run === 0) problems.push(...problemOf(contestant.side.name, await runLoad(each.port, load)))
          else results.get(name)?.push(await burstOn(each, contestant.side.name, clients, problems))
        }
    },
  )
  const banner: Target | undefined = clients === 2000 ? { of: 'ours', least: 500, aim: 250 } : undefined
  return { figures: ROWS.flatMap((row) => figuresOf(row, clients, results, banner)), problems }
}

interface Compared {
  readonly row: string
  readonly ours: Name
  readonly against: Name
}

const ROWS: readonly Compared[] = [
  { row: 'burst', ours: 'cold', against: 'chain' },
  { row: 'burst-warm', ours: 'warm', against: 'chain' },
  { row: 'burst-postfix', ours: 'warm', against: 'postfix' },
]

function figuresOf(
  { row, ours, against }: Compared,
  clients: number,
  results: ReadonlyMap<Name, readonly Burst[]>,
  banner: Target | undefined,
): readonly Figure[] {
  const of = (name: Name, key: keyof Burst): readonly number[] => (results.get(name) ?? []).map((each) => each[key])
  const one = (name: string, unit: string, key: keyof Burst, target?: Target): Figure => ({
    ...figure({ row, figure: name, unit, clients, ours: of(ours, key), baseline: of(against, key) }),
    against,
    target,
  })
  const greetings = [one('greeting p99', 'ms', 'banner', banner), one('until all are served', 's', 'seconds')]
  if (against !== 'chain') return greetings.filter(({ baseline }) => baseline)
  return [
    ...greetings,
    one('slowest greeting', 'ms', 'slowest'),
    one('longest silence', 'ms', 'silence', { of: 'ours', least: 1000 }),
    one('listen queue overflows', '', 'overflows', { of: 'ours', least: 0 }),
    one('errors', '', 'errors', { of: 'ours', least: 0 }),
  ]
}

export async function burst(context: Context): Promise<Outcome> {
  const outcomes = [await burstOf(2000, context), await burstOf(4000, context)]
  return {
    figures: outcomes.flatMap(({ figures }) => figures),
    problems: outcomes.flatMap(({ problems }) => problems),
  }
}
