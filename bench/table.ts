// The figures as a table: aligned text for a terminal, Markdown for a file.
import type { Facts } from './facts.ts'
import { type Figure, ratioOf, type Sample, shareOf, verdictOf } from './figures.ts'

export function shortNumber(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 10_000) return Math.round(value).toLocaleString('en-US')
  return String(+value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3))
}

function spread(sample: Sample | undefined): string {
  if (!sample) return '-'
  const median = shortNumber(sample.median)
  return sample.min === sample.max ? median : `${median} (${shortNumber(sample.min)}-${shortNumber(sample.max)})`
}

/** A thirtieth is 1/30 to people. */
const fraction = (value: number): string =>
  value > 0 && value < 0.1 ? `1/${Math.round(1 / value)}` : String(+value.toPrecision(2))

function wanted(figure: Figure): string {
  const { target, better } = figure
  if (!target) return ''
  const sign = better === 'more' ? '>=' : '<='
  const times = target.of === 'ratio' ? 'x' : ''
  return `${sign} ${fraction(target.least)}${times}${target.aim === undefined ? '' : ` (${fraction(target.aim)}${times})`}`
}

const headings = [
  'row',
  'figure',
  'clients',
  'ours',
  'other side',
  'ratio',
  'of the limit',
  'at least (aim)',
  '',
] as const

function cells(figure: Figure): readonly string[] {
  const ratio = ratioOf(figure)
  const verdict = verdictOf(figure)
  const share = shareOf(figure)
  return [
    figure.x === undefined ? figure.row : `${figure.row} ${figure.x.toLocaleString('en-US')}`,
    `${figure.figure}${figure.unit === '/s' || figure.unit === '' ? '' : ` [${figure.unit}]`}`,
    String(figure.clients),
    spread(figure.ours),
    figure.baseline ? `${spread(figure.baseline)} ${figure.against}` : '-',
    ratio === undefined ? '-' : `${ratio.toFixed(2)}x`,
    share === undefined ? '' : `${share.toFixed(2)} of ${figure.limit?.name}`,
    wanted(figure),
    verdict === 'none' ? '' : verdict === 'missed' ? 'MISSED' : verdict,
  ]
}

export function textTable(figures: readonly Figure[]): string {
  const lines = [headings, ...figures.map(cells)]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export const factsLine = (facts: Facts): string =>
  `${facts.cores} cores (${facts.cpu}), ${facts.memoryGB} GB, Linux ${facts.kernel}, ${facts.system}, Node ${facts.node}, ${facts.date}, ${facts.commit}`

const bar = (line: readonly string[]): string => `| ${line.join(' | ')} |`

export function markdown(
  facts: Facts,
  figures: readonly Figure[],
  notes: readonly string[],
  plots: readonly { readonly file: string; readonly title: string }[],
): string {
  return [
    '# Figures of the bench',
    '',
    `${factsLine(facts)}.`,
    '',
    'Medians of interleaved runs, least and greatest in parentheses; both sides on this machine in the same run, the load generator on it too.',
    '',
    bar(headings),
    bar(headings.map(() => '---')),
    ...figures.map((figure) => bar(cells(figure))),
    '',
    ...notes.map((note) => `- ${note}`),
    '',
    ...plots.flatMap(({ file, title }) => [`![${title}](${file})`, '']),
  ].join('\n')
}
