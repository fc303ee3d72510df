// The certificates that control/tls names, read from their files: all of them, or every reason why not.

import { err, ok, type Result } from 'neverthrow'
import { type CertificateFacts, fileMark, readCertificate } from '../edge/certificates.ts'
import type { NamedPair } from '../edge/tls.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { CertificateFiles } from './tls.ts'

export interface LoadedCertificate {
  readonly files: CertificateFiles
  readonly pair: NamedPair
  readonly facts: CertificateFacts
}

/** `now` in milliseconds since 1970: a certificate that has expired is an error. */
export function loadCertificates(
  rows: readonly CertificateFiles[],
  now: number,
): Result<readonly LoadedCertificate[], readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const loaded: LoadedCertificate[] = []
  for (const files of rows) {
    readCertificate(files, now).match(
      ({ pair, facts }) => loaded.push({ files, pair: { ...pair, names: files.names }, facts }),
      ({ file, problem, hint }) =>
        errors.push({ file: 'control/tls', line: files.line, column: 1, problem: `${file} ${problem}`, hint }),
    )
  }
  return errors.length > 0 ? err(errors) : ok(loaded)
}

/** Another text once any of the files is another one. */
export const marksOf = (rows: readonly CertificateFiles[]): string =>
  rows.flatMap(({ certificate, key }) => [fileMark(certificate), fileMark(key)]).join(' ')
