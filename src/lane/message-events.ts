// The events of the topic message: what became of each message, from the notes of fixsmtpio. Kept only while somebody hears events.

import type { Note } from '../actors/effects.ts'
import { monotonic } from '../edge/clock.ts'
import type { ClientSession } from '../session/session.ts'
import type { Reporter } from './reporter.ts'

interface Transaction {
  sender: string
  recipients: number
  /** When its first octet was asked for, and how many the session had sent until then. */
  began: number
  bytes: number
}

const transactions = new WeakMap<ClientSession, Transaction>()

export function noteSender({ hears }: Reporter, session: ClientSession, sender: string): void {
  if (hears()) transactions.set(session, { sender, recipients: 0, began: 0, bytes: session.streams.bytesIn })
}

export function noteMessage(reporter: Reporter, session: ClientSession, { event, code, said = '' }: Note): void {
  const transaction = transactions.get(session)
  if (transaction === undefined) return
  const { bytesIn } = session.streams
  const accepted = code >= 200 && code < 300
  if (event === 'rcpt' && accepted) transaction.recipients += 1
  if (event === 'data') begins(transaction, bytesIn)
  // RFC 3030: each chunk has its reply, and the last one's is the message's.
  const isLast =
    event === 'in_data' || (event === 'bdat' && (!accepted || session.actors.fixsmtpio?.transaction === false))
  if (event === 'bdat' && transaction.began === 0) begins(transaction, transaction.bytes)
  if (!isLast) return
  transactions.delete(session)
  const { sender, recipients, began, bytes } = transaction
  const name = accepted ? 'accepted' : code >= 400 && code < 500 ? 'tempfail' : 'refused'
  const milliseconds = Math.max(0, Math.round(monotonic() - began))
  reporter.event('message', name, session, { sender, recipients, size: bytesIn - bytes, reply: said, milliseconds })
}

function begins(transaction: Transaction, bytes: number): void {
  transaction.began = monotonic()
  transaction.bytes = bytes
}
