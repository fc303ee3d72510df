// The certificates that control/tls names, and those of who signs clients' in control/listeners, read from their files: all of them,
// or every reason why not.

import { err, ok, type Result } from 'neverthrow'
import { type CertificateFacts, fileMark, readAuthority, readCertificate } from '../edge/certificates.ts'
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

/** `now` in milliseconds since 1970: a certificate that has expired is an error. */
export function loadTls({ certificates, listeners }: TlsFiles, now: number): Result<LoadedTls, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const loaded: LoadedCertificate[] = []
  const authorities: Record<string, Uint8Array> = {}
  for (const files of certificates) {
    readCertificate(files, now).match(
      ({ pair, facts }) => loaded.push({ files, pair: { ...pair, names: files.names }, facts }),
      ({ file, problem, hint }) =>
        errors.push({ file: 'control/tls', line: files.line, column: 1, problem: `${file} ${problem}`, hint }),
    )
  }
  for (const { clients, line } of listeners) {
    if (clients === undefined) continue
    readAuthority(clients).match(
      (pem) => {
        authorities[clients] = pem
      },
      ({ file, problem, hint }) =>
        errors.push({ file: 'control/listeners', line, column: 1, problem: `${file} ${problem}`, hint }),
    )
  }
  return errors.length > 0 ? err(errors) : ok({ certificates: loaded, authorities })
}

/** Another text once any of the files is another one. */
export const marksOf = ({ certificates, listeners }: TlsFiles): string =>
  [
    ...certificates.flatMap(({ certificate, key }) => [certificate, key]),
    ...listeners.flatMap(({ clients }) => clients ?? []),
  ]
    .map(fileMark)
    .join(' ')
