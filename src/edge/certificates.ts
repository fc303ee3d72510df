// Certificates and keys as files: read, and found to fit, before any lane has them.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { err, ok, type Result } from 'neverthrow'

/** A certificate with its key, as PEM. The key leaves this process nowhere: not in a log, a dump or an answer. */
export interface CertificatePair {
  readonly certificate: Uint8Array
  readonly key: Uint8Array
}

/** What anybody may know of a certificate. */
export interface CertificateFacts {
  readonly subject: string
  readonly issuer: string
  /** Milliseconds since 1970. */
  readonly begins: number
  readonly expires: number
  /** SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string
  /** `ec`, `rsa`, `ed25519`. */
  readonly keyType: string
  /** Host names that it is for. */
  readonly hosts: readonly string[]
}

export interface ReadCertificate {
  readonly pair: CertificatePair
  readonly facts: CertificateFacts
}

/** Why a pair is not used, and what would mend it. `file` is the one of the two that is wrong. */
export interface CertificateTrouble {
  readonly file: string
  readonly problem: string
  readonly hint: string
}

interface Files {
  readonly certificate: string
  readonly key: string
}

/** Reads both files and checks that they fit and that the key is secret, whatever the time. */
export const readCertificate = (files: Files): Result<ReadCertificate, CertificateTrouble> =>
  readPem(files.certificate).andThen((certificate) =>
    secretKey(files.key).andThen((key) => fitting(files, { certificate, key })),
  )

/** Why a certificate is not to be used at `now`, milliseconds since 1970. */
export function untimely(
  { certificate: file }: Files,
  { begins, expires }: CertificateFacts,
  now: number,
): CertificateTrouble | undefined {
  if (expires <= now) return { file, problem: `expired at ${iso(expires)}`, hint: 'renew it' }
  if (begins > now) return { file, problem: `is valid from ${iso(begins)} only`, hint: 'check the clock' }
  return undefined
}

function readPem(file: string): Result<Buffer, CertificateTrouble> {
  try {
    return ok(readFileSync(file))
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    const hint = code === 'EACCES' ? 'let the account that runs acceptd read it, by its group' : 'name a PEM file'
    return err({ file, problem: `cannot be read: ${code || message}`, hint })
  }
}

/** Whose signature makes a client's certificate good, for createSecureContext. */
export interface Trust {
  readonly ca: string[]
  /** With one list OpenSSL wants one of every authority in a client's chain, and takes no certificate where that is missing or out of date. */
  readonly crl?: string[]
}

export function trustIn(pem: Uint8Array): Trust {
  const text = Buffer.from(pem).toString('latin1')
  const crl = blocksOf(text, 'X509 CRL')
  return { ca: blocksOf(text, 'CERTIFICATE'), ...(crl.length > 0 && { crl }) }
}

const blocksOf = (pem: string, label: string): string[] =>
  pem.match(new RegExp(`-----BEGIN ${label}-----.*?-----END ${label}-----`, 'gs')) ?? []

/** A PEM file of certificates, each of which must be one, and of lists of those that they have revoked. */
export function readAuthority(file: string): Result<Uint8Array, CertificateTrouble> {
  return readPem(file).andThen((pem) => {
    const trust = trustIn(pem)
    if (trust.ca.length === 0) return err({ file, problem: 'holds no certificate', hint: 'name a PEM file' })
    return parsed(file, 'a list of certificates', () => {
      for (const block of trust.ca) new X509Certificate(block).toString()
      createSecureContext({ ...trust })
      return pem
    })
  })
}

const OTHERS = 0o007

function secretKey(file: string): Result<Buffer, CertificateTrouble> {
  return readPem(file).andThen((key) => {
    if ((statSync(file).mode & OTHERS) === 0) return ok(key)
    key.fill(0)
    return err({ file, problem: 'everybody can read this key', hint: 'chmod o= it, and let a group read it' })
  })
}

function fitting(files: Files, pair: CertificatePair): Result<ReadCertificate, CertificateTrouble> {
  const certificate = parsed(files.certificate, 'a certificate', () => new X509Certificate(pair.certificate))
  const key = parsed(files.key, 'a private key without a passphrase', () => createPrivateKey(pair.key as Buffer))
  if (certificate.isErr()) return err(certificate.error)
  if (key.isErr()) return err(key.error)
  if (!certificate.value.checkPrivateKey(key.value))
    return err({ file: files.key, problem: `is not the key of ${files.certificate}`, hint: 'name a pair that fits' })
  const facts = factsOf(certificate.value, key.value)
  // What OpenSSL refuses for other reasons: a key too short for its security level, a chain that is no PEM.
  return parsed(files.certificate, 'accepted by OpenSSL', () =>
    createSecureContext({ cert: pair.certificate as Buffer, key: pair.key as Buffer }),
  ).map(() => ({ pair, facts }))
}

function parsed<T>(file: string, what: string, parse: () => T): Result<T, CertificateTrouble> {
  try {
    return ok(parse())
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return err({ file, problem: `is not ${what} (${code ?? message})`, hint: 'name a PEM file' })
  }
}

const iso = (time: number): string => new Date(time).toISOString()

const factsOf = (certificate: X509Certificate, key: KeyObject): CertificateFacts => ({
  subject: oneLine(certificate.subject),
  issuer: oneLine(certificate.issuer),
  begins: Date.parse(certificate.validFrom),
  expires: Date.parse(certificate.validTo),
  fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  keyType: key.asymmetricKeyType ?? '',
  hosts: (certificate.subjectAltName ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice(4)),
})

const oneLine = (name: string): string => name.replaceAll('\n', ', ')

/** Changes when a file, or what a symbolic link leads to, is another one. */
export function fileMark(path: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(path)
    return `${dev}:${ino}:${size}:${mtimeMs}`
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}
