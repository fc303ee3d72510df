// The control directory as one value: every knob a row, every error with file:line:column.

import { err, ok, type Result } from 'neverthrow'
import { controlLines, firstLine } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { HELPER_MODES, type HelperMode } from '../protocol/helper.ts'
import { replyCode } from '../protocol/replies.ts'
import { parseRules } from '../rules/parse.ts'
import { rewriteReply, rulesFor } from '../rules/rewrite.ts'
import type { RuleSet } from '../rules/ruleset.ts'
import { type ChainsFile, parseChains } from './chains.ts'
import { type ListenerConfig, parseListeners } from './listeners.ts'
import { type CertificateFiles, parseTls } from './tls.ts'

/** Texts of the control directory by file name; a file that is not there has no entry. */
export type ControlTexts = Readonly<Record<string, string>>

export type KnobName = (typeof KNOBS)[number]['name']

interface KnobRow {
  readonly name: string
  readonly changes: 'reload' | 'restart'
  readonly about: string
  /** What holds without the file; undefined: there is no default. */
  readonly fallback: string | undefined
}

export const KNOBS = [
  { name: 'me', changes: 'reload', fallback: undefined, about: 'Name of this host; the default greeting.' },
  { name: 'smtpgreeting', changes: 'reload', fallback: 'control/me', about: 'What follows 220, 250 and 221.' },
  {
    name: 'smtpcapabilities',
    changes: 'reload',
    fallback: undefined,
    about: 'EHLO keywords shown before login, one per line.',
  },
  { name: 'pop3greeting', changes: 'reload', fallback: 'control/me', about: 'The host part of the POP3 timestamp.' },
  {
    name: 'pop3capabilities',
    changes: 'reload',
    fallback: undefined,
    about: 'CAPA lines shown before login, one per line.',
  },
  {
    name: 'pop3apop',
    changes: 'reload',
    fallback: '0',
    about: '1: APOP, for a checkpassword that knows plain passwords.',
  },
  {
    name: 'timeoutsmtpd',
    changes: 'reload',
    fallback: '1200',
    about: 'Seconds an SMTP client or backend may be silent.',
  },
  {
    name: 'timeoutpop3d',
    changes: 'reload',
    fallback: '1200',
    about: 'Seconds a POP3 client or backend may be silent.',
  },
  { name: 'fixsmtpio', changes: 'reload', fallback: '', about: 'Rules for requests, replies and exit codes.' },
  { name: 'barelineend', changes: 'reload', fallback: 'fix', about: 'fix or refuse a bare CR or LF in a message.' },
  {
    name: 'tls',
    changes: 'reload',
    fallback: '',
    about: 'NAME[,NAME...] CERT KEY: certificates; the first serves clients that name no host.',
  },
  { name: 'tlsminimum', changes: 'reload', fallback: '1.2', about: '1.2 or 1.3: the oldest TLS that is spoken.' },
  { name: 'tlsciphers', changes: 'reload', fallback: '', about: 'Ciphers of TLS 1.2 in the words of OpenSSL.' },
  {
    name: 'tlsunknownname',
    changes: 'reload',
    fallback: 'default',
    about: 'default or refuse: a client that asks for a host without a certificate.',
  },
  { name: 'loglevel', changes: 'reload', fallback: 'info', about: 'error, warn, info or debug.' },
  {
    name: 'maxsessions',
    changes: 'reload',
    fallback: '0',
    about: 'Concurrent sessions; 0: as many as descriptors allow.',
  },
  { name: 'saslbrokenclients', changes: 'reload', fallback: '0', about: '1: a second EHLO line AUTH=LOGIN PLAIN.' },
  {
    name: 'listeners',
    changes: 'restart',
    fallback: undefined,
    about: 'ADDRESS:PORT PROTOCOL CHAIN [tls=MODE] [proxy=NETWORKS] [tries=N] [guest=CHAIN] [name=NAME].',
  },
  {
    name: 'chains',
    changes: 'reload',
    fallback: undefined,
    about: 'The programs run for a login; the helper reads it too.',
  },
  {
    name: 'helper',
    changes: 'restart',
    fallback: 'serve',
    about: 'serve: acceptd keeps accept-helper running; unit: something else does; run: one for each login.',
  },
  { name: 'lanes', changes: 'restart', fallback: '0', about: 'Worker threads; 0: one per core.' },
  { name: 'statusgroup', changes: 'restart', fallback: '', about: 'Numeric group of status.sock.' },
  { name: 'metrics', changes: 'restart', fallback: '', about: 'Loopback ADDRESS:PORT for GET /metrics.' },
] as const satisfies readonly KnobRow[]

export interface Config {
  readonly texts: ControlTexts
  readonly me: string
  readonly smtpGreeting: string
  readonly pop3Greeting: string
  readonly smtpCapabilities: readonly string[]
  readonly pop3Capabilities: readonly string[]
  readonly apop: boolean
  readonly brokenClients: boolean
  /** Seconds. */
  readonly smtpTimeout: number
  readonly pop3Timeout: number
  readonly bareLineEnd: 'fix' | 'refuse'
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug'
  readonly maxSessions: number
  readonly helper: HelperMode
  readonly lanes: number
  readonly statusGroup: number | undefined
  readonly metrics: { readonly host: string; readonly port: number } | undefined
  readonly listeners: readonly ListenerConfig[]
  readonly chains: ChainsFile
  readonly rules: RuleSet
  readonly certificates: readonly CertificateFiles[]
  readonly tlsMinimum: '1.2' | '1.3'
  readonly tlsCiphers: string
  readonly tlsUnknownName: 'default' | 'refuse'
}

const trouble = (file: string, line: number, column: number, problem: string, hint: string): ConfigError => ({
  file: `control/${file}`,
  line,
  column,
  problem,
  hint,
})

/** Compiles the texts of a control directory; all errors at once. */
export function compileConfig(texts: ControlTexts): Result<Config, readonly ConfigError[]> {
  const errors: ConfigError[] = []

  const line = (name: KnobName): string => {
    const text = texts[name]
    const row = KNOBS.find((knob) => knob.name === name)
    if (text === undefined || firstLine(text) === '') return row?.fallback ?? ''
    return firstLine(text)
  }
  const number = (name: KnobName, least: number, most: number): number => {
    const text = line(name)
    const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
    if (value < least || value > most) {
      errors.push(
        trouble(
          name,
          1,
          1,
          `\`${text}\` is not a number from ${least} to ${most}`,
          'write one number in decimal digits',
        ),
      )
    }
    return value
  }
  const oneOf = <T extends string>(name: KnobName, words: readonly T[]): T => {
    const text = line(name)
    const found = words.find((word) => word === text)
    if (found === undefined) errors.push(trouble(name, 1, 1, `\`${text}\` is not known`, `write ${words.join(' or ')}`))
    return found ?? (words[0] as T)
  }
  const lines = (name: KnobName): readonly string[] => controlLines(texts[name] ?? '').map((row) => row.text)

  const me = firstLine(texts.me ?? '')
  if (me === '' && (firstLine(texts.smtpgreeting ?? '') === '' || firstLine(texts.pop3greeting ?? '') === '')) {
    errors.push(trouble('me', 1, 1, 'there is no such file', 'put the name of this host in it, e.g. mail.example.org'))
  }
  const greeting = (name: 'smtpgreeting' | 'pop3greeting') => firstLine(texts[name] ?? '') || me

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
  for (const protocol of protocols) {
    const name = `${protocol}capabilities` as const
    if (texts[name] === undefined) {
      errors.push(
        trouble(
          name,
          1,
          1,
          'there is no such file',
          `write what the ${protocol.toUpperCase()} backend offers, one keyword a line; it may be empty`,
        ),
      )
    }
  }

  const rules = parseRules(texts.fixsmtpio ?? '', 'control/fixsmtpio')
  if (rules.isErr()) errors.push(...rules.error)
  else if (protocols.has('smtp') && !greetsWith235(rules.value)) {
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

  if (rules.isOk() && chains.isOk() && listeners.isOk()) {
    const served = listeners.value.filter((one) => one.protocol === 'smtp').map((one) => one.chain)
    const warm = chains.value.chains.find((chain) => chain.warm > 0 && served.includes(chain.name))
    if (warm !== undefined && !answersForBackend(rules.value)) {
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
  }

  const metricsText = line('metrics')
  const metricsMatch = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost):(\d{1,5})$/.exec(metricsText)
  if (metricsText !== '' && metricsMatch === null) {
    errors.push(
      trouble('metrics', 1, 1, `\`${metricsText}\` is not a loopback address and port`, 'write e.g. 127.0.0.1:9587'),
    )
  }
  const statusText = line('statusgroup')
  if (statusText !== '' && !/^\d{1,10}$/.test(statusText)) {
    errors.push(
      trouble(
        'statusgroup',
        1,
        1,
        `\`${statusText}\` is not a numeric group id`,
        'write what `getent group acceptd-status` shows',
      ),
    )
  }

  const config = {
    texts,
    me,
    smtpGreeting: greeting('smtpgreeting'),
    pop3Greeting: greeting('pop3greeting'),
    smtpCapabilities: lines('smtpcapabilities'),
    pop3Capabilities: lines('pop3capabilities'),
    apop: number('pop3apop', 0, 1) === 1,
    brokenClients: number('saslbrokenclients', 0, 1) === 1,
    smtpTimeout: number('timeoutsmtpd', 1, 86_400),
    pop3Timeout: number('timeoutpop3d', 1, 86_400),
    bareLineEnd: oneOf('barelineend', ['fix', 'refuse']),
    logLevel: oneOf('loglevel', ['info', 'error', 'warn', 'debug']),
    maxSessions: number('maxsessions', 0, 10_000_000),
    tlsMinimum: oneOf('tlsminimum', ['1.2', '1.3']),
    tlsCiphers: line('tlsciphers'),
    tlsUnknownName: oneOf('tlsunknownname', ['default', 'refuse']),
    helper: oneOf('helper', HELPER_MODES),
    lanes: number('lanes', 0, 64),
    statusGroup: statusText === '' ? undefined : Number(statusText),
    metrics:
      metricsMatch === null
        ? undefined
        : { host: (metricsMatch[1] ?? '').replace(/[[\]]/g, ''), port: Number(metricsMatch[2]) },
  }
  if (errors.length > 0 || chains.isErr() || listeners.isErr() || rules.isErr() || tls.isErr()) return err(errors)
  return ok({
    ...config,
    chains: chains.value,
    listeners: listeners.value,
    rules: rules.value,
    certificates: tls.value,
  })
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
