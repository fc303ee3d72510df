// Requests of the client on their way to the backend: each is put through the rules, and its reply is awaited.

import { concat, copyOf, NO_BYTES } from '../protocol/bytes.ts'
import { type Command, splitCommand } from '../protocol/command.ts'
import { takeLine } from '../protocol/lines.ts'
import { maySend } from '../protocol/senders.ts'
import { rewriteRequest } from '../rules/rewrite.ts'
import { type FixsmtpioEffect, say } from './effects.ts'
import {
  awaiting,
  type Draft,
  end,
  type FixsmtpioState,
  mayPark,
  NOT_NOW,
  offers,
  openBody,
  own,
  SAYS,
  toClient,
} from './fixsmtpio-state.ts'

/** Requests in flight; a client that pipelines more is held until replies have come. */
const MOST_AWAITED = 256

/** Verbs that need no TLS under UCSPITLS=!. */
const FREE_OF_TLS = new Set(['greeting', 'timeout', 'clienteof', 'in_data', 'noop', 'ehlo', 'starttls', 'quit'])

export const needsTls = (state: FixsmtpioState, event: string): boolean =>
  state.settings.tls === 'require' && !state.tlsOn && !FREE_OF_TLS.has(event)

/** A read of the client, behind what of it is waiting. */
export function takeRequests(state: Draft, bytes: Uint8Array, effects: FixsmtpioEffect[]): void {
  const wasHeld = state.held
  const input = state.rest.length === 0 ? bytes : concat([state.rest, bytes])
  state.rest = NO_BYTES
  // RFC 5321 section 4.1.1.10: QUIT is the last request; what comes behind it would meet the backend's end, sooner or later.
  if (state.quit) {
    state.held = false
    if (wasHeld) effects.push({ do: 'room' })
    return
  }
  const sent: string[] = []
  let next = 0
  let inTurn = false
  while (state.at === 'commands' && !state.asking && state.awaited.length < MOST_AWAITED && next < input.length) {
    const taken = takeLine(input, next, state.settings.longest)
    if (taken.kind === 'more') break
    if (taken.kind === 'too-long') {
      // What we say ourselves is said when the replies before it have been.
      inTurn = !state.skipping && state.awaited.length > 0
      if (inTurn) break
      next = taken.next
      if (!state.skipping) effects.push(say(own(state, SAYS.tooLong)))
      state.skipping = !taken.ended
    } else if (state.skipping) {
      next = taken.next
      state.skipping = false
    } else {
      inTurn = !takeRequest(state, taken.text, input, taken.next, sent, effects)
      if (inTurn) break
      next = taken.next
    }
  }
  if (state.at === 'over') return
  // A body goes by itself, behind its request.
  if (state.at === 'body') return
  if (sent.length > 0) effects.push({ do: 'request', text: sent.join('') })
  const left = input.subarray(next)
  // What cannot be taken yet must not grow: the client is held until the replies are there.
  state.held =
    left.length > 0 && (inTurn || state.asking || state.at !== 'commands' || state.awaited.length >= MOST_AWAITED)
  if (state.held) effects.push({ do: 'hold' })
  else if (wasHeld) effects.push({ do: 'room' })
  // The bytes alias the read: what outlives this step is copied.
  if (left.length > 0) state.rest = copyOf(left)
}

/** False: its answer is ours, and has to wait for the replies before it. */
function takeRequest(
  state: Draft,
  text: string,
  input: Uint8Array,
  next: number,
  sent: string[],
  effects: FixsmtpioEffect[],
): boolean {
  const { settings } = state
  const command = splitCommand(text)
  const event = command.verb.toLowerCase()
  // The backend gets the spelling that the rules saw, so that it cannot read another verb in it. Without rules the program changes nothing.
  const asSpelt = settings.classic && settings.rules.set.rules.length === 0 && event !== 'bdat'
  const line = asSpelt ? text : command.plain
  const chunk = event === 'bdat' ? chunkOf(command.argument) : NO_CHUNK
  if (chunk === undefined) {
    if (state.awaited.length > 0) return false
    // Where its chunk ends is anybody's guess, and the backend's may differ from ours.
    effects.push(say(own(state, SAYS.badChunk)))
    end(state, effects, NOT_NOW, 'bad-bdat')
    return true
  }
  if (settings.asks.has(event) && state.allowance === undefined) {
    state.asking = true
    effects.push({ do: 'ask-limits', what: event === 'mail' ? 'messages' : 'recipients' })
    return false
  }
  const refused = settings.asks.has(event) ? state.allowance : undefined
  state.allowance = undefined
  if (settings.debug) effects.push({ do: 'debug', mark: '1', event, text })
  // What keeps a request from the backend stands in front of what a rule prepends.
  const request = tlsPrefix(state, event) + rewriteRequest(settings.rules, event, line)
  const plain = request === line
  if (plain && answered(state, event, command, next === input.length, effects)) return true
  const instead = refused
    ? own(state, { ...SAYS.limited, text: refused })
    : plain || event === 'auth'
      ? insteadOf(state, event, command)
      : undefined
  state.introduction = undefined
  // The backend hears a NOOP, so that a reply of ours has its turn.
  const passed = instead === undefined ? request : 'NOOP\r\n'
  if (settings.debug) effects.push({ do: 'debug', mark: '2', event, text: passed })
  sent.push(passed)
  state.awaited = [...state.awaited, awaiting(event, plain && instead === undefined, instead, 'no', chunk.last)]
  if (event === 'data') state.at = 'data'
  else if (event === 'quit') state.at = 'quit'
  else if (event === 'starttls') state.at = 'starttls'
  else if (chunk.octets > 0) {
    effects.push({ do: 'request', text: sent.join('') })
    openBody(state, effects, input.slice(next), chunk.octets, !plain || instead !== undefined)
  }
  return true
}

/** Requests that the backend need not hear: a QUIT where it is kept for a later login, the EHLO that it has been told. */
function answered(
  state: Draft,
  event: string,
  command: Command,
  nothingBehind: boolean,
  effects: FixsmtpioEffect[],
): boolean {
  if (event === 'quit' && command.argument === '' && nothingBehind && mayPark(state)) {
    effects.push(say(toClient(state, 'quit', own(state, SAYS.bye), effects).reply))
    end(state, effects, 0, 'quit', state.greeted)
    return true
  }
  const { introduction } = state
  if (introduction === undefined || command.verb !== introduction.verb || command.argument !== introduction.name)
    return false
  const told = toClient(state, event, introduction.reply, effects)
  if (told.reply !== '') effects.push(say(told.reply))
  promise(state, event, told.reply)
  if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
  return true
}

/** What the client has been told of its EHLO counts for the replies of ours that follow. */
export function promise(state: Draft, event: string, told: string): void {
  if (event === 'ehlo' && told.startsWith('2')) state.enhanced = offers(told, 'enhanced')
}

/** Our own reply to a request that is not for this backend; undefined: it gets the request. */
function insteadOf(state: FixsmtpioState, event: string, { argument }: Command): string | undefined {
  switch (event) {
    case 'auth':
      // No password for the guests' backend.
      return state.guest ? own(state, SAYS.guestAuth) : undefined
    case 'bdat':
      // A backend that does not know BDAT would take the chunk for commands.
      return state.chunking ? undefined : own(state, SAYS.unimplemented)
    case 'mail':
      if (isTooBig(argument)) return own(state, SAYS.tooBig)
      if (state.settings.senders !== undefined && !maySend(state.settings.senders, argument))
        return own(state, SAYS.notYours)
      return state.refusal === '' ? undefined : state.refusal
    default:
      return undefined
  }
}

interface Chunk {
  readonly octets: number
  readonly last: boolean
}
const NO_CHUNK: Chunk = { octets: 0, last: false }

/** What a number of more than 31 bits means depends on who reads it. */
const MOST_OCTETS = 2 ** 31 - 1

/**
 * RFC 3030 section 2: `BDAT chunk-size [LAST]`; the chunk follows immediately, whatever the reply. undefined: the backend may count
 * otherwise, as one with 32 bits does, or one that takes a leading zero for base 8.
 */
function chunkOf(argument: string): Chunk | undefined {
  const [, size, last] = /^(0|[1-9]\d{0,9})( +LAST)?$/i.exec(argument) ?? []
  const octets = Number(size)
  return size === undefined || octets > MOST_OCTETS ? undefined : { octets, last: last !== undefined }
}

/** RFC 1870: a size that a backend of 32 bits takes for another one. */
function isTooBig(argument: string): boolean {
  for (const [, size] of argument.matchAll(/(?<![^ \t])SIZE=(\d+)/gi)) if (Number(size) > MOST_OCTETS) return true
  return false
}

/** What is put before a request so that the backend does not act on it. */
function tlsPrefix(state: FixsmtpioState, event: string): string {
  if (needsTls(state, event)) return 'NOOP fixsmtpio STARTTLS FIRST '
  if (event !== 'starttls') return ''
  if (state.settings.tls === 'none') return 'NOOP fixsmtpio STARTTLS BLOCK '
  return state.tlsOn ? 'NOOP fixsmtpio STARTTLS AGAIN ' : 'NOOP fixsmtpio STARTTLS BEGIN '
}
