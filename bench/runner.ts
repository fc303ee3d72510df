// Runs a row of rows.ts at each of its points.
import { type Contestant, type Measured, started, turns } from './compare.ts'
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

/** Points that differ in their load alone are measured on the same running servers. */
function groupsOf(points: readonly Point[]): readonly (readonly Point[])[] {
  const groups = new Map<string, Point[]>()
  for (const point of points) {
    const key = JSON.stringify(point.setup ?? {})
    groups.set(key, [...(groups.get(key) ?? []), point])
  }
  return [...groups.values()]
}

export async function runRow(row: Row, context: Context): Promise<Outcome> {
  if (row.setup?.tls) buildPrograms('loadgen-tls')
  const points = pointsOf(row, context.extent).filter(({ clients }) => clients === (context.clients ?? clients))
  const outcomes: Outcome[] = []
  for (const group of groupsOf(points)) outcomes.push(await runGroup(row, group, context))
  return {
    figures: outcomes.flatMap(({ figures }) => figures),
    problems: outcomes.flatMap(({ problems }) => problems),
  }
}

type Role = 'ours' | 'baseline' | 'limit'

interface Placed {
  readonly role: Role
  readonly contestant: Contestant
}

function placed(row: Row, group: readonly Point[], context: Context): readonly Placed[] {
  const clients = Math.max(...group.map((point) => point.clients))
  const alone = group.every(({ oursAlone }) => oursAlone === true)
  const sides: readonly (readonly [Role, Side | undefined, Partial<Setup> | undefined])[] = [
    ['ours', context.ours, row.ours],
    ['baseline', alone ? undefined : sideOf(context, row.against), row.baseline],
    ['limit', row.limit && context.limits[row.limit], undefined],
  ]
  return sides.flatMap(([role, side, part]) => {
    const setup = { ...plainSetup, ...row.setup, ...part, ...group[0]?.setup, clients }
    return side ? [{ role, contestant: { side, setup } }] : []
  })
}

async function runGroup(row: Row, group: readonly Point[], context: Context): Promise<Outcome> {
  const all = placed(row, group, context)
  const figures: Figure[] = []
  const problems: Outcome['problems'][number][] = []
  const contestants = all.map(({ contestant }) => contestant)
  await started(contestants, async (running) => {
    for (const [index, point] of group.entries()) {
      const at = point.x === undefined ? `${point.clients} clients` : `${point.x}, ${point.clients} clients`
      context.progress(`${row.row}: ${at}`)
      const there = all.flatMap((each, place) => {
        const one = running[place]
        return one && !(point.oursAlone && each.role === 'baseline') ? [{ ...each, running: one }] : []
      })
      const result = await turns(
        there.map(({ contestant }) => contestant),
        there.map((each) => each.running),
        (run, place) => loadOf(row, point, context, { run, first: index === 0 }, there[place]?.contestant),
        context.runs,
      )
      const runsOf = (role: Role): readonly Measured[] =>
        result.measured[there.findIndex((each) => each.role === role)] ?? []
      const runs = { ours: runsOf('ours'), baseline: runsOf('baseline'), limit: runsOf('limit') }
      figures.push(...row.readings.flatMap((reading) => figuresOf(row, point, reading, runs)))
      problems.push(...result.problems.map(({ side, text }) => ({ side, text: `${row.row}, ${at}: ${text}` })))
    }
  })
  return { figures, problems }
}

/** One client alone would not have V8 compile anything. */
const SETTLING_CLIENTS = 64

function loadOf(
  row: Row,
  point: Point,
  context: Context,
  { run, first }: { readonly run: number; readonly first: boolean },
  contestant: Contestant | undefined,
): Load {
  const users = contestant?.setup.users ?? 1
  const settles = run === 0 && first && contestant?.side.settling !== undefined
  // A thousand simultaneous clients have sessions of seconds, and so have some that wait for a hash of 26 ms.
  const longer = contestant?.setup.hash === 'yescrypt' ? 3 : point.clients < 1000 ? 1 : 2
  const seconds = run > 0 ? context.seconds * longer : context.seconds / 2
  const load: Load = {
    clients: settles ? Math.max(SETTLING_CLIENTS, point.clients) : point.clients,
    users,
    duration:
      (settles ? Math.max(seconds, Math.min(context.settling, contestant.side.settling ?? 0)) : seconds) +
      context.warmup,
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
