// authup is the conversation before login, SMTP or POP3, carried out from the verb tables of protocol/smtp.ts and pop3.ts.

import { bytesOf, concat, copyOf, NO_BYTES, textBetween, textOf, wipe } from '../protocol/bytes.ts'
import { type Command, isWord, splitCommand, splitOctets, withoutEnd } from '../protocol/command.ts'
import type { Answer, Fault, Protocol } from '../protocol/dialogue.ts'
import { beginsTls, type Foreign, foreignCommand, foreignLine } from '../protocol/foreign.ts'
import { findLine } from '../protocol/lines.ts'
import { continueExchange, refusalOf } from '../protocol/mechanisms.ts'
import { pop3 } from '../protocol/pop3.ts'
import { asking, login, refusedWith, tooLong } from './authup-login.ts'
import {
  type AuthupState,
  changed,
  fatal,
  faultReply,
  note,
  onlyAttempt,
  over,
  protocolOf,
  refused,
} from './authup-state.ts'
import { type AuthupEffect, type LogEvent, log, NOTHING, type Step, say, send } from './effects.ts'
import {
  type AttemptFrame,
  type DescribedFrame,
  type EofFrame,
  type InputFrame,
  type OutcomeFrame,
  type SessionId,
  type ShutdownFrame,
  TAG,
  type TimeoutFrame,
  type TlsFrame,
  type Verdict,
} from './frames.ts'

export type AuthupFrame =
  | AttemptFrame
  | InputFrame
  | EofFrame
  | TimeoutFrame
  | TlsFrame
  | OutcomeFrame
  | DescribedFrame
  | ShutdownFrame

/** Octets that tell a method of HTTP. */
const HTTP_METHOD = 64

/** What the log says of a client that speaks something else. */
const FOREIGN = {
  http: 'http-request',
  tlsnow: 'tls-unexpected',
  proxied: 'proxy-header-unexpected',
} as const satisfies Record<Foreign, LogEvent>

/** No verb and no method of HTTP is longer: a longer word by itself answers a challenge that the client believes to be open. */
const LONGEST_WORD = 16

/** What a line of an AUTH exchange comes from. */
const NO_COMMAND = splitCommand('')

const isTalking = (state: AuthupState): boolean => state.at === 'commands' || state.at === 'auth'

export function authup(state: AuthupState, frame: AuthupFrame): Step<AuthupState, AuthupEffect> {
  if (state.at === 'over' || state.at === 'served') return { state, effects: NOTHING }
  switch (frame[0]) {
    case TAG.attempt:
      return { state, effects: frame[2] ? [say(protocolOf(state).greet(state))] : NOTHING }
    case TAG.input: {
      if (state.rest.length === 0) return take(state, frame[2], frame[1])
      const joined = concat([state.rest, frame[2]])
      wipe(state.rest)
      const step = take(state, joined, frame[1])
      wipe(joined)
      return step
    }
    case TAG.eof:
      // While the helper is asked the client waits, with its side closed or not; the edge says it again after the answer.
      return state.at === 'checking' ? { state, effects: NOTHING } : fatal(state, 'eof', 'client-eof')
    case TAG.timeout:
      return fatal(state, 'timeout', 'timeout')
    case TAG.shutdown:
      return fatal(state, 'shutdown', frame[2])
    case TAG.tls:
      return tlsStarted(state, frame[1], frame[2], frame[3])
    case TAG.outcome:
      return outcome(state, frame)
    case TAG.described:
      return described(state, frame[1])
  }
}

/** What was read and is not taken yet; the step keeps nothing of it but copies. */
const take = (state: AuthupState, rest: Uint8Array, session: SessionId): Step<AuthupState, AuthupEffect> =>
  // A client that sends on while the helper is asked is held; nearly none does, so none is held before.
  state.at === 'checking'
    ? { state: changed(state, { rest: copyOf(rest) }), effects: [{ do: 'hold' }] }
    : converse(changed(state, { rest }), session)

/** What came while the helper was asked, or before TLS was on. */
function takeKept(state: AuthupState, session: SessionId): Step<AuthupState, AuthupEffect> {
  const step = converse(state, session)
  wipe(state.rest)
  return step
}

/** Takes line after line until one needs somebody else, or the read is used up. */
function converse(before: AuthupState, session: SessionId): Step<AuthupState, AuthupEffect> {
  let state = before
  const effects: AuthupEffect[] = []
  const protocol = protocolOf(state)
  let next = 0
  while (isTalking(state)) {
    if (beginsTls(state.rest, next) && !state.settings.classic) return foreign(state, 'tlsnow', effects)
    const taken = findLine(state.rest, next, protocol.longest)
    if (taken.kind === 'more') break
    const from = next
    next = taken.next
    if (taken.kind === 'too-long') {
      if (!state.skipping) {
        const what = foreignLine(textBetween(state.rest, from, from + HTTP_METHOD))
        if (what !== undefined && !state.settings.classic) return foreign(state, what, effects)
      }
      const step = tooLong(state)
      effects.push(...step.effects)
      state = changed(step.state, { skipping: !taken.ended })
    } else if (state.skipping) {
      state = changed(state, { skipping: false })
    } else {
      const step = takeLine(state, state.rest.subarray(from, next), protocol, session)
      effects.push(...step.effects)
      state = step.state
    }
  }
  const rest = state.rest.subarray(next)
  if (state.at === 'starting-tls') {
    // RFC 3207 section 4.2: nothing sent before TLS may be taken as sent in it.
    return {
      state: changed(state, { rest: NO_BYTES }),
      effects: [...effects, { do: 'start-tls', discarded: rest.length }],
    }
  }
  // The bytes alias the read: what outlives this step is copied.
  return { state: changed(state, { rest: rest.length === 0 ? NO_BYTES : copyOf(rest) }), effects }
}

/** A line that may hold a password stays octets: a string could not be wiped. */
function takeLine(
  state: AuthupState,
  line: Uint8Array,
  protocol: Protocol,
  session: SessionId,
): Step<AuthupState, AuthupEffect> {
  if (state.at === 'auth') return noted('auth', continued(state, withoutEnd(line), session))
  const command = splitOctets(line)
  const row = protocol.secretVerbs.find(({ verb }) => isWord(command.word, verb))
  const isStray = command.word.length > LONGEST_WORD && command.argument.length === 0 && !state.settings.guest
  if (row === undefined && !isStray) return takeText(state, textOf(line), protocol, session)
  if (line.length > protocol.limit(row?.verb ?? '')) return { state, effects: [faultReply(state, 'toolong')] }
  if (row === undefined || !isKnown(state, command.odd))
    return noted('unknown', carryOut(state, protocol.unknown('', state, ''), NO_COMMAND, session))
  const answer = row.answer(command.argument, state, command.rest)
  return noted(row.verb.toLowerCase(), carryOut(state, answer, NO_COMMAND, session))
}

/** The program authup knows no odd spelling, as recorded, unless what it does not know starts the guests' chain. */
const isKnown = ({ settings }: AuthupState, odd: boolean): boolean => !odd || !settings.classic || settings.guest

function takeText(
  state: AuthupState,
  line: string,
  protocol: Protocol,
  session: SessionId,
): Step<AuthupState, AuthupEffect> {
  const command = splitCommand(line)
  const { verb } = command
  const row =
    isKnown(state, command.plain !== line) && Object.hasOwn(protocol.verbs, verb) ? protocol.verbs[verb] : undefined
  const what = row === undefined && !state.settings.classic ? foreignCommand(command, line) : undefined
  if (what !== undefined) return foreign(state, what, NOTHING)
  if (line.length > protocol.limit(verb)) return { state, effects: [faultReply(state, 'toolong')] }
  const answer = (row ?? protocol.unknown)(command.argument, state, command.rest)
  // A line without a verb is no mail command of any server.
  if (answer.do === 'guest' && verb === '') return { state, effects: [faultReply(state, 'nothing')] }
  // An unknown word may be half a secret: it is not told to anybody.
  return noted(row === undefined ? 'unknown' : verb.toLowerCase(), carryOut(state, answer, command, session))
}

/** An attacker who made a browser or a proxy send this may have put a login into its lines. */
const foreign = (
  state: AuthupState,
  what: Foreign,
  effects: readonly AuthupEffect[],
): Step<AuthupState, AuthupEffect> =>
  over(state, [...effects, log(FOREIGN[what]), faultReply(state, what)], 1, FOREIGN[what])

/** The step with a note of its verb and reply, for session.get and session.trace. */
function noted(event: string, step: Step<AuthupState, AuthupEffect>): Step<AuthupState, AuthupEffect> {
  for (const effect of step.effects) {
    if (effect.do === 'reply') return { state: step.state, effects: [...step.effects, note(event, effect.text)] }
  }
  return step
}

function carryOut(
  state: AuthupState,
  answer: Answer,
  command: Command,
  session: SessionId,
): Step<AuthupState, AuthupEffect> {
  switch (answer.do) {
    case 'reply':
      return { state, effects: [say(answer.text)] }
    case 'helo':
      return {
        state: changed(state, { helo: command.plain }),
        effects: [say(answer.text), { do: 'helo', name: command.argument }],
      }
    case 'user':
      return { state: changed(state, { user: answer.user }), effects: [say(answer.text)] }
    case 'ask':
      return asking(state, answer.exchange, answer.challenge)
    case 'fault':
      return refused(state, answer.fault, NOTHING)
    case 'not-authorized':
      return refused(state, 'badauth', [log('authzid-refused', answer.user)])
    case 'starttls':
      return { state: changed(state, { at: 'starting-tls' }), effects: [say(answer.text)] }
    case 'proxied':
      return { state: changed(state, { at: 'checking' }), effects: [{ do: 'describe', client: answer.client }] }
    case 'quit':
      return over(state, [say(answer.text)], 0, 'quit')
    case 'guest':
      return {
        state: changed(state, { at: 'checking', guestCommand: command.plain }),
        effects: [send([TAG.guest, session])],
      }
    case 'login':
      return login(state, answer.login, session)
  }
}

/** A line of the client's in an exchange. */
function continued(state: AuthupState, line: Uint8Array, session: SessionId): Step<AuthupState, AuthupEffect> {
  const { exchange, refusal } = state
  const next = changed(state, { at: 'commands', exchange: undefined, refusal: undefined })
  if (refusal !== undefined)
    return refusedWith(next, isWord(line, '*') ? faultReply(state, 'cancelled') : refusal.reply, refusal)
  if (exchange === undefined) return { state: next, effects: NOTHING }
  return carryOut(next, continueExchange(exchange, line, state), NO_COMMAND, session)
}

function tlsStarted(
  state: AuthupState,
  session: SessionId,
  on: boolean,
  external: readonly string[],
): Step<AuthupState, AuthupEffect> {
  if (state.at !== 'starting-tls') return { state, effects: NOTHING }
  if (!on) {
    const effects = [faultReply(state, 'starttls'), log('tls-failed')]
    return state.once ? over(state, effects, 1, 'tls-failed') : { state: changed(state, { at: 'commands' }), effects }
  }
  // RFC 3207 section 4.2, RFC 2595 section 4: what was learnt before TLS is forgotten.
  return takeKept(changed(state, { at: 'commands', tlsOn: true, user: undefined, helo: '', external }), session)
}

/** XCLIENT_README: the session begins again, and the greeting says so. */
function described(state: AuthupState, session: SessionId): Step<AuthupState, AuthupEffect> {
  if (state.at !== 'checking') return { state, effects: NOTHING }
  const greeting = say(protocolOf(state).greet(state))
  // A certificate was that of the host that speaks for the client.
  const step = takeKept(changed(state, { at: 'commands', helo: '', external: NOTHING }), session)
  return { state: step.state, effects: [greeting, note('xclient', greeting.text), { do: 'room' }, ...step.effects] }
}

/** What the client hears of a verdict. */
const SAID: Readonly<Record<Exclude<Verdict, 'accepted' | 'ended'>, Fault>> = {
  refused: 'badauth',
  misused: 'badauth',
  root: 'badauth',
  blocked: 'blocked',
  limited: 'limited',
  'in-use': 'inuse',
  tempfail: 'tempfail',
  crashed: 'crash',
  timeout: 'helper',
  missing: 'helper',
  busy: 'helper',
  unreachable: 'helper',
  'ended-timeout': 'timeout',
  'ended-control': 'control',
}

/** Verdicts on a token that the client hears about before the reply, if its mechanism has it so. */
const TELLS_WHY: ReadonlySet<Verdict> = new Set(['refused', 'misused', 'root', 'blocked'])

function outcome(state: AuthupState, frame: OutcomeFrame): Step<AuthupState, AuthupEffect> {
  const [, session, verdict, exit, goOn, text] = frame
  if (state.at !== 'checking') return { state, effects: NOTHING }
  if (verdict === 'accepted') return serve(state, session)
  if (verdict === 'ended') return over(state, NOTHING, state.once ? 0 : exit, 'completed')
  const fault = SAID[verdict]
  if (verdict === 'ended-timeout' || verdict === 'ended-control') return fatal(state, fault, verdict)
  if (verdict === 'crashed' && state.settings.classic) return fatal(state, fault, verdict)
  if (onlyAttempt(state)) return over(state, [faultReply(state, fault)], 1, verdict)
  const reply = faultReply(state, fault, text)
  const challenge = TELLS_WHY.has(verdict) && state.exchange ? refusalOf(state.exchange.mechanism) : undefined
  if (state.exchange !== undefined && challenge !== undefined) {
    const step = asking(changed(state, { refusal: { reply, last: !goOn, why: verdict } }), state.exchange, challenge)
    return withKept(step, session)
  }
  if (!goOn) return over(state, [reply], state.once ? 12 : 1, verdict)
  return withKept(
    { state: changed(state, { at: 'commands', exchange: undefined, guestCommand: '' }), effects: [reply] },
    session,
  )
}

/** The reply to a login, then those to what has come meanwhile. */
function withKept(
  { state, effects }: Step<AuthupState, AuthupEffect>,
  session: SessionId,
): Step<AuthupState, AuthupEffect> {
  const said = effects.flatMap((effect) => (effect.do === 'reply' ? [note('login', effect.text)] : []))
  const step = takeKept(state, session)
  return { state: step.state, effects: [...effects, ...said, { do: 'room' }, ...step.effects] }
}

/** The backend takes over: it gets the client's EHLO again, a guest's pending command, and what was read after it. */
function serve(state: AuthupState, session: SessionId): Step<AuthupState, AuthupEffect> {
  if (state.settings.protocol === 'pop3') {
    // Exactly one +OK after PASS: the backend's.
    const ifSilent = pop3.fault('crash', state)
    return {
      state: changed(state, { at: 'served', rest: NO_BYTES }),
      effects: [{ do: 'splice', rest: state.rest, ifSilent }],
    }
  }
  const guest = state.guestCommand !== ''
  const pending = guest ? concat([bytesOf(state.guestCommand), state.rest]) : state.rest
  return {
    state: changed(state, { at: 'served', rest: NO_BYTES, guestCommand: '' }),
    effects: [{ do: 'switch' }, send([TAG.serve, session, guest, state.helo, pending]), { do: 'room' }],
  }
}
