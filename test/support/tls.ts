// Certificates and clients for tests that speak TLS.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { type NamedPair, newTicketKey, type TlsMaterial } from '../../src/edge/tls.ts'
import { textsOf } from './lane.ts'

export interface PairFiles {
  readonly certificate: string
  readonly key: string
}

export type KeyType = 'ec' | 'rsa'

/** Self-signed, for 30 days, in `dir`; the key is for its owner only. */
export function makePair(dir: string, name: string, keyType: KeyType = 'ec'): PairFiles {
  const base = join(dir, `${name.replace('*', 'any')}-${keyType}`)
  const files = { certificate: `${base}.pem`, key: `${base}.key` }
  const kind = keyType === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['rsa:2048']
  const alternative = ['-addext', `subjectAltName=DNS:${name}`]
  const out = ['-keyout', files.key, '-out', files.certificate]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', ...kind, '-noenc', '-days', '30', '-subj', `/CN=${name}`, ...alternative, ...out],
    {
      stdio: 'ignore',
    },
  )
  return files
}

export interface ClientCertificate {
  /** Of the subject: `/CN=Ann Example`. */
  readonly subject: string
  /** In subjectAltName. */
  readonly emails?: readonly string[]
}

/** The authority that signs client certificates; self-signed. */
export function makeAuthority(dir: string, name: string): PairFiles {
  const files = { certificate: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) }
  openssl('req', '-x509', ...NEW_KEY, '-days', '30', '-subj', `/CN=${name}`, ...out(files))
  return files
}

/** One that the authority has signed. */
export function makeClient(dir: string, name: string, authority: PairFiles, wanted: ClientCertificate): PairFiles {
  const files = { certificate: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) }
  const emails = wanted.emails?.map((email) => `email:${email}`) ?? []
  const alternative = emails.length === 0 ? [] : ['-addext', `subjectAltName=${emails.join(',')}`]
  const signed = ['-CA', authority.certificate, '-CAkey', authority.key]
  openssl('req', '-x509', ...NEW_KEY, '-days', '30', '-subj', wanted.subject, ...alternative, ...signed, ...out(files))
  return files
}

/** What an authority has revoked, as PEM; `until`: when the list expires, as `20200101000000Z`. */
export function makeRevocations(
  dir: string,
  authority: PairFiles,
  revoked: readonly PairFiles[],
  until = '20491231000000Z',
): string {
  const base = mkdtempSync(join(dir, 'revocations-'))
  const [config, index, list] = ['config', 'index', 'list'].map((name) => join(base, name)) as [string, string, string]
  writeFileSync(index, '')
  writeFileSync(config, `[ca]\ndefault_ca = a\n[a]\ndatabase = ${index}\ndefault_md = sha256\nunique_subject = no\n`)
  const by = ['-config', config, '-cert', authority.certificate, '-keyfile', authority.key]
  for (const { certificate } of revoked) openssl('ca', ...by, '-revoke', certificate)
  openssl('ca', ...by, '-gencrl', '-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', until, '-out', list)
  return readFileSync(list, 'latin1')
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc']
const out = ({ certificate, key }: PairFiles) => ['-keyout', key, '-out', certificate]
const openssl = (...words: readonly string[]) => execFileSync('openssl', words, { stdio: 'pipe' })

/** The same names and key, and a certificate that was good until yesterday. */
export function letExpire({ certificate, key }: PairFiles, name: string): void {
  const request = execFileSync('openssl', ['req', '-new', '-key', key, '-subj', `/CN=${name}`], { stdio: 'pipe' })
  const args = ['x509', '-req', '-signkey', key, '-days', '-1', '-out', certificate]
  execFileSync('openssl', args, { input: request, stdio: ['pipe', 'ignore', 'ignore'] })
}

export const namedPair = (names: readonly string[], { certificate, key }: PairFiles): NamedPair => ({
  names,
  certificate: readFileSync(certificate),
  key: readFileSync(key),
})

/** The first flight of a client. */
export function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) =>
      socket.once('data', (bytes: Buffer) => {
        socket.destroy()
        server.close()
        resolve(bytes)
      }),
    )
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      connectTls({ host: '127.0.0.1', port, servername: 'mx.example' }).on('error', () => undefined)
    })
  })
}

/** Resolves once the handshake is done. */
export function tlsClient(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const client = connectTls({ rejectUnauthorized: false, ...options })
    client.once('secureConnect', () => resolve(client))
    client.once('error', reject)
  })
}

/** Control files with one listener that has TLS: `smtp submission tls=implicit`. */
export const tlsTexts = (listener: string): ControlTexts => ({
  ...textsOf('tries=5'),
  tls: 'mx.example /mx.pem /mx.key\n',
  listeners: `127.0.0.1:0 ${listener}\n`,
})

/** What a lane is given of these certificates, with a ticket key of its own. */
export const materialOf = (...pairs: readonly NamedPair[]): TlsMaterial => ({
  pairs,
  minimum: 'TLSv1.2',
  ciphers: '',
  unknownName: 'default',
  tickets: [newTicketKey()],
  authorities: {},
})
