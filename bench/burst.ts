// The row `burst`: so many connections in one moment.
import { type Contestant, problemsOf, started } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import type { Figure, Target } from './figures.ts'
import { figure, type Problems } from './holding.ts'
import { type LoadReport, runLoad } from './loadgen.ts'
import { listenOverflows } from './proc.ts'
import { plainSetup, type Running } from './side.ts'

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
  const sides: readonly (readonly [string, Contestant | undefined])[] = [
    ['cold', context.ours && { side: context.ours, setup }],
    ['warm', context.ours && { side: context.ours, setup: { ...setup, warm: true } }],
    // 4000 chains at once are 16,000 processes; only --full asks that of the machine.
    [
      'chain',
      context.chain && (clients <= 2000 || context.extent === 'full') ? { side: context.chain, setup } : undefined,
    ],
  ]
  const there = sides.flatMap(([name, contestant]) => (contestant ? [{ name, contestant }] : []))
  const results = new Map<string, Burst[]>(there.map(({ name }) => [name, []]))
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
  const of = (name: string, key: keyof Burst): readonly number[] => (results.get(name) ?? []).map((each) => each[key])
  const row = (how: 'cold' | 'warm', name: string, unit: string, key: keyof Burst, target?: Target): Figure =>
    figure({
      row: how === 'cold' ? 'burst' : `burst-${how}`,
      figure: name,
      unit,
      clients,
      ...(target && { target }),
      ours: of(how, key),
      baseline: of('chain', key),
    })
  const banner: Target | undefined = clients === 2000 ? { of: 'ours', least: 500, aim: 250 } : undefined
  return {
    figures: (['cold', 'warm'] as const).flatMap((how) => [
      row(how, 'greeting p99', 'ms', 'banner', banner),
      row(how, 'slowest greeting', 'ms', 'slowest'),
      row(how, 'until all are served', 's', 'seconds'),
      row(how, 'longest silence', 'ms', 'silence', { of: 'ours', least: 1000 }),
      row(how, 'listen queue overflows', '', 'overflows', { of: 'ours', least: 0 }),
      row(how, 'errors', '', 'errors', { of: 'ours', least: 0 }),
    ]),
    problems,
  }
}

export async function burst(context: Context): Promise<Outcome> {
  const outcomes = [await burstOf(2000, context), await burstOf(4000, context)]
  return {
    figures: outcomes.flatMap(({ figures }) => figures),
    problems: outcomes.flatMap(({ problems }) => problems),
  }
}
