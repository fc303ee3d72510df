// What authup knows of a client before login, and what its files share: authup.ts takes lines, authup-login.ts carries out AUTH.

import { NO_BYTES, wipe } from '../protocol/bytes.ts'
import type { DialogueSettings, DialogueView, Exchange, Fault, Protocol } from '../protocol/dialogue.ts'
import { pop3 } from '../protocol/pop3.ts'
import { replyCode } from '../protocol/replies.ts'
import { smtp } from '../protocol/smtp.ts'
import { type AuthupEffect, close, type Say, type Step, say } from './effects.ts'
import type { Why } from './endings.ts'

export interface AuthupState extends DialogueView {
  /** What the next line is: a command, a line of an AUTH exchange, or nothing while another actor is busy. */
  readonly at: 'commands' | 'auth' | 'checking' | 'starting-tls' | 'served' | 'over'
  /** Read, not yet taken as a line. */
  readonly rest: Uint8Array
  /** The rest begins inside a line that was too long and is answered already. */
  readonly skipping: boolean
  /** The client's last EHLO or HELO line, to be said again to a backend. */
  readonly helo: string
  /** The exchange that goes on, or whose credentials are checked. */
  readonly exchange: Exchange | undefined
  /** The client has heard why its token was refused; whatever it says now brings this reply (RFC 7628 section 3.2.3). */
  readonly refusal: Refusal | undefined
  /** A mail command of a peer that did not authenticate, while its chain is started. */
  readonly guestCommand: string
  /** One attempt and no more, as under reup in 2018: a refusal ends the program, unless TLS is on. */
  readonly once: boolean
}

export interface Refusal {
  readonly reply: Say
  /** There is no other attempt. */
  readonly last: boolean
  readonly why: Why
}

const draftOf = (state: AuthupState): { -readonly [K in keyof AuthupState]: AuthupState[K] } => ({
  settings: state.settings,
  timestamp: state.timestamp,
  tlsOn: state.tlsOn,
  trusted: state.trusted,
  once: state.once,
  user: state.user,
  at: state.at,
  rest: state.rest,
  skipping: state.skipping,
  helo: state.helo,
  exchange: state.exchange,
  refusal: state.refusal,
  external: state.external,
  guestCommand: state.guestCommand,
})

/** Not by a spread, as in fixsmtpio.ts. */
export const changed = (state: AuthupState, changes: Partial<AuthupState>): AuthupState =>
  Object.assign(draftOf(state), changes)

export function newAuthup(
  settings: DialogueSettings,
  timestamp: string,
  tlsOn = false,
  once = false,
  trusted = false,
  external: readonly string[] = [],
): AuthupState {
  return {
    settings,
    timestamp,
    tlsOn,
    trusted,
    once,
    user: undefined,
    at: 'commands',
    rest: NO_BYTES,
    skipping: false,
    helo: '',
    exchange: undefined,
    refusal: undefined,
    external,
    guestCommand: '',
  }
}

export const protocolOf = (state: AuthupState): Protocol => (state.settings.protocol === 'smtp' ? smtp : pop3)
export const faultReply = (state: AuthupState, fault: Fault, text = ''): Say =>
  say(protocolOf(state).fault(fault, state, text))

export function over(
  state: AuthupState,
  effects: readonly AuthupEffect[],
  exit: number,
  why: Why,
): Step<AuthupState, AuthupEffect> {
  wipe(state.rest)
  return { state: changed(state, { at: 'over', rest: NO_BYTES }), effects: [...effects, close(exit, why)] }
}

/** Under reup the next attempt is another process's; but inside TLS that one would read TLS records. */
export const onlyAttempt = (state: AuthupState): boolean => state.once && !state.tlsOn

/** Goes on after a fault of the client, unless reup starts another authup for its next attempt. */
export function refused(
  state: AuthupState,
  fault: Fault,
  before: readonly AuthupEffect[],
): Step<AuthupState, AuthupEffect> {
  const effects = [...before, faultReply(state, fault)]
  return onlyAttempt(state) ? over(state, effects, 1, 'refused') : { state, effects }
}

/** Under reup exit code 12 says that trying again is useless. */
export const fatal = (state: AuthupState, fault: Fault, why: Why): Step<AuthupState, AuthupEffect> =>
  over(state, [faultReply(state, fault)], state.once ? 12 : 1, why)

/** The code of an SMTP reply; for POP3 1 is +OK and -1 is -ERR. */
export const note = (event: string, reply: string): AuthupEffect => ({
  do: 'note',
  event,
  code: reply.startsWith('+') ? 1 : reply.startsWith('-') ? -1 : replyCode(reply),
})
