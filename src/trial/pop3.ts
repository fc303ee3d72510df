// POP3 after a login (RFC 1939 sections 5 to 7): begins in the transaction state, over a Maildir. Messages stay where they are until QUIT.

import { bytesOf } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import { stuff } from './dots.ts'
import { listMessages, type Message, readMessage, removeMessage } from './maildir.ts'
import type { Wire } from './wire.ts'

/** RFC 2449 section 4: octets of a command. */
const LINE = 255

interface Maildrop {
  readonly messages: readonly Message[]
  /** Indices of `messages`. */
  readonly deleted: ReadonlySet<number>
}

interface Step {
  readonly answer: string
  readonly drop?: Maildrop
  readonly quit?: true
  /** Sent after the answer, with the last line of one dot. */
  readonly file?: Uint8Array
}

type Verb = (words: readonly string[], drop: Maildrop) => Step

const VERBS: Readonly<Record<string, { readonly words: readonly number[]; readonly run: Verb }>> = {
  STAT: {
    words: [0],
    run: (_words, drop) => {
      const left = drop.messages.filter((_, i) => !drop.deleted.has(i))
      return { answer: `+OK ${left.length} ${left.reduce((sum, message) => sum + message.size, 0)}` }
    },
  },
  LIST: { words: [0, 1], run: (words, drop) => listing(words, drop, ({ size }) => String(size)) },
  UIDL: { words: [0, 1], run: (words, drop) => listing(words, drop, uniqueId) },
  RETR: { words: [1], run: ([number = ''], drop) => retrieve(number, drop) },
  TOP: {
    words: [2],
    run: ([number = '', lines = ''], drop) =>
      /^\d{1,9}$/.test(lines) ? retrieve(number, drop, Number(lines)) : { answer: '-ERR write TOP message lines' },
  },
  DELE: {
    words: [1],
    run: ([number = ''], drop) => {
      const at = find(number, drop)
      if (at === undefined) return { answer: '-ERR no such message' }
      return { answer: '+OK deleted', drop: { ...drop, deleted: new Set([...drop.deleted, at]) } }
    },
  },
  RSET: { words: [0], run: (_words, drop) => ({ answer: '+OK', drop: { ...drop, deleted: new Set() } }) },
  NOOP: { words: [0], run: () => ({ answer: '+OK' }) },
  CAPA: {
    words: [0],
    run: () => ({ answer: ['+OK', 'TOP', 'UIDL', 'PIPELINING', 'EXPIRE NEVER', '.'].join('\r\n') }),
  },
  QUIT: {
    words: [0],
    run: (_words, { messages, deleted }) => {
      // RFC 1939 section 6: "If there is an error ... some or none of the messages marked as deleted are removed".
      const left = messages.filter((message, i) => deleted.has(i) && !removeMessage(message))
      return { answer: left.length === 0 ? '+OK bye' : '-ERR some deleted messages not removed', quit: true }
    },
  },
}

/** The index of a message that is there and not deleted; messages are counted from 1. */
function find(number: string, { messages, deleted }: Maildrop): number | undefined {
  const at = /^\d{1,9}$/.test(number) ? Number(number) - 1 : -1
  return at >= 0 && at < messages.length && !deleted.has(at) ? at : undefined
}

function listing([number]: readonly string[], drop: Maildrop, tell: (message: Message) => string): Step {
  const line = (message: Message, i: number): string => `${i + 1} ${tell(message)}`
  if (number === undefined) {
    const lines = drop.messages.flatMap((message, i) => (drop.deleted.has(i) ? [] : [line(message, i)]))
    return { answer: ['+OK', ...lines, '.'].join('\r\n') }
  }
  const at = find(number, drop)
  const message = drop.messages[at ?? -1]
  if (at === undefined || message === undefined) return { answer: '-ERR no such message' }
  return { answer: `+OK ${line(message, at)}` }
}

/** RFC 1939 section 7: one to 70 characters in the range 0x21 to 0x7E, the same in every session. */
function uniqueId({ unique }: Message): string {
  if (/^[!-~]{1,70}$/.test(unique)) return unique
  let hash = 0xcbf29ce484222325n // FNV-1a: two names of one Maildir will not meet, and crypto would double our start
  for (const byte of Buffer.from(unique)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
  return `${unique.replace(/[^!-~]/g, '_').slice(0, 50)}.${hash.toString(16)}`
}

function retrieve(number: string, drop: Maildrop, lines?: number): Step {
  const message = drop.messages[find(number, drop) ?? -1]
  if (message === undefined) return { answer: '-ERR no such message' }
  const file = readMessage(message)
  if (file === undefined) return { answer: '-ERR another program has removed it' }
  return { answer: lines === undefined ? `+OK ${message.size} octets` : '+OK', file: stuff(file, lines) }
}

export function servePop3(wire: Wire, maildir: string): void {
  let drop: Maildrop = { messages: listMessages(maildir), deleted: new Set() }
  wire.say('+OK\r\n')
  for (;;) {
    const line = wire.line(LINE)
    if (line === undefined) return // RFC 1939 section 6: without QUIT nothing is removed
    if (line.kind === 'too-long') {
      wire.say('-ERR line too long\r\n')
      continue
    }
    const { verb, argument } = splitCommand(line.text)
    const words = argument === '' ? [] : argument.split(/ +/)
    const row = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined
    const step: Step =
      row === undefined
        ? { answer: '-ERR command not known' }
        : row.words.includes(words.length)
          ? row.run(words, drop)
          : { answer: '-ERR not this many words' }
    wire.say(`${step.answer}\r\n`)
    if (step.file !== undefined) {
      wire.send(step.file)
      wire.send(bytesOf('.\r\n'))
    }
    drop = step.drop ?? drop
    if (step.quit) {
      wire.flush()
      return
    }
  }
}
