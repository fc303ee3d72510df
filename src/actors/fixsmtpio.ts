// fixsmtpio stands between the client and the backend after login: it puts requests and replies through the session's rules,
// pairs them under pipelining, and lets message bodies go by without looking at them.

import { concat, NO_BYTES, textOf } from '../protocol/bytes.ts'
import { splitCommand } from '../protocol/command.ts'
import type { BodyFault } from '../protocol/end-of-data.ts'
import { takeLine } from '../protocol/lines.ts'
import { noReply, type ReplyBuffer, replyCode, takeReplies } from '../protocol/replies.ts'
import type { SessionRules } from '../rules/rewrite.ts'
import { type Identity, rewriteReply, rewriteRequest } from '../rules/rewrite.ts'
import { close, type Effect, log, NOTHING, type Step, say, send } from './effects.ts'
import {
  type BackendEndFrame,
  type BackendFrame,
  type BodyEndFrame,
  type EofFrame,
  type RequestFrame,
  type ServeFrame,
  type SessionId,
  type ShutdownFrame,
  TAG,
  type TimeoutFrame,
  type TlsFrame,
} from './frames.ts'

export interface FixsmtpioSettings {
  readonly rules: SessionRules
  /** control/smtpgreeting, for the fix-ups. */
  readonly greeting: string
  /** UCSPI-TLS by fixsmtpio itself; acceptd's own sessions have `none` here, since authup has had TLS before. */
  readonly tls: 'none' | 'offer' | 'require'
  readonly debug: boolean
  /** The program by itself: nothing is said when its child dies, requests are sent on before the greeting. */
  readonly classic: boolean
  /** The program by itself, after a login: AUTHUP_USER is set, and authup takes the exit codes 1 and 2 for a refused password. */
  readonly loggedIn: boolean
  /** Octets a request line. */
  readonly longest: number
  /** A backend that has nothing to do at the end may be kept for a later login. */
  readonly warm: boolean
  /** The backend has been told the client's EHLO already. */
  readonly introduced: boolean
}

/** A request whose reply is awaited. `swallow`: the client is not told, or only of a refusal. */
interface Awaited {
  readonly event: string
  readonly swallow: 'no' | 'yes' | 'if-2xx'
  /** The request reached the backend as the client sent it, without anything prepended. */
  readonly plain: boolean
  /** Said in the place of the backend's reply. */
  readonly instead: string | undefined
}

export interface FixsmtpioState {
  readonly settings: FixsmtpioSettings
  readonly tlsOn: boolean
  /** data: a reply to DATA is awaited; body: the message goes by; ending: the client has closed. */
  readonly at: 'greeting' | 'commands' | 'data' | 'body' | 'starttls' | 'ending' | 'over'
  readonly awaited: readonly Awaited[]
  readonly rest: Uint8Array
  readonly skipping: boolean
  /** The rest has lines that cannot be taken before replies have come; the client is held exactly as long. */
  readonly held: boolean
  readonly replies: ReplyBuffer
  /** An EHLO or HELO line to say to the backend once it has greeted. */
  readonly replay: string
  readonly guest: boolean
  /** The backend's greeting as it came. */
  readonly greeted: string
  readonly quit: boolean
  /** The backend has said 421 itself. */
  readonly closing: boolean
  /** MAIL was accepted and its transaction has not ended (RFC 5321 section 3.3). */
  readonly transaction: boolean
  /** What a rule said at the client's end of file. */
  readonly exit: number | undefined
  readonly shutdown: string
  /** The client has closed its side while requests of it were still waiting: its session's number. */
  readonly eof: SessionId | undefined
}

/** The next state while it is being made: one copy a frame, since a copy costs more than all the rest of a request. */
type Draft = { -readonly [K in keyof FixsmtpioState]: FixsmtpioState[K] }

/** Member by member: V8 gives what is made with a spread a new shape each time, and then takes ten times as long for it. */
const draftOf = (state: FixsmtpioState): Draft => ({
  settings: state.settings,
  tlsOn: state.tlsOn,
  at: state.at,
  awaited: state.awaited,
  rest: state.rest,
  skipping: state.skipping,
  held: state.held,
  replies: state.replies,
  replay: state.replay,
  guest: state.guest,
  greeted: state.greeted,
  quit: state.quit,
  closing: state.closing,
  transaction: state.transaction,
  exit: state.exit,
  shutdown: state.shutdown,
  eof: state.eof,
})

const changed = (state: FixsmtpioState, changes: Partial<FixsmtpioState>): FixsmtpioState =>
  Object.assign(draftOf(state), changes)

export type FixsmtpioFrame =
  | ServeFrame
  | RequestFrame
  | BackendFrame
  | BackendEndFrame
  | BodyEndFrame
  | EofFrame
  | TimeoutFrame
  | TlsFrame
  | ShutdownFrame

/** Requests in flight; a client that pipelines more is held until replies have come. */
const MOST_AWAITED = 256
const LONGEST_REPLY = 65_536

/** The program's exit code where a session ends by our own doing; authup would take 1 for a refused password. */
const NOT_NOW = 14

const GREETING: Awaited = { event: 'greeting', swallow: 'no', plain: true, instead: undefined }
const IN_DATA: Awaited = { event: 'in_data', swallow: 'no', plain: true, instead: undefined }
/** A reply that nobody asked for is the backend's timeout. */
const UNASKED: Awaited = { event: 'timeout', swallow: 'no', plain: true, instead: undefined }
const NOTHING_AWAITED: readonly Awaited[] = []

export function newFixsmtpio(settings: FixsmtpioSettings): FixsmtpioState {
  return {
    settings,
    tlsOn: false,
    at: 'commands',
    awaited: [GREETING],
    rest: NO_BYTES,
    skipping: false,
    held: false,
    replies: noReply,
    replay: '',
    guest: false,
    greeted: '',
    quit: false,
    closing: false,
    transaction: false,
    exit: undefined,
    shutdown: '',
    eof: undefined,
  }
}

/** Reply texts of our own. */
const SAYS = {
  needTls: '530 Must start TLS first (#5.7.0)\r\n',
  startTls: '220 Ready to start TLS (#5.7.0)\r\n',
  noTls: '502 unimplemented (#5.5.1)\r\n',
  tlsFailed: '454 TLS temporarily not available (#5.7.3)\r\n',
  tooLong: '500 line too long (#5.5.2)\r\n',
  noBackend: '454 mail program ended before its greeting (#4.3.0)\r\n',
  backendDied: '421 mail program ended (#4.3.0)\r\n',
  nonsense: '421 mail program spoke nonsense (#4.3.0)\r\n',
  timeout: '421 timeout (#4.4.2)\r\n',
  'bare-line-end': '421 message has a bare CR or LF (#5.6.0)\r\n',
  'dot-after-nul': '421 message has a NUL and a dot behind it that may end it (#5.6.0)\r\n',
  noMessage: '421 message refused by a rule (#4.3.0)\r\n',
  strangeMessage: '421 mail program wants a message that nobody announced (#4.3.0)\r\n',
  badChunk: '421 length of BDAT is not clear (#5.5.4)\r\n',
  guestAuth: '503 authup mail is being served without authentication (#5.5.1)\r\n',
} as const

/** Verbs that need no TLS under UCSPITLS=!. */
const FREE_OF_TLS = new Set(['greeting', 'timeout', 'clienteof', 'in_data', 'noop', 'ehlo', 'starttls', 'quit'])

export function fixsmtpio(state: FixsmtpioState, frame: FixsmtpioFrame): Step<FixsmtpioState> {
  if (state.at === 'over') return { state, effects: NOTHING }
  switch (frame[0]) {
    case TAG.serve:
      return serve(state, frame)
    case TAG.request:
      return takeRequests(state, frame[2], [])
    case TAG.backend:
      return takeBackend(state, frame[2])
    case TAG.bodyEnd:
      return bodyEnded(state, frame[2], frame[3])
    case TAG.eof:
      return clientEnded(state, frame[1])
    case TAG.backendEnd:
      return backendEnded(state, frame[2])
    case TAG.timeout:
      return timedOut(state)
    case TAG.tls:
      return tlsStarted(state, frame[2])
    case TAG.shutdown:
      return atBoundary(changed(state, { shutdown: frame[2] }), [])
  }
}

function over(state: FixsmtpioState, effects: Effect[], exit: number, why: string, park = ''): Step<FixsmtpioState> {
  effects.push(close(exit, why, park))
  return { state: changed(state, { at: 'over', rest: NO_BYTES, awaited: [] }), effects }
}

function serve(state: FixsmtpioState, [, , guest, replay, pending]: ServeFrame): Step<FixsmtpioState> {
  const introduce = replay !== '' && !state.settings.introduced ? replay : ''
  // A guest has been greeted by authup: the backend's own greeting is swallowed unless it refuses.
  const greeting: Awaited = guest ? { ...GREETING, swallow: 'if-2xx' } : GREETING
  return {
    state: changed(state, { at: 'greeting', guest, replay: introduce, rest: pending.slice(), awaited: [greeting] }),
    effects: NOTHING,
  }
}

// ---- requests

function takeRequests(from: FixsmtpioState, bytes: Uint8Array, effects: Effect[]): Step<FixsmtpioState> {
  const state = draftOf(from)
  let input = state.rest.length === 0 ? bytes : concat([state.rest, bytes])
  let next = 0
  let requests = ''
  let inTurn = false
  const asSpelt = state.settings.classic && state.settings.rules.set.rules.length === 0
  // RFC 5321 section 4.1.1.10: QUIT is the last request; what comes behind it would meet the backend's end, sooner or later.
  if (state.quit) {
    state.rest = NO_BYTES
    state.held = false
    return { state, effects }
  }
  while (state.at === 'commands' && state.awaited.length < MOST_AWAITED && next < input.length && !state.quit) {
    const taken = takeLine(input, next, state.settings.longest)
    if (taken.kind === 'more') break
    if (taken.kind === 'too-long') {
      // What we say ourselves is said when the replies before it have been.
      inTurn = !state.skipping && state.awaited.length > 0
      if (inTurn) break
      next = taken.next
      if (!state.skipping) effects.push(say(SAYS.tooLong))
      state.skipping = !taken.ended
      continue
    }
    if (state.skipping) {
      next = taken.next
      state.skipping = false
      continue
    }
    const { verb, argument, plain: plainly } = splitCommand(taken.text)
    const event = verb.toLowerCase()
    // The backend gets the spelling that the rules saw, so that it cannot read another verb in it. Without rules the program changes nothing.
    const line = asSpelt && event !== 'bdat' ? taken.text : plainly
    const octets = event === 'bdat' ? bdatOctets(argument) : 0
    if (octets === undefined) {
      inTurn = state.awaited.length > 0
      if (inTurn) break
      // Where its chunk ends is anybody's guess, and the backend's may differ from ours.
      return over(state, [...effects, say(SAYS.badChunk)], NOT_NOW, 'bad-bdat')
    }
    next = taken.next
    if (state.settings.debug) effects.push({ do: 'debug', mark: '1', text: taken.text })
    if (event === 'quit' && mayPark(state, input.length === next)) {
      const told = toClient(state, 'quit', '221 bye\r\n')
      return over(state, [...effects, ...told.effects, say(told.reply)], 0, 'quit', state.greeted)
    }
    if (event === 'auth' && state.guest) {
      // No password for the guests' backend: it hears a NOOP, so that the reply has its turn.
      requests += 'NOOP\r\n'
      state.awaited = [...state.awaited, { event, swallow: 'no', plain: false, instead: SAYS.guestAuth }]
      continue
    }
    const rewritten = rewriteRequest(state.settings.rules, event, line)
    const prefix = tlsPrefix(state, event)
    // Our own prefix comes in front of any rule's.
    const sent = prefix + rewritten
    const plain = sent === line
    if (state.settings.debug) effects.push({ do: 'debug', mark: '2', text: sent })
    requests += sent
    state.awaited = [...state.awaited, { event, swallow: 'no', plain, instead: undefined }]
    if (event === 'data') state.at = 'data'
    else if (event === 'starttls' && prefix !== '') state.at = 'starttls'
    else if (event === 'quit') state.quit = true
    else if (octets > 0) {
      effects.push(
        { do: 'request', text: requests },
        { do: 'body', rest: input.slice(next), octets, discard: !plain },
        ...eofAgain(state),
      )
      state.at = 'body'
      state.rest = NO_BYTES
      state.held = false
      return { state, effects }
    }
  }
  if (requests !== '') effects.push({ do: 'request', text: requests })
  input = state.quit ? NO_BYTES : input.subarray(next)
  // What cannot be taken yet must not grow: the client is held until the replies are there.
  const held = input.length > 0 && (inTurn || state.at !== 'commands' || state.awaited.length >= MOST_AWAITED)
  if (held) effects.push({ do: 'hold' })
  else if (from.held) effects.push({ do: 'room' })
  // The bytes alias the read: what outlives this step is copied.
  state.held = held
  state.rest = input.length === 0 ? NO_BYTES : input.slice()
  return { state, effects }
}

/** RFC 3030 section 2: `BDAT chunk-size [LAST]`; the chunk follows immediately, whatever the reply. */
function bdatOctets(argument: string): number | undefined {
  const size = /^(\d{1,12})(?:[ \t]+LAST)?$/i.exec(argument)?.[1]
  return size === undefined ? undefined : Number(size)
}

/** What is put before a request so that the backend does not act on it. */
function tlsPrefix(state: FixsmtpioState, event: string): string {
  const { tls } = state.settings
  if (tls === 'require' && !state.tlsOn && !FREE_OF_TLS.has(event)) return 'NOOP fixsmtpio STARTTLS FIRST '
  if (event !== 'starttls') return ''
  if (tls === 'none') return 'NOOP fixsmtpio STARTTLS BLOCK '
  return state.tlsOn ? 'NOOP fixsmtpio STARTTLS AGAIN ' : 'NOOP fixsmtpio STARTTLS BEGIN '
}

function mayPark(state: FixsmtpioState, nothingBehind: boolean): boolean {
  return (
    state.settings.warm &&
    nothingBehind &&
    state.awaited.length === 0 &&
    !state.transaction &&
    state.replies.text === ''
  )
}

// ---- replies

function takeBackend(from: FixsmtpioState, bytes: Uint8Array): Step<FixsmtpioState> {
  const taken = takeReplies(from.replies, bytes, LONGEST_REPLY)
  const state = draftOf(from)
  state.replies = taken.buffer
  const effects: Effect[] = []
  for (const reply of taken.replies) {
    takeReply(state, reply, effects)
    if (isOver(state)) return { state, effects }
  }
  if (taken.nonsense !== '') return nonsense(state, effects, taken.nonsense)
  return resume(state, effects)
}

function nonsense(state: FixsmtpioState, effects: Effect[], line: string): Step<FixsmtpioState> {
  const said = line.replace(/\r?\n$/, '')
  return over(
    state,
    [...effects, log('backend-died', '', 0, '', said), say(SAYS.nonsense)],
    NOT_NOW,
    'backend-nonsense',
  )
}

const isOver = (state: FixsmtpioState): boolean => state.at === 'over'

/** The same end as over(), for a state that is being made. */
function end(state: Draft, effects: Effect[], exit: number, why: string): void {
  effects.push(close(exit, why))
  state.at = 'over'
  state.rest = NO_BYTES
  state.awaited = []
}

/** Goes on with requests that had to wait, and ends the session if it was asked to and nothing is pending. */
function resume(state: FixsmtpioState, effects: Effect[]): Step<FixsmtpioState> {
  if (state.at !== 'commands') return { state, effects }
  if (state.rest.length === 0) {
    if (state.eof !== undefined) return clientEnded(state, state.eof, effects)
    if (state.held) effects.push({ do: 'room' })
    return atBoundary(state.held ? changed(state, { held: false }) : state, effects)
  }
  const step = takeRequests(changed(state, { rest: NO_BYTES }), state.rest, effects)
  const after = [...step.effects]
  if (step.state.at === 'commands' && !step.state.held && step.state.eof !== undefined)
    return clientEnded(step.state, step.state.eof, after)
  return atBoundary(step.state, after)
}

function atBoundary(state: FixsmtpioState, effects: Effect[]): Step<FixsmtpioState> {
  if (state.shutdown === '' || state.at !== 'commands' || state.awaited.length > 0) return { state, effects }
  return over(state, [...effects, say(`421 ${state.shutdown} (#4.3.2)\r\n`)], 0, 'shutdown')
}

function takeReply(state: Draft, reply: string, effects: Effect[]): void {
  const awaited = state.awaited[0] ?? UNASKED
  state.awaited = state.awaited.length <= 1 ? NOTHING_AWAITED : state.awaited.slice(1)
  const code = replyCode(reply)
  const { event } = awaited
  if (state.settings.debug) effects.push({ do: 'debug', mark: '3', text: reply })
  if (event === 'greeting') state.greeted = reply
  if (event === 'starttls') {
    tlsReply(state, effects)
    return
  }
  if (event === 'mail' && code >= 200 && code < 300) state.transaction = true
  if (event === 'in_data' || event === 'rset' || event === 'ehlo' || event === 'helo' || event === 'bdat') {
    state.transaction = event === 'bdat' && state.transaction
  }
  if (awaited.swallow === 'yes' || (awaited.swallow === 'if-2xx' && code >= 200 && code < 300)) {
    greetedBy(state, event, code, effects)
    return
  }
  const needTls = state.settings.tls === 'require' && !state.tlsOn && !FREE_OF_TLS.has(event)
  const original = needTls ? SAYS.needTls : (awaited.instead ?? reply)
  const told = toClient(state, event, original)
  effects.push(...told.effects)
  let text = told.reply
  if (event === 'data') {
    const opened = code === 354 && awaited.plain && !needTls
    const toldGo = replyCode(text) === 354
    // Proxy, client and backend must agree whether a message follows.
    if (code === 354 && !(opened && toldGo)) {
      if (!toldGo) effects.push(say(text))
      effects.push(say(SAYS.noMessage))
      end(state, effects, told.exit ?? NOT_NOW, 'data-refused')
      return
    }
    if (!opened && toldGo) text = original
    if (opened && told.exit === undefined) {
      effects.push(say(text), { do: 'body', rest: state.rest, octets: undefined, discard: false }, ...eofAgain(state))
      state.at = 'body'
      state.rest = NO_BYTES
      state.held = false
      state.awaited = [IN_DATA, ...state.awaited]
      return
    }
    if (state.at === 'data') state.at = 'commands'
  } else if (code === 354) {
    effects.push(say(SAYS.strangeMessage))
    end(state, effects, NOT_NOW, 'backend-nonsense')
    return
  }
  // By itself the program has authup behind it, which says what exit code 16 means.
  if (event === 'timeout' && text === '' && told.exit !== undefined && !state.settings.classic) text = SAYS.timeout
  if (text !== '') effects.push(say(text))
  if (replyCode(text) === 421) state.closing = true
  if (told.exit !== undefined) end(state, effects, told.exit, 'rule')
  // The guest's mail command has its reply now, from a backend that will not serve.
  else if (event === 'greeting' && state.guest && code >= 400) end(state, effects, 1, 'greeting-refused')
  else if (event === 'greeting') greetedBy(state, event, code, effects)
}

/** The reply as the client is told it, with its note, hits and exit code. */
function toClient(
  state: FixsmtpioState,
  event: string,
  reply: string,
): { reply: string; exit: number | undefined; effects: Effect[] } {
  const { settings } = state
  const who: Identity = {
    greeting: settings.greeting,
    // Whoever has logged in has had authup's offer before.
    tls: settings.tls === 'none' || state.tlsOn || settings.loggedIn ? 'none' : 'offer',
    classic: settings.classic,
  }
  const done = rewriteReply(settings.rules, event, reply, who)
  const effects: Effect[] = [{ do: 'note', event, code: replyCode(done.reply) }]
  if (done.hits.length > 0) effects.push({ do: 'hits', rules: done.hits })
  if (settings.debug) effects.push({ do: 'debug', mark: '4', text: done.reply })
  return { reply: done.reply, exit: done.exitcode, effects }
}

/** After the greeting the backend hears the client's EHLO again, if it has not; then the client's requests. */
function greetedBy(state: Draft, event: string, code: number, effects: Effect[]): void {
  if (state.at !== 'greeting') return
  state.at = 'commands'
  if (event !== 'greeting' || state.replay === '' || code < 200 || code > 299) return
  effects.push({ do: 'request', text: state.replay })
  const said = splitCommand(state.replay).verb.toLowerCase()
  state.replay = ''
  // Nothing needs to wait for this reply but a guest's MAIL, and that may be pipelined behind it.
  state.awaited = [...state.awaited, { event: said, swallow: 'yes', plain: true, instead: undefined }]
}

// ---- TLS by fixsmtpio itself

function tlsReply(state: Draft, effects: Effect[]): void {
  const begins = state.settings.tls !== 'none' && !state.tlsOn
  const text = begins ? SAYS.startTls : SAYS.noTls
  effects.push({ do: 'note', event: 'starttls', code: begins ? 220 : 502 })
  if (state.settings.debug) effects.push({ do: 'debug', mark: '4', text })
  effects.push(say(text))
  if (!begins) {
    state.at = 'commands'
    return
  }
  // RFC 3207 section 4.2: nothing sent before TLS may be taken as sent in it.
  effects.push({ do: 'start-tls', discarded: state.rest.length })
  state.rest = NO_BYTES
  state.held = false
  state.awaited = NOTHING_AWAITED
  state.replies = noReply
}

function tlsStarted(state: FixsmtpioState, on: boolean): Step<FixsmtpioState> {
  if (!on) return over(state, [log('tls-failed'), say(SAYS.tlsFailed)], 1, 'tls-failed')
  const awaited: readonly Awaited[] = [{ ...GREETING, swallow: 'if-2xx' }]
  return {
    state: changed(state, { at: 'commands', tlsOn: true, awaited, transaction: false }),
    effects: [{ do: 'restart-backend' }, { do: 'room' }],
  }
}

// ---- ends

function timedOut(state: FixsmtpioState): Step<FixsmtpioState> {
  // By itself the program has authup behind it, which says what exit code 16 means: the event's rules decide, as for the backend's timeout.
  const told = state.settings.classic ? toClient(state, 'timeout', SAYS.timeout) : undefined
  const effects = told?.effects ?? []
  return over(state, [log('timeout'), ...effects, say(told?.reply ?? SAYS.timeout)], told?.exit ?? NOT_NOW, 'timeout')
}

function bodyEnded(state: FixsmtpioState, rest: Uint8Array, fault: BodyFault): Step<FixsmtpioState> {
  if (fault !== 'none') return over(state, [log(fault), say(SAYS[fault])], NOT_NOW, fault)
  if (state.at === 'ending') return { state, effects: NOTHING }
  return resume(changed(state, { at: 'commands', rest: rest.slice() }), [])
}

function clientEnded(state: FixsmtpioState, session: SessionId, effects: Effect[] = []): Step<FixsmtpioState> {
  if (state.at === 'ending') return { state, effects }
  if (state.at !== 'body' && (state.at !== 'commands' || state.held)) {
    // What it sent before is still carried out (RFC 5321 section 3.8: a command that was sent may be waited for).
    return { state: changed(state, { eof: session }), effects }
  }
  if (state.at === 'commands' && state.rest.length === 0 && mayPark(state, true)) {
    return over(state, effects, 0, 'client-eof', state.greeted)
  }
  const { rules, greeting } = state.settings
  const left = state.at === 'body' ? '' : textOf(state.rest)
  const { exitcode, hits } = rewriteReply(rules, 'clienteof', left, {
    greeting,
    tls: 'none',
    classic: state.settings.classic,
  })
  effects.push({ do: 'end-requests' })
  if (hits.length > 0) effects.push({ do: 'hits', rules: hits })
  // Replies in flight are still delivered; the session ends with the backend.
  return { state: changed(state, { at: 'ending', rest: NO_BYTES, exit: exitcode }), effects }
}

/** Behind a body that is carried from what was read before the client closed. */
const eofAgain = (state: FixsmtpioState): Effect[] => (state.eof === undefined ? [] : [send([TAG.eof, state.eof])])

function backendEnded(state: FixsmtpioState, exit: number): Step<FixsmtpioState> {
  const expected = exit < 256 && (state.at === 'ending' || (state.quit && state.awaited.length === 0))
  if (expected) return over(state, [], state.exit ?? Math.max(exit, 0), 'quit')
  const code = state.settings.loggedIn ? NOT_NOW : exit >= 256 ? 1 : (state.exit ?? Math.max(exit, 0))
  return over(state, [log('backend-died'), ...died(state)], code, 'backend-died')
}

function died(state: FixsmtpioState): Effect[] {
  const { classic, loggedIn } = state.settings
  if ((classic && !loggedIn) || state.closing || state.at === 'ending' || (state.quit && state.awaited.length === 0))
    return []
  return [say(state.greeted === '' ? SAYS.noBackend : SAYS.backendDied)]
}
