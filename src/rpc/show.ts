// Results as text: tables for people, JSON and tab-separated lines for programs.

import type { CommandLine } from './row.ts'
import { columnWidths, cutTo, displayWidth, fitTo } from './width.ts'

export type Format = 'table' | 'json' | 'jsonl' | 'tsv'
export const FORMATS: readonly Format[] = ['table', 'json', 'jsonl', 'tsv']

type Rec = Readonly<Record<string, unknown>>

export function isRecord(value: unknown): value is Rec {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reach(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((at, name) => (isRecord(at) ? at[name] : undefined), value)
}

/** Control characters, which could move the reader's cursor, as \xNN. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

export function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  if (typeof value === 'string') return plain(value)
  if (typeof value === 'number') return Number.isInteger(value) ? `${value}` : `${Math.round(value * 1e6) / 1e6}`
  if (isRecord(value))
    return Object.entries(value)
      .map(([name, member]) => `${name}=${cell(member)}`)
      .join(' ')
  if (Array.isArray(value) && value.every((entry) => typeof entry !== 'object')) return value.map(cell).join(' ')
  return plain(JSON.stringify(value))
}

/** Columns as wide as they must be; numbers to the right. With a `width`, that of a terminal, cells are cut so that the columns fit. */
export function table(columns: readonly string[], rows: readonly unknown[], width: number | undefined): string {
  const head = columns.map((column) => column.replace(/([a-z])([A-Z])/g, '$1 $2').toUpperCase())
  const text = width === undefined ? cell : brief
  const cells = rows.map((row) => columns.map((column) => text(reach(row, column))))
  const right = columns.map(
    (column) => rows.length > 0 && rows.every((row) => ['number', 'undefined'].includes(typeof reach(row, column))),
  )
  const wanted = head.map((word, i) =>
    cells.reduce((most, line) => Math.max(most, displayWidth(line[i] ?? '')), displayWidth(word)),
  )
  const widths = width === undefined ? wanted : columnWidths(wanted, width)
  return [head, ...cells]
    .map((line) => {
      const all = line.map((one, i) => fitTo(one, widths[i] ?? 0, right[i])).join('  ')
      return `${(width === undefined ? all : cutTo(all.trimEnd(), width)).trimEnd()}\n`
    })
    .join('')
}

/** In a table of a terminal: the beginning of a hash, the first line of a text. */
function brief(value: unknown): string {
  if (typeof value !== 'string') return cell(value)
  if (/^[0-9a-f]{64}$/.test(value)) return value.slice(0, 12)
  const [line = '', ...more] = value.trimEnd().split('\n')
  return more.length > 0 ? `${plain(line)} \u2026` : plain(line)
}

function columnsOf(rows: readonly unknown[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => (isRecord(row) ? Object.keys(row) : [])))]
}

/** One record: its plain members, then each list of records as a table. */
function record(value: Rec, width: number | undefined): string {
  const lists = Object.entries(value).filter(([, member]) => Array.isArray(member) && member.some(isRecord))
  const simple = Object.entries(value).filter(([name]) => !lists.some(([other]) => other === name))
  const longest = Math.max(0, ...simple.map(([name]) => name.length))
  const lines = simple.map(([name, member]) => {
    const sentences = Array.isArray(member) && member.some((one) => typeof one === 'string' && one.includes(' '))
    const shown = sentences ? member.map(cell).join(`\n${' '.repeat(longest + 2)}`) : cell(member)
    return `${name.padEnd(longest)}  ${shown}\n`
  })
  const tables = lists.map(([name, member]) => {
    const rows = Array.isArray(member) ? member : []
    return `\n${name}:\n${table(columnsOf(rows), rows, width)}`
  })
  return [...lines, ...tables].join('')
}

function tsvCell(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replace(/[\\\t\n\r]/g, (c) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[c] ?? c)
}

/** As diff(1) shows it, with the line numbers. */
function fileDiff(file: unknown): string {
  const lines = reach(file, 'lines')
  const head = `${cell(reach(file, 'file'))}: ${cell(reach(file, 'state'))}${reach(file, 'needsRestart') === true ? ', needs restart' : ''}\n`
  const changes = (Array.isArray(lines) ? lines : []).map(
    (change: unknown) =>
      `${cell(reach(change, 'op'))}${cell(reach(change, 'line'))}: ${cell(reach(change, 'text') ?? '')}\n`,
  )
  return head + changes.join('')
}

/** With the newline at its end. */
export function show(result: unknown, cli: CommandLine, format: Format, width: number | undefined): string {
  const list = cli.rows === undefined ? undefined : reach(result, cli.rows)
  const rows: readonly unknown[] | undefined = Array.isArray(list) ? list : undefined
  switch (format) {
    case 'json':
      return `${JSON.stringify(result, undefined, 2)}\n`
    case 'jsonl':
      return (rows ?? [result]).map((row) => `${JSON.stringify(row)}\n`).join('')
    case 'tsv':
      return (rows ?? [result])
        .map(
          (row) =>
            `${(cli.columns ?? columnsOf(rows ?? [result])).map((column) => tsvCell(reach(row, column))).join('\t')}\n`,
        )
        .join('')
    case 'table': {
      const summary = cli.summary === undefined ? undefined : reach(result, cli.summary)
      const above = typeof summary === 'string' ? `${plain(summary)}\n` : ''
      const raw = cli.raw === undefined ? undefined : reach(result, cli.raw)
      if (typeof raw === 'string') return raw
      if (rows && cli.diff !== undefined) return rows.map(fileDiff).join('')
      if (rows)
        return rows.length === 0
          ? cli.valid === undefined
            ? ''
            : 'ok\n'
          : above + table(cli.columns ?? columnsOf(rows), rows, width)
      return isRecord(result) ? record(result, width) : `${cell(result)}\n`
    }
  }
}

/** Escape sequences of SGR: who speaks, and what went wrong. */
const COLOURS: Readonly<Record<string, number>> = { client: 36, 'to-backend': 34, backend: 35, acceptd: 32, failed: 31 }

/** A line of a conversation, for a person: when, how long after the line before, whose, who says it, what. */
export function showTrace(params: unknown, colours: boolean): string {
  const who = cell(reach(params, 'name'))
  if (who === 'ended') return showEvent(params)
  const verb = reach(params, 'data.verb')
  const said = [verb, reach(params, 'data.text')]
    .filter((word) => word !== undefined && word !== '')
    .map(cell)
    .join(' ')
  const paint = (name: string, text: string) => (colours ? `\u001B[${COLOURS[name] ?? 39}m${text}\u001B[39m` : text)
  const mood = typeof verb === 'string' && /^([45]\d\d|-ERR)$/.test(verb) ? 'failed' : who
  const dropped = reach(params, 'dropped')
  const words = [
    cell(reach(params, 'at')),
    `+${cell(reach(params, 'data.milliseconds') ?? 0)}ms`.padStart(8),
    cell(reach(params, 'session.id')),
    cell(reach(params, 'session.user')),
    paint(who, who.padEnd(10)),
    paint(mood, said),
  ]
  return `${words.join(' ')}${dropped === undefined ? '' : ` (${cell(dropped)} lines lost before this)`}\n`
}

/** A line an event, for a person. */
export function showEvent(params: unknown): string {
  const session = reach(params, 'session')
  const words = [
    reach(params, 'at'),
    reach(params, 'topic'),
    reach(params, 'name'),
    reach(session, 'id'),
    reach(session, 'user'),
    reach(session, 'ip'),
    reach(params, 'data'),
  ].filter((word) => word !== undefined)
  const dropped = reach(params, 'dropped')
  return `${words.map(cell).join(' ')}${dropped === undefined ? '' : ` (${cell(dropped)} events lost before this)`}\n`
}
