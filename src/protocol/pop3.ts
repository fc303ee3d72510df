// POP3 before login (RFC 1939, CAPA: RFC 2449, STLS: RFC 2595, AUTH: RFC 5034): a verb is a row.

import { copyOf } from './bytes.ts'
import { splitOctets } from './command.ts'
import { type Answer, type DialogueView, FAULTS, type Fault, type Protocol, type SecretVerb } from './dialogue.ts'
import { beginExchange, offered } from './mechanisms.ts'
import { acceptablePassword, acceptableUser, CREDENTIALS_LIMIT, decodeDigest, type LoginMethod } from './sasl.ts'

const reply = (text: string): Answer => ({ do: 'reply', text: `${text}\r\n` })
const fault = (name: Fault): Answer => ({ do: 'fault', fault: name })
const ok = reply('+OK ')
const syntax = reply('-ERR authup syntax error')

const needsTls = (view: DialogueView): boolean => view.settings.tls === 'require' && !view.tlsOn
const capability = (view: DialogueView, name: string): string | undefined =>
  view.settings.capabilities.find((line) => line.toUpperCase().split(' ')[0] === name)

function capa(view: DialogueView): Answer {
  const { settings } = view
  const lines: string[] = []
  if (settings.tls !== 'none' && !view.tlsOn) lines.push('STLS')
  if (!needsTls(view) && hasPasswords(view)) lines.push('USER')
  const mechanisms = needsTls(view) ? '' : offered(view).join(' ')
  const sasl = mechanisms === '' ? [] : [`SASL ${mechanisms}`]
  const others = settings.capabilities.flatMap((line) => (SASL.test(line) ? sasl : [line]))
  if (!settings.capabilities.some((line) => SASL.test(line))) others.push(...sasl)
  return reply(['+OK capability list follows', ...lines, ...others, '.'].join('\r\n'))
}

const hasPasswords = ({ settings }: DialogueView): boolean => settings.mechanisms.includes('USER')

/** The line SASL of control/pop3capabilities keeps its place; what it says is what this client can use now. */
const SASL = /^SASL\b/i

/** AUTH is there if there is a mechanism. */
const auth: SecretVerb = (argument, view) => {
  if (!view.settings.mechanisms.some(isSasl)) return pop3.unknown('', view, '')
  if (needsTls(view)) return fault('needtls')
  if (argument.length === 0) return reply(['+OK', ...offered(view), '.'].join('\r\n'))
  const { word, argument: initial } = splitOctets(argument)
  return beginExchange(word, initial, view)
}

const isSasl = (method: LoginMethod): boolean => method !== 'USER' && method !== 'APOP'
const hasApop = ({ settings }: DialogueView): boolean => settings.mechanisms.includes('APOP')

const apop: SecretVerb = (argument, view) => {
  if (!hasApop(view)) return pop3.unknown('', view, '')
  if (needsTls(view)) return fault('needtls')
  const named = decodeDigest(argument)
  return named === undefined
    ? syntax
    : { do: 'login', login: { user: named.user, password: named.secret, mechanism: 'APOP' } }
}

// RFC 1939 section 7, PASS: "a server may treat spaces in the argument as part of the password, instead of as argument separators".
const pass: SecretVerb = (_argument, view, rest) => {
  if (view.user === undefined) return reply('-ERR authup USER first')
  const password = rest.subarray(view.settings.classic ? spacesBefore(rest) : 0)
  if (!acceptablePassword(password)) return syntax
  return { do: 'login', login: { user: view.user, password: copyOf(password), mechanism: 'USER' } }
}

/** What the program authup has for an argument, as recorded: spaces before it are skipped, and those at its end stay. */
const recorded = (rest: string): string => rest.replace(/^ +/, '')

const SPACE = 32

function spacesBefore(rest: Uint8Array): number {
  let at = 0
  while (rest[at] === SPACE) at += 1
  return at
}

const FOR_CHECKPASSWORD = new Set(['USER', 'PASS', 'APOP'])
/** Verb, space and CR LF around more than checkpassword(8) takes. */
const LONGEST_SECRET = CREDENTIALS_LIMIT + 7

export const pop3: Protocol = {
  // RFC 1939 section 7: a timestamp in the greeting says that there is APOP. The original shows it always.
  greet: (view) => `+OK ${view.settings.classic || hasApop(view) ? view.timestamp : view.settings.greeting}\r\n`,
  verbs: {
    CAPA: (_argument, view) => capa(view),
    STLS: (_argument, view) =>
      view.settings.tls === 'none' || view.tlsOn
        ? reply('-ERR STLS not available')
        : { do: 'starttls', text: '+OK starting TLS negotiation\r\n' },
    USER: (argument, view, rest) => {
      if (needsTls(view)) return fault('needtls')
      if (!hasPasswords(view)) return pop3.unknown('', view, '')
      const user = view.settings.classic ? recorded(rest) : argument
      return acceptableUser(user) ? { do: 'user', text: '+OK \r\n', user } : syntax
    },
    NOOP: () => ok,
    QUIT: () => ({ do: 'quit', text: '+OK \r\n' }),
  },
  secretVerbs: [
    { verb: 'PASS', answer: pass },
    { verb: 'APOP', answer: apop },
    { verb: 'AUTH', answer: auth },
  ],
  unknown: () => reply('-ERR authup authorization first'),
  fault: (name, view, told = '') => {
    const { text, pop3: code } = FAULTS[name]
    // A response code that the capabilities do not promise is left out, but a temporary failure is always told apart (RFC 3206).
    const said =
      code === 'SYS/TEMP' || (code === 'AUTH' ? capability(view, 'AUTH-RESP-CODE') : capability(view, 'RESP-CODES'))
    return `-ERR ${code !== '' && said ? `[${code}] ` : ''}${told || `authup ${text}`}\r\n`
  },
  mark: '+',
  // RFC 2449 section 4: 255 octets a command; an AUTH line may carry 12,288 (RFC 5034 section 4). What is for checkpassword(8) has its limit.
  limit: (verb) => (verb === 'AUTH' ? 12_288 : FOR_CHECKPASSWORD.has(verb) ? LONGEST_SECRET : 255),
  longest: 12_288,
}
