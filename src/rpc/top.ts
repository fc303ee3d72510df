// The picture of `acceptctl top`: pure, from the results of four methods and the counters of the picture before.
import type { SessionSort } from '../contract/pages.ts'
import { cell, isRecord } from './show.ts'
import { SORT_KEYS, TOP_HELP, type TopState } from './top-keys.ts'
import { columnWidths, cutTo, displayWidth, fitTo } from './width.ts'

export interface TopInput {
  readonly info: unknown
  readonly stats: unknown
  readonly lanes: unknown
  readonly sessions: unknown
  readonly limits: unknown
}

export interface TopCounters {
  /** Milliseconds of the monotonic clock. */
  readonly at: number
  readonly totals: ReadonlyMap<string, number>
}

const RATES = [
  ['accepted', 'acceptd_sessions_accepted_total', undefined],
  ['logins', 'acceptd_logins_total', ['outcome', 'accepted']],
  ['refused', 'acceptd_logins_total', ['outcome', 'refused']],
  ['messages', 'acceptd_messages_total', undefined],
  ['octets', 'acceptd_bytes_total', undefined],
] as const

function listIn(value: unknown, name: string): readonly Readonly<Record<string, unknown>>[] {
  const list = isRecord(value) ? value[name] : undefined
  return Array.isArray(list) ? list.filter(isRecord) : []
}

export function topCounters(stats: unknown, at: number): TopCounters {
  const totals = new Map<string, number>()
  for (const { name, labels, value } of listIn(stats, 'counters'))
    for (const [rate, metric, label] of RATES) {
      if (name !== metric || typeof value !== 'number') continue
      if (label && !(isRecord(labels) && labels[label[0]] === label[1])) continue
      totals.set(rate, (totals.get(rate) ?? 0) + value)
    }
  return { at, totals }
}

function short(value: unknown): string {
  if (typeof value !== 'number') return '-'
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (value >= size) return `${(value / size).toFixed(value >= 10 * size ? 0 : 1)}${unit}`
  return value >= 10 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(1)
}

function duration(value: unknown): string {
  if (typeof value !== 'number' || Number.isNaN(value)) return '-'
  if (value < 60) return `${value.toFixed(0)}s`
  if (value < 3600) return `${Math.floor(value / 60)}m${`${Math.floor(value % 60)}`.padStart(2, '0')}`
  if (value < 86_400) return `${Math.floor(value / 3600)}h${`${Math.floor((value % 3600) / 60)}`.padStart(2, '0')}`
  return `${Math.floor(value / 86_400)}d${`${Math.floor((value % 86_400) / 3600)}`.padStart(2, '0')}h`
}

const fit = (value: unknown, width: number, right = false): string => fitTo(cell(value), width, right)

/** How it is painted: not at all; with reverse video for title and cursor; with colours, too. */
export type Look = 'plain' | 'mono' | 'colour'

export interface TopView {
  readonly width: number
  readonly height: number
  readonly look: Look
  /** Undefined: standard input is no terminal. */
  readonly state: TopState | undefined
}

type Paint = keyof typeof PAINTS
const PAINTS = { title: 7, cursor: 7, head: 1, good: 32, middling: 33, bad: 31, quiet: 2 } as const
const ENDS: Readonly<Record<Paint, number>> = {
  title: 27,
  cursor: 27,
  head: 22,
  good: 39,
  middling: 39,
  bad: 39,
  quiet: 22,
}
const IN_MONO: ReadonlySet<Paint> = new Set(['title', 'cursor', 'head'])

interface Span {
  readonly text: string
  readonly paint?: Paint | undefined
}
interface Line {
  readonly spans: readonly Span[]
  /** Of the whole line. */
  readonly paint?: Paint
}

const line = (text: string, paint?: Paint): Line => ({ spans: [{ text }], ...(paint && { paint }) })

function painted(text: string, paint: Paint | undefined, look: Look): string {
  if (paint === undefined || text === '' || look === 'plain' || (look === 'mono' && !IN_MONO.has(paint))) return text
  return `\u001B[${PAINTS[paint]}m${text}\u001B[${ENDS[paint]}m`
}

function drawn({ spans, paint }: Line, width: number, look: Look): string {
  const full = paint !== undefined && look !== 'plain' && paint !== 'head'
  let left = width
  let text = ''
  for (const [i, span] of spans.entries()) {
    const isLast = i === spans.length - 1
    const cut = cutTo(isLast && !full ? span.text.trimEnd() : span.text, left)
    left -= displayWidth(cut)
    text += painted(cut, paint === undefined ? span.paint : undefined, look)
  }
  return painted(full ? text + ' '.repeat(left) : text.trimEnd(), paint, look)
}

const LANE_PAINT: Readonly<Record<string, Paint>> = {
  running: 'good',
  starting: 'middling',
  draining: 'middling',
  silent: 'bad',
}

function laneLines(lanes: unknown): readonly Line[] {
  const rows = listIn(lanes, 'lanes').map(({ lane, state, sessions, memoryBytes, lagSeconds, deaths }): Line => {
    const lag = typeof lagSeconds === 'number' ? (lagSeconds * 1000).toFixed(1) : '-'
    return {
      spans: [
        { text: `${fit(lane, 4, true)}  ` },
        { text: fit(state, 8), paint: LANE_PAINT[cell(state)] },
        { text: `  ${fit(sessions, 8, true)}  ${fit(short(memoryBytes), 7, true)}  ` },
        { text: fit(lag, 6, true), paint: Number(lag) >= 100 ? 'bad' : Number(lag) >= 20 ? 'middling' : undefined },
        { text: '  ' },
        { text: fit(deaths, 6, true), paint: Number(deaths) > 0 ? 'bad' : undefined },
      ],
    }
  })
  return [line('LANE  STATE     SESSIONS   MEMORY  LAG MS  DEATHS', 'head'), ...rows]
}

/** Those nearest to their limits, the fullest first. */
function limitLines(limits: unknown, width: number): readonly Line[] {
  const uses = listIn(limits, 'limits').flatMap(({ name, nearest: use }) => {
    if (!isRecord(use) || typeof use['used'] !== 'number' || typeof use['most'] !== 'number') return []
    return [{ name: cell(name), subject: cell(use['subject']), used: use['used'], most: use['most'] }]
  })
  if (uses.length === 0) return []
  const nearest = uses.toSorted((a, b) => b.used / b.most - a.used / a.most).slice(0, 3)
  const wanted = ['name', 'subject'].map((key) =>
    Math.max(13, ...nearest.map((use) => displayWidth(key === 'name' ? use.name : use.subject))),
  )
  const [nameWidth = 13, subjectWidth = 13] = columnWidths(wanted, Math.max(30, width - 20))
  const head = `${fit('NEAREST LIMIT', nameWidth)} ${fit('SUBJECT', subjectWidth)} ${fit('HAS', 8, true)} ${fit('OF', 8, true)}`
  return [
    line(''),
    line(head, 'head'),
    ...nearest.map(({ name, subject, used, most }): Line => {
      const share = used / most
      return {
        spans: [
          { text: `${fit(name, nameWidth)} ${fit(subject, subjectWidth)} ` },
          { text: fit(short(used), 8, true), paint: share >= 0.9 ? 'bad' : share >= 0.7 ? 'middling' : undefined },
          { text: ` ${fit(short(most), 8, true)}` },
        ],
      }
    }),
  ]
}

interface Column {
  readonly head: string
  readonly sort?: SessionSort
  readonly right?: true
  /** Left out on a terminal that has fewer columns. */
  readonly from?: number
  /** As wide as it must be; undefined: takes what is left. */
  readonly width?: number
  readonly text: (session: Readonly<Record<string, unknown>>) => string
}

const COLUMNS: readonly Column[] = [
  { head: 'ID', sort: 'id', text: ({ id }) => cell(id) },
  { head: 'USER', sort: 'user', text: ({ user }) => cell(user) },
  { head: 'ADDRESS', sort: 'ip', text: ({ ip }) => cell(ip) },
  { head: 'STATE', width: 11, from: 50, text: ({ state }) => cell(state) },
  { head: 'AGE', sort: 'started', right: true, width: 6, from: 90, text: ({ age }) => duration(age) },
  { head: 'IDLE', sort: 'idle', right: true, width: 6, text: ({ idle }) => duration(idle) },
  { head: 'MSGS', sort: 'messages', right: true, width: 4, from: 60, text: ({ messages }) => short(messages) },
  { head: 'IN', sort: 'bytesIn', right: true, width: 5, from: 70, text: ({ bytesIn }) => short(bytesIn) },
  { head: 'OUT', sort: 'bytesOut', right: true, width: 5, from: 90, text: ({ bytesOut }) => short(bytesOut) },
  { head: 'LAST', width: 7, from: 80, text: ({ lastVerb }) => cell(lastVerb) },
]

function sessionLines(
  shown: readonly Readonly<Record<string, unknown>>[],
  { width, state }: TopView,
  cursor: number,
): readonly Line[] {
  const columns = COLUMNS.filter(({ from = 0, sort }) => width >= from || (sort !== undefined && sort === state?.sort))
  const fixed = columns.reduce((sum, column) => sum + (column.width ?? 0) + 1, -1)
  const free = columns.filter((column) => column.width === undefined)
  const wanted = free.map(({ head, text }) =>
    shown.reduce((most, one) => Math.max(most, displayWidth(text(one))), head.length),
  )
  // Ids are whole: they are what the next command needs.
  const [ids = 2, ...others] = wanted
  const gap = columnWidths(others, Math.max(12, width - fixed - ids) + 2 * (others.length - 1))
  const widths = columns.map((column) => {
    const at = free.indexOf(column)
    return column.width ?? (at === 0 ? ids : (gap[at - 1] ?? 0))
  })
  const rowOf = (cells: readonly string[], heading: boolean): readonly Span[] =>
    cells.map((text, i) => ({
      text: `${fitTo(text, widths[i] ?? 0, columns[i]?.right)}${i < cells.length - 1 ? ' ' : ''}`,
      ...(!heading && columns[i]?.head === 'STATE' && { paint: STATE_PAINT[text] }),
    }))
  return [
    {
      spans: rowOf(
        columns.map(({ head }) => head),
        true,
      ),
      paint: 'head',
    },
    ...shown.map((one, i): Line => {
      const spans = rowOf(
        columns.map(({ text }) => text(one)),
        false,
      )
      return i === cursor ? { spans, paint: 'cursor' } : { spans }
    }),
  ]
}

const STATE_PAINT: Readonly<Record<string, Paint>> = {
  greeting: 'quiet',
  login: 'middling',
  checking: 'middling',
  transaction: 'good',
  data: 'good',
  ending: 'quiet',
}

function headLines(
  { info, sessions, stats, limits, lanes }: TopInput,
  rates: readonly string[],
  view: TopView,
): readonly Line[] {
  const of = isRecord(info) ? info : {}
  const time = isRecord(stats) ? stats['now'] : undefined
  const matched = isRecord(sessions) ? sessions['matched'] : undefined
  const title = `acceptd ${cell(of.version)}  up ${duration(of.uptime)}  generation ${cell(of.generation)}${of.draining === true ? '  DRAINING' : ''}  ${typeof time === 'string' ? time.slice(11, 19) : '-'}Z`
  return [
    line(title, 'title'),
    line(`sessions ${cell(matched)}  ${rates.join('  ')}`),
    line(''),
    ...laneLines(lanes),
    ...limitLines(limits, view.width),
    line(''),
    ...(view.state === undefined ? [] : [orderLine(view.state)]),
  ]
}

const orderLine = ({ sort, descending }: TopState): Line =>
  line(
    `by ${sort}${descending ? ', descending' : ''}; sort ${SORT_KEYS.map(({ key }) => key).join(' ')}, r reverse, k kill, ? help, q quit`,
    'quiet',
  )

/** How many sessions fit below what stands above them. */
export function topRows(input: TopInput, view: TopView): number {
  return Math.max(1, view.height - headLines(input, [], view).length - 2)
}

/** At most `height` lines of at most `width` columns. */
export function topPicture(
  input: TopInput,
  before: TopCounters | undefined,
  now: TopCounters,
  view: TopView,
): readonly string[] {
  const { width, height, look, state } = view
  if (state?.help === true) return TOP_HELP.slice(0, height).map((text) => cutTo(text, width))
  const elapsed = before ? (now.at - before.at) / 1000 : 0
  const rates = RATES.map(([name]) => {
    const change = (now.totals.get(name) ?? 0) - (before?.totals.get(name) ?? 0)
    return `${name} ${before && elapsed > 0 ? short(Math.max(0, change) / elapsed) : '-'}/s`
  })
  const head = headLines(input, rates, view)
  const sessions = sessionsOf(input)
  const matched = isRecord(input.sessions) ? Number(input.sessions['matched'] ?? 0) : 0
  const rows = topRows(input, view)
  const first = state?.first ?? 0
  const shown = sessions.slice(first, first + rows)
  const below = matched - first - shown.length
  const last = lastLine(state, first, below)
  const lines = [
    ...head,
    ...sessionLines(shown, view, state === undefined ? -1 : state.at - first),
    ...(last === undefined ? [] : [last]),
  ]
  return lines.slice(0, height).map((one) => drawn(one, width, look))
}

/** A question, what became of the last one, or how many more there are. */
function lastLine(state: TopState | undefined, first: number, below: number): Line | undefined {
  if (state?.ending !== undefined) return line(state.ending.question, 'title')
  if (state !== undefined && state.message !== '') return line(state.message)
  const more = [...(first > 0 ? [`${first} more above`] : []), ...(below > 0 ? [`${below} more below`] : [])]
  return more.length === 0 ? undefined : line(more.join(', '), 'quiet')
}

/** With their age, which goes by the daemon's clock. */
export function sessionsOf({ sessions, stats }: TopInput): readonly Readonly<Record<string, unknown>>[] {
  const now = Date.parse(isRecord(stats) ? cell(stats['now']) : '')
  return listIn(sessions, 'sessions').map((one) => ({
    ...one,
    age: Math.max(0, (now - Date.parse(cell(one['started']))) / 1000),
  }))
}
