// bench/results/: the table in Markdown and a plot for each curve of the last whole run; all runs that are kept in runs/, and README's table of them.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Facts } from './facts.ts'
import { type Figure, type Sample, toJson } from './figures.ts'
import { top } from './fixture.ts'
import { svgPlot } from './plot.ts'
import { type KeptRun, publishedTable, withTable } from './published.ts'
import { markdown } from './table.ts'

export const resultsDirectory = join(top, 'bench/results')

interface Curve {
  readonly file: string
  readonly title: string
  readonly x: string
  readonly y: string
  readonly figure: string
  /** Which row gives a line, and what the line is called; the other side of the first row gives one too. */
  readonly lines: Readonly<Record<string, string>>
}

const curves: readonly Curve[] = [
  {
    file: 'sessions.svg',
    title: 'Sessions a second: log in, one message of 4 KB, quit',
    x: 'clients at once',
    y: 'sessions/s',
    figure: 'sessions/s',
    lines: { cold: 'acceptd', linked: 'acceptd, linked', warm: 'acceptd, warm' },
  },
  {
    file: 'p99.svg',
    title: 'Session time that 1 in 100 exceeds',
    x: 'clients at once',
    y: 'ms',
    figure: 'session p99',
    lines: { cold: 'acceptd', linked: 'acceptd, linked', warm: 'acceptd, warm' },
  },
  {
    file: 'messages.svg',
    title: 'Messages a second as sessions grow longer, 64 clients',
    x: 'messages a session',
    y: 'messages/s',
    figure: 'messages/s',
    lines: { 'curve-messages': 'acceptd' },
  },
  {
    file: 'size.svg',
    title: 'Throughput inside a message as messages grow, 4 clients',
    x: 'octets a message',
    y: 'MB/s',
    figure: 'MB/s in a message',
    lines: { 'curve-size': 'acceptd' },
  },
  {
    file: 'rules.svg',
    title: 'Messages a second as rules grow, 16 clients',
    x: 'rules',
    y: 'messages/s',
    figure: 'messages/s',
    lines: { 'curve-rules': 'acceptd' },
  },
  {
    file: 'idle.svg',
    title: 'Slowest of five sessions among idle connections',
    x: 'idle connections',
    y: 'ms',
    figure: 'slowest session of a real user',
    lines: { 'curve-idle': 'acceptd' },
  },
]

type Point = readonly [x: number, y: number, low: number, high: number]

function pointsOf(figures: readonly Figure[], row: string, name: string, side: 'ours' | 'baseline'): readonly Point[] {
  return figures
    .filter((figure) => figure.row === row && figure.figure === name)
    .flatMap((figure): readonly Point[] => {
      const sample: Sample | undefined = figure[side]
      return sample ? [[figure.x ?? figure.clients, sample.median, sample.min, sample.max]] : []
    })
    .toSorted((a, b) => a[0] - b[0])
}

/** Writes the plots that have at least two points. */
function writePlots(figures: readonly Figure[], oursName: string): { readonly file: string; readonly title: string }[] {
  return curves.flatMap(({ file, lines, figure, ...rest }) => {
    const rowNames = Object.keys(lines)
    const ours = rowNames.map((row) => ({
      name: (lines[row] ?? row).replace('acceptd', oursName),
      points: pointsOf(figures, row, figure, 'ours'),
    }))
    const chain = { name: 'classic chain', points: pointsOf(figures, rowNames[0] ?? '', figure, 'baseline') }
    const series = [...ours, chain].filter((each) => each.points.length > 1)
    if (series.length === 0) return []
    writeFileSync(join(resultsDirectory, file), svgPlot({ ...rest, series }))
    return [{ file, title: rest.title }]
  })
}

/** From the oldest to the newest. */
export function keptRuns(directory = join(resultsDirectory, 'runs')): readonly KeptRun[] {
  if (!existsSync(directory)) return []
  const files = readdirSync(directory).filter((name) => name.endsWith('.json'))
  return files.toSorted().map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as KeptRun)
}

/** The table of README.md, from the runs that are kept. */
export function writeTable(runs: readonly KeptRun[]): void {
  if (runs.length === 0) return
  const readme = join(top, 'README.md')
  writeFileSync(readme, withTable(readFileSync(readme, 'utf8'), publishedTable(runs)))
}

export function writeResults(
  facts: Facts,
  figures: readonly Figure[],
  notes: readonly string[],
  oursName: string,
): void {
  mkdirSync(resultsDirectory, { recursive: true })
  const plots = writePlots(figures, oursName)
  writeFileSync(join(resultsDirectory, 'figures.md'), markdown(facts, figures, notes, plots))
}

export interface Run {
  readonly facts: Facts
  readonly notes: readonly string[]
  readonly figures: readonly Figure[]
}

/** Beside the others, and README's table anew. */
export function keepRun({ facts, notes, figures }: Run): void {
  const runs = join(resultsDirectory, 'runs')
  mkdirSync(runs, { recursive: true })
  // A second one of a day does not replace the first.
  const time = new Date().toISOString().slice(11, 16).replace(':', '')
  const lines = figures.map((each) => JSON.stringify(toJson(each)))
  const text = `{"facts":${JSON.stringify(facts)},\n"notes":${JSON.stringify(notes)},\n"figures":[\n${lines.join(',\n')}\n]}\n`
  writeFileSync(join(runs, `${facts.date}-${time}-${facts.commit}.json`), text)
  writeTable(keptRuns())
}
