// Runs a row of rows.ts at each of its points.
import { type Contestant, interleave, type Measured } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { type Figure, type Sample, sampleOf } from './figures.ts'
import { buildPrograms } from './fixture.ts'
import type { Load } from './loadgen.ts'
import type { Reading } from './readings.ts'
import type { Point, Row } from './row.ts'
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
  if (row.setup?.tls) buildPrograms('loadgen-tls')
  const points = pointsOf(row, context.extent).filter(({ clients }) => clients === (context.clients ?? clients))
  for (const point of points) {
    const at = point.x === undefined ? `${point.clients} clients` : `${point.x}, ${point.clients} clients`
    context.progress(`${row.row}: ${at}`)
    const outcome = await runPoint(row, point, context)
    figures.push(...outcome.figures)
    problems.push(...outcome.problems.map(({ side, text }) => ({ side, text: `${row.row}, ${at}: ${text}` })))
  }
  return { figures, problems }
}

type Role = 'ours' | 'baseline' | 'limit'

interface Placed {
  readonly role: Role
  readonly contestant: Contestant
}

function placed(row: Row, point: Point, context: Context): readonly Placed[] {
  const sides: readonly (readonly [Role, Side | undefined, Partial<Setup> | undefined])[] = [
    ['ours', context.ours, row.ours],
    ['baseline', point.oursAlone ? undefined : sideOf(context, row.against), row.baseline],
    ['limit', row.limit && context.limits[row.limit], undefined],
  ]
  return sides.flatMap(([role, side, part]) => {
    const setup = { ...plainSetup, ...row.setup, ...part, ...point.setup, clients: point.clients }
    return side ? [{ role, contestant: { side, setup } }] : []
  })
}

async function runPoint(row: Row, point: Point, context: Context): Promise<Outcome> {
  const contestants = placed(row, point, context)
  const { measured, problems } = await interleave(
    contestants.map(({ contestant }) => contestant),
    (run, index) => loadOf(row, point, context, run, contestants[index]?.contestant),
    context.runs,
  )
  const runsOf = (role: Role): readonly Measured[] =>
    measured[contestants.findIndex((each) => each.role === role)] ?? []
  const runs = { ours: runsOf('ours'), baseline: runsOf('baseline'), limit: runsOf('limit') }
  return { figures: row.readings.flatMap((reading) => figuresOf(row, point, reading, runs)), problems }
}

function loadOf(row: Row, point: Point, context: Context, run: number, contestant: Contestant | undefined): Load {
  const users = contestant?.setup.users ?? 1
  const settling = Math.max(context.seconds / 2, Math.min(context.settling, contestant?.side.settling ?? 0))
  // A thousand simultaneous clients have sessions of seconds, and so have some that wait for a hash of 26 ms.
  const longer = contestant?.setup.hash === 'yescrypt' ? 3 : point.clients < 1000 ? 1 : 2
  const load: Load = {
    clients: point.clients,
    users,
    duration: (run === 0 ? settling : context.seconds * longer) + context.warmup,
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

function figuresOf(
  row: Row,
  point: Point,
  reading: Reading,
  runs: Readonly<Record<Role, readonly Measured[]>>,
): readonly Figure[] {
  const sample = (role: Role): Sample | undefined => sampleOf(runs[role].map(reading.of))
  const applies = point.clients >= (reading.from ?? 0)
  const limit = row.limit && runs.limit.length > 0 ? { name: row.limit, sample: sample('limit') } : undefined
  const common = {
    row: row.row,
    unit: reading.unit,
    better: reading.better,
    clients: point.clients,
    ...(point.x === undefined ? {} : { x: point.x }),
    ours: sample('ours'),
  }
  const figure: Figure = {
    ...common,
    figure: reading.figure,
    against: row.against,
    baseline: reading.oursOnly ? undefined : sample('baseline'),
    ...(limit && { limit }),
    target: applies ? reading.target : undefined,
  }
  if (!limit || !reading.share || !applies) return [figure]
  const share: Figure = {
    ...common,
    figure: `${reading.figure}, share of the limit`,
    against: `limit: ${limit.name}`,
    baseline: limit.sample,
    target: reading.share,
  }
  return [figure, share]
}
