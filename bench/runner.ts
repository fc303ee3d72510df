// Runs a row of rows.ts at each of its points.
import { type Contestant, interleave, type Measured } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { type Figure, sampleOf } from './figures.ts'
import type { Load } from './loadgen.ts'
import type { Point, Reading, Row } from './rows.ts'
import { plainSetup, type Setup, type Side } from './side.ts'

function sideOf(context: Context, against: Row['against']): Side | undefined {
  if (against === 'chain') return context.chain
  return against === 'acceptd, cold' ? context.ours : context.peers.find(({ name }) => name === against)
}

export function pointsOf(row: Row, extent: Context['extent']): readonly Point[] {
  return row.points.filter(({ when }) => (extent === 'quick' ? when === 'quick' : when !== 'full' || extent === 'full'))
}

export async function runRow(row: Row, context: Context): Promise<Outcome> {
  const figures: Figure[] = []
  const problems: Outcome['problems'][number][] = []
  for (const point of pointsOf(row, context.extent)) {
    const at = point.x === undefined ? `${point.clients} clients` : `${point.x}, ${point.clients} clients`
    context.progress(`${row.row}: ${at}`)
    const outcome = await runPoint(row, point, context)
    figures.push(...outcome.figures)
    problems.push(...outcome.problems.map(({ side, text }) => ({ side, text: `${row.row}, ${at}: ${text}` })))
  }
  return { figures, problems }
}

async function runPoint(row: Row, point: Point, context: Context): Promise<Outcome> {
  const setup = (part: Partial<Setup> | undefined): Setup => ({
    ...plainSetup,
    ...part,
    ...point.setup,
    clients: point.clients,
  })
  const other = point.oursAlone ? undefined : sideOf(context, row.against)
  const contestants: { readonly role: 'ours' | 'baseline'; readonly contestant: Contestant }[] = []
  if (context.ours) contestants.push({ role: 'ours', contestant: { side: context.ours, setup: setup(row.ours) } })
  if (other) contestants.push({ role: 'baseline', contestant: { side: other, setup: setup(row.baseline) } })
  const { measured, problems } = await interleave(
    contestants.map(({ contestant }) => contestant),
    (run, index) => loadOf(row, point, context, run, contestants[index]?.contestant),
    context.runs,
  )
  const runsOf = (role: 'ours' | 'baseline'): readonly Measured[] =>
    measured[contestants.findIndex((each) => each.role === role)] ?? []
  return {
    figures: row.readings.map((reading) => figureOf(row, point, reading, runsOf('ours'), runsOf('baseline'))),
    problems,
  }
}

function loadOf(row: Row, point: Point, context: Context, run: number, contestant: Contestant | undefined): Load {
  const users = contestant?.setup.users ?? 1
  const settling = Math.max(context.seconds / 2, Math.min(context.settling, contestant?.side.settling ?? 0))
  // A thousand simultaneous clients have sessions of seconds.
  const load: Load = {
    clients: point.clients,
    users,
    duration: (run === 0 ? settling : context.seconds * (point.clients < 1000 ? 1 : 2)) + context.warmup,
    warmup: context.warmup,
    // A real crowd does not come in one millisecond; the row `burst` is about the one that does.
    ramp: Math.min(context.warmup, point.clients / 1000),
    ...row.load,
    ...point.load,
  }
  if (!row.freshUsers) return load
  const share = Math.floor(users / (context.runs + 1))
  return { ...load, users: share, sessions: share, 'first-user': run * share }
}

function figureOf(
  row: Row,
  point: Point,
  reading: Reading,
  ours: readonly Measured[],
  baseline: readonly Measured[],
): Figure {
  return {
    row: row.row,
    figure: reading.figure,
    unit: reading.unit,
    better: reading.better,
    clients: point.clients,
    ...(point.x === undefined ? {} : { x: point.x }),
    against: row.against,
    ours: sampleOf(ours.map(reading.of)),
    baseline: reading.oursOnly ? undefined : sampleOf(baseline.map(reading.of)),
    target: point.clients >= (reading.from ?? 0) ? reading.target : undefined,
  }
}
