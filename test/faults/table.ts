// The outcome of each fault, as a table for people, and in Markdown.
import type { Fault } from './fault.ts'

export interface Outcome {
  readonly fault: Fault
  /** The pace of the machine meanwhile; 1 is its best of the run. */
  readonly slowness: number
  /** Milliseconds. */
  readonly longest: number
  readonly acknowledged: number
  readonly lost: number
  readonly doubled: number
  readonly half: number
  readonly cuts: number
  readonly left: number
  /** Empty: all is as it should be. */
  readonly violations: readonly string[]
}

type Row = readonly string[]

const HEAD: Row = ['fault', 'times', 'served again after', 'acknowledged', 'lost', 'doubled', 'half', 'cut', 'left']

function rowOf(fault: Fault, all: readonly Outcome[]): Row {
  const sum = (of: (one: Outcome) => number): string => String(all.reduce((total, one) => total + of(one), 0))
  return [
    fault.name,
    String(all.length),
    `${(Math.max(...all.map(({ longest }) => longest)) / 1000).toFixed(2)} s`,
    sum(({ acknowledged }) => acknowledged),
    sum(({ lost }) => lost),
    sum(({ doubled }) => doubled),
    sum(({ half }) => half),
    sum(({ cuts }) => cuts),
    sum(({ left }) => left),
  ]
}

/** In the order of `faults`, those that have happened, and all together. */
export function tableOf(faults: readonly Fault[], outcomes: readonly Outcome[]): readonly Row[] {
  const rows = faults.flatMap((fault) => {
    const all = outcomes.filter((one) => one.fault === fault)
    return all.length === 0 ? [] : [rowOf(fault, all)]
  })
  const total = HEAD.map((name, column) => {
    if (column === 0) return 'all'
    return name === 'served again after' ? '' : String(rows.reduce((sum, row) => sum + Number(row[column]), 0))
  })
  return [HEAD, ...rows, total]
}

export function plainText(table: readonly Row[]): string {
  const widths = HEAD.map((_name, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  const line = (row: Row): string =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join('  ')
  return `${table.map(line).join('\n')}\n`
}

export function markdown(table: readonly Row[]): string {
  const line = (row: Row): string => `| ${row.join(' | ')} |`
  const [head = [], ...rows] = table
  return [line(head), line(head.map((_cell, n) => (n === 0 ? '---' : '---:'))), ...rows.map(line), ''].join('\n')
}
