// control/tls: NAME[,NAME...] CERT KEY, one certificate a line. The first line serves clients that name no host.

import { err, ok, type Result } from 'neverthrow'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'

/** How a listener meets TLS: not at all, by STARTTLS or STLS where the client asks, before any login, or from the first octet (RFC 8314). */
export type TlsMode = 'off' | 'offer' | 'require' | 'implicit'

export const TLS_MODES: readonly TlsMode[] = ['off', 'offer', 'require', 'implicit']

/** Files of one certificate. Lines with the same names serve together, for clients that know only one kind of key. */
export interface CertificateFiles {
  readonly line: number
  /** In lower case; the `*` of `*.example.org` is one label. */
  readonly names: readonly string[]
  /** PEM: the certificate, then those that signed it. */
  readonly certificate: string
  readonly key: string
}

const NAME = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

export function parseTls(text: string, file: string): Result<readonly CertificateFiles[], readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const rows: CertificateFiles[] = []
  for (const { line, text: raw } of controlLines(text)) {
    const fail = (word: string, problem: string, hint: string) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const words = raw.trim().split(/[ \t]+/)
    const [list = '', certificate = '', key = ''] = words
    if (words.length !== 3) {
      fail(
        words[3] ?? '',
        'not NAME[,NAME...] CERT KEY',
        'write e.g. mail.example.org /etc/ssl/mail.pem /etc/ssl/mail.key',
      )
      continue
    }
    const names = list.toLowerCase().split(',')
    for (const name of names) {
      if (!NAME.test(name) || name.length > 253)
        fail(list, `\`${name}\` is not a host name`, 'write e.g. mail.example.org or *.example.org')
    }
    for (const path of [certificate, key]) {
      if (!path.startsWith('/')) fail(path, `\`${path}\` is not an absolute path`, 'write the whole path of a PEM file')
    }
    rows.push({ line, names, certificate, key })
  }
  return errors.length > 0 ? err(errors) : ok(rows)
}
