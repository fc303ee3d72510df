// The header that a balancer puts before a client's first octet, as HAProxy's proxy-protocol.txt (2.3) has it: version 1 is a line of
// text, version 2 binary with TLVs. Octets in, a header or what is wrong with it out.

import { textBetween, viewOf } from './bytes.ts'
import { isIp } from './ip.ts'

export interface ProxyAddress {
  readonly ip: string
  readonly port: number
}

/** What the balancer says of the client's TLS. */
export interface ProxyTls {
  /** `TLSv1.3`. */
  readonly version: string
  readonly cipher: string
  /** The name of a verified client certificate, or empty. */
  readonly clientName: string
}

export interface ProxyHeader {
  /** Undefined: the balancer itself (LOCAL, such as a health check), or a client that it does not describe (UNKNOWN). */
  readonly client: { readonly peer: ProxyAddress; readonly local: ProxyAddress } | undefined
  readonly tls: ProxyTls | undefined
  /** The host that the client asked for (SNI), or empty. */
  readonly authority: string
}

export type ProxyParse =
  | { readonly kind: 'more' }
  /** `next` is the offset of the client's first octet. */
  | { readonly kind: 'header'; readonly header: ProxyHeader; readonly next: number }
  | { readonly kind: 'bad'; readonly problem: string }

/** Section 2.1: "a 107-byte buffer is always enough to store all the line". */
const LONGEST_LINE = 107
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const FIXED_OCTETS = 16

const MORE: ProxyParse = { kind: 'more' }
const bad = (problem: string): ProxyParse => ({ kind: 'bad', problem })
const NOBODY: ProxyHeader = { client: undefined, tls: undefined, authority: '' }

/** `limit`: octets that a version 2 header may have in all. */
export function parseProxyHeader(bytes: Uint8Array, limit: number): ProxyParse {
  if (bytes.length === 0) return MORE
  if (bytes[0] === 0x50) return parseLine(bytes)
  const signature = textBetween(bytes, 0, Math.min(bytes.length, SIGNATURE.length))
  if (!SIGNATURE.startsWith(signature)) return bad('no PROXY header')
  return bytes.length < FIXED_OCTETS ? MORE : parseBinary(bytes, limit)
}

// ---- version 1: PROXY TCP4 192.0.2.7 198.51.100.1 40000 587 CR LF

function parseLine(bytes: Uint8Array): ProxyParse {
  const end = viewOf(bytes).indexOf('\r\n')
  if (end < 0 && bytes.length < LONGEST_LINE) {
    const begun = textBetween(bytes, 0, Math.min(bytes.length, 6))
    return 'PROXY '.startsWith(begun) ? MORE : bad('no PROXY header')
  }
  if (end < 0 || end + 2 > LONGEST_LINE) return bad('a PROXY line of more than 107 octets')
  const next = end + 2
  const words = textBetween(bytes, 0, end).split(' ')
  const [proxy, family = '', from = '', to = '', fromPort = '', toPort = ''] = words
  if (proxy !== 'PROXY') return bad('no PROXY header')
  // Section 2.1: "the receiver must ignore anything presented before the CRLF is found".
  if (family === 'UNKNOWN') return { kind: 'header', header: NOBODY, next }
  const version = family === 'TCP4' ? 4 : family === 'TCP6' ? 6 : 0
  const peer = addressOf(version, from, fromPort)
  const local = addressOf(version, to, toPort)
  if (words.length !== 6 || peer === undefined || local === undefined)
    return bad('a PROXY line that is not well formed')
  return { kind: 'header', header: { client: { peer, local }, tls: undefined, authority: '' }, next }
}

function addressOf(version: number, ip: string, port: string): ProxyAddress | undefined {
  if (version === 0 || isIp(ip) !== version || !/^(0|[1-9]\d{0,4})$/.test(port) || Number(port) > 65_535)
    return undefined
  return { ip, port: Number(port) }
}

// ---- version 2

const LOCAL = 0x20
const PROXY = 0x21
const TCP4 = 0x11
const TCP6 = 0x21

function parseBinary(bytes: Uint8Array, limit: number): ProxyParse {
  const view = viewOf(bytes)
  const command = view.readUInt8(12)
  if (command !== LOCAL && command !== PROXY) return bad(`a PROXY header of version and command 0x${hex(command)}`)
  const next = FIXED_OCTETS + view.readUInt16BE(14)
  if (next > limit) return bad(`a PROXY header of ${next} octets`)
  if (bytes.length < next) return MORE
  // Section 2.2, LOCAL: "The receiver must accept this connection as valid and must use the real connection endpoints".
  if (command === LOCAL) return { kind: 'header', header: NOBODY, next }
  const family = view.readUInt8(13)
  const octets = family === TCP4 ? 4 : family === TCP6 ? 16 : 0
  // UNSPEC, and families that no TCP listener has: the addresses are skipped, and no client is described.
  if (octets === 0) return { kind: 'header', header: NOBODY, next }
  const tlvs = FIXED_OCTETS + 2 * octets + 4
  if (tlvs > next) return bad('a PROXY header too short for its addresses')
  const ip = (at: number) => (octets === 4 ? ipv4(view, at) : ipv6(view, at))
  const ports = FIXED_OCTETS + 2 * octets
  const client = {
    peer: { ip: ip(FIXED_OCTETS), port: view.readUInt16BE(ports) },
    local: { ip: ip(FIXED_OCTETS + octets), port: view.readUInt16BE(ports + 2) },
  }
  return parseTlvs(view, tlvs, next, client)
}

const AUTHORITY = 0x02
const CRC32C = 0x03
const SSL = 0x20
const SSL_VERSION = 0x21
const SSL_CN = 0x22
const SSL_CIPHER = 0x23
/** The client connected over TLS, and presented a certificate in this connection or this session. */
const CLIENT_SSL = 1
const CLIENT_CERT = 6

function parseTlvs(view: Buffer, from: number, next: number, client: ProxyHeader['client']): ProxyParse {
  let tls: ProxyTls | undefined
  let authority = ''
  const values = tlvsOf(view, from, next)
  if (values === undefined) return bad('a PROXY header whose TLVs do not fit')
  for (const { type, at, end } of values) {
    if (type === AUTHORITY) authority = printable(view.toString('latin1', at, end))
    else if (type === CRC32C && !(end - at === 4 && crcHolds(view, at, next)))
      return bad('a PROXY header whose checksum is wrong')
    else if (type === SSL) {
      const parts = end - at < 5 ? undefined : tlvsOf(view, at + 5, end)
      if (parts === undefined) return bad('a PROXY header whose TLVs do not fit')
      tls = tlsOf(view, at, parts)
    }
  }
  return { kind: 'header', header: { client, tls, authority }, next }
}

interface Tlv {
  readonly type: number
  readonly at: number
  readonly end: number
}

function tlvsOf(view: Buffer, from: number, next: number): readonly Tlv[] | undefined {
  const values: Tlv[] = []
  for (let at = from; at < next; ) {
    if (at + 3 > next) return undefined
    const end = at + 3 + view.readUInt16BE(at + 1)
    if (end > next) return undefined
    values.push({ type: view.readUInt8(at), at: at + 3, end })
    at = end
  }
  return values
}

function tlsOf(view: Buffer, at: number, parts: readonly Tlv[]): ProxyTls | undefined {
  const flags = view.readUInt8(at)
  if ((flags & CLIENT_SSL) === 0) return undefined
  const text = (type: number) => {
    const part = parts.find((one) => one.type === type)
    return part === undefined ? '' : printable(view.toString('latin1', part.at, part.end))
  }
  // Zero: the certificate was verified (section 2.2.6).
  const verified = (flags & CLIENT_CERT) !== 0 && view.readUInt32BE(at + 1) === 0
  return { version: text(SSL_VERSION), cipher: text(SSL_CIPHER), clientName: verified ? text(SSL_CN) : '' }
}

/** What goes into variables and log lines: a control character in it would be somebody's trick. */
const printable = (text: string): string => (/^[ -~\x80-\xff]*$/.test(text) ? text : '')

const ipv4 = (view: Buffer, at: number): string => view.subarray(at, at + 4).join('.')

/** As RFC 5952 writes it; an IPv4 address in IPv6 clothes keeps its dots. */
function ipv6(view: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => view.readUInt16BE(at + 2 * i))
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return `::ffff:${ipv4(view, at + 12)}`
  const run = longestZeros(groups)
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':')
  if (run.length < 2) return text(groups)
  return `${text(groups.slice(0, run.at))}::${text(groups.slice(run.at + run.length))}`
}

function longestZeros(groups: readonly number[]): { readonly at: number; readonly length: number } {
  let best = { at: 0, length: 0 }
  for (let at = 0; at < groups.length; at += 1) {
    let length = 0
    while (groups[at + length] === 0) length += 1
    if (length > best.length) best = { at, length }
  }
  return best
}

const hex = (octet: number): string => octet.toString(16).padStart(2, '0')

/** CRC-32C (RFC 4960 appendix B) of the whole header with the checksum's own four octets taken as zero. */
function crcHolds(view: Buffer, at: number, next: number): boolean {
  let crc = 0xffff_ffff
  for (let i = 0; i < next; i += 1) {
    crc ^= i >= at && i < at + 4 ? 0 : view.readUInt8(i)
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return (crc ^ 0xffff_ffff) >>> 0 === view.readUInt32BE(at)
}
