// SMTP before login (RFC 5321, AUTH: RFC 4954, STARTTLS: RFC 3207): a verb is a row.

import { splitOctets } from './command.ts'
import { type Answer, type DialogueView, FAULTS, type Fault, type Protocol, type SecretVerb } from './dialogue.ts'
import { beginExchange, offered } from './mechanisms.ts'
import { type OwnReply, promisesStatus, replyText } from './status.ts'
import { parseProxied, XCLIENT_OFFER, XFORWARD_OFFER } from './xclient.ts'

const HOMEPAGE = 'https://schmonz.com/qmail/acceptutils'

/** Replies of our own besides FAULTS. */
const SAYS = {
  help: { code: '214', status: '2.0.0', text: `authup home page: ${HOMEPAGE}`, recorded: '' },
  nothingDone: { code: '250', status: '2.0.0', text: 'ok', recorded: '' },
  flushed: { code: '250', status: '2.0.0', text: 'flushed', recorded: '' },
  startTls: { code: '220', status: '2.0.0', text: 'Ready to start TLS', recorded: '5.7.0' },
  nameless: { code: '501', status: '5.5.4', text: 'say your name or [address]' },
  notTrusted: { code: '550', status: '5.7.1', text: 'insufficient authorization' },
  notAttributes: { code: '501', status: '5.5.4', text: 'malformed attributes' },
  noTls: { code: '502', status: '5.5.1', text: 'unimplemented' },
  loginFirst: { code: '530', status: '5.7.1', text: 'authup authentication required' },
} as const satisfies Record<string, OwnReply>

const textFor = (said: OwnReply, { settings }: DialogueView): string =>
  replyText(said, promisesStatus(settings.capabilities))
const reply = (said: OwnReply, view: DialogueView): Answer => ({ do: 'reply', text: textFor(said, view) })
const fault = (name: Fault): Answer => ({ do: 'fault', fault: name })

const mayAuthenticate = (view: DialogueView): boolean => view.tlsOn || view.settings.tls !== 'require'
/** With a guest chain on the port, AUTH needs TLS as soon as TLS is available. */
const authNeedsTls = (view: DialogueView): boolean =>
  !mayAuthenticate(view) || (view.settings.guest && view.settings.tls !== 'none' && !view.tlsOn)

function ehlo(view: DialogueView): string {
  const { settings } = view
  const lines = [settings.greeting]
  if (settings.tls !== 'none' && !view.tlsOn) lines.push('STARTTLS')
  // RFC 4954 section 4: what cannot be used yet is not advertised.
  const mechanisms = authNeedsTls(view) ? '' : offered(view).join(' ')
  if (mechanisms !== '') {
    lines.push(`AUTH ${mechanisms}`)
    if (settings.brokenClients) lines.push(`AUTH=${mechanisms}`)
  }
  lines.push(...settings.capabilities)
  if (view.trusted) lines.push(XCLIENT_OFFER, XFORWARD_OFFER)
  return lines.map((line, i) => `250${i < lines.length - 1 ? '-' : ' '}${line}\r\n`).join('')
}

const auth: SecretVerb = (argument, view) => {
  // RFC 4954 section 6: "538 5.7.11 Encryption required for requested authentication mechanism". The program authup has 530, as recorded.
  if (authNeedsTls(view)) return fault(view.settings.classic ? 'needtls' : 'encrypt')
  const { word: mechanism, argument: initial } = splitOctets(argument)
  // The program authup answers a missing mechanism as an unknown one, as recorded.
  if (mechanism.length === 0 && !view.settings.classic) return fault('input')
  return beginExchange(mechanism, initial, view)
}

/** RFC 5321 section 4.1.1.1: a client that has no name says its address. The program authup asks for neither, as recorded. */
const introduced = (argument: string, view: DialogueView, answer: Answer): Answer =>
  argument === '' && !view.settings.classic ? reply(SAYS.nameless, view) : answer

/** XCLIENT_README. A client that is not trusted is refused; to the program authup it is a verb like any other. */
function xclient(argument: string, view: DialogueView): Answer {
  if (!view.trusted) return view.settings.classic ? smtp.unknown(argument, view, '') : reply(SAYS.notTrusted, view)
  const client = parseProxied(argument)
  return client === undefined ? reply(SAYS.notAttributes, view) : { do: 'proxied', client }
}

/** XFORWARD_README. It is about a message, so that a trusted client says it as it says MAIL. */
const xforward = (argument: string, view: DialogueView): Answer =>
  view.trusted || view.settings.classic ? smtp.unknown(argument, view, '') : reply(SAYS.notTrusted, view)

export const smtp: Protocol = {
  greet: (view) => `220 ${view.settings.greeting} ESMTP\r\n`,
  verbs: {
    EHLO: (argument, view) => introduced(argument, view, { do: 'helo', text: ehlo(view), esmtp: true }),
    HELO: (argument, view) =>
      introduced(argument, view, { do: 'helo', text: `250 ${view.settings.greeting}\r\n`, esmtp: false }),
    STARTTLS: (_argument, view) =>
      view.settings.tls === 'none' || view.tlsOn
        ? reply(SAYS.noTls, view)
        : { do: 'starttls', text: textFor(SAYS.startTls, view) },
    XCLIENT: xclient,
    XFORWARD: xforward,
    HELP: (_argument, view) => reply(SAYS.help, view),
    NOOP: (_argument, view) => reply(SAYS.nothingDone, view),
    RSET: (_argument, view) => reply(view.settings.classic ? SAYS.loginFirst : SAYS.flushed, view),
    QUIT: (_argument, view) => ({
      do: 'quit',
      text: textFor({ code: '221', status: '2.0.0', text: view.settings.greeting, recorded: '' }, view),
    }),
  },
  secretVerbs: [{ verb: 'AUTH', answer: auth }],
  unknown: (_argument, view) => (view.settings.guest ? { do: 'guest' } : reply(SAYS.loginFirst, view)),
  fault: (name, view, text = '') => textFor({ ...FAULTS[name], text: text || `authup ${FAULTS[name].text}` }, view),
  mark: '334',
  // RFC 5321 4.5.3.1.4: 512 octets, more where extensions add parameters; RFC 4954 section 4: 12,288 for AUTH.
  limit: (verb) => (verb === 'AUTH' ? 12_288 : verb === 'MAIL' || verb === 'RCPT' ? 1000 : 512),
  longest: 12_288,
}
