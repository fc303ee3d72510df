// The table of README.md: the range of all runs that are kept, each with its commit and date. The real backend comes first, then
// what we are good at and what we are not.
import type { Facts } from './facts.ts'
import { shortNumber } from './table.ts'

/** A figure as `--json` writes it; only what the table reads. */
export interface KeptFigure {
  readonly row: string
  readonly figure: string
  readonly unit: string
  readonly clients: number
  readonly x?: number
  readonly against: string
  readonly ours: number | null
  readonly baseline: number | null
  readonly ratio: number | null
  readonly limitShare: number | null
}

export interface KeptRun {
  readonly facts: Facts
  readonly notes: readonly string[]
  readonly figures: readonly KeptFigure[]
}

interface Published {
  readonly row: string
  readonly figure: string
  readonly words: string
  /** Undefined: at every number of clients that there is. */
  readonly clients?: number
}

const of = (row: string, words: string, figure: string, clients?: number): Published => ({
  row,
  words,
  figure,
  ...(clients !== undefined && { clients }),
})
const rate = (row: string, words: string, ...clients: readonly number[]): readonly Published[] =>
  clients.map((count) => of(row, `sessions/s, ${words}`, 'sessions/s', count))

const PUBLISHED: readonly Published[] = [
  ...rate('real-cold', 'cold, a mail system behind it', 64, 256),
  ...rate('real-linked', 'checkpassword linked, a mail system behind it', 64),
  ...rate('real-warm', 'warm, a mail system behind it', 64, 256),
  ...rate('real-warm-postfix', 'warm, a mail system behind it', 64),
  ...rate('real-warm-postfix-discarding', 'warm, a mail system behind it', 64),
  ...rate('queue-cold', 'cold, a queue program a message', 64, 1000),
  ...rate('queue-linked', 'checkpassword linked, a queue program a message', 64),
  ...rate('queue-warm', 'warm, a queue program a message', 64, 1000),
  ...rate('yescrypt-cold', 'cold, yescrypt', 64),
  ...rate('yescrypt-verified', 'checkpassword linked, `verified`, yescrypt', 64),
  ...rate('yescrypt-warm', 'warm, yescrypt', 64),
  ...rate('sha512-cold', 'cold, sha512 with 5000 rounds', 64),
  ...rate('tls-warm', 'warm, TLS, full handshakes', 64),
  ...rate('tls-resumed', 'warm, TLS, resumed', 64),
  ...rate('tls-cold', 'cold, TLS, full handshakes', 64),
  of('tls-20mb', 'MB/s in one message of 20 MB, TLS', 'MB/s in a message'),
  ...rate('cold', 'cold, messages thrown away', 64, 1000),
  ...rate('linked', 'checkpassword linked, messages thrown away', 256),
  ...rate('warm', 'warm, messages thrown away', 64, 1000),
  ...rate('knob', 'warm, but nobody comes again', 64),
  ...rate('warm-postfix', 'warm, messages thrown away', 64),
  ...rate('warm-postfix-discarding', 'warm, messages thrown away', 64),
  ...rate('warm-haraka', 'warm, messages thrown away', 64),
  ...rate('warm-smtp-server', 'warm, messages thrown away', 64, 256),
  of('open-cold', 'sessions/s at which p99 passes 100 ms, cold', 'rate at which p99 passes 100 ms'),
  of(
    'open-cold',
    "session p99 at half of the chain's capacity, cold, ms",
    "session p99 at half of the chain's capacity",
  ),
  of('cold', 'session p99, cold, ms', 'session p99', 64),
  of('cold', 'session p99, cold, ms', 'session p99', 1000),
  of('cold', 'login p50, cold, ms', 'login p50', 1000),
  of('burst', 'greeting p99 when 2,000 come at once, ms', 'greeting p99', 2000),
  of('messages', 'messages/s, 20 a session, cold', 'messages/s', 64),
  of('messages-warm', 'messages/s, 20 a session, warm', 'messages/s', 64),
  of('messages-warm-smtp-server', 'messages/s, 20 a session, warm', 'messages/s', 64),
  of('messages-200', 'messages/s, 200 a session', 'messages/s', 64),
  of('small', 'one message of 1 KB, ms', 'message p50', 4),
  of('large', 'MB/s in one message of 20 MB', 'MB/s in a message'),
  of('memory', 'KB of an idle session before login', 'PSS of an idle session before login'),
  of('memory', 'KB of an idle session after login, backend included', 'PSS of an idle session after login'),
  of(
    'cost',
    'rules, limits, access, senders, trace and metrics together, % of warm sessions/s',
    'all of these together',
  ),
]

/** What has grown with the machine is compared with its like only. */
const sameMachine = (runs: readonly KeptRun[]): readonly KeptRun[] => {
  const last = runs.at(-1)
  return runs.filter(({ facts }) => facts.cpu === last?.facts.cpu && facts.cores === last.facts.cores)
}

function range(values: readonly (number | null)[], suffix = ''): string {
  const there = values.flatMap((value) => value ?? [])
  if (there.length === 0) return ''
  const [least, most] = [shortNumber(Math.min(...there)), shortNumber(Math.max(...there))]
  return `${least === most ? least : `${least} to ${most}`}${suffix}`
}

const twoDigits = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(2)))

/** `runs` from the oldest to the newest; the table and its legend in Markdown. */
export function publishedTable(runs: readonly KeptRun[]): string {
  const alike = sameMachine(runs)
  const lines = PUBLISHED.flatMap(({ row, figure, words, clients }) => {
    const found = alike.flatMap(({ figures }) =>
      figures
        .filter(
          (each) => each.row === row && each.figure === figure && (clients === undefined || each.clients === clients),
        )
        .slice(0, 1),
    )
    const [first] = found
    if (!first) return []
    const other = range(
      found.map(({ baseline }) => baseline),
      ` ${first.against}`,
    )
    const ratio = range(found.map((each) => twoDigits(each.ratio)))
    const share = range(found.map((each) => twoDigits(each.limitShare)))
    return [
      `| ${words} | ${first.clients} | ${range(found.map(({ ours }) => ours))} | ${other} | ${ratio} | ${share} |`,
    ]
  })
  const raised = alike.at(-1)?.notes.filter((note) => note.startsWith('raised for the run')) ?? []
  const list = alike.map(({ facts }) => `${facts.date} ${facts.commit}`).join(', ')
  return [
    '| | clients | acceptd | the other side | ratio | of the limit |',
    '|---|---|---|---|---|---|',
    ...lines,
    '',
    `Range of the medians of ${alike.length} run${alike.length === 1 ? '' : 's'}: ${list}. "Of the limit" is the share of what a server in C`,
    'that does the least possible reaches in the same turns. Warm means that everybody comes again within 60 s and no password is hashed then.',
    ...raised.map((note) => `\n${note[0]?.toUpperCase()}${note.slice(1)}.`),
  ].join('\n')
}

export const BEGIN = '<!-- bench: written by npm run bench -->'
export const END = '<!-- bench: end -->'

/** The text with what is between the two marks replaced; unchanged if it has no marks. */
export function withTable(text: string, table: string): string {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from < 0 || to < from) return text
  return `${text.slice(0, from + BEGIN.length)}\n\n${table}\n\n${text.slice(to)}`
}
