// XCLIENT and XFORWARD (Postfix, XCLIENT_README and XFORWARD_README): a proxy says for whom it speaks.
//
//   S: 250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT       the attributes that the server takes
//   C: XCLIENT ADDR=192.0.2.7 NAME=[UNAVAILABLE] LOGIN=ann+40example.org   values in xtext (RFC 3461 section 4)

import { plainIp } from './ip.ts'

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
