// Replies of the backend: each is matched with the request that it answers, and goes through the rules to the client.

import { NO_BYTES } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import { addressLiteral } from '../protocol/ip.ts'
import { noReply, replyCode, takeReplies } from '../protocol/replies.ts'
import { proxyLine } from '../protocol/xclient.ts'
import { type FixsmtpioEffect, log, say } from './effects.ts'
import { relayGoes, relayRefused, spokeInMessage } from './fixsmtpio-chunks.ts'
import { clientEnded } from './fixsmtpio-ends.ts'
import { needsTls, promise, takeRequests } from './fixsmtpio-requests.ts'
import {
  type Awaited,
  accepted,
  atBoundary,
  awaiting,
  type Draft,
  end,
  forwardOf,
  IN_DATA,
  NOT_NOW,
  NOTHING_AWAITED,
  offerOf,
  offers,
  openBody,
  own,
  SAYS,
  type Told,
  toClient,
  UNASKED,
} from './fixsmtpio-state.ts'

/** A read of the backend. */
export function takeBackend(state: Draft, bytes: Uint8Array, effects: FixsmtpioEffect[]): void {
  const taken = takeReplies(state.replies, bytes)
  state.replies = taken.buffer
  for (const reply of taken.replies) {
    takeReply(state, reply, effects)
    if (state.at === 'over') return
  }
  if (taken.nonsense !== '') {
    effects.push(log('backend-died', '', 0, '', firstLine(taken.nonsense)), say(own(state, SAYS.nonsense)))
    end(state, effects, NOT_NOW, 'backend-nonsense')
    return
  }
  resume(state, effects)
}

const firstLine = (text: string): string => text.split(/\r?\n/, 1)[0] ?? ''

/** Goes on with requests that had to wait, and ends the session if it was asked to and nothing is pending. */
export function resume(state: Draft, effects: FixsmtpioEffect[]): void {
  if (state.at !== 'commands') return
  if (state.rest.length > 0) takeRequests(state, NO_BYTES, effects)
  else if (state.held && state.eof === undefined) {
    state.held = false
    effects.push({ do: 'room' })
  }
  if (state.eof !== undefined && state.at === 'commands' && (state.rest.length === 0 || !state.held)) {
    state.held = false
    clientEnded(state, state.eof, effects)
  } else atBoundary(state, effects)
}

function takeReply(state: Draft, reply: string, effects: FixsmtpioEffect[]): void {
  const awaited = state.awaited[0] ?? UNASKED
  state.awaited = state.awaited.length <= 1 ? NOTHING_AWAITED : state.awaited.slice(1)
  const code = replyCode(reply)
  const { event } = awaited
  if (state.settings.debug) effects.push({ do: 'debug', mark: '3', event, text: reply })
  if (state.relay === 'open') {
    spokeInMessage(state, reply, effects)
    return
  }
  if (event === 'starttls') {
    tlsReply(state, effects)
    return
  }
  if (code === 354 && event !== 'data') {
    effects.push(say(own(state, SAYS.strangeMessage)))
    end(state, effects, NOT_NOW, 'backend-nonsense')
    return
  }
  follow(state, awaited, code, reply)
  if (awaited.swallow !== 'no' && (awaited.swallow !== 'if-2xx' || accepted(code))) {
    unheard(state, awaited, code, reply, effects)
    return
  }
  const guarded = needsTls(state, event)
  const original = guarded ? own(state, SAYS.needTls) : reply
  const told = toClient(state, event, original, effects)
  if (event === 'data') dataReply(state, told, original, code === 354, awaited.plain && !guarded, effects)
  else tell(state, awaited, told, code, effects)
}

/** The backend's state follows from its reply, not from the request. */
function follow(state: Draft, { event, plain, last }: Awaited, code: number, reply: string): void {
  switch (event) {
    case 'greeting':
      state.greeted = reply
      break
    case 'mail':
      if (!plain || !accepted(code)) break
      state.transaction = true
      state.relay = 'no'
      break
    case 'ehlo':
    case 'helo':
      if (!plain || !accepted(code)) break
      state.transaction = false
      state.refusal = ''
      state.chunking = event === 'ehlo' && offers(reply, 'chunking')
      state.auth = event === 'ehlo' && offers(reply, 'auth')
      state.forward = event === 'ehlo' ? forwardOf(state.settings, reply) : ''
      state.offer = event === 'ehlo' ? offerOf(state.settings, reply) : ''
      state.relay = 'no'
      break
    case 'rset':
      if (!plain || !accepted(code)) break
      state.transaction = false
      state.relay = 'no'
      break
    case 'bdat':
      if (plain && last && accepted(code)) state.transaction = false
      break
    case 'in_data':
      state.transaction = false
      state.relay = 'no'
      break
    case 'quit':
      // A QUIT that is refused, or that a rule has made something else, ends nothing.
      if (plain && accepted(code)) state.quit = true
      if (state.at === 'quit') state.at = 'commands'
      break
    default:
      break
  }
}

/** Proxy, client and backend must agree whether a message follows. */
function dataReply(
  state: Draft,
  told: Told,
  original: string,
  go: boolean,
  passed: boolean,
  effects: FixsmtpioEffect[],
): void {
  const toldGo = replyCode(told.reply) === 354
  if (go && !(passed && toldGo)) {
    if (!toldGo) effects.push(say(told.reply))
    effects.push(say(own(state, SAYS.noMessage)))
    end(state, effects, told.exit ?? NOT_NOW, 'data-refused')
    return
  }
  if (go && told.exit === undefined) {
    if (state.relay === 'asked') {
      relayGoes(state, effects)
      return
    }
    effects.push(say(told.reply))
    state.relay = 'no'
    state.awaited = [IN_DATA, ...state.awaited]
    openBody(state, effects, { rest: state.rest, octets: undefined, as: 'itself', last: true })
    return
  }
  if (state.at === 'data') state.at = 'commands'
  const text = toldGo && !go ? original : told.reply
  if (state.relay === 'asked') {
    relayRefused(state, { reply: text, exit: told.exit }, effects)
    return
  }
  if (text !== '') effects.push(say(text))
  if (replyCode(text) === 421) state.closing = true
  if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
}

function tell(state: Draft, { event }: Awaited, told: Told, code: number, effects: FixsmtpioEffect[]): void {
  let text = told.reply
  // Run by itself the program has authup as its parent, which says what exit code 16 means.
  if (event === 'timeout' && text === '' && told.exit !== undefined && !state.settings.classic)
    text = own(state, SAYS.timeout)
  if (text !== '') effects.push(say(text))
  promise(state, event, text)
  if (replyCode(text) === 421) state.closing = true
  if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
  else if (event !== 'greeting') return
  // The guest's mail command has its reply now, from a backend that will not serve.
  else if (state.guest && code >= 400) end(state, effects, 1, 'greeting-refused')
  else if (accepted(code)) introduce(state, effects)
  else if (state.at === 'greeting') state.at = 'commands'
}

// ---- the client's EHLO, said again

/** A reply that the client does not hear. */
function unheard(state: Draft, awaited: Awaited, code: number, reply: string, effects: FixsmtpioEffect[]): void {
  switch (awaited.swallow) {
    case 'if-2xx':
      introduce(state, effects)
      break
    case 'offer':
      tellClient(state, code, reply, effects)
      break
    case 'xclient':
      if (!accepted(code)) effects.push(log('xclient-refused', '', 0, '', firstLine(reply)))
      sayAgain(state, effects)
      break
    case 'xforward':
      // Within a transaction, which a second MAIL does not end, it is refused like that MAIL.
      if (!accepted(code) && !state.transaction) effects.push(log('xclient-refused', '', 0, '', firstLine(reply)))
      break
    default:
      introduced(state, awaited, code, reply, effects)
  }
}

/** After its greeting the backend hears who the client is, and the client's EHLO; the client's requests wait for what it says to them. */
function introduce(state: Draft, effects: FixsmtpioEffect[]): void {
  if (state.at !== 'greeting') return
  state.at = 'introducing'
  const { client } = state.settings
  if (client === undefined || state.introduction !== undefined) sayAgain(state, effects)
  // Whatever the client has said, or has not: only EHLO is answered with what the backend takes.
  else ask(state, `EHLO ${addressLiteral(client.ip)}\r\n`, 'offer', effects)
}

function tellClient(state: Draft, code: number, reply: string, effects: FixsmtpioEffect[]): void {
  const { client } = state.settings
  const line = client === undefined || !accepted(code) ? '' : proxyLine('XCLIENT', reply, client)
  if (line === '') sayAgain(state, effects)
  else ask(state, line, 'xclient', effects)
}

function sayAgain(state: Draft, effects: FixsmtpioEffect[]): void {
  if (state.replay === '') {
    state.at = 'commands'
    return
  }
  ask(state, state.replay, 'introduction', effects)
}

function ask(state: Draft, line: string, how: Awaited['swallow'], effects: FixsmtpioEffect[]): void {
  effects.push({ do: 'request', text: line })
  state.awaited = [...state.awaited, awaiting(splitCommand(line).verb.toLowerCase(), true, how)]
}

function introduced(state: Draft, { swallow }: Awaited, code: number, reply: string, effects: FixsmtpioEffect[]): void {
  const { verb, argument } = splitCommand(state.replay)
  const literal = addressLiteral(state.settings.peer)
  if (accepted(code)) state.introduction = { verb, name: argument, reply }
  else if (swallow === 'introduction' && literal !== '' && argument !== literal && code !== 421) {
    // Many a client calls itself what no backend takes: `my_laptop`, or a name with blanks. RFC 5321 section 4.1.1.1: a client that has
    // no domain name says its address.
    effects.push(log('ehlo-refused', '', 0, '', firstLine(reply)))
    ask(state, `${verb} ${literal}\r\n`, 'literal', effects)
    return
  } else {
    if (swallow === 'introduction') effects.push(log('ehlo-refused', '', 0, '', firstLine(reply)))
    state.refusal = reply
  }
  if (state.at === 'introducing') state.at = 'commands'
}

// ---- TLS by fixsmtpio itself

function tlsReply(state: Draft, effects: FixsmtpioEffect[]): void {
  const begins = state.settings.tls !== 'none' && !state.tlsOn
  const text = own(state, begins ? SAYS.startTls : SAYS.unimplemented)
  effects.push({ do: 'note', event: 'starttls', code: begins ? 220 : 502 })
  if (state.settings.debug) effects.push({ do: 'debug', mark: '4', event: 'starttls', text })
  effects.push(say(text))
  if (!begins) {
    if (state.at === 'starttls') state.at = 'commands'
    return
  }
  // RFC 3207 section 4.2: nothing sent before TLS may be taken as sent in it.
  effects.push({ do: 'start-tls', discarded: state.rest.length })
  state.rest = NO_BYTES
  state.held = false
  state.awaited = NOTHING_AWAITED
  state.replies = noReply
}
