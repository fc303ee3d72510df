// Two sides under the same load in turns, A B A B, so that what else the machine does falls on both.
import { sleep } from './fixture.ts'
import { type Load, type LoadReport, runLoad } from './loadgen.ts'
import { type CpuSeconds, cpuOf, processTree } from './proc.ts'
import type { Running, Setup, Side } from './side.ts'

export interface Measured {
  readonly load: LoadReport
  /** Microseconds of CPU per session of everything the side runs, and of its own processes alone. */
  readonly cpuPerSession: number
  readonly ownCpuPerSession: number
  readonly ownCpu: number
}

export interface Problem {
  readonly side: string
  readonly text: string
}

export interface Contestant {
  readonly side: Side
  readonly setup: Setup
}

/** Until the processes of ended sessions have been waited for, their CPU is in no sum. */
async function settled(running: Running): Promise<void> {
  let before = -1
  for (let round = 0; round < 20; round++) {
    const now = processTree(running.pids).length
    if (now === before) return
    before = now
    await sleep(100)
  }
}

export async function measure(running: Running, load: Load): Promise<Measured> {
  await settled(running)
  const before = cpuOf(running.pids, running.isOwn)
  const end = running.meanwhile?.()
  const report = await runLoad(load.tls === undefined ? running.port : (running.tlsPort ?? 0), load)
  await end?.()
  await settled(running)
  const after = cpuOf(running.pids, running.isOwn)
  // CPU is of the whole run, the warm-up included, and so are the sessions it is divided by.
  const per = (key: keyof CpuSeconds): number => ((after[key] - before[key]) * 1e6) / Math.max(1, report.all.sessions)
  return { load: report, cpuPerSession: per('total'), ownCpuPerSession: per('own'), ownCpu: after.own - before.own }
}

export function problemsOf(side: string, { load }: Measured): readonly Problem[] {
  return load.errors.total === 0
    ? []
    : [
        {
          side,
          text: `${load.errors.total} errors in ${load.all.started} sessions: ${load.samples
            .map((each) => `${each.count} x ${each.kind} at ${each.at} "${each.text}"`)
            .join(', ')}`,
        },
      ]
}

export interface Measurements {
  /** The measured runs of each contestant, in the order of the contestants. */
  readonly measured: readonly (readonly Measured[])[]
  readonly problems: readonly Problem[]
}

/**
 * One run of each contestant after the other, so many times. Run 0 is not measured: it is what a server that has just started needs to
 * compile its code and fill its caches.
 */
export async function turns(
  contestants: readonly Contestant[],
  running: readonly Running[],
  loadOf: (run: number, contestant: number) => Load,
  runs: number,
): Promise<Measurements> {
  const measured: Measured[][] = contestants.map(() => [])
  const problems: Problem[] = []
  for (let run = 0; run <= runs; run++) {
    for (const [index, each] of running.entries()) {
      const result = await measure(each, loadOf(run, index))
      if (run > 0) measured[index]?.push(result)
      problems.push(...problemsOf(contestants[index]?.side.name ?? '', result))
    }
  }
  return { measured, problems }
}

export const interleave = (
  contestants: readonly Contestant[],
  loadOf: (run: number, contestant: number) => Load,
  runs: number,
): Promise<Measurements> => started(contestants, (running) => turns(contestants, running, loadOf, runs))

/** Starts all of them, and stops them when the work is done or has failed. */
export async function started<T>(
  contestants: readonly Contestant[],
  work: (running: readonly Running[]) => Promise<T>,
): Promise<T> {
  const running: Running[] = []
  try {
    for (const { side, setup } of contestants) running.push(await side.start(setup))
    return await work(running)
  } finally {
    for (const each of running) await each.stop()
  }
}
