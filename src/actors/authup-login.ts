// AUTH, USER and PASS, and APOP: what authup says in an exchange, and what goes to checkpassword.

import { encodeBase64 } from '../protocol/base64.ts'
import { bytesOf, wipe } from '../protocol/bytes.ts'
import type { Exchange, Login } from '../protocol/dialogue.ts'
import { credentialsFor, type LoginMethod } from '../protocol/sasl.ts'
import { type AuthupState, changed, faultReply, over, protocolOf, type Refusal, refused } from './authup-state.ts'
import { type AuthupEffect, NOTHING, type Say, type Step, say, send } from './effects.ts'
import { type SessionId, TAG } from './frames.ts'

export const asking = (state: AuthupState, exchange: Exchange, challenge: string): Step<AuthupState, AuthupEffect> => ({
  state: changed(state, { at: 'auth', exchange }),
  effects: [say(`${protocolOf(state).mark} ${encodeBase64(bytesOf(challenge))}\r\n`)],
})

export const refusedWith = (state: AuthupState, reply: Say, { last, why }: Refusal): Step<AuthupState, AuthupEffect> =>
  last ? over(state, [reply], state.once ? 12 : 1, why) : { state, effects: [reply] }

/** RFC 4954 section 4: a line of an exchange that is too long fails the AUTH command. */
export function tooLong(state: AuthupState): Step<AuthupState, AuthupEffect> {
  const next = changed(state, { at: 'commands', exchange: undefined, refusal: undefined })
  if (state.skipping) return { state: next, effects: NOTHING }
  const reply = faultReply(state, state.at === 'auth' ? 'toolongauth' : 'toolong')
  return state.refusal === undefined ? { state: next, effects: [reply] } : refusedWith(next, reply, state.refusal)
}

export function login(
  state: AuthupState,
  { user, password, mechanism }: Login,
  session: SessionId,
): Step<AuthupState, AuthupEffect> {
  const credentials = credentialsFor(user, password, timestampFor(state, mechanism), state.settings.credentials)
  wipe(password)
  // checkpassword is not run for more than it reads.
  if (credentials.isErr()) return refused(state, 'input', NOTHING)
  const exchange = mechanism === 'USER' || mechanism === 'APOP' ? undefined : { mechanism, user }
  return {
    state: changed(state, { at: 'checking', exchange }),
    effects: [send([TAG.login, session, user, credentials.value, mechanism])],
  }
}

/** Where nobody has seen the timestamp all octets are for user and password; the program authup always gives it in POP3, as recorded. */
const timestampFor = ({ settings, timestamp }: AuthupState, mechanism: LoginMethod): string =>
  mechanism === 'CRAM-MD5' ||
  (settings.protocol === 'pop3' && (settings.mechanisms.includes('APOP') || settings.classic))
    ? timestamp
    : ''
