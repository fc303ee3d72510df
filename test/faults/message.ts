// What is submitted: a message whose every octet follows from its name.
import { randomOf } from './random.ts'

/** Its lines, each to be ended by CR LF, or LF where it is filed. Some begin with dots. */
export function linesOf(id: string, lines: number): readonly string[] {
  const random = randomOf(id)
  const text = Array.from({ length: lines }, () => {
    const width = random.between(0, 76)
    const start = random.pick(['', '', '', '.', '..'])
    return `${start}${String.fromCodePoint(97 + random.below(26)).repeat(width)}`
  })
  return [`X-Fault: ${id}`, `Subject: ${id}`, '', ...text, `end of ${id}`]
}

/** As it crosses the wire, without the final dot. */
export const onTheWire = (id: string, lines: number): string =>
  linesOf(id, lines)
    .map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`)
    .join('')

export type Fate = 'sent' | 'acknowledged' | 'refused'

/** What clients know about their messages, and nothing that a client cannot know. */
export interface Journal {
  /** How far each message got. `refused`: the mail program has answered its final dot with 4xx or 5xx, other than 421. */
  readonly fates: Map<string, { readonly lines: number; readonly fate: Fate }>
}

/** One message as it was filed: all of its file. */
export interface Filed {
  readonly file: string
  readonly content: string
}

export interface Verdict {
  readonly acknowledged: number
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
  readonly half: readonly string[]
  /** The client was told that it was not taken, and will send it again. */
  readonly keptThough: readonly string[]
}

/** Compares what clients were told with what was filed. */
export function judge(journal: Journal, filed: readonly Filed[]): Verdict {
  const times = new Map<string, number>()
  const half: string[] = []
  for (const { file, content } of filed) {
    const id = /^X-Fault: (\S+)$/m.exec(content)?.[1] ?? ''
    const known = journal.fates.get(id)
    if (known === undefined || !content.endsWith(`${linesOf(id, known.lines).join('\n')}\n`)) half.push(`${file} ${id}`)
    times.set(id, (times.get(id) ?? 0) + 1)
  }
  const all = [...journal.fates].map(([id, { fate }]) => ({ id, fate, times: times.get(id) ?? 0 }))
  const ids = (list: typeof all): readonly string[] => list.map(({ id }) => id)
  return {
    acknowledged: all.filter(({ fate }) => fate === 'acknowledged').length,
    lost: ids(all.filter((one) => one.fate === 'acknowledged' && one.times === 0)),
    doubled: ids(all.filter((one) => one.times > 1)),
    half,
    keptThough: ids(all.filter((one) => one.fate === 'refused' && one.times > 0)),
  }
}
