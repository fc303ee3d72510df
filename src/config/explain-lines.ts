// Lines of control files in words: a listener, a line of a chain, a limit, an access rule, the senders of a user, a certificate.

import type { SessionFilter } from '../contract/pages.ts'
import type { Limits, Rate, Scope, What } from '../limits/limit.ts'
import type { AccessRules } from './access.ts'
import type { ChainConfig } from './chains.ts'
import type { Config } from './config.ts'
import type { ListenerConfig } from './listeners.ts'
import type { CertificateFiles, TlsMode } from './tls.ts'

interface Words {
  readonly name?: string
  readonly does: readonly string[]
  readonly filter?: SessionFilter
  readonly usedBy?: readonly string[]
}

const TLS: Readonly<Record<TlsMode, string>> = {
  off: 'It has no TLS: passwords come in the clear.',
  offer: 'TLS is offered (STARTTLS or STLS), not required.',
  require: 'No login before TLS (STARTTLS or STLS).',
  implicit: 'TLS from the first octet.',
}

export function listenerWords(listener: ListenerConfig): Words {
  const { name, address, port, protocol, chain, guest, tries, tls, proxies, xclients, clients, external } = listener
  const service = protocol === 'smtp' ? 'mail submission (SMTP)' : 'mailboxes (POP3)'
  return {
    name,
    filter: { listener: name },
    does: [
      `Serves ${service} on ${address}, port ${port === 0 ? '0 (the kernel chooses one)' : port}, under the name ${name}.`,
      `A login runs the chain ${chain}; a session may send ${tries} wrong password${tries === 1 ? '' : 's'}.`,
      ...(guest === undefined ? [] : [`Clients that do not log in are served by the chain ${guest}.`]),
      TLS[tls],
      ...(clients === undefined ? [] : [`In TLS clients are asked for a certificate that ${clients} has signed.`]),
      ...(external === undefined
        ? []
        : [`Whom control/certusers finds for it may log in by it (AUTH EXTERNAL), which runs the chain ${external}.`]),
      ...(proxies.length === 0
        ? []
        : ['Connections from the addresses of proxy= must begin with a PROXY header, whose client they are.']),
      ...(xclients.length === 0
        ? []
        : ['Clients at the addresses of xclient= may say with XCLIENT and XFORWARD for whom they speak.']),
    ],
  }
}

/** Words before the first chain. */
const TOP: Readonly<Record<string, (value: string) => string>> = {
  account: (value) => `acceptd runs as ${value}, who alone may use the helper. Takes effect when the helper starts.`,
  group: (value) =>
    `The folder of the helper's socket belongs to the group ${value}. Takes effect when the helper starts.`,
  socket: (value) => `The helper listens on ${value}. Takes effect when the helper starts.`,
  'min-uid': (value) => `A login with a uid below ${value} is treated like one as root.`,
  'max-processes': (value) =>
    `At most ${value} chains and backends run at the same time; beyond it logins receive 454.`,
  'attempts-per-second': (value) => `Beyond ${value} attempts in a second logins wait for the next one.`,
  'login-timeout': (value) => `A login that has not started its backend after ${value} seconds is ended.`,
}

const RUN_FOR: Readonly<Record<ChainConfig['kind'], string>> = {
  auth: 'a login runs',
  certificate: 'a login by a client certificate runs',
  guest: 'serves clients that have not logged in',
  probe: 'only backend.probe runs',
}

/** Words of a chain. */
const IN_CHAIN: Readonly<Record<string, (values: readonly string[], chain: ChainConfig) => string>> = {
  chain: ([name], { kind }) => `Begins the chain ${name}, which ${RUN_FOR[kind]}.`,
  kind: ([kind, uid, gid]) =>
    kind === 'auth'
      ? 'The chain checks a user and a password.'
      : kind === 'certificate'
        ? 'No password is asked for: a certificate has named the user, in TLS.'
        : `No password is asked for; the chain runs as user ${uid}, group ${gid}.`,
  checkpassword: ([program, file = '/etc/shadow']) =>
    program === 'builtin'
      ? `The helper itself checks the password, against ${file}.`
      : `${program} checks the password, as checkpassword(8), before the backend is run as the user.`,
  backend: (argv) => `After login ${argv.join(' ')} serves the session, as the user, on its standard input and output.`,
  set: ([variable = '']) =>
    `Sets ${variable.split('=')[0]} for checkpassword and backend; rules of control/fixsmtpio can ask whether it is set.`,
  mechanisms: (names) => `Clients are offered ${names.join(', ')}, which the checkpassword can check, and no others.`,
  credentials: ([octets]) => `The checkpassword reads ${octets} octets; logins with more are refused before it runs.`,
  verified: ([seconds]) =>
    seconds === '0'
      ? 'The helper hashes the password at every login.'
      : `The helper does not hash a password again that it has verified in the last ${seconds} seconds.`,
  warm: ([seconds]) =>
    seconds === '0'
      ? 'No backend is kept for the next login.'
      : `A backend may serve the next login of its user, if the password was checked in the last ${seconds} seconds.`,
}

export function chainWords({ chains, listeners }: Config, line: number, text: string): Words {
  const [word = '', ...values] = text.split(/[ \t]+/).filter((each) => each !== '')
  const chain = chains.chains.findLast((one) => one.line <= line)
  if (chain === undefined) return { does: [TOP[word]?.(values[0] ?? '') ?? ''] }
  const { name } = chain
  const usedBy = listeners.flatMap((one) => [
    ...(one.chain === name ? [`listener ${one.name}`] : []),
    ...(one.guest === name ? [`listener ${one.name} (guest)`] : []),
    ...(one.external === name ? [`listener ${one.name} (external)`] : []),
  ])
  return { name, does: [IN_CHAIN[word]?.(values, chain) ?? ''], usedBy }
}

const SCOPES: Readonly<Record<Scope, string>> = {
  address: 'each address (an IPv6 client by its /64)',
  network: 'each network (/24, of IPv6 /48)',
  user: 'each user',
  'user+address': 'each user at each address',
  listener: 'each listener',
  all: 'all clients together',
}

const WHATS: Readonly<Record<What, string>> = {
  sessions: 'sessions',
  'before-login': 'sessions that have not logged in',
  logins: 'attempts to log in',
  'failed-logins': 'failed logins',
  messages: 'messages',
  recipients: 'recipients',
  octets: 'octets of messages',
}

export function limitWords({ limits }: Limits, line: number, text: string): Words {
  const limit = limits.find((one) => one.line === line)
  const [name = '', where = ''] = text.trim().split(/[ \t]+/)
  if (limit === undefined) {
    const network = where.split('=')[1] ?? ''
    const does = [`Trusts ${network}: its clients are counted by the lines of scope user only.`]
    return { name, does, filter: { ip: network } }
  }
  const { scope, only, what, rate } = limit
  const whom = only === undefined ? SCOPES[scope] : `${scope} ${only.text} alone`
  return {
    name,
    does: [
      rateWords(rate, whom, WHATS[what]),
      ...(only === undefined ? [] : ['It takes the place of the general lines of its scope and kind.']),
    ],
    ...(only !== undefined && { filter: filterOf(scope, only.text) }),
  }
}

function filterOf(scope: Scope, subject: string): SessionFilter {
  if (scope === 'user') return { user: exactly(subject) }
  return scope === 'listener' ? { listener: subject } : { ip: subject }
}

/** A glob for this name alone. */
const exactly = (name: string): string => name.replace(/[*?\\]/g, '\\$&')

function rateWords(rate: Rate, whom: string, what: string): string {
  switch (rate.kind) {
    case 'at-once':
      return `Of ${whom}: at most ${rate.most} ${what} at the same time.`
    case 'window': {
      const ban = rate.ban === 0 ? '' : `; then all is refused for ${rate.ban} seconds`
      return `Of ${whom}: at most ${rate.most} ${what} in any ${rate.seconds} seconds${ban}.`
    }
    case 'delay':
      return `Of ${whom}: each wrong password is answered later than the one before, after 2, 4, 8 seconds and so on, at most ${rate.longest}.`
    case 'off':
      return `Of ${whom}: no limit of ${what}.`
  }
}

export function accessWords({ byText, byName, byUser, byNetwork }: AccessRules, line: number): Words {
  const lists = [byText.values(), byName.values(), byUser.values(), byNetwork.map((one) => one.rule)]
  const rule = lists.flatMap((list) => [...list]).find((one) => one.line === line)
  if (rule === undefined) return { does: ['An earlier line for the same address counts; this one does nothing.'] }
  const { text, allow, variables } = rule
  const where = text.slice(text.lastIndexOf('@') + 1)
  const inside = where.replace(/^\[|\]$/g, '')
  const whom =
    text === where
      ? clientsAt(where, inside)
      : `${clientsAt(where, inside)} of user ${text.slice(0, -where.length - 1)}`
  return {
    does: [
      allow ? `${whom} may connect.` : `${whom} are refused.`,
      ...(variables.length === 0 ? [] : [`Their chains get ${variables.join(', ')}.`]),
      ...(text === '' ? [] : ['An address counts before a network, and a longer network before a shorter one.']),
    ],
    ...(/^[\d.]*\d$|[:/]/.test(inside) && !/[-=]/.test(inside) && { filter: { ip: inside } }),
  }
}

function clientsAt(where: string, inside: string): string {
  if (where === '') return 'Clients that no other line is for'
  if (where === '=') return 'Clients whose name is known'
  if (where.startsWith('=.')) return `Clients whose name is under ${where.slice(2)}`
  if (where.startsWith('=')) return `Clients whose name is ${where.slice(1)}`
  return where.endsWith('.') ? `Clients whose address begins with ${where}` : `Clients at ${inside}`
}

/** The listeners whose clients an access file judges: those that name it; of control/access those that name none. */
export const accessUsers = ({ listeners }: Config, file: string): readonly string[] =>
  listeners.filter(({ access }) => (access ?? 'access') === file).map(({ name }) => `listener ${name}`)

export function senderWords(text: string): Words {
  const [user = '', ...addresses] = text.trim().split(/[ \t]+/)
  if (addresses.length === 0)
    return { does: [`Users without a line of their own are looked up in ${user.replace(/^cdb:/, '')} at each login.`] }
  const every = user === '*'
  const whom = every ? 'A user without a line of their own' : user
  const list = addresses.includes('*') ? 'any address' : addresses.join(', ')
  return {
    does: [
      `${whom} may give ${list} in MAIL, and the null sender; any other is refused with 553.`,
      ...(addresses.some((address) => address.includes('%')) ? ['% is the name of the user.'] : []),
      ...(addresses.some((address) => address.startsWith('*@')) ? ['*@ is any name in that domain.'] : []),
    ],
    ...(!every && { filter: { user: exactly(user) } }),
  }
}

export function certUserWords(text: string): Words {
  const [, user = '', name = ''] = /^\s*(\S+)\s+(.*)$/.exec(text) ?? []
  const every = user.includes('%')
  return {
    does: [
      `A client whose certificate has the name ${name} may log in by it, as ${user}.`,
      ...(every ? ['% is the same in both.'] : []),
    ],
    ...(!every && { filter: { user: exactly(user) } }),
  }
}

export function certificateWords({ names, certificate, key }: CertificateFiles, first: boolean): Words {
  return {
    does: [
      `Clients that ask for ${names.join(' or ')} get the certificate of ${certificate}, with the key of ${key}.`,
      ...(first ? ['Clients that name no host get it, too.'] : []),
    ],
    filter: { tls: true },
  }
}
