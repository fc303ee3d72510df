// The files of the control directory: a row each, and how one that holds a single word or number is read.

import { controlLines, firstLine } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'

/** Texts of the control directory by file name; a file that is not there has no entry. */
export type ControlTexts = Readonly<Record<string, string>>

export type KnobName = (typeof KNOBS)[number]['name']

interface KnobRow {
  readonly name: string
  readonly changes: 'reload' | 'restart'
  readonly about: string
  /** What holds without the file; undefined: there is no default. */
  readonly fallback: string | undefined
  /** It holds lines of their own syntax, not one word or number: a text of the configuration. */
  readonly isTable?: true
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
  {
    name: 'timeoutlogin',
    changes: 'reload',
    fallback: '60',
    about: 'Seconds from accept to the end of the login, in all; 0: as long as the client speaks.',
  },
  {
    name: 'mindatarate',
    changes: 'reload',
    fallback: '100',
    about: 'Octets a second that a message must bring, after its first minute; 0: none.',
  },
  {
    name: 'access',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'Who may connect, in the syntax of tcprules; without a rule everybody.',
  },
  {
    name: 'remotehost',
    changes: 'reload',
    fallback: '0',
    about: '1: the name of a client is looked up, for control/access, TCPREMOTEHOST and XCLIENT.',
  },
  {
    name: 'remoteinfo',
    changes: 'reload',
    fallback: '0',
    about: 'Seconds that a client has to say by the IDENT protocol whose it is, for TCPREMOTEINFO; 0: it is not asked.',
  },
  {
    name: 'dnsservers',
    changes: 'reload',
    fallback: '',
    about: 'ADDRESS or ADDRESS:PORT of DNS servers, one per line; empty: those of /etc/resolv.conf.',
  },
  {
    name: 'senders',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'USER ADDRESS...: which senders a user may give; without the file any.',
  },
  {
    name: 'certusers',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'USER NAME: whom a client certificate stands for, on a listener with external=CHAIN.',
  },
  {
    name: 'fixsmtpio',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'Rules for requests, replies and exit codes.',
  },
  {
    name: 'headerfrom',
    changes: 'reload',
    fallback: '0',
    about: '1: control/senders binds the From line of a message, too.',
  },
  {
    name: 'xclient',
    changes: 'reload',
    fallback: '0',
    about: '1: a backend that offers XCLIENT or XFORWARD learns who the client is.',
  },
  { name: 'barelineend', changes: 'reload', fallback: 'fix', about: 'fix or refuse a bare CR or LF in a message.' },
  {
    name: 'tls',
    isTable: true,
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
  {
    name: 'loglevel',
    changes: 'reload',
    fallback: 'info',
    about: 'error, warn, info or debug; lines COMPONENT=LEVEL for parts of the log.',
  },
  { name: 'logformat', changes: 'restart', fallback: 'text', about: 'text, or json: an object a line.' },
  {
    name: 'maxsessions',
    changes: 'reload',
    fallback: '0',
    about: 'Concurrent sessions; 0: as many as descriptors allow.',
  },
  {
    name: 'limits',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'NAME SCOPE WHAT RATE: how much of what a client, a user or everybody may have.',
  },
  {
    name: 'fleet',
    isTable: true,
    changes: 'reload',
    fallback: '',
    about: 'WORD VALUE: the hosts that share limits and blocks, and the Valkey or Redis between them.',
  },
  { name: 'saslbrokenclients', changes: 'reload', fallback: '0', about: '1: a second EHLO line AUTH=LOGIN PLAIN.' },
  {
    name: 'listeners',
    isTable: true,
    changes: 'restart',
    fallback: undefined,
    about: 'ADDRESS:PORT PROTOCOL CHAIN [OPTION=VALUE ...].',
  },
  {
    name: 'chains',
    isTable: true,
    changes: 'reload',
    fallback: undefined,
    about: 'The programs run for a login; the helper follows the file itself.',
  },
  {
    name: 'helper',
    changes: 'restart',
    fallback: 'serve',
    about: 'serve: acceptd keeps accept-helper running; unit: something else does; run: one for each login.',
  },
  { name: 'lanes', changes: 'restart', fallback: '0', about: 'Worker threads; 0: one per core.' },
  { name: 'statusgroup', changes: 'restart', fallback: '', about: 'Numeric group of status.sock.' },
  {
    name: 'state',
    changes: 'restart',
    fallback: '',
    about: 'The directory that keeps what acceptd was told; empty: /var/lib/acceptd for /run/acceptd.',
  },
  {
    name: 'upgradedrain',
    changes: 'reload',
    fallback: '3600',
    about: 'Seconds that sessions go on after an upgrade; then 421 at their next boundary, and a minute later the end.',
  },
  { name: 'watchcontrol', changes: 'reload', fallback: '0', about: '1: a changed control file is a reload.' },
  { name: 'metrics', changes: 'restart', fallback: '', about: 'Loopback ADDRESS:PORT for GET /metrics.' },
] as const satisfies readonly KnobRow[]

/** Access rules of one listener. */
export const ACCESS_FILE = /^access-[A-Za-z0-9._-]{1,64}$/

export const knobOf = (name: string): KnobRow | undefined =>
  KNOBS.find((knob) => knob.name === (ACCESS_FILE.test(name) ? 'access' : name))

/** Names of control files: the knobs, and in any of these texts the access rules of one listener. */
export function filesIn(...all: readonly ControlTexts[]): readonly string[] {
  const more = all.flatMap((texts) => Object.keys(texts).filter((name) => ACCESS_FILE.test(name)))
  return [...KNOBS.map((knob) => knob.name), ...new Set(more.toSorted())]
}

/** What the hits of a line are counted by, as those of a rule are by its text, which has no newline. */
export const lineKey = (file: string, text: string): string => `${file}\n${text}`

export const trouble = (file: string, line: number, column: number, problem: string, hint: string): ConfigError => ({
  file: `control/${file}`,
  line,
  column,
  problem,
  hint,
})

/** The texts of a control directory while they are compiled; what is wrong is added to `errors`. */
export interface Reading {
  readonly texts: ControlTexts
  readonly errors: ConfigError[]
}

/** The first line of a knob, or what holds without it. */
export function lineOf({ texts }: Reading, name: KnobName): string {
  const text = firstLine(texts[name] ?? '')
  return text === '' ? (knobOf(name)?.fallback ?? '') : text
}

export const linesOf = ({ texts }: Reading, name: KnobName): readonly string[] =>
  controlLines(texts[name] ?? '').map((row) => row.text)

export function numberOf(reading: Reading, name: KnobName, least: number, most: number): number {
  const text = lineOf(reading, name)
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1
  if (value < least || value > most) {
    const problem = `\`${text}\` is not a number from ${least} to ${most}`
    reading.errors.push(trouble(name, 1, 1, problem, 'write one number in decimal digits'))
  }
  return value
}

export function wordOf<T extends string>(reading: Reading, name: KnobName, words: readonly [T, ...T[]]): T {
  const text = lineOf(reading, name)
  const found = words.find((word) => word === text)
  if (found === undefined)
    reading.errors.push(trouble(name, 1, 1, `\`${text}\` is not known`, `write ${words.join(' or ')}`))
  return found ?? words[0]
}
