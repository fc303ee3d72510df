// bench/results/: the table in Markdown and a plot for each curve.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Facts } from './facts.ts'
import type { Figure, Sample } from './figures.ts'
import { top } from './fixture.ts'
import { svgPlot } from './plot.ts'
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
