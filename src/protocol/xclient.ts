// XCLIENT and XFORWARD (Postfix, XCLIENT_README and XFORWARD_README): a proxy says for whom it speaks.
//
//   S: 250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT       the attributes that the server takes
//   C: XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=ann+40example.org   values in xtext (RFC 3461 section 4)

import { isIp, plainIp } from './ip.ts'

export type ProxyVerb = 'XCLIENT' | 'XFORWARD'

/** A client as it is described to a server; an empty text, or port 0, is not known or not to be told. */
export interface ClientFacts {
  readonly ip: string
  readonly port: number
  /** By the DNS. */
  readonly name: string
  /** What it calls itself, and how. */
  readonly helo: string
  /** SMTP or ESMTP. */
  readonly proto: string
  readonly login: string
  /** Our end of its connection. */
  readonly local: { readonly ip: string; readonly port: number }
  /** What another server calls its message. */
  readonly ident: string
  readonly source: 'LOCAL' | 'REMOTE'
}

/** RFC 5321 section 4.5.3.1.4, the line ending included. */
const LONGEST_LINE = 512

const UNKNOWN = '[UNAVAILABLE]'
const addressText = (ip: string): string => {
  const octets = plainIp(ip)
  if (octets === undefined) return UNKNOWN
  return octets.length === 4 ? octets.join('.') : `IPV6:${ip.replace(/%.*$/, '')}`
}
const portText = (port: number): string => (port === 0 ? '' : String(port))

/** The value of each attribute; empty: it is left out. The first ones are the last to be left out of a line that would be too long. */
const ATTRIBUTES: Readonly<Record<string, (client: ClientFacts) => string>> = {
  ADDR: ({ ip }) => addressText(ip),
  PORT: ({ port }) => portText(port),
  LOGIN: ({ login }) => login || UNKNOWN,
  PROTO: ({ proto }) => proto,
  DESTADDR: ({ local }) => addressText(local.ip),
  DESTPORT: ({ local }) => portText(local.port),
  NAME: ({ name }) => name || UNKNOWN,
  HELO: ({ helo }) => helo || UNKNOWN,
  IDENT: ({ ident }) => ident,
  SOURCE: ({ source }) => source,
}

/** The line for a server that has so answered EHLO; empty: it takes none. */
export function proxyLine(verb: ProxyVerb, ehlo: string, client: ClientFacts): string {
  const offered = new RegExp(`\\n\\d{3}.${verb} ([^\\r\\n]*)`, 'i').exec(ehlo)?.[1]?.toUpperCase().split(/ +/) ?? []
  let line: string = verb
  for (const [name, textOf] of Object.entries(ATTRIBUTES)) {
    if (!offered.includes(name)) continue
    const value = textOf(client)
    const word = ` ${name}=${value === UNKNOWN ? value : xtext(value)}`
    if (value !== '' && line.length + word.length + 2 <= LONGEST_LINE) line += word
  }
  return line === verb ? '' : `${line}\r\n`
}

const xtext = (text: string): string =>
  text.replace(/[^!-*,-<>-~]/g, (octet) => `+${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

/** What a client that may say so says of the client it speaks for; undefined: nothing, so that it stays as it is. */
export interface ProxiedClient {
  readonly ip: string | undefined
  readonly port: number | undefined
  readonly name: string | undefined
  readonly localIp: string | undefined
  readonly localPort: number | undefined
}

/** As EHLO offers it to such a client. A LOGIN logs nobody in, and its own EHLO says HELO and PROTO again. */
export const XCLIENT_OFFER = 'XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT'

export const XFORWARD_OFFER = 'XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE'

const XCLIENT_ATTRIBUTE = /^(NAME|ADDR|PORT|PROTO|HELO|LOGIN|DESTADDR|DESTPORT|REVERSE_NAME)=(.*)$/is
const XFORWARD_ATTRIBUTE = /^(NAME|ADDR|PORT|PROTO|HELO|IDENT|SOURCE)=(.*)$/is
const NOT_KNOWN = new Set(['[UNAVAILABLE]', '[TEMPUNAVAIL]', ''])
const HOST_NAME = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/

/** By name in capitals; empty: it is not known. undefined: they are no attributes, or one of them has a value that it cannot have. */
function attributesIn(argument: string, attribute: RegExp): ReadonlyMap<string, string> | undefined {
  const told = new Map<string, string>()
  for (const word of argument.split(/[ \t]+/)) {
    const [, name, value = ''] = attribute.exec(word) ?? []
    if (name === undefined || /\+(?![0-9A-Fa-f]{2})/.test(value)) return undefined
    const text = NOT_KNOWN.has(value.toUpperCase()) ? '' : fromXtext(value)
    const plain = /^(DEST)?ADDR$/i.test(name) ? text.replace(/^IPV6:/i, '') : text
    if (plain !== '' && !isPossible(name.toUpperCase(), plain)) return undefined
    told.set(name.toUpperCase(), plain)
  }
  return told
}

function isPossible(name: string, text: string): boolean {
  switch (name) {
    case 'ADDR':
    case 'DESTADDR':
      return isIp(text) !== 0
    case 'PORT':
    case 'DESTPORT':
      return /^\d{1,5}$/.test(text) && Number(text) <= 65_535
    case 'NAME':
      return text.length <= 255 && HOST_NAME.test(text)
    case 'SOURCE':
      return /^(LOCAL|REMOTE)$/i.test(text)
    default:
      return true
  }
}

/** The arguments of XCLIENT; undefined: they are none. */
export function parseProxied(argument: string): ProxiedClient | undefined {
  const told = attributesIn(argument, XCLIENT_ATTRIBUTE)
  if (told === undefined) return undefined
  const text = (name: string): string | undefined => told.get(name) || undefined
  const number = (name: string): number | undefined => (text(name) === undefined ? undefined : Number(text(name)))
  return {
    ip: text('ADDR'),
    port: number('PORT'),
    name: text('NAME'),
    localIp: text('DESTADDR'),
    localPort: number('DESTPORT'),
  }
}

/** What XFORWARD has not said is not known: nothing of it is that of the client that says it. */
const NOBODY: ClientFacts = {
  ip: '',
  port: 0,
  name: '',
  helo: '',
  proto: '',
  login: '',
  local: { ip: '', port: 0 },
  ident: '',
  source: 'REMOTE',
}

/** What an earlier XFORWARD of the same message has said, with the arguments of this one; undefined: they are none. */
export function parseForwarded(argument: string, before: ClientFacts = NOBODY): ClientFacts | undefined {
  const told = attributesIn(argument, XFORWARD_ATTRIBUTE)
  if (told === undefined) return undefined
  const text = (name: string, known: string): string => told.get(name) ?? known
  return {
    ...before,
    ip: text('ADDR', before.ip),
    port: Number(text('PORT', `${before.port}`)),
    name: text('NAME', before.name),
    helo: text('HELO', before.helo),
    proto: text('PROTO', before.proto),
    ident: text('IDENT', before.ident),
    source: /^local$/i.test(text('SOURCE', before.source)) ? 'LOCAL' : 'REMOTE',
  }
}

const fromXtext = (text: string): string =>
  text.replace(/\+([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
