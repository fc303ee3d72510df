// What fixsmtpio knows of its session, what it says itself, and the two ways in which a step ends: a reply, or the session's end.

import { NO_BYTES } from '../protocol/bytes.ts'
import type { BodyFault } from '../protocol/end-of-data.ts'
import { joinReply, noReply, type ReplyBuffer, replyCode } from '../protocol/replies.ts'
import type { NoAnswer, Senders } from '../protocol/senders.ts'
import { type OwnReply, replyText } from '../protocol/status.ts'
import { type ClientFacts, proxyLine, XFORWARD_OFFER } from '../protocol/xclient.ts'
import { type Identity, rewriteReply, type SessionRules } from '../rules/rewrite.ts'
import { type Body, close, type FixsmtpioEffect, say, send } from './effects.ts'
import type { Why } from './endings.ts'
import { type SessionId, TAG } from './frames.ts'

/** Nothing is asked about. */
export const NO_ASKS: ReadonlySet<string> = new Set()

export interface FixsmtpioSettings {
  readonly rules: SessionRules
  /** control/smtpgreeting, for the fix-ups. */
  readonly greeting: string
  /** UCSPI-TLS by fixsmtpio itself; acceptd's own sessions have `none` here, since authup has had TLS before. */
  readonly tls: 'none' | 'offer' | 'require'
  readonly debug: boolean
  /** The program by itself: no reply when its child dies, requests are sent on before the greeting. */
  readonly classic: boolean
  /** The program by itself, after a login: AUTHUP_USER is set, and authup takes the exit codes 1 and 2 for a refused password. */
  readonly loggedIn: boolean
  /** Octets a request line. */
  readonly longest: number
  /** A backend that has nothing to do at the end may be kept for a later login. */
  readonly warm: boolean
  /** The backend's reply to the client's EHLO, if it has been told it already; else empty. */
  readonly introduced: string
  /** The client's address; empty if it is not known. */
  readonly peer: string
  /** For a backend that offers XCLIENT or XFORWARD; undefined: it is not told. */
  readonly client: ClientFacts | undefined
  /** The client may say XFORWARD. */
  readonly trusted: boolean
  /** What the user may give as the sender; undefined: any. */
  readonly senders: Senders | NoAnswer | undefined
  /** Whom a message's header may name in From; undefined: anybody. */
  readonly from: Senders | undefined
  /** Events that are asked about before they go on: `mail`, `rcpt`. */
  readonly asks: ReadonlySet<string>
  /** EHLO before login promised ENHANCEDSTATUSCODES. */
  readonly enhanced: boolean
  /** EHLO before login offered CHUNKING: for a backend without it a BDAT becomes DATA. */
  readonly chunking: boolean
  /** Octets of a message, as EHLO before login said; Infinity: it said nothing. */
  readonly size: number
}

/** What a BDAT announces. */
export interface Chunk {
  readonly octets: number
  readonly last: boolean
}
export const NO_CHUNK: Chunk = { octets: 0, last: false }

/** A request whose reply is awaited. */
export interface Awaited {
  readonly event: string
  /**
   * The reply is not told: one to the client's EHLO said again, the same with its address, a second greeting unless it refuses; or to an
   * EHLO of ours, XCLIENT and XFORWARD.
   */
  readonly swallow: 'no' | 'introduction' | 'literal' | 'if-2xx' | 'offer' | 'xclient' | 'xforward'
  /** The request reached the backend as the client sent it, without anything prepended. */
  readonly plain: boolean
  /** BDAT LAST: accepted, it ends the transaction. */
  readonly last: boolean
}

/** The client's EHLO or HELO as it was said to the backend unseen, and what the backend said to it. */
export interface Introduction {
  readonly verb: string
  readonly name: string
  readonly reply: string
}

export interface FixsmtpioState {
  readonly settings: FixsmtpioSettings
  readonly tlsOn: boolean
  /**
   * introducing: the client's EHLO is repeated to the backend; data, quit: a reply to DATA or QUIT is awaited; body: the message goes
   * by; ending: the client has closed.
   */
  readonly at: 'greeting' | 'introducing' | 'commands' | 'data' | 'body' | 'starttls' | 'quit' | 'ending' | 'over'
  readonly awaited: readonly Awaited[]
  readonly rest: Uint8Array
  readonly skipping: boolean
  /** The rest has lines that cannot be taken before replies have come; the client is held exactly as long. */
  readonly held: boolean
  readonly replies: ReplyBuffer
  /** An EHLO or HELO line to say to the backend once it has greeted. */
  readonly replay: string
  /** Until the backend gets any other request, the same EHLO of the client is answered from it. */
  readonly introduction: Introduction | undefined
  /** What the backend said to an introduction that it has not accepted; empty: there is none. */
  readonly refusal: string
  /** The backend has offered CHUNKING, AUTH. */
  readonly chunking: boolean
  readonly auth: boolean
  /** The XFORWARD that goes before each MAIL, for a backend that has offered it and was told nothing by XCLIENT; else empty. */
  readonly forward: string
  /** What the client has said with XFORWARD of the message to come; and the EHLO reply that says what of it the backend takes. */
  readonly forwarded: ClientFacts | undefined
  readonly offer: string
  /** A message in chunks as DATA: DATA is asked for; it is open until LAST has gone by; or its chunks are discarded. */
  readonly relay: 'no' | 'asked' | 'open' | 'refused'
  /** The chunk that is asked for or goes by. */
  readonly chunk: Chunk
  /** Said when a chunk that is discarded has gone by. */
  readonly verdict: string
  /** The client has been promised ENHANCEDSTATUSCODES. */
  readonly enhanced: boolean
  readonly guest: boolean
  /** The backend's greeting as it came. */
  readonly greeted: string
  /** The backend has accepted QUIT. */
  readonly quit: boolean
  /** The backend has said 421 itself. */
  readonly closing: boolean
  /** MAIL was accepted and its transaction has not ended (RFC 5321 section 3.3). */
  readonly transaction: boolean
  /** What a rule said at the client's end of file. */
  readonly exit: number | undefined
  readonly shutdown: string
  /** An AUTH was refused, and no other verb has come since. */
  readonly strays: boolean
  /** The first request of the rest has been asked about; and what was said of it: why it may not go on, or nothing. */
  readonly asking: boolean
  readonly allowance: string | undefined
  /** The client has closed its side while requests of it were still waiting: its session's number. */
  readonly eof: SessionId | undefined
}

/** The next state while it is being made: one copy a frame, since a copy costs more than all the rest of a request. */
export type Draft = { -readonly [K in keyof FixsmtpioState]: FixsmtpioState[K] }

/** Member by member: V8 gives what is made with a spread a new shape each time, and then takes ten times as long for it. */
export const draftOf = (state: FixsmtpioState): Draft => ({
  settings: state.settings,
  tlsOn: state.tlsOn,
  at: state.at,
  awaited: state.awaited,
  rest: state.rest,
  skipping: state.skipping,
  held: state.held,
  replies: state.replies,
  replay: state.replay,
  introduction: state.introduction,
  refusal: state.refusal,
  chunking: state.chunking,
  auth: state.auth,
  forward: state.forward,
  forwarded: state.forwarded,
  offer: state.offer,
  relay: state.relay,
  chunk: state.chunk,
  verdict: state.verdict,
  enhanced: state.enhanced,
  guest: state.guest,
  greeted: state.greeted,
  quit: state.quit,
  closing: state.closing,
  transaction: state.transaction,
  exit: state.exit,
  shutdown: state.shutdown,
  strays: state.strays,
  asking: state.asking,
  allowance: state.allowance,
  eof: state.eof,
})

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
    introduction: undefined,
    refusal: '',
    chunking: offers(settings.introduced, 'chunking'),
    auth: offers(settings.introduced, 'auth'),
    forward: forwardOf(settings, settings.introduced),
    forwarded: undefined,
    offer: offerOf(settings, settings.introduced),
    relay: 'no',
    chunk: NO_CHUNK,
    verdict: '',
    enhanced: settings.enhanced,
    guest: false,
    greeted: '',
    quit: false,
    closing: false,
    transaction: false,
    exit: undefined,
    shutdown: '',
    strays: false,
    asking: false,
    allowance: undefined,
    eof: undefined,
  }
}

/** The program's exit code where a session ends by our own doing; authup would take 1 for a refused password. */
export const NOT_NOW = 14

export const awaiting = (event: string, plain: boolean, swallow: Awaited['swallow'] = 'no', last = false): Awaited => ({
  event,
  swallow,
  plain,
  last,
})

export const GREETING = awaiting('greeting', true)
/** After authup or TLS the client has been greeted: only a refusal is for it. */
export const SECOND_GREETING = awaiting('greeting', true, 'if-2xx')
export const IN_DATA = awaiting('in_data', true)
/** A reply that nobody asked for is the backend's timeout. */
export const UNASKED = awaiting('timeout', true)
export const NOTHING_AWAITED: readonly Awaited[] = []

/** Replies of our own. */
export const SAYS = {
  needTls: { code: '530', status: '5.7.0', text: 'Must start TLS first' },
  startTls: { code: '220', status: '2.0.0', text: 'Ready to start TLS', recorded: '5.7.0' },
  unimplemented: { code: '502', status: '5.5.1', text: 'unimplemented' },
  tlsFailed: { code: '454', status: '4.7.0', text: 'TLS temporarily not available', recorded: '5.7.3' },
  tooLong: { code: '500', status: '5.5.2', text: 'line too long' },
  notYours: { code: '553', status: '5.7.1', text: 'sender address is not yours' },
  sendersUnknown: { code: '451', status: '4.3.0', text: 'your addresses cannot be looked up now' },
  tooBig: { code: '552', status: '5.3.4', text: 'message too big' },
  noBackend: { code: '454', status: '4.3.0', text: 'mail program ended before its greeting' },
  backendDied: { code: '421', status: '4.3.0', text: 'mail program ended' },
  nonsense: { code: '421', status: '4.3.0', text: 'mail program spoke nonsense' },
  timeout: { code: '421', status: '4.4.2', text: 'timeout' },
  'bare-line-end': { code: '421', status: '4.6.0', text: 'message has a bare CR or LF', recorded: '5.6.0' },
  'from-refused': { code: '550', status: '5.7.1', text: 'From address is not yours' },
  'dot-after-nul': { code: '421', status: '4.6.0', text: 'message has a NUL and a dot behind it that may end it' },
  noMessage: { code: '421', status: '4.3.0', text: 'message refused by a rule' },
  strangeMessage: { code: '421', status: '4.3.0', text: 'mail program wants a message that nobody announced' },
  badChunk: { code: '421', status: '4.5.4', text: 'length of BDAT is not clear', recorded: '5.5.4' },
  guestAuth: { code: '503', status: '5.5.1', text: 'authup mail is being served without authentication' },
  authAgain: { code: '503', status: '5.5.1', text: 'already authenticated' },
  limited: { code: '450', status: '4.7.1', text: 'too much' },
  binary: { code: '555', status: '5.5.4', text: 'BODY=BINARYMIME is not supported' },
  forwarded: { code: '250', status: '2.0.0', text: 'ok', recorded: '' },
  notAttributes: { code: '501', status: '5.5.4', text: 'malformed attributes' },
  inTransaction: { code: '503', status: '5.5.1', text: 'transaction in progress' },
  notTrusted: { code: '550', status: '5.7.1', text: 'insufficient authorization' },
  chunkTaken: { code: '250', status: '2.0.0', text: 'octets taken', recorded: '' },
  chunkNotTaken: { code: '554', status: '5.5.0', text: 'mail program takes no message' },
  chunkOutOfTurn: { code: '503', status: '5.5.1', text: 'message was refused before' },
  chunkExpected: { code: '503', status: '5.5.1', text: 'message is not complete: BDAT expected' },
  givenUp: { code: '421', status: '4.5.1', text: 'message given up before its end', recorded: '5.5.1' },
  nothingDone: { code: '250', status: '2.0.0', text: 'ok', recorded: '' },
  bye: { code: '221', status: '2.0.0', text: 'bye', recorded: '' },
} as const satisfies Record<Exclude<BodyFault, 'none'>, OwnReply> & Record<string, OwnReply>

export const own = (state: FixsmtpioState, said: OwnReply): string => replyText(said, state.enhanced)

export const accepted = (code: number): boolean => code >= 200 && code < 300

/** A reply to EHLO has the keyword, from its second line on. */
const KEYWORDS = {
  chunking: /\n\d{3}.CHUNKING(?![A-Z0-9-])/i,
  auth: /\n\d{3}.AUTH(?![A-Z0-9-])/i,
  unsaid: /\n\d{3}.(?:BINARYMIME|XCLIENT|XFORWARD)(?![A-Z0-9-])/i,
  enhanced: /\n\d{3}.ENHANCEDSTATUSCODES(?![A-Z0-9-])/i,
} as const
export const offers = (reply: string, keyword: keyof typeof KEYWORDS): boolean => KEYWORDS[keyword].test(reply)

export const forwardOf = ({ client }: FixsmtpioSettings, ehlo: string): string =>
  client === undefined || proxyLine('XCLIENT', ehlo, client) !== '' ? '' : proxyLine('XFORWARD', ehlo, client)

/** Kept only where a client may ask for it. */
export const offerOf = ({ client, trusted }: FixsmtpioSettings, ehlo: string): string =>
  trusted && client !== undefined ? ehlo : ''

/** The client speaks for nobody else any more. */
export function forgetForwarded(state: Draft): void {
  if (state.forwarded === undefined) return
  state.forwarded = undefined
  state.forward = forwardOf(state.settings, state.offer)
}

export function end(state: Draft, effects: FixsmtpioEffect[], exit: number, why: Why, park = ''): void {
  effects.push(close(exit, why, park))
  state.at = 'over'
  state.rest = NO_BYTES
  state.awaited = NOTHING_AWAITED
}

/** The reply as the client gets it, and the exit code of a rule. */
export interface Told {
  readonly reply: string
  readonly exit: number | undefined
}

/**
 * BINARYMIME is never offered: its messages have no lines, and a backend that was given DATA would see other ones. XCLIENT and XFORWARD are
 * between the backend and us: a client that may say them can claim to be anybody. One that is trusted says XFORWARD to us.
 */
function asOffered(reply: string, { trusted }: FixsmtpioSettings): string {
  const ours = trusted && accepted(replyCode(reply))
  if (!ours && !offers(reply, 'unsaid')) return reply
  const lines = reply.split(/(?<=\n)/).filter((line, i) => i === 0 || !offers(`\n${line}`, 'unsaid'))
  return joinReply(ours ? [...lines, `250 ${XFORWARD_OFFER}\r\n`] : lines)
}

/** The reply to a message is of interest itself: it may name it. */
const noteOf = (event: string, reply: string): FixsmtpioEffect => {
  const code = replyCode(reply)
  if (event !== 'in_data' && event !== 'bdat') return { do: 'note', event, code }
  return { do: 'note', event, code, said: reply.slice(0, LONGEST_SAID).replace(/[\r\n]+$/, '') }
}

const LONGEST_SAID = 200

/** A reply through the rules; it has yet to be said. */
export function toClient(state: FixsmtpioState, event: string, reply: string, effects: FixsmtpioEffect[]): Told {
  const { settings } = state
  const who: Identity = {
    greeting: settings.greeting,
    // A client that has logged in has had authup's offer before.
    tls: settings.tls === 'none' || state.tlsOn || settings.loggedIn ? 'none' : 'offer',
    classic: settings.classic,
    enhanced: state.enhanced,
  }
  const done = rewriteReply(settings.rules, event, reply, who)
  const told = event === 'ehlo' && !settings.classic ? asOffered(done.reply, settings) : done.reply
  effects.push(noteOf(event, told))
  if (done.hits.length > 0) effects.push({ do: 'hits', rules: done.hits })
  if (settings.debug) effects.push({ do: 'debug', mark: '4', event, text: told })
  return { reply: told, exit: done.exitcode }
}

/** The session may end here and its backend serve a later login. */
export const mayPark = (state: FixsmtpioState): boolean =>
  state.settings.warm &&
  state.awaited.length === 0 &&
  !state.transaction &&
  state.relay === 'no' &&
  state.replies.text === ''

/** The message, or a chunk of it, is carried past the actors. */
export function openBody(state: Draft, effects: FixsmtpioEffect[], body: Omit<Body, 'do' | 'from'>): void {
  effects.push({ do: 'body', ...body, from: state.settings.from })
  // After a body that is carried from what was read before the client closed.
  if (state.eof !== undefined) effects.push(send([TAG.eof, state.eof]))
  state.at = 'body'
  state.rest = NO_BYTES
  state.held = false
}

/** Ends a session that was asked to end, if nothing is pending. */
export function atBoundary(state: Draft, effects: FixsmtpioEffect[]): void {
  if (state.shutdown === '' || state.at !== 'commands' || state.awaited.length > 0) return
  effects.push(say(own(state, { code: '421', status: '4.3.2', text: state.shutdown })))
  end(state, effects, 0, 'shutdown')
}
