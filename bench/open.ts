// The row `open`: sessions begin at a rate, whatever the server does, and times count from the intended beginning. The rates rise until
// the server no longer follows.
import { type Contestant, type Measured, measure, problemsOf, started } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { figure, type Problems } from './holding.ts'
import type { Load } from './loadgen.ts'
import { plainSetup, type Running } from './side.ts'

/** Saturated: one session in a hundred takes longer. */
const TOO_LONG = 100

/** Of what a side can do in a closed loop; the first is also the rate at which all are compared. */
const SHARES = [0.5, 0.7, 0.8, 0.9, 1]

/** Clients at most at once, so that a server that falls behind is shown late, not spared. */
const CLIENTS = 1000

type Name = 'cold' | 'linked' | 'chain'

interface Placed {
  readonly name: Name
  readonly contestant: Contestant
  readonly running: Running
}

/** At a rate: what each run read. */
interface Level {
  readonly rate: number
  readonly runs: Partial<Record<Name, Measured[]>>
}

/** Where it passes for good; between two rates p99 is taken to grow evenly. Undefined: it has not, or had from the first. */
export function passes(points: readonly (readonly [rate: number, p99: number])[], most: number): number | undefined {
  const sorted = points.toSorted(([a], [b]) => a - b)
  const last = sorted.findLastIndex(([, p99]) => p99 <= most)
  const [before, after] = [sorted[last], sorted[last + 1]]
  if (!before || !after) return undefined
  return before[0] + ((after[0] - before[0]) * (most - before[1])) / (after[1] - before[1])
}

const p99Of = ({ load }: Measured): number => load.ms.session.p99
const p50Of = ({ load }: Measured): number => load.ms.session.p50

/** What it can do at most, in sessions a second, by a closed loop; its warm-up too. */
async function capacity({ running, contestant }: Placed, context: Context, problems: Problems): Promise<number> {
  const settling = Math.min(context.settling, contestant.side.settling ?? 0)
  const load: Load = { clients: 64, users: 100, duration: settling + context.seconds, warmup: settling }
  const result = await measure(running, load)
  problems.push(...problemsOf(contestant.side.name, result))
  return result.load.perSecond.sessions
}

/** The chain's own rates, at which all run, then those of ours above them. */
function levelsOf(capacities: Readonly<Record<Name, number>>): readonly number[] {
  const { chain, cold, linked } = capacities
  const most = Math.max(cold, linked)
  const first = SHARES.map((share) => (chain || most) * share)
  const above = SHARES.map((share) => most * share).filter((rate) => chain > 0 && rate > chain * 1.05)
  return [...first, ...above].map((rate) => Math.max(1, Math.round(rate)))
}

async function runLevels(all: readonly Placed[], context: Context, problems: Problems): Promise<readonly Level[]> {
  const capacities: Record<Name, number> = { cold: 0, linked: 0, chain: 0 }
  for (const each of all) {
    context.progress(`open: what ${each.name} can do`)
    capacities[each.name] = await capacity(each, context, problems)
  }
  const levels: Level[] = []
  for (const rate of levelsOf(capacities)) {
    const runs: Partial<Record<Name, Measured[]>> = {}
    // One that is asked for much more than it can do is only in the way of the others.
    const able = all.filter(({ name }) => rate <= capacities[name] * 1.05)
    context.progress(`open: ${rate} sessions/s`)
    const load: Load = {
      clients: CLIENTS,
      users: 100,
      rate,
      duration: context.seconds + context.warmup,
      warmup: context.warmup,
    }
    for (let run = 0; run < context.runs; run++)
      for (const { name, contestant, running } of able) {
        const result = await measure(running, load)
        problems.push(...problemsOf(contestant.side.name, result))
        runs[name] = [...(runs[name] ?? []), result]
      }
    levels.push({ rate, runs })
  }
  return levels
}

/** Run by run, so that there is a spread. */
function saturation(levels: readonly Level[], name: Name): readonly number[] {
  const runs = Math.max(0, ...levels.map((level) => level.runs[name]?.length ?? 0))
  return Array.from({ length: runs }, (_, run) => {
    const points = levels.flatMap(({ rate, runs: { [name]: all } }) => {
      const one = all?.[run]
      return one ? [[rate, p99Of(one)] as const] : []
    })
    const highest = Math.max(...points.map(([rate]) => rate))
    return passes(points, TOO_LONG) ?? (points.some(([, p99]) => p99 <= TOO_LONG) ? highest : 0)
  })
}

function figuresOf(levels: readonly Level[]): readonly Figure[] {
  const figures: Figure[] = []
  for (const [index, { rate, runs }] of levels.entries()) {
    for (const name of ['cold', 'linked'] as const) {
      const target: Target | undefined = index === 0 ? { of: 'ratio', least: 0.8, aim: 0.6 } : undefined
      const parts = { row: `open-${name}`, unit: 'ms', clients: CLIENTS, x: rate }
      const of = (who: Name, read: (one: Measured) => number): readonly number[] => (runs[who] ?? []).map(read)
      figures.push(
        figure({
          ...parts,
          figure: index === 0 ? "session p99 at half of the chain's capacity" : 'session p99',
          ...(target && { target }),
          ours: of(name, p99Of),
          baseline: of('chain', p99Of),
        }),
        figure({ ...parts, figure: 'session p50', ours: of(name, p50Of), baseline: of('chain', p50Of) }),
      )
    }
  }
  const passing = `rate at which p99 passes ${TOO_LONG} ms`
  const rates = { unit: '/s', better: 'more', clients: CLIENTS, figure: passing } as const
  const [cold, linked, chain] = (['cold', 'linked', 'chain'] as const).map((name) => saturation(levels, name))
  return [
    ...figures.filter(({ ours, baseline }) => ours || baseline),
    figure({ ...rates, row: 'open-cold', ours: cold ?? [], baseline: chain ?? [] }),
    figure({ ...rates, row: 'open-linked', ours: linked ?? [], baseline: chain ?? [] }),
    {
      ...figure({ ...rates, row: 'open-linked', ours: linked ?? [], target: { of: 'ratio', least: 1.1, aim: 1.25 } }),
      against: 'acceptd, cold',
      baseline: sampleOf(cold ?? []),
    },
  ]
}

export async function open(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const setup = { ...plainSetup, clients: CLIENTS }
  const wanted: readonly (readonly [Name, Contestant | undefined])[] = [
    ['cold', context.ours && { side: context.ours, setup }],
    ['linked', context.ours && { side: context.ours, setup: { ...setup, chain: 'builtin' } }],
    ['chain', context.chain && { side: context.chain, setup }],
  ]
  const there = wanted.flatMap(([name, contestant]) => (contestant ? [{ name, contestant }] : []))
  const levels = await started(
    there.map(({ contestant }) => contestant),
    async (running) => {
      const all = there.flatMap((each, index) => {
        const one = running[index]
        return one ? [{ ...each, running: one }] : []
      })
      return await runLevels(all, context, problems)
    },
  )
  return { figures: figuresOf(levels), problems }
}
