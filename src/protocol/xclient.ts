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
  readonly proto: 'SMTP' | 'ESMTP'
  readonly login: string
  /** Our end of its connection. */
  readonly local: { readonly ip: string; readonly port: number }
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
  SOURCE: () => 'REMOTE',
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

const KNOWN = /^(NAME|ADDR|PORT|PROTO|HELO|LOGIN|DESTADDR|DESTPORT|REVERSE_NAME)=(.*)$/is
const NOT_KNOWN = new Set(['[UNAVAILABLE]', '[TEMPUNAVAIL]', ''])
const HOST_NAME = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/

/** The arguments of XCLIENT; undefined: they are none. */
export function parseProxied(argument: string): ProxiedClient | undefined {
  const told = new Map<string, string>()
  for (const word of argument.split(/[ \t]+/)) {
    const [, name, value = ''] = KNOWN.exec(word) ?? []
    if (name === undefined || /\+(?![0-9A-Fa-f]{2})/.test(value)) return undefined
    if (!NOT_KNOWN.has(value.toUpperCase())) told.set(name.toUpperCase(), fromXtext(value))
  }
  const [ip, localIp] = [told.get('ADDR'), told.get('DESTADDR')].map((text) => text?.replace(/^IPV6:/i, ''))
  const [port, localPort] = [told.get('PORT'), told.get('DESTPORT')]
  const name = told.get('NAME')
  const isWrong =
    [ip, localIp].some((text) => text !== undefined && isIp(text) === 0) ||
    [port, localPort].some((text) => text !== undefined && !(/^\d{1,5}$/.test(text) && Number(text) <= 65_535)) ||
    (name !== undefined && (name.length > 255 || !HOST_NAME.test(name)))
  if (isWrong) return undefined
  return {
    ip,
    port: port === undefined ? port : Number(port),
    name,
    localIp,
    localPort: localPort === undefined ? localPort : Number(localPort),
  }
}

const fromXtext = (text: string): string =>
  text.replace(/\+([0-9A-Fa-f]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
