// Requests of the client on their way to the backend: each is put through the rules, and its reply is awaited.

import { concat, copyOf, NO_BYTES } from '../protocol/bytes.ts'
import { type Command, splitCommand } from '../protocol/command.ts'
import { takeLine } from '../protocol/lines.ts'
import { isBinary, isOver, withoutAuth } from '../protocol/mail.ts'
import { maySend } from '../protocol/senders.ts'
import { VERBS } from '../protocol/verbs.ts'
import { parseForwarded, proxyLine } from '../protocol/xclient.ts'
import { rewriteRequest } from '../rules/rewrite.ts'
import { type FixsmtpioEffect, log, say } from './effects.ts'
import { betweenChunks, chunkOf, MOST_OCTETS, relayChunk } from './fixsmtpio-chunks.ts'
import {
  awaiting,
  type Draft,
  end,
  type FixsmtpioState,
  forgetForwarded,
  mayPark,
  NO_CHUNK,
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

/** A read of the client, appended to what is waiting. */
export function takeRequests(state: Draft, bytes: Uint8Array, effects: FixsmtpioEffect[]): void {
  const wasHeld = state.held
  const input = state.rest.length === 0 ? bytes : concat([state.rest, bytes])
  state.rest = NO_BYTES
  // RFC 5321 section 4.1.1.10: QUIT is the last request; what follows it would meet the backend's end, sooner or later.
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
      // Our own replies are sent after the replies that come before them.
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
  // A body goes by itself, after its request.
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
  const asSpelt = settings.classic && settings.rules.set.count === 0 && event !== 'bdat'
  const line = asSpelt ? text : command.plain
  const chunk = event === 'bdat' ? chunkOf(command.argument) : NO_CHUNK
  // As DATA its header can be watched, wherever chunks begin and end.
  const relayed = event === 'bdat' && (settings.from !== undefined || (settings.chunking && !state.chunking))
  if ((chunk === undefined || relayed) && state.awaited.length > 0) return false
  if (chunk === undefined) {
    // Where its chunk ends is anybody's guess, and the backend's may differ from ours.
    effects.push(say(own(state, SAYS.badChunk)))
    end(state, effects, NOT_NOW, 'bad-bdat')
    return true
  }
  if (state.relay === 'open' && !relayed) {
    betweenChunks(state, event, effects)
    return true
  }
  // What keeps a request from the backend goes before what a rule prepends.
  const request = tlsPrefix(state, event) + rewriteRequest(settings.rules, event, line)
  const plain = request === line
  const instead = relayed ? undefined : insteadOf(state, event, command, plain)
  if (instead === undefined && settings.asks.has(event) && state.allowance === undefined) {
    state.asking = true
    effects.push({ do: 'ask-limits', what: event === 'mail' ? 'messages' : 'recipients' })
    return false
  }
  const ours = instead ?? limited(state, event)
  if (ours !== undefined && state.awaited.length > 0) return false
  state.allowance = undefined
  if (VERBS.has(command.verb)) state.strays = event === 'auth' && ours !== undefined
  if (settings.debug) effects.push({ do: 'debug', mark: '1', event, text })
  if (ours !== undefined) {
    if (event === 'xforward') takeForwarded(state, command.argument, effects)
    answer(state, event, ours, effects)
    if (chunk.octets > 0 && state.at === 'commands') {
      openBody(state, effects, { rest: input.slice(next), octets: chunk.octets, as: 'nothing', last: chunk.last })
    }
    return true
  }
  if (event === 'mail' && !settings.classic) effects.push({ do: 'sender', address: senderOf(command.argument) })
  if (relayed && (plain || state.relay === 'open')) {
    relayChunk(state, chunk, input.slice(next), effects)
    return true
  }
  if (plain && answered(state, event, command, next === input.length, effects)) return true
  state.introduction = undefined
  const passed = plain ? forBackend(state, event, command, request) : request
  if (settings.debug) effects.push({ do: 'debug', mark: '2', event, text: passed })
  if (event === 'mail' && plain && state.forward !== '') {
    sent.push(state.forward)
    state.awaited = [...state.awaited, awaiting('xforward', true, 'xforward')]
  }
  sent.push(passed)
  if (FORGETS.has(event)) forgetForwarded(state)
  state.awaited = [...state.awaited, awaiting(event, plain, 'no', chunk.last)]
  if (event === 'data') state.at = 'data'
  else if (event === 'quit') state.at = 'quit'
  else if (event === 'starttls') state.at = 'starttls'
  else if (chunk.octets > 0) {
    effects.push({ do: 'request', text: sent.join('') })
    state.relay = 'no'
    const as = plain ? 'itself' : 'nothing'
    openBody(state, effects, { rest: input.slice(next), octets: chunk.octets, as, last: chunk.last })
  }
  return true
}

/** A reply of ours in the place of the backend's. The backend hears nothing, not even a NOOP, which msmtpd does not know. */
function answer(state: Draft, event: string, reply: string, effects: FixsmtpioEffect[]): void {
  const told = toClient(state, event, reply, effects)
  if (told.reply !== '') effects.push(say(told.reply))
  promise(state, event, told.reply)
  if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
}

/** What control/limits has answered, if it refuses. */
const limited = (state: FixsmtpioState, event: string): string | undefined =>
  state.settings.asks.has(event) && state.allowance !== undefined && state.allowance !== ''
    ? own(state, { ...SAYS.limited, text: state.allowance })
    : undefined

/** RFC 5321 section 4.1.1.2: the path of FROM, without its brackets. */
const senderOf = (argument: string): string => {
  const path = /^from:[ \t]*(?:<([^>]*)>|(\S*))/i.exec(argument)
  return path?.[1] ?? path?.[2] ?? ''
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
  answer(state, event, introduction.reply, effects)
  return true
}

/** What the client has been told of its EHLO counts for the replies of ours that follow. */
export function promise(state: Draft, event: string, told: string): void {
  if (event === 'ehlo' && told.startsWith('2')) state.enhanced = offers(told, 'enhanced')
}

/** MAIL without AUTH= for a backend that has not offered AUTH: authup has, and a client may say whom it vouches for. */
function forBackend({ auth, settings }: FixsmtpioState, event: string, { argument }: Command, line: string): string {
  if (event !== 'mail' || auth || settings.classic) return line
  const kept = withoutAuth(argument)
  return kept === argument ? line : `MAIL ${kept}\r\n`
}

/**
 * Our own reply to a request that is not for this backend; undefined: it gets the request. `plain`: no rule has put anything before it, which
 * keeps it from acting on the request by itself.
 */
function insteadOf(
  state: FixsmtpioState,
  event: string,
  { verb, argument }: Command,
  plain: boolean,
): string | undefined {
  switch (event) {
    case 'auth':
      if (state.guest) return own(state, SAYS.guestAuth)
      // RFC 4954 section 4: "After a successful AUTH command completes, a server MUST reject any further AUTH commands with a 503 reply."
      // No backend hears the password of one, whatever a rule puts before it.
      return state.settings.classic ? undefined : own(state, SAYS.authAgain)
    case 'bdat':
      // A backend that does not know BDAT would take the chunk for commands.
      return plain && !state.chunking ? own(state, SAYS.unimplemented) : undefined
    case 'mail':
      return unwantedMessage(state, argument, plain)
    case 'xclient':
      return state.settings.classic ? undefined : own(state, SAYS.notTrusted)
    case 'xforward':
      return state.settings.classic ? undefined : own(state, SAYS[forwarding(state, argument)])
    case 'starttls':
      // Only authup, or the program by itself, has TLS with the client.
      return state.settings.classic ? undefined : own(state, SAYS.unimplemented)
    default:
      return isStray(state, verb, argument) ? own(state, SAYS.unimplemented) : undefined
  }
}

/** A client that does not wait for a challenge sends user and password after its AUTH, as lines of their own. */
const isStray = ({ strays, settings }: FixsmtpioState, verb: string, argument: string): boolean =>
  strays && argument === '' && !VERBS.has(verb) && !settings.classic

/** Octets of an XFORWARD in the log. */
const LONGEST_TOLD = 500

/** XFORWARD_README: it is no part of a transaction. */
function forwarding({ settings, transaction, forwarded }: FixsmtpioState, argument: string) {
  if (!settings.trusted) return 'notTrusted'
  if (transaction) return 'inTransaction'
  return parseForwarded(argument, forwarded) === undefined ? 'notAttributes' : 'forwarded'
}

/** What it has said is of the next MAIL. A client that pipelines does not wait for a reply to these. */
const FORGETS = new Set(['mail', 'rset', 'ehlo', 'helo'])

/** The client speaks for another one in the next message. */
function takeForwarded(state: Draft, argument: string, effects: FixsmtpioEffect[]): void {
  if (forwarding(state, argument) !== 'forwarded') return
  state.forwarded = parseForwarded(argument, state.forwarded)
  if (state.forwarded !== undefined && state.offer !== '')
    state.forward = proxyLine('XFORWARD', state.offer, state.forwarded)
  effects.push(log('xforward', '', 0, '', argument.slice(0, LONGEST_TOLD)))
}

function unwantedMessage(state: FixsmtpioState, argument: string, plain: boolean): string | undefined {
  const { classic, size, senders } = state.settings
  if (!classic && isOver(argument, size)) return own(state, SAYS.tooBig)
  if (!classic && isBinary(argument)) return own(state, SAYS.binary)
  if (!plain) return undefined
  // A backend of 32 bits takes what is over MOST_OCTETS for another size.
  if (isOver(argument, MOST_OCTETS)) return own(state, SAYS.tooBig)
  if (senders !== undefined && 'unknown' in senders) return own(state, SAYS.sendersUnknown)
  if (senders !== undefined && !maySend(senders, argument)) return own(state, SAYS.notYours)
  return state.refusal === '' ? undefined : state.refusal
}

/** What is put before a request so that the backend does not act on it. */
function tlsPrefix(state: FixsmtpioState, event: string): string {
  if (needsTls(state, event)) return 'NOOP fixsmtpio STARTTLS FIRST '
  if (event !== 'starttls') return ''
  if (state.settings.tls === 'none') return 'NOOP fixsmtpio STARTTLS BLOCK '
  return state.tlsOn ? 'NOOP fixsmtpio STARTTLS AGAIN ' : 'NOOP fixsmtpio STARTTLS BEGIN '
}
