// A message in chunks for a backend without CHUNKING: BDAT becomes DATA.
//
//   C: BDAT 5          ──>  DATA                the first chunk asks for DATA, once nothing else is awaited
//   C: hello           <──  354
//                      ──>  hello               dots stuffed, line ends as in DATA (session/body.ts)
//   S: 250 (ours)
//   C: BDAT 0 LAST     ──>  CR LF . CR LF
//   S: 250 queued      <──  250 queued
//
// Nothing is kept here: a chunk leaves for the backend as it comes, so that a message of any size costs no memory, and a refusal is known
// with the first chunk. A message that is given up between chunks can therefore only end as that of a client that dies in DATA does.

import { replyCode } from '../protocol/replies.ts'
import { rewriteRequest } from '../rules/rewrite.ts'
import { type FixsmtpioEffect, say } from './effects.ts'
import {
  awaiting,
  type Chunk,
  type Draft,
  end,
  IN_DATA,
  NOT_NOW,
  openBody,
  own,
  SAYS,
  type Told,
  toClient,
} from './fixsmtpio-state.ts'

/** What a number of more than 31 bits means depends on who reads it. */
export const MOST_OCTETS = 2 ** 31 - 1

/**
 * RFC 3030 section 2: `BDAT chunk-size [LAST]`; the chunk follows immediately, whatever the reply. undefined: the backend may count
 * otherwise, as one with 32 bits does, or one that takes a leading zero for base 8.
 */
export function chunkOf(argument: string): Chunk | undefined {
  const [, size, last] = /^(0|[1-9]\d{0,9})( +LAST)?$/i.exec(argument) ?? []
  const octets = Number(size)
  return size === undefined || octets > MOST_OCTETS ? undefined : { octets, last: last !== undefined }
}

const DATA = 'DATA\r\n'

/** A BDAT in its turn; `rest` was read after it. */
export function relayChunk(state: Draft, chunk: Chunk, rest: Uint8Array, effects: FixsmtpioEffect[]): void {
  state.introduction = undefined
  state.chunk = chunk
  if (state.relay === 'open') openBody(state, effects, { rest, octets: chunk.octets, as: 'data', last: chunk.last })
  else if (state.relay === 'refused') {
    // RFC 3030 section 2: chunks in the pipeline after one that failed are accepted and discarded. They are no message of their own.
    discard(state, own(state, SAYS.chunkOutOfTurn), rest, effects)
  } else {
    const request = rewriteRequest(state.settings.rules, 'data', DATA)
    if (state.settings.debug) effects.push({ do: 'debug', mark: '2', event: 'data', text: request })
    effects.push({ do: 'request', text: request })
    state.awaited = [awaiting('data', request === DATA)]
    state.relay = 'asked'
    state.at = 'data'
  }
}

function discard(state: Draft, verdict: string, rest: Uint8Array, effects: FixsmtpioEffect[]): void {
  state.relay = 'refused'
  state.verdict = verdict
  openBody(state, effects, { rest, octets: state.chunk.octets, as: 'nothing', last: state.chunk.last })
}

/** The backend has answered 354. */
export function relayGoes(state: Draft, effects: FixsmtpioEffect[]): void {
  const { octets, last } = state.chunk
  state.relay = 'open'
  openBody(state, effects, { rest: state.rest, octets, as: 'data', last })
}

/** The backend does not take a message: so says the reply to the chunk, once it has gone by. */
export function relayRefused(state: Draft, { reply, exit }: Told, effects: FixsmtpioEffect[]): void {
  const code = replyCode(reply)
  if (exit !== undefined || code === 421) {
    effects.push(say(reply))
    state.relay = 'no'
    state.closing = code === 421
    if (exit !== undefined) end(state, effects, exit, 'rule')
    return
  }
  // A client takes anything else for its chunk accepted.
  discard(state, code < 400 ? own(state, SAYS.chunkNotTaken) : reply, state.rest, effects)
}

/** A chunk has gone by, and nothing was wrong with it. */
export function chunkEnded(state: Draft, effects: FixsmtpioEffect[]): void {
  const { last, octets } = state.chunk
  if (state.relay === 'refused') {
    effects.push(say(state.verdict))
    state.verdict = ''
    if (last) state.relay = 'no'
  } else if (last) {
    state.relay = 'no'
    state.awaited = [IN_DATA]
  } else {
    const told = toClient(state, 'bdat', own(state, { ...SAYS.chunkTaken, text: `${octets} octets taken` }), effects)
    effects.push(say(told.reply))
    if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
  }
}

/** Until LAST the backend takes whatever it hears for the message. */
export function betweenChunks(state: Draft, event: string, effects: FixsmtpioEffect[]): void {
  switch (event) {
    case 'noop':
      effects.push(say(toClient(state, event, own(state, SAYS.nothingDone), effects).reply))
      break
    case 'quit':
      effects.push(say(toClient(state, event, own(state, SAYS.bye), effects).reply))
      end(state, effects, 0, 'message-given-up')
      break
    case 'rset':
    case 'ehlo':
    case 'helo':
      effects.push(say(own(state, SAYS.givenUp)))
      end(state, effects, NOT_NOW, 'message-given-up')
      break
    default:
      effects.push(say(own(state, SAYS.chunkExpected)))
  }
}

/** The backend says something before the message has ended: it takes no more of it. */
export function spokeInMessage(state: Draft, reply: string, effects: FixsmtpioEffect[]): void {
  const gaveUp = replyCode(reply) >= 400
  const told = toClient(state, 'in_data', gaveUp ? reply : own(state, SAYS.nonsense), effects)
  effects.push(say(replyCode(told.reply) >= 400 ? told.reply : own(state, SAYS.nonsense)))
  end(state, effects, told.exit ?? NOT_NOW, gaveUp ? 'backend-died' : 'backend-nonsense')
}
