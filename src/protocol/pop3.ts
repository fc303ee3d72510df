// POP3 before login (RFC 1939, CAPA: RFC 2449, STLS: RFC 2595, AUTH: RFC 5034): a verb is a row.

import { copyOf, textOf } from './bytes.ts'
import { isWord, splitOctets } from './command.ts'
import { type Answer, type DialogueView, FAULTS, type Fault, type Protocol, type SecretVerb } from './dialogue.ts'
import { acceptablePassword, acceptableUser, CREDENTIALS_LIMIT } from './sasl.ts'
import { asked as askedBySasl, loginUser, plain } from './smtp.ts'

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
  if (!needsTls(view)) lines.push('USER')
  for (const line of settings.capabilities) if (!needsTls(view) || !/^SASL\b/i.test(line)) lines.push(line)
  return reply(['+OK capability list follows', ...lines, '.'].join('\r\n'))
}

/** AUTH is there if control/pop3capabilities has a SASL line that names the mechanism (RFC 5034 section 4). */
const auth: SecretVerb = (argument, view) => {
  const offered = capability(view, 'SASL')?.toUpperCase().split(' ').slice(1)
  if (offered === undefined) return pop3.unknown('', view, '')
  if (needsTls(view)) return fault('needtls')
  if (argument.length === 0) return reply(['+OK', ...offered, '.'].join('\r\n'))
  const { word, argument: initial } = splitOctets(argument)
  const mechanism = offered.find((name) => isWord(word, name))
  // RFC 5034 section 4: `=` is an empty initial response, which neither mechanism can use.
  if (mechanism !== undefined && isWord(initial, '=')) return fault('input')
  if (mechanism === 'PLAIN')
    return initial.length === 0 ? { do: 'ask', text: '+ \r\n', asked: 'plain', user: '' } : plain(initial)
  if (mechanism === 'LOGIN')
    return initial.length === 0
      ? { do: 'ask', text: '+ VXNlcm5hbWU6\r\n', asked: 'login-user', user: '' }
      : inPop3(loginUser(initial))
  return fault('noauth')
}

/** The same SASL exchange with POP3's continuation mark. */
function inPop3(answer: Answer): Answer {
  return answer.do === 'ask' && answer.text.startsWith('334 ')
    ? { ...answer, text: `+ ${answer.text.slice(4)}` }
    : answer
}

const apop: SecretVerb = (argument, view) => {
  if (!view.settings.apop) return pop3.unknown('', view, '')
  if (needsTls(view)) return fault('needtls')
  // RFC 1939 section 7: a name, a space, 32 hexadecimal digits.
  const space = argument.lastIndexOf(SPACE)
  const user = textOf(argument.subarray(0, Math.max(space, 0)))
  const digest = argument.subarray(space + 1)
  if (!acceptableUser(user) || digest.length !== 32 || !digest.every(isHexDigit)) return syntax
  return { do: 'login', login: { user, password: copyOf(digest), mechanism: 'APOP' } }
}

const SPACE = 32
const isHexDigit = (octet: number): boolean => (octet >= 48 && octet <= 57) || (octet >= 97 && octet <= 102)

// RFC 1939 section 7, PASS: "a server may treat spaces in the argument as part of the password, instead of as argument separators".
const pass: SecretVerb = (_argument, view, rest) => {
  if (view.user === undefined) return reply('-ERR authup USER first')
  const password = rest.subarray(view.settings.classic ? spacesBefore(rest) : 0)
  if (!acceptablePassword(password)) return syntax
  return { do: 'login', login: { user: view.user, password: copyOf(password), mechanism: 'USER' } }
}

/** What the program authup has for an argument, as recorded: spaces before it are skipped, and those at its end stay. */
const recorded = (rest: string): string => rest.replace(/^ +/, '')

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
  greet: ({ settings, timestamp }) => `+OK ${settings.classic || settings.apop ? timestamp : settings.greeting}\r\n`,
  verbs: {
    CAPA: (_argument, view) => capa(view),
    STLS: (_argument, view) =>
      view.settings.tls === 'none' || view.tlsOn
        ? reply('-ERR STLS not available')
        : { do: 'starttls', text: '+OK starting TLS negotiation\r\n' },
    USER: (argument, view, rest) => {
      if (needsTls(view)) return fault('needtls')
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
  asked: (what, line, user) => inPop3(askedBySasl(what, line, user)),
  // RFC 2449 section 4: 255 octets a command; an AUTH line may carry 12,288 (RFC 5034 section 4). What is for checkpassword(8) has its limit.
  limit: (verb) => (verb === 'AUTH' ? 12_288 : FOR_CHECKPASSWORD.has(verb) ? LONGEST_SECRET : 255),
  longest: 12_288,
}
