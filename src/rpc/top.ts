// The picture of `acceptctl top`: pure, from the results of four methods and the counters of the picture before.
import { cell, isRecord, plain } from './show.ts'

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
  if (typeof value !== 'number') return '-'
  if (value < 60) return `${value.toFixed(0)}s`
  if (value < 3600) return `${Math.floor(value / 60)}m${`${Math.floor(value % 60)}`.padStart(2, '0')}`
  if (value < 86_400) return `${Math.floor(value / 3600)}h${`${Math.floor((value % 3600) / 60)}`.padStart(2, '0')}`
  return `${Math.floor(value / 86_400)}d${`${Math.floor((value % 86_400) / 3600)}`.padStart(2, '0')}h`
}

function fit(text: unknown, width: number, right = false): string {
  const shown = typeof text === 'string' ? plain(text) : typeof text === 'number' ? `${text}` : '-'
  const cut = shown.length > width ? `${shown.slice(0, width - 1)}…` : shown
  return right ? cut.padStart(width) : cut.padEnd(width)
}

/** Those nearest to their limits, the fullest first. */
function nearest(limits: unknown): readonly string[] {
  const uses = listIn(limits, 'limits').flatMap(({ name, nearest: use }) => {
    if (!isRecord(use) || typeof use['used'] !== 'number' || typeof use['most'] !== 'number') return []
    return [{ name, subject: use['subject'], used: use['used'], most: use['most'] }]
  })
  if (uses.length === 0) return []
  const rows = uses
    .toSorted((a, b) => b.used / b.most - a.used / a.most)
    .slice(0, 3)
    .map(
      ({ name, subject, used, most }) =>
        `${fit(name, 26)} ${fit(subject, 30)} ${fit(short(used), 8, true)} ${fit(short(most), 8, true)}`,
    )
  return ['', `${fit('NEAREST LIMIT', 26)} ${fit('SUBJECT', 30)} ${fit('HAS', 8, true)} ${fit('OF', 8, true)}`, ...rows]
}

/** At most `height` lines of at most `width` characters. */
export function topPicture(
  input: TopInput,
  before: TopCounters | undefined,
  now: TopCounters,
  width: number,
  height: number,
): readonly string[] {
  const info = isRecord(input.info) ? input.info : {}
  const sessions = isRecord(input.sessions) ? input.sessions : {}
  const time = isRecord(input.stats) ? input.stats['now'] : undefined
  const elapsed = before ? (now.at - before.at) / 1000 : 0
  const rates = RATES.map(([name]) => {
    const change = (now.totals.get(name) ?? 0) - (before?.totals.get(name) ?? 0)
    return `${name} ${before && elapsed > 0 ? short(Math.max(0, change) / elapsed) : '-'}/s`
  })
  const lines = [
    `acceptd ${cell(info.version)}  up ${duration(info.uptime)}  generation ${cell(info.generation)}${info.draining === true ? '  DRAINING' : ''}  ${typeof time === 'string' ? time.slice(11, 19) : '-'}Z`,
    `sessions ${cell(sessions.matched)}  ${rates.join('  ')}`,
    '',
    'LANE  STATE     SESSIONS   MEMORY  LAG MS  DEATHS',
  ]
  for (const { lane, state, sessions: count, memoryBytes, lagSeconds, deaths } of listIn(input.lanes, 'lanes'))
    lines.push(
      `${fit(lane, 4, true)}  ${fit(state, 8)}  ${fit(count, 8, true)}  ${fit(short(memoryBytes), 7, true)}  ${fit(typeof lagSeconds === 'number' ? (lagSeconds * 1000).toFixed(1) : '-', 6, true)}  ${fit(deaths, 6, true)}`,
    )
  lines.push(...nearest(input.limits))
  // What is left of the width goes to user and address: 80 columns show both in 15.
  const spare = Math.max(0, width - 80)
  const user = 15 + Math.min(15, Math.floor(spare / 2))
  const ip = 15 + Math.min(24, Math.ceil(spare / 2))
  lines.push(
    '',
    `${fit('ID', 9)} ${fit('USER', user)} ${fit('ADDRESS', ip)} ${fit('STATE', 11)} ${fit('IDLE', 6, true)} ${fit('MSGS', 4, true)} ${fit('IN', 5, true)} LAST`,
  )
  for (const { id, user: name, ip: from, state, idle, messages, bytesIn, lastVerb } of listIn(
    input.sessions,
    'sessions',
  ))
    lines.push(
      `${fit(id, 9)} ${fit(name, user)} ${fit(from, ip)} ${fit(state, 11)} ${fit(duration(idle), 6, true)} ${fit(short(messages), 4, true)} ${fit(short(bytesIn), 5, true)} ${fit(lastVerb, 7)}`,
    )
  return lines.slice(0, height).map((line) => line.slice(0, width).trimEnd())
}
