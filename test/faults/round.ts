// One fault under load: what it did to clients, to messages, and to the host.
import type { Fault, Ground } from './fault.ts'
import { pass } from './fault.ts'
import { flowing, type Load, startLoad } from './load.ts'
import { judge } from './message.ts'
import type { Pace } from './pace.ts'
import type { Place } from './place.ts'
import { randomOf } from './random.ts'
import { leftBeyond, type Residue } from './residue.ts'
import type { Service } from './service.ts'
import type { Outcome } from './table.ts'
import { startWaiting } from './waiting.ts'

/** Descriptors that the inspector holds in a runtime to which it has been attached. */
const INSPECTOR = 12
/** For each lane there may be a second thread, which a recycled one leaves for the next; each has five descriptors of its own. */
const THREADS = 10

export interface Setting {
  readonly service: Service
  readonly place: Place
  readonly residue: Residue
  /** Of the run and the round. */
  readonly seed: readonly [number, number]
  /** The longest time that a client has waited without a fault, in milliseconds. */
  readonly calm: number
  readonly pace: Pace
}

interface Felt {
  readonly longest: number
  readonly trouble: readonly string[]
  /** Why clients that tried again and again were not served. */
  readonly failures: readonly string[]
  readonly transcript: readonly string[]
}

async function suffer(fault: Fault, ground: Ground, name: string): Promise<Felt> {
  const transcript: string[] = []
  const began = performance.now()
  const note = (text: string): void => void transcript.push(`${(performance.now() - began).toFixed(0)} ms: ${text}`)
  const wait = () => startWaiting(ground.place, ground.load.journal, name)
  const trouble: string[] = []
  let waiting = fault.during ? wait() : undefined
  try {
    await fault.inflict({ ...ground, note })
    note('over')
  } catch (error) {
    trouble.push(`it could not be done: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
  waiting ??= wait()
  const { longest, failures } = await waiting.over().catch((error: unknown) => {
    trouble.push(`no service: ${String(error)}`)
    return { longest: Number.POSITIVE_INFINITY, failures: [] }
  })
  note(`served again; the longest wait was ${longest.toFixed(0)} ms`)
  return { longest, trouble, failures, transcript }
}

/** Without what it says about each session. */
const telling = (log: string): string =>
  log
    .split('\n')
    .filter((line) => !/ session=|postdrop: warning/.test(line) || / error /.test(line))
    .slice(-60)
    .join('\n')

const first = (list: readonly string[]): string => [...new Set(list)].slice(0, 5).join('; ')

/** Sentences about what must not happen to clients and messages. */
function wrongs(fault: Fault, load: Load, { longest, trouble, failures }: Felt, most: number): readonly string[] {
  const { cuts } = load
  const refused = [...load.refusals, ...failures]
  const late = fault.name !== 'none' && longest > most
  return [
    ...trouble,
    ...load.wrongs,
    ...(cuts.length > fault.cuts ? [`${cuts.length} sessions were cut, not ${fault.cuts}: ${first(cuts)}`] : []),
    ...(refused.length > 0 && !fault.refuses ? [`${refused.length} clients were refused: ${first(refused)}`] : []),
    ...(late ? [`served again after ${longest.toFixed(0)} ms, not ${most.toFixed(0)}`] : []),
  ]
}

export async function round(fault: Fault, { service, place, residue, seed, calm, pace }: Setting): Promise<Outcome> {
  const name = seed.join('.')
  const random = randomOf(...seed, fault.name)
  const load = startLoad(place, name)
  await flowing(load)
  await pass(random.below(500))
  load.cuts.length = 0
  load.refusals.length = 0
  const before = await pace.slowness()
  const felt = await suffer(fault, { service, place, load, random, note: () => undefined }, name)
  const slowness = Math.max(before, await pace.slowness())
  await load.stop()
  const allowed = THREADS + (/Debugger listening/.test(service.inspectorLog()) ? INSPECTOR : 0)
  const left = [...(await leftBeyond(residue, service, allowed)), ...service.complaints()]
  const verdict = judge(load.journal, place.takeFiled())
  const told = (what: string, ids: readonly string[]): readonly string[] =>
    ids.length === 0 ? [] : [`${what}: ${ids.join(' ')}`]
  const violations = [
    ...wrongs(fault, load, felt, fault.limit * 1000 * slowness + calm),
    ...told('acknowledged and lost', verdict.lost),
    ...told('filed twice', verdict.doubled),
    ...told('half', verdict.half),
    ...told('refused and filed', verdict.keptThough),
    ...left,
  ]
  const refusals = new Set([...load.refusals, ...felt.failures])
  const transcript = [
    ...felt.transcript,
    ...load.cuts.map((text) => `cut: ${text}`),
    ...[...refusals].slice(0, 20).map((text) => `refused: ${text}`),
  ]
  return {
    fault,
    slowness,
    longest: felt.longest,
    acknowledged: verdict.acknowledged,
    lost: verdict.lost.length,
    doubled: verdict.doubled.length + verdict.keptThough.length,
    half: verdict.half.length,
    cuts: load.cuts.length,
    left: left.length,
    violations: violations.length === 0 ? [] : [...violations, ...transcript, `the log:\n${telling(service.log())}`],
  }
}
