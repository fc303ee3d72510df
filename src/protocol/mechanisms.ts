// SASL before login (RFC 4422), the same in SMTP and POP3: a mechanism is a row. It looks at one response of the client and answers.

import { decodeBase64 } from './base64.ts'
import { copyOf, NO_BYTES, textOf, wipe } from './bytes.ts'
import { isWord } from './command.ts'
import type { Answer, DialogueView, Exchange, Fault } from './dialogue.ts'
import {
  acceptablePassword,
  acceptableUser,
  decodeBearer,
  decodeDigest,
  decodePlain,
  decodeXoauth2,
  type MechanismName,
  type NamedSecret,
} from './sasl.ts'

interface Mechanism {
  /** Whether this client can use it now; without it always, where the listener has it. */
  readonly usable?: (view: DialogueView) => boolean
  /** The server speaks first, with something to say: an initial response is an error (RFC 4954 section 4). */
  readonly serverFirst?: true
  /** What a client without an initial response is told. */
  readonly challenge: (view: DialogueView) => string
  readonly respond: (response: Uint8Array, user: string, view: DialogueView) => Answer
  /** Why credentials were refused, as a challenge before the reply; the client's next line means nothing. */
  readonly refusal?: string
}

const fault = (name: Fault): Answer => ({ do: 'fault', fault: name })
const ask = (mechanism: MechanismName, challenge: string, user = ''): Answer => ({
  do: 'ask',
  challenge,
  exchange: { mechanism, user },
})

const login = (mechanism: MechanismName, named: NamedSecret | undefined): Answer =>
  named === undefined ? fault('input') : { do: 'login', login: { user: named.user, password: named.secret, mechanism } }

const nothing = () => ''

const ROWS: Readonly<Record<MechanismName, Mechanism>> = {
  PLAIN: {
    challenge: nothing,
    respond: (response) =>
      decodePlain(response).match(
        ({ user, password }) => login('PLAIN', { user, secret: password }),
        (error): Answer => (error === 'malformed' ? fault('input') : { do: 'not-authorized', user: error.user }),
      ),
  },
  // draft-murchison-sasl-login. Clients send the name with the command, too.
  LOGIN: {
    challenge: () => 'Username:',
    respond: (response, user) => {
      if (user !== '') {
        const acceptable = acceptablePassword(response)
        return login('LOGIN', acceptable ? { user, secret: copyOf(response) } : undefined)
      }
      const named = textOf(response)
      return acceptableUser(named) ? ask('LOGIN', 'Password:', named) : fault('input')
    },
  },
  // RFC 2195. What knows the plain password compares: the response goes to descriptor 3 as the password, the challenge after it.
  'CRAM-MD5': {
    serverFirst: true,
    challenge: ({ timestamp }) => timestamp,
    respond: (response) => login('CRAM-MD5', decodeDigest(response)),
  },
  XOAUTH2: {
    challenge: nothing,
    respond: (response) => login('XOAUTH2', decodeXoauth2(response)),
    refusal: '{"status":"401","schemes":"bearer"}',
  },
  // RFC 7628 section 3.2.2: "status (REQUIRED): The authorization error code."
  OAUTHBEARER: {
    challenge: nothing,
    respond: (response) => login('OAUTHBEARER', decodeBearer(response)),
    refusal: '{"status":"invalid_token"}',
  },
  // RFC 4422 appendix A: an empty response asks for what the certificate says, any other one for one of those.
  EXTERNAL: {
    usable: ({ external }) => external.length > 0,
    challenge: nothing,
    respond: (response, _user, { external }) => {
      const [first = ''] = external
      const wanted = response.length === 0 ? first : textOf(response)
      if (!acceptableUser(wanted)) return fault('input')
      if (!external.includes(wanted)) return { do: 'not-authorized', user: first }
      return login('EXTERNAL', { user: wanted, secret: new Uint8Array(0) })
    },
  },
}

const isMechanism = (name: string): name is MechanismName => Object.hasOwn(ROWS, name)

/** What this client may use here and now, in the order in which the listener has it. */
export const offered = (view: DialogueView): readonly MechanismName[] =>
  view.settings.mechanisms.filter(isMechanism).filter((name) => ROWS[name].usable?.(view) ?? true)

export const refusalOf = (mechanism: MechanismName): string | undefined => ROWS[mechanism].refusal

/** AUTH with a mechanism and an initial response, or none; `=` is an empty one (RFC 4954 section 4, RFC 5034 section 4). */
export function beginExchange(word: Uint8Array, initial: Uint8Array, view: DialogueView): Answer {
  const mechanism = offered(view).find((name) => isWord(word, name))
  if (mechanism === undefined) return fault('noauth')
  const row = ROWS[mechanism]
  if (initial.length === 0) return ask(mechanism, row.challenge(view))
  if (row.serverFirst) return fault('premature')
  return respond({ mechanism, user: '' }, isWord(initial, '=') ? NO_BYTES : initial, view)
}

/** The client's answer to a challenge; exactly one reply, whatever it is (RFC 4954 section 4). */
export function continueExchange(exchange: Exchange, line: Uint8Array, view: DialogueView): Answer {
  return isWord(line, '*') ? fault('cancelled') : respond(exchange, line, view)
}

function respond({ mechanism, user }: Exchange, base64: Uint8Array, view: DialogueView): Answer {
  const response = decodeBase64(base64)
  if (response.isErr()) return fault('base64')
  const answer = ROWS[mechanism].respond(response.value, user, view)
  wipe(response.value)
  return answer
}
