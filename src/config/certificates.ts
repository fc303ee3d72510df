// The certificates that control/tls names, and those of who signs clients' in control/listeners, read from their files: all of them,
// or every reason why not.

import { err, ok, type Result } from 'neverthrow'
import {
  type CertificateFacts,
  type CertificateTrouble,
  fileMark,
  readAuthority,
  readCertificate,
  untimely,
} from '../edge/certificates.ts'
import type { NamedPair } from '../edge/tls.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { ListenerConfig } from './listeners.ts'
import type { CertificateFiles } from './tls.ts'

export interface LoadedCertificate {
  readonly files: CertificateFiles
  readonly pair: NamedPair
  readonly facts: CertificateFacts
}

export interface LoadedTls {
  readonly certificates: readonly LoadedCertificate[]
  /** PEM by file. */
  readonly authorities: Readonly<Record<string, Uint8Array>>
}

export const NOTHING_LOADED: LoadedTls = { certificates: [], authorities: {} }

/** What names the files. */
export interface TlsFiles {
  readonly certificates: readonly CertificateFiles[]
  readonly listeners: readonly ListenerConfig[]
}

export interface Read {
  /** What can be used at all; of certificates also those that are out of date. */
  readonly usable: LoadedTls
  /** Why not all of it should be. */
  readonly errors: readonly ConfigError[]
}

/** `now` in milliseconds since 1970. */
export function readTls({ certificates, listeners }: TlsFiles, now: number): Read {
  const errors: ConfigError[] = []
  const loaded: LoadedCertificate[] = []
  const authorities: Record<string, Uint8Array> = {}
  const fail = (named: string, line: number, { file, problem, hint }: CertificateTrouble) =>
    errors.push({ file: named, line, column: 1, problem: `${file} ${problem}`, hint })
  for (const files of certificates) {
    readCertificate(files).match(
      ({ pair, facts }) => {
        loaded.push({ files, pair: { ...pair, names: files.names }, facts })
        const late = untimely(files, facts, now)
        if (late !== undefined) fail('control/tls', files.line, late)
      },
      (trouble) => fail('control/tls', files.line, trouble),
    )
  }
  for (const { clients, line } of listeners) {
    if (clients === undefined) continue
    readAuthority(clients).match(
      (pem) => {
        authorities[clients] = pem
      },
      (trouble) => fail('control/listeners', line, trouble),
    )
  }
  return { usable: { certificates: loaded, authorities }, errors }
}

/** All of it or none; a certificate that has expired is an error. */
export function loadTls(files: TlsFiles, now: number): Result<LoadedTls, readonly ConfigError[]> {
  const { usable, errors } = readTls(files, now)
  return errors.length > 0 ? err(errors) : ok(usable)
}

/** Another text once any of the files is another one. */
export const marksOf = ({ certificates, listeners }: TlsFiles): string =>
  [
    ...certificates.flatMap(({ certificate, key }) => [certificate, key]),
    ...listeners.flatMap(({ clients }) => clients ?? []),
  ]
    .map(fileMark)
    .join(' ')
