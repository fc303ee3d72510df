// What the special rows share: idle sessions that are held, a side that runs for as long as it is measured.
import type { Context, Outcome } from './context.ts'
import { type Figure, sampleOf, type Target } from './figures.ts'
import { type Held, holdLoad } from './loadgen.ts'
import { plainSetup, type Running, type Setup, type Side } from './side.ts'

export interface SpecialRow {
  readonly row: string
  readonly sentence: string
  readonly quick?: boolean
  readonly full?: boolean
  readonly run: (context: Context) => Promise<Outcome>
}

export type Problems = Outcome['problems'][number][]

interface FigureParts {
  readonly row: string
  readonly figure: string
  readonly unit: string
  readonly better?: 'more' | 'less'
  readonly clients: number
  readonly x?: number
  readonly ours?: readonly number[]
  readonly baseline?: readonly number[]
  readonly target?: Target
}

export const figure = ({ ours, baseline, target, better, ...rest }: FigureParts): Figure => ({
  against: 'chain',
  better: better ?? 'less',
  target,
  ours: sampleOf(ours ?? []),
  baseline: sampleOf(baseline ?? []),
  ...rest,
})

/** A generator holds at most so many connections; more of them, from addresses of their own, hold the rest. */
const PER_GENERATOR = 10_000

/** Holds `clients` idle sessions, opened over `ramp` seconds, in as many generators as it takes. */
export async function hold(
  running: Running,
  clients: number,
  how: 'greeting' | 'login',
  users: number,
): Promise<readonly Held[]> {
  const groups = Math.ceil(clients / PER_GENERATOR)
  const each = Math.ceil(clients / groups)
  return await Promise.all(
    Array.from({ length: groups }, (_, group) => {
      const count = Math.min(each, clients - group * each)
      return holdLoad(running.port, {
        hold: how,
        clients: count,
        users,
        ramp: count / 1000,
        sources: 1 + group * 4,
        timeout: 60,
      })
    }),
  )
}

export async function release(side: Side, held: readonly Held[], problems: Problems): Promise<void> {
  for (const each of held) {
    const report = await each.release()
    if (report.errors.total > 0)
      problems.push({
        side: side.name,
        text: `${report.errors.total} idle sessions lost: ${report.samples.map((sample) => `${sample.count} x ${sample.kind} at ${sample.at} "${sample.text}"`).join(', ')}`,
      })
  }
}

export async function onSide<T>(side: Side, setup: Partial<Setup>, work: (running: Running) => Promise<T>): Promise<T> {
  const running = await side.start({ ...plainSetup, ...setup })
  try {
    return await work(running)
  } finally {
    await running.stop()
  }
}
