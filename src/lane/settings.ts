// What a lane works out once for a generation, and what it tells a chain of a connection: pure.

import type { ChainConfig } from '../config/chains.ts'
import { type Config, compileConfig } from '../config/config.ts'
import type { ListenerConfig } from '../config/listeners.ts'
import { mechanismsOf } from '../config/mechanisms.ts'
import type { TlsFacts } from '../edge/tls.ts'
import { counts, type Limits } from '../limits/limit.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { HelperKind } from '../protocol/helper.ts'
import { REQUEST_LIMIT } from '../protocol/lines.ts'
import { hasKeyword } from '../protocol/mail.ts'
import { CREDENTIALS_LIMIT, type LoginMethod } from '../protocol/sasl.ts'
import type { SessionSettings } from '../session/host.ts'
import type { ClientSession } from '../session/session.ts'
import type { GenerationTexts } from './messages.ts'

/** A generation as the lane uses it. */
export interface LaneGeneration {
  readonly generation: number
  readonly config: Config
  /** Sessions that use it. */
  users: number
  /** What a backend offers, and by listener what that makes of the rest. */
  probed: readonly string[]
  settings: readonly SessionSettings[]
  readonly asks: Asks
}

/** What control/limits counts: nothing is asked about anything else. */
export interface Asks {
  readonly door: boolean
  readonly login: boolean
  /** Events of fixsmtpio. */
  readonly mail: ReadonlySet<string>
  readonly octets: boolean
}

function asksOf(limits: Limits): Asks {
  const login = counts(limits, 'sessions', 'before-login', 'logins', 'failed-logins')
  const mail = new Set<string>()
  if (counts(limits, 'messages', 'octets')) mail.add('mail')
  if (counts(limits, 'recipients')) mail.add('rcpt')
  return { door: login, login, mail, octets: counts(limits, 'octets') }
}

const chainNamed = ({ chains }: Config, name: string): ChainConfig | undefined =>
  chains.chains.find((each) => each.name === name)

/** `probed`: what a backend offers, where control/ does not say it. */
export function compileGeneration(
  { generation, texts, rules }: GenerationTexts,
  probed: readonly string[],
): LaneGeneration | { errors: readonly ConfigError[] } {
  const compiled = compileConfig(texts, rules)
  if (compiled.isErr()) return { errors: compiled.error }
  const config = compiled.value
  return {
    generation,
    config,
    users: 0,
    asks: asksOf(config.limits),
    probed,
    settings: settingsOf(config, probed),
  }
}

export function offer(generations: Iterable<LaneGeneration>, probed: readonly string[]): void {
  for (const generation of generations) {
    generation.probed = probed
    generation.settings = settingsOf(generation.config, probed)
  }
}

const settingsOf = (config: Config, probed: readonly string[]): readonly SessionSettings[] =>
  config.listeners.map((listener): SessionSettings => {
    const chain = chainNamed(config, listener.chain)
    return {
      listener: listener.name,
      tries: listener.tries,
      chain: listener.chain,
      guestChain: listener.guest,
      externalChain: listener.external,
      authority: listener.clients,
      warm: listener.protocol === 'smtp' && (chain?.warm ?? 0) > 0,
      bareLineEnd: config.bareLineEnd,
      longest: REQUEST_LIMIT,
      implicitTls: listener.tls === 'implicit',
      proxies: listener.proxies,
      xclients: listener.xclients,
      tells: config.xclient,
      dialogue: dialogueOf(config, probed, listener),
    }
  })

/** What the environment tells a chain of the connection; a warm chain hears nothing that differs from one login of a user to the next. */
export function environmentOf(me: string, session: ClientSession, kind: HelperKind): readonly string[] {
  const ipv6 = session.ip.includes(':') && !session.ip.startsWith('::ffff:')
  const ip = session.ip.replace(/^::ffff:/, '')
  const local = session.local()
  const localIp = local.ip.replace(/^::ffff:/, '')
  const prefix = ipv6 ? 'TCP6' : 'TCP'
  const environment = [`PROTO=${prefix}`, `TCPREMOTEIP=${ip}`, `TCPLOCALIP=${localIp}`, `TCPLOCALHOST=${me}`]
  if (ipv6) environment.push(`TCP6REMOTEIP=${ip}`, `TCP6LOCALIP=${localIp}`)
  if (session.clientHost !== '') environment.push(`TCPREMOTEHOST=${session.clientHost}`)
  if (session.clientInfo !== '') environment.push(`TCPREMOTEINFO=${session.clientInfo}`)
  environment.push(...session.variables)
  if (session.tls !== undefined) environment.push(...tlsVariables(session.tls))
  if (kind !== 'guest' && !hasPlainPassword(session.login.mechanism))
    environment.push(`${AUTH}=${session.login.mechanism}`)
  if (!(session.settings.warm && kind === 'auth')) {
    environment.push(`TCPREMOTEPORT=${session.port}`, `TCPLOCALPORT=${local.port}`, `ACCEPTD_SESSION=${session.name}`)
  }
  return environment
}

/** As sslserver and s6-tlsd name them; FIXSMTPIOTLS as fixsmtpio does. */
function tlsVariables({ protocol, cipher, serverName, clientName }: TlsFacts): readonly string[] {
  const bits = /AES_?128/.test(cipher) ? 128 : 256
  const variables = [
    'FIXSMTPIOTLS=1',
    `SSL_PROTOCOL=${protocol}`,
    `SSL_CIPHER=${cipher}`,
    `SSL_CIPHER_USEKEYSIZE=${bits}`,
    `SSL_CIPHER_ALGKEYSIZE=${bits}`,
    `TLS_VERSION=${protocol}`,
    `TLS_CIPHER=${cipher}`,
  ]
  if (clientName !== '') variables.push(`SSL_CLIENT_S_DN_CN=${clientName}`)
  if (serverName !== '') variables.push(`SSL_TLS_SNI=${serverName}`, `SSL_TLS_SNI_SERVERNAME=${serverName}`)
  return variables
}

/** How the user has logged in, where it was not by a plain password: for a checkpassword that has to know. */
const AUTH = 'ACCEPTD_AUTH'
const PLAIN: readonly string[] = ['PLAIN', 'LOGIN', 'USER'] satisfies readonly LoginMethod[]
const hasPlainPassword = (mechanism: string): boolean => PLAIN.includes(mechanism)

const TLS_NAMES = new Set([
  'FIXSMTPIOTLS',
  'SSL_PROTOCOL',
  'SSL_CIPHER',
  'SSL_CIPHER_USEKEYSIZE',
  'SSL_CIPHER_ALGKEYSIZE',
  'TLS_VERSION',
  'TLS_CIPHER',
])

const CONNECTION_NAMES = new Set([
  'PROTO',
  'TCPREMOTEIP',
  'TCPLOCALIP',
  'TCPREMOTEPORT',
  'TCPLOCALPORT',
  'TCPLOCALHOST',
  'ACCEPTD_SESSION',
  'PATH',
])

/** Which variables a rule may test: those that its chain has. */
export function environmentNames(session: ClientSession, chain: ChainConfig | undefined): (name: string) => boolean {
  return (name) =>
    ((name === 'AUTHUP_USER' || name === 'AUTHUSER') && session.login.user !== '') ||
    CONNECTION_NAMES.has(name) ||
    (name === 'TCPREMOTEHOST' && session.clientHost !== '') ||
    (name === 'TCPREMOTEINFO' && session.clientInfo !== '') ||
    (name === AUTH && session.login.user !== '' && !hasPlainPassword(session.login.mechanism)) ||
    session.variables.some((variable) => variable.startsWith(`${name}=`)) ||
    (session.tls !== undefined && TLS_NAMES.has(name)) ||
    (chain?.variables.some((variable) => variable.startsWith(`${name}=`)) ?? false)
}

/** What the dialogue says of TLS; under implicit TLS there is nothing to say. */
const DIALOGUE_TLS = { off: 'none', implicit: 'none', offer: 'offer', require: 'require' } as const

/** BINARYMIME is never offered: see withoutBinary of actors/fixsmtpio-state.ts. */
const mayOffer = (line: string): boolean => !hasKeyword([line], 'BINARYMIME')

function dialogueOf(config: Config, probed: readonly string[], listener: ListenerConfig): DialogueSettings {
  const smtpCapabilities = config.probesCapabilities ? probed : config.smtpCapabilities
  const { protocol, guest, tls } = listener
  return {
    protocol,
    greeting: protocol === 'smtp' ? config.smtpGreeting : config.pop3Greeting,
    capabilities: protocol === 'smtp' ? smtpCapabilities.filter(mayOffer) : config.pop3Capabilities,
    tls: DIALOGUE_TLS[tls],
    brokenClients: config.brokenClients,
    guest: guest !== undefined,
    mechanisms: mechanismsOf(config, listener),
    credentials: chainNamed(config, listener.chain)?.credentials ?? CREDENTIALS_LIMIT,
    classic: false,
  }
}
