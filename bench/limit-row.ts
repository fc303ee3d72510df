// The row `limits`: what the servers in C reach that do the least; other rows have their figures as a share of it.
import { interleave } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { type Figure, sampleOf } from './figures.ts'
import { LIMITS, type LimitName } from './limits.ts'
import { cpu, p99, sessions } from './readings.ts'
import { plainSetup } from './side.ts'

export async function limits(context: Context): Promise<Outcome> {
  const clients = 64
  const names = Object.keys(LIMITS) as LimitName[]
  context.progress(`limits: ${clients} clients`)
  const setup = { ...plainSetup, clients }
  const load = { clients, users: setup.users, duration: context.seconds + context.warmup, warmup: context.warmup }
  const contestants = names.map((name) => ({ side: context.limits[name], setup }))
  const { measured, problems } = await interleave(contestants, () => load, context.runs)
  const figures = names.flatMap((name, index) =>
    [sessions(), p99(), cpu()].map(
      (reading): Figure => ({
        row: 'limits',
        figure: reading.figure,
        unit: reading.unit,
        better: reading.better,
        clients,
        against: name,
        ours: undefined,
        baseline: sampleOf((measured[index] ?? []).map(reading.of)),
        target: undefined,
      }),
    ),
  )
  return { figures, problems }
}
