// POP3 after login, for session.trace: octets that are spliced past the actors, told as verbs and first lines of answers. What follows a
// first line, a list or a message, is never told; nor is what follows a verb with a secret.
//
// A watch that begins in the middle of a session does not know whether it is inside a message. It waits for a verb of the client at a
// moment when nothing, or a whole answer, was the last that the backend said.

import { textOf } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import { VERBS } from '../protocol/verbs.ts'

export type Told =
  | { readonly from: 'client'; readonly text: string }
  | { readonly from: 'backend'; readonly text: string; readonly verb: string }

export interface Pop3Watch {
  client: string
  backend: string
  /** Verbs that are not answered yet. */
  awaited: { readonly verb: string; readonly long: boolean }[]
  /** What follows the first line of an answer goes by, up to the line with a dot. */
  inList: boolean
  /** The client was asked for more of its command: RFC 5034 section 4. */
  continues: boolean
  /** False: it may be inside a message. */
  sure: boolean
  /** The last octets of the backend while it is not sure. */
  tail: string
}

/** `verb`: what the backend has yet to answer, where the watch begins before its first octet. */
export const newPop3Watch = (verb: string | undefined): Pop3Watch => ({
  client: '',
  backend: '',
  awaited: verb === undefined ? [] : [{ verb, long: false }],
  inList: false,
  continues: false,
  sure: verb !== undefined,
  tail: '',
})

/** Of a line no more is kept. */
const LONGEST = 600

/** RFC 1939 and RFC 2449: verbs whose answer has more lines, always or without an argument. */
const LONG = new Set(['RETR', 'TOP', 'CAPA'])
const LONG_ALONE = new Set(['LIST', 'UIDL', 'LANG'])

/** Whole lines, and the beginning of the one that has not ended. */
function linesOf(before: string, bytes: Uint8Array): { readonly lines: readonly string[]; readonly rest: string } {
  const lines = textOf(bytes).split('\n')
  const whole = lines.map((line, i) => (i === 0 ? before + line : line).slice(0, LONGEST).replace(/\r$/, ''))
  return { lines: whole.slice(0, -1), rest: `${lines.length === 1 ? before : ''}${lines.at(-1)}`.slice(0, LONGEST) }
}

export function heardOfClient(watch: Pop3Watch, bytes: Uint8Array): readonly Told[] {
  const { lines, rest } = linesOf(watch.client, bytes)
  watch.client = rest
  return lines.flatMap((text) => {
    if (watch.continues) {
      watch.continues = false
      return []
    }
    const { verb, argument } = splitCommand(text)
    watch.sure ||= VERBS.has(verb) && WHOLE_ANSWER.test(watch.tail)
    if (!watch.sure) return []
    watch.awaited.push({ verb, long: LONG.has(verb) || (LONG_ALONE.has(verb) && argument === '') })
    return [{ from: 'client' as const, text }]
  })
}

/** Nothing, one line of an answer, or the end of a list. */
const WHOLE_ANSWER = /^$|^[+-][^\n]*\n$|\n\.\r?\n$/

export function heardOfBackend(watch: Pop3Watch, bytes: Uint8Array): readonly Told[] {
  if (!watch.sure) {
    watch.tail = textOf(bytes).slice(-LONGEST)
    return []
  }
  const { lines, rest } = linesOf(watch.backend, bytes)
  watch.backend = rest
  return lines.flatMap((text) => answerLine(watch, text))
}

function answerLine(watch: Pop3Watch, text: string): readonly Told[] {
  if (watch.inList) {
    watch.inList = text !== '.'
    return []
  }
  const asked = watch.awaited.shift()
  if (asked === undefined || !watch.sure || !/^[+-]/.test(text)) {
    watch.sure = false
    watch.tail = text
    watch.awaited = []
    return []
  }
  watch.continues = /^\+( |$)/.test(text)
  if (watch.continues) watch.awaited.unshift(asked)
  watch.inList = asked.long && text.startsWith('+OK')
  return [{ from: 'backend', text, verb: asked.verb }]
}
