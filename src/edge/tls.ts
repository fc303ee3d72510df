// TLS on a client's socket, by OpenSSL through node:tls. A lane has one TlsServer, made again when certificates or ticket keys change;
// sessions keep what they began with.

import { constants, createHash, randomBytes } from 'node:crypto'
import {
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type SecureContextOptions,
  TLSSocket,
  type TLSSocketOptions,
} from 'node:tls'
import { acceptableUser } from '../protocol/sasl.ts'
import { type CertificatePair, trustIn } from './certificates.ts'
import { verifyProblem } from './internals.ts'
import type { ClientSocket } from './listening.ts'

export interface NamedPair extends CertificatePair {
  readonly names: readonly string[]
}

/** One key of session tickets (RFC 5077), the same in all lanes. */
export interface TicketKey {
  readonly name: Uint8Array
  readonly hmac: Uint8Array
  readonly aes: Uint8Array
}

export interface TlsMaterial {
  /** The first serves clients that name no host. */
  readonly pairs: readonly NamedPair[]
  readonly minimum: 'TLSv1.2' | 'TLSv1.3'
  /** OpenSSL's list for TLS 1.2; empty: ours. */
  readonly ciphers: string
  /** Clients that ask for a host without a certificate get the first one, or none. */
  readonly unknownName: 'default' | 'refuse'
  /** The newest first: it makes tickets, the others are still taken. */
  readonly tickets: readonly TicketKey[]
  /** Certificates of those who sign clients', PEM, by their file. */
  readonly authorities: Readonly<Record<string, Uint8Array>>
}

export interface TlsFacts {
  /** `TLSv1.3`. */
  readonly protocol: string
  /** The standard name: `TLS_AES_256_GCM_SHA384`. */
  readonly cipher: string
  /** What the client asked for, or empty. */
  readonly serverName: string
  readonly resumed: boolean
  /** The name in a certificate of the client that was verified, or empty. */
  readonly clientName: string
  /** What a verified certificate of the client says of it, as control/certusers writes names. */
  readonly names: readonly string[]
  /** Why a certificate of the client does not count, in OpenSSL's word; empty if it does, or there is none. */
  readonly clientProblem: string
}

/** Without a certificate of the client. */
export const NO_CLIENT = { names: [], clientProblem: '' } as const

export type TlsFailure = 'plain-text' | 'protocol' | 'cipher' | 'name' | 'certificate' | 'closed' | 'timeout' | 'other'

/** Each with forward secrecy and authenticated encryption (RFC 9325 section 4.2). */
const CIPHERS =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:' +
  'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'
const SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'

const GROUPS = ['X25519MLKEM768', 'X25519', 'P-256', 'P-384']

/** The groups that this OpenSSL has: X25519MLKEM768 came with 3.5. */
function knownGroups(): string {
  return GROUPS.filter((group) => {
    try {
      createSecureContext({ ecdhCurve: group })
      return true
    } catch {
      return false
    }
  }).join(':')
}

/** Whether OpenSSL takes this list for TLS 1.2; it skips what it does not know, as long as something is left. */
export function knowsCiphers(list: string): boolean {
  try {
    createSecureContext({ ciphers: list === '' ? CIPHERS : list })
    return true
  } catch {
    return false
  }
}

/** Asked of OpenSSL once a thread. */
let offeredGroups: string | undefined

export interface TlsServer {
  /** Begins a handshake; `done` is called once, and has to answer for the socket from then on. `authority`: a file of the material. */
  readonly handshake: (
    socket: ClientSocket,
    authority: string | undefined,
    done: (secured: ClientSocket, outcome: TlsFacts | TlsFailure) => void,
  ) => ClientSocket
}

export const newTicketKey = (): TicketKey => ({ name: randomBytes(16), hmac: randomBytes(16), aes: randomBytes(16) })

export function createTlsServer(material: TlsMaterial): TlsServer {
  const asksNobody = optionsOf(material, undefined)
  const asking = new Map(Object.entries(material.authorities).map(([file, pem]) => [file, optionsOf(material, pem)]))
  return {
    handshake(socket, authority, done) {
      const secured = new TLSSocket(socket, (authority === undefined ? undefined : asking.get(authority)) ?? asksNobody)
      let over = false
      const settle = (outcome: TlsFacts | TlsFailure) => {
        if (over) return
        over = true
        done(secured, outcome)
      }
      secured.once('secure', () => settle(factsOf(secured)))
      // A listener for good: an error of a socket without one would end the lane.
      secured.on('error', (error) => settle(failureOf(error)))
      secured.once('close', () => settle('closed'))
      // Half open as it is, the socket would wait for its time.
      secured.once('end', () => settle('closed'))
      return secured
    },
  }
}

/** How a handshake goes; `authority`: the client is asked for a certificate of it, and need not have one. */
function optionsOf(material: TlsMaterial, authority: Uint8Array | undefined): TLSSocketOptions {
  const contexts = new Map<string, SecureContext>()
  let first: SecureContext | undefined
  for (const pairs of groupByNames(material.pairs)) {
    const context = contextOf(material, pairs, authority)
    first ??= context
    for (const name of pairs[0]?.names ?? []) if (!contexts.has(name)) contexts.set(name, context)
  }
  const fallback = first
  if (fallback === undefined) throw new Error('TLS without a certificate')
  const contextFor = (name: string): SecureContext | undefined =>
    contexts.get(name) ??
    contexts.get(name.replace(/^[^.]+/, '*')) ??
    (material.unknownName === 'refuse' ? undefined : fallback)
  const several = contexts.size > 1 || material.unknownName === 'refuse'
  const options = {
    isServer: true,
    secureContext: fallback,
    allowHalfOpen: true,
    ...(authority === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
    ...(several
      ? {
          SNICallback: (name: string, answer: (error: Error | null, context?: SecureContext) => void) => {
            const context = contextFor(name.toLowerCase())
            if (context === undefined) answer(new Error('unknown name'))
            else answer(null, context)
          },
        }
      : {}),
  }
  return options
}

/** Pairs of the same names share a context, one key type beside the other. */
function groupByNames(pairs: readonly NamedPair[]): readonly (readonly NamedPair[])[] {
  const groups = new Map<string, NamedPair[]>()
  for (const pair of pairs) {
    const key = pair.names.join(',')
    groups.set(key, [...(groups.get(key) ?? []), pair])
  }
  return [...groups.values()]
}

function contextOf(
  material: TlsMaterial,
  pairs: readonly NamedPair[],
  authority: Uint8Array | undefined,
): SecureContext {
  offeredGroups ??= knownGroups()
  const newest = material.tickets[0]
  const options: SecureContextOptions & { readonly ticketKeys?: Buffer } = {
    cert: pairs.map((pair) => Buffer.from(pair.certificate)),
    key: pairs.map((pair) => Buffer.from(pair.key)),
    minVersion: material.minimum,
    ciphers: `${SUITES}:${material.ciphers === '' ? CIPHERS : material.ciphers}`,
    ecdhCurve: offeredGroups,
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    // A session is resumed with the certificate that it had: only where the same authorities are asked for, and have revoked the same.
    ...(authority === undefined ? {} : { ...trustIn(authority), sessionIdContext: idOf(authority) }),
    ...(newest === undefined ? {} : { ticketKeys: Buffer.concat([newest.name, newest.hmac, newest.aes]) }),
  }
  const context = createSecureContext(options)
  takeOlderTickets(context, material.tickets)
  return context
}

/** OpenSSL takes 32 octets at most. */
const idOf = (authority: Uint8Array): string => createHash('sha256').update(authority).digest('hex').slice(0, 32)

/** What node:tls keeps to itself: a context that knows more than one ticket key. Without it a rotation costs one full handshake a client. */
interface Internals {
  enableTicketKeyCallback?: () => void
  onticketkeycallback?: (name: Uint8Array, iv: Uint8Array, making: boolean) => readonly unknown[]
}

const REFUSE = 0
const TAKE = 1
const TAKE_AND_RENEW = 2

function takeOlderTickets(context: SecureContext, tickets: readonly TicketKey[]): void {
  const inside = context.context as Internals
  const [newest] = tickets
  if (newest === undefined || inside.enableTicketKeyCallback === undefined) return
  const none = Buffer.alloc(16)
  inside.onticketkeycallback = (name, _iv, making) => {
    if (making) return [TAKE, newest.hmac, newest.aes, newest.name, randomBytes(16)]
    const found = tickets.find((key) => Buffer.compare(key.name, name) === 0)
    if (found === undefined) return [REFUSE, none, none]
    return [found === newest ? TAKE : TAKE_AND_RENEW, found.hmac, found.aes]
  }
  inside.enableTicketKeyCallback()
}

function factsOf(secured: TLSSocket): TlsFacts {
  const { servername } = secured as { servername?: string | false | null }
  return {
    protocol: secured.getProtocol() ?? '',
    cipher: secured.getCipher().standardName ?? secured.getCipher().name,
    serverName: typeof servername === 'string' ? servername : '',
    resumed: secured.isSessionReused(),
    ...clientOf(secured),
  }
}

function clientOf(secured: TLSSocket): Pick<TlsFacts, 'clientName' | 'names' | 'clientProblem'> {
  const certificate = secured.getPeerX509Certificate() === undefined ? undefined : secured.getPeerCertificate()
  if (certificate === undefined) return { clientName: '', ...NO_CLIENT }
  const clientProblem = verifyProblem(secured)
  if (clientProblem !== '') return { clientName: '', names: [], clientProblem }
  const names = namesOf(certificate)
  return { clientName: names.find((name) => name.startsWith('CN='))?.slice(3) ?? '', names, clientProblem }
}

/** Addresses, attributes of the subject, the fingerprint; in octets, as all that comes from clients. */
function namesOf({ subject, subjectaltname = '', fingerprint256 }: PeerCertificate): readonly string[] {
  const attributes = Object.entries({ ...subject }).flatMap(([name, value]) =>
    [value].flat().map((each) => `${name}=${each}`),
  )
  const names = [...addressesOf(subjectaltname), ...attributes].map((name) => Buffer.from(name).toString('latin1'))
  return [...names, `sha256=${fingerprint256.replaceAll(':', '').toLowerCase()}`].filter(acceptableUser)
}

/** `email:ann@example.org, DNS:...`; a value with a comma or a quote in it is a JSON string, and no address of ours. */
function addressesOf(names: string): readonly string[] {
  const found: string[] = []
  for (let rest = names; rest !== ''; ) {
    const [whole, kind, value = ''] = /^([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/s.exec(rest) ?? []
    if (whole === undefined || kind === undefined) return []
    if (kind === 'email' && /^[^"=\s@]+@[^"\s@]+$/.test(value)) found.push(value)
    rest = rest.slice(whole.length)
  }
  return found
}

/** By OpenSSL's own reasons, which node:tls gives as codes. */
const FAILURES: readonly (readonly [RegExp, TlsFailure])[] = [
  [/HTTP_REQUEST|WRONG_VERSION_NUMBER|PACKET_LENGTH|UNKNOWN_PROTOCOL|BAD_RECORD_TYPE/, 'plain-text'],
  [/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|INAPPROPRIATE_FALLBACK/, 'protocol'],
  [/NO_SHARED_CIPHER|NO_SUITABLE|NO_SHARED_GROUP/, 'cipher'],
  [/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE)/, 'certificate'],
  [/ECONNRESET|EPIPE/, 'closed'],
]

function failureOf(error: NodeJS.ErrnoException): TlsFailure {
  if (error.message === 'unknown name') return 'name'
  const text = `${error.code ?? ''} ${error.message.toUpperCase().replaceAll(' ', '_')}`
  return FAILURES.find(([pattern]) => pattern.test(text))?.[1] ?? 'other'
}
