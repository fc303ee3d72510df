// The control directory as one value; every error with file:line:column.

import { err, ok, type Result } from 'neverthrow'
import type { LogLevels } from '../contract/log.ts'
import { type Limits, NO_LIMITS } from '../limits/limit.ts'
import { firstLine } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { HELPER_MODES, type HelperMode } from '../protocol/helper.ts'
import { isIp } from '../protocol/ip.ts'
import { replyCode } from '../protocol/replies.ts'
import { parseRules } from '../rules/parse.ts'
import { rewriteReply, rulesFor } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'
import { type AccessRules, NO_ACCESS_RULES, parseAccess } from './access.ts'
import { type CertificateUser, parseCertUsers } from './certusers.ts'
import { type ChainsFile, parseChains } from './chains.ts'
import { refuseContradictions } from './contradictions.ts'
import { type FleetConfig, parseFleet } from './fleet.ts'
import {
  ACCESS_FILE,
  type ControlTexts,
  filesIn,
  lineOf,
  linesOf,
  numberOf,
  type Reading,
  trouble,
  wordOf,
} from './knobs.ts'
import { parseLimits } from './limits.ts'
import { type ListenerConfig, parseListeners } from './listeners.ts'
import { logLevelsOf } from './log-levels.ts'
import { parseSenders, type SenderRights } from './senders.ts'
import { type CertificateFiles, parseTls } from './tls.ts'

export interface Config {
  readonly texts: ControlTexts
  readonly me: string
  readonly smtpGreeting: string
  readonly pop3Greeting: string
  readonly smtpCapabilities: readonly string[]
  /** They are asked of a backend: control/smtpcapabilities says `probe`. */
  readonly probesCapabilities: boolean
  readonly pop3Capabilities: readonly string[]
  readonly apop: boolean
  readonly brokenClients: boolean
  /** Seconds. */
  readonly smtpTimeout: number
  readonly pop3Timeout: number
  /** Seconds; 0: none. */
  readonly loginTimeout: number
  /** Octets a second; 0: none. */
  readonly minDataRate: number
  readonly access: AccessRules
  /** Of single listeners, by their files. */
  readonly accessFiles: ReadonlyMap<string, AccessRules>
  /** The names of clients are looked up, at these servers, or at those of the host. */
  readonly remoteHost: boolean
  readonly dnsServers: readonly string[]
  /** Seconds that identd has; 0: it is not asked. */
  readonly remoteInfo: number
  readonly senders: SenderRights
  /** control/senders binds the header From, too. */
  readonly headerFrom: boolean
  /** A backend that offers XCLIENT or XFORWARD learns who the client is. */
  readonly xclient: boolean
  readonly certUsers: readonly CertificateUser[]
  readonly bareLineEnd: 'fix' | 'refuse'
  readonly logLevels: LogLevels
  readonly logFormat: 'text' | 'json'
  readonly maxSessions: number
  readonly limits: Limits
  /** Undefined: this host is on its own. */
  readonly fleet: FleetConfig | undefined
  readonly helper: HelperMode
  readonly lanes: number
  readonly statusGroup: number | undefined
  /** Changed files are reloaded by themselves. */
  readonly watch: boolean
  /** Seconds. */
  readonly upgradeDrain: number
  readonly metrics: { readonly host: string; readonly port: number } | undefined
  readonly listeners: readonly ListenerConfig[]
  readonly chains: ChainsFile
  readonly rules: RuleSet
  readonly certificates: readonly CertificateFiles[]
  readonly tlsMinimum: '1.2' | '1.3'
  readonly tlsCiphers: string
  readonly tlsUnknownName: 'default' | 'refuse'
}

/** What has to fit together. */
type Served = Pick<Config, 'chains' | 'listeners' | 'rules' | 'certificates'>

/** The text of the rules, as it is parsed. */
export const rulesText = (texts: ControlTexts): string => (texts['fixsmtpio'] ?? '').replaceAll('\r\n', '\n')

/** Compiles the texts of a control directory; all errors together. `known`: the rules, where they have been parsed and checked. */
export function compileConfig(texts: ControlTexts, known?: RuleSet): Result<Config, readonly ConfigError[]> {
  const reading: Reading = { texts: unixLines(texts), errors: [] }
  refuseMarks(reading)
  requirePath(reading)
  const names = namesOf(reading)
  const served = servedBy(reading, known)
  const config = { texts, ...names, ...scalars(reading) }
  if (served !== undefined) refuseContradictions(reading, { ...config, ...served })
  if (reading.errors.length > 0 || served === undefined) return err(reading.errors)
  return ok({ ...config, ...served })
}

/** CR LF ends a line like LF in every file. (To the classic programs, as to qmail, the CR is part of the line.) */
function unixLines(texts: ControlTexts): ControlTexts {
  if (Object.values(texts).every((text) => !text.includes('\r\n'))) return texts
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text.replaceAll('\r\n', '\n')]))
}

/** UTF-8's byte order mark, in octets: it would become part of a name, a rule or a word. */
const MARK = '\u00ef\u00bb\u00bf'

function refuseMarks({ texts, errors }: Reading): void {
  for (const [name, text] of Object.entries(texts))
    if (text.startsWith(MARK))
      errors.push(trouble(name, 1, 1, 'the file begins with a byte order mark', 'save it as UTF-8 without one'))
}

function namesOf({ texts, errors }: Reading): Pick<Config, 'me' | 'smtpGreeting' | 'pop3Greeting'> {
  const me = firstLine(texts.me ?? '')
  const smtpGreeting = firstLine(texts.smtpgreeting ?? '') || me
  const pop3Greeting = firstLine(texts.pop3greeting ?? '') || me
  if (smtpGreeting === '' || pop3Greeting === '')
    errors.push(trouble('me', 1, 1, 'there is no such file', 'put the name of this host in it, e.g. mail.example.org'))
  return { me, smtpGreeting, pop3Greeting }
}

/** Listeners, chains and rules, and what they need of each other; undefined if one of them does not parse. */
function servedBy(reading: Reading, known: RuleSet | undefined): Served | undefined {
  const { texts, errors } = reading
  const chains = parseChains(texts.chains, 'control/chains')
  if (chains.isErr()) errors.push(...chains.error)
  const tls = parseTls(texts.tls ?? '', 'control/tls')
  if (tls.isErr()) errors.push(...tls.error)
  const listeners = parseListeners(texts.listeners, 'control/listeners', {
    chains: chains.isOk() ? chains.value : undefined,
    // A certificate that is wrongly named is an error of its own.
    certified: tls.isErr() || tls.value.length > 0,
  })
  if (listeners.isErr()) errors.push(...listeners.error)
  const protocols = new Set(listeners.isOk() ? listeners.value.map((listener) => listener.protocol) : [])
  requireCapabilities(reading, protocols)
  const rules = known === undefined ? parseRules(texts.fixsmtpio ?? '', 'control/fixsmtpio') : ok(known)
  // Not as arguments of one call: there may be more than a stack holds.
  if (rules.isErr()) for (const error of rules.error) errors.push(error)
  else if (known === undefined && protocols.has('smtp') && !greetsWith235(rules.value)) {
    errors.push(
      trouble(
        'fixsmtpio',
        1,
        1,
        'no rule turns the greeting of an authenticated session into 235, so no client would know that it is logged in',
        'add the rule AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)',
      ),
    )
  }
  if (chains.isErr() || listeners.isErr() || rules.isErr() || tls.isErr()) return undefined
  const served = { chains: chains.value, listeners: listeners.value, rules: rules.value, certificates: tls.value }
  if (known === undefined) requireWarmRules(reading, served)
  return served
}

function requireCapabilities({ texts, errors }: Reading, protocols: ReadonlySet<'smtp' | 'pop3'>): void {
  for (const protocol of protocols) {
    const name = `${protocol}capabilities` as const
    if (texts[name] !== undefined) continue
    const hint = `write what the ${protocol.toUpperCase()} backend offers, one keyword a line; it may be empty`
    errors.push(trouble(name, 1, 1, 'there is no such file', hint))
  }
}

function requireWarmRules({ errors }: Reading, { chains, listeners, rules }: Served): void {
  const served = listeners.filter((one) => one.protocol === 'smtp').map((one) => one.chain)
  const warm = chains.chains.find((chain) => chain.warm > 0 && served.includes(chain.name))
  if (warm === undefined || answersForBackend(rules)) return
  errors.push(
    trouble(
      'chains',
      warm.line,
      1,
      `the chain ${warm.name} is warm, but the rules let a backend's own words for greeting or quit through`,
      'add the rules AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0) and :quit::2*::&fixsmtpio_fixup, or take out warm',
    ),
  )
}

/** The knobs of one word or number, and the lists. */
function scalars(reading: Reading) {
  return {
    ...capabilitiesOf(linesOf(reading, 'smtpcapabilities')),
    pop3Capabilities: linesOf(reading, 'pop3capabilities'),
    metrics: metricsOf(reading),
    watch: numberOf(reading, 'watchcontrol', 0, 1) === 1,
    upgradeDrain: numberOf(reading, 'upgradedrain', 0, 604_800),
    statusGroup: statusGroupOf(reading),
    apop: numberOf(reading, 'pop3apop', 0, 1) === 1,
    brokenClients: numberOf(reading, 'saslbrokenclients', 0, 1) === 1,
    smtpTimeout: numberOf(reading, 'timeoutsmtpd', 1, 86_400),
    pop3Timeout: numberOf(reading, 'timeoutpop3d', 1, 86_400),
    loginTimeout: numberOf(reading, 'timeoutlogin', 0, 86_400),
    minDataRate: numberOf(reading, 'mindatarate', 0, 1_000_000),
    access: accessOf(reading, 'access'),
    accessFiles: new Map(
      filesIn(reading.texts)
        .filter((name) => ACCESS_FILE.test(name))
        .map((name) => [name, accessOf(reading, name)]),
    ),
    remoteHost: numberOf(reading, 'remotehost', 0, 1) === 1,
    dnsServers: dnsServersOf(reading),
    remoteInfo: numberOf(reading, 'remoteinfo', 0, 30),
    senders: sendersOf(reading),
    headerFrom: numberOf(reading, 'headerfrom', 0, 1) === 1,
    xclient: numberOf(reading, 'xclient', 0, 1) === 1,
    certUsers: certUsersOf(reading),
    bareLineEnd: wordOf(reading, 'barelineend', ['fix', 'refuse']),
    logLevels: logLevelsOf(reading),
    logFormat: wordOf(reading, 'logformat', ['text', 'json']),
    maxSessions: numberOf(reading, 'maxsessions', 0, 10_000_000),
    limits: limitsOf(reading),
    fleet: fleetOf(reading),
    tlsMinimum: wordOf(reading, 'tlsminimum', ['1.2', '1.3']),
    tlsCiphers: lineOf(reading, 'tlsciphers'),
    tlsUnknownName: wordOf(reading, 'tlsunknownname', ['default', 'refuse']),
    helper: wordOf(reading, 'helper', HELPER_MODES),
    lanes: numberOf(reading, 'lanes', 0, 64),
  }
}

const PROBE = 'probe'

function capabilitiesOf(lines: readonly string[]): Pick<Config, 'smtpCapabilities' | 'probesCapabilities'> {
  const probes = lines.length === 1 && lines[0]?.trim() === PROBE
  return { smtpCapabilities: probes ? [] : lines, probesCapabilities: probes }
}

/** native/acceptd.c reads it, before there is a Node. */
function requirePath(reading: Reading): void {
  const text = lineOf(reading, 'state')
  if (text === '' || /^\/\S*$/.test(text)) return
  const problem = `\`${text}\` is not an absolute path without blanks`
  reading.errors.push(trouble('state', 1, 1, problem, 'write e.g. /var/lib/acceptd'))
}

function sendersOf({ texts, errors }: Reading): SenderRights {
  const parsed = parseSenders(texts.senders, 'control/senders')
  if (parsed.isErr()) errors.push(...parsed.error)
  return parsed.unwrapOr(undefined)
}

function certUsersOf({ texts, errors }: Reading): readonly CertificateUser[] {
  const parsed = parseCertUsers(texts.certusers ?? '', 'control/certusers')
  if (parsed.isErr()) errors.push(...parsed.error)
  return parsed.unwrapOr([])
}

/** What holds for a listener: control/access, or the file that it names. */
export const accessRulesOf = ({ listeners, access, accessFiles }: Config, listener: string | undefined): AccessRules =>
  accessFiles.get(listeners.find(({ name }) => name === listener)?.access ?? '') ?? access

function dnsServersOf(reading: Reading): readonly string[] {
  const lines = linesOf(reading, 'dnsservers').map((line) => line.trim())
  for (const line of lines) {
    const [, address = line, port = '53'] =
      /^(?:\[(.*)\]|([^:]*)):(\d{1,5})$/.exec(line)?.filter((part) => part !== undefined) ?? []
    if (isIp(address) === 0 || Number(port) > 65_535)
      reading.errors.push(
        trouble('dnsservers', 1, 1, `\`${line}\` is not ADDRESS or ADDRESS:PORT`, 'write e.g. 127.0.0.1'),
      )
  }
  return lines
}

function accessOf({ texts, errors }: Reading, name: string): AccessRules {
  const parsed = parseAccess(texts[name] ?? '', `control/${name}`)
  if (parsed.isErr()) errors.push(...parsed.error)
  return parsed.unwrapOr(NO_ACCESS_RULES)
}

function limitsOf({ texts, errors }: Reading): Limits {
  const limits = parseLimits(texts.limits ?? '', 'control/limits')
  if (limits.isErr()) errors.push(...limits.error)
  return limits.unwrapOr(NO_LIMITS)
}

function fleetOf({ texts, errors }: Reading): FleetConfig | undefined {
  const fleet = parseFleet(texts.fleet, 'control/fleet')
  if (fleet.isErr()) errors.push(...fleet.error)
  return fleet.unwrapOr(undefined)
}

function metricsOf(reading: Reading): Config['metrics'] {
  const text = lineOf(reading, 'metrics')
  if (text === '') return undefined
  const match = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2] ?? Number.NaN)
  if (match !== null && port <= 65_535) return { host: (match[1] ?? '').replace(/[[\]]/g, ''), port }
  const problem = `\`${text}\` is not a loopback address and port`
  reading.errors.push(trouble('metrics', 1, 1, problem, 'write e.g. 127.0.0.1:9587'))
  return undefined
}

function statusGroupOf(reading: Reading): number | undefined {
  const text = lineOf(reading, 'statusgroup')
  if (text === '') return undefined
  if (/^\d{1,10}$/.test(text)) return Number(text)
  const problem = `\`${text}\` is not a numeric group id`
  reading.errors.push(trouble('statusgroup', 1, 1, problem, 'write what `getent group acceptd-status` shows'))
  return undefined
}

/** At a warm login the backend says neither greeting nor 221: the client must not be able to tell. */
function answersForBackend(rules: RuleSet): boolean {
  const session = rulesFor(rules, (name) => name === 'AUTHUP_USER' || name === 'AUTHUSER')
  const told = (event: string, reply: string) => {
    const { reply: text, exitcode } = rewriteReply(session, event, reply, {
      greeting: 'mail.example',
      tls: 'none',
      classic: false,
      enhanced: false,
    })
    return `${exitcode ?? ''} ${text}`
  }
  return (
    told('greeting', '220 one ESMTP\r\n') === told('greeting', '220 two\r\n') &&
    told('quit', '221 bye\r\n') === told('quit', '221 see you\r\n')
  )
}

function greetsWith235(rules: RuleSet): boolean {
  const session = rulesFor(rules, (name) => name === 'AUTHUP_USER' || name === 'AUTHUSER')
  const { reply } = rewriteReply(session, 'greeting', '220 mail.example ESMTP\r\n', {
    greeting: 'mail.example',
    tls: 'none',
    classic: false,
    enhanced: false,
  })
  return replyCode(reply) === 235
}
