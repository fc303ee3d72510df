// control/certusers: USER NAME, whom a client certificate stands for. The first line that fits a name of the certificate counts.
//
//   ann ann@example.org                 an address in its subjectAltName
//   % %@staff.example.org               each address of that domain, for the user before the @
//   bob CN=Bob Example                  an attribute of its subject
//   carol sha256=5f0c...                this certificate, by its fingerprint

import { err, ok, type Result } from 'neverthrow'
import { lowerCase } from '../protocol/bytes.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { acceptableUser } from '../protocol/sasl.ts'
import { lineKey } from './knobs.ts'

export interface CertificateUser {
  readonly line: number
  /** See lineKey. */
  readonly key: string
  /** `%` in it is what `%` is in the name. */
  readonly user: string
  /** As comparedName() writes it. */
  readonly name: string
}

export interface NamedUser {
  readonly user: string
  readonly line: number
  readonly key: string
}

const ANY = '%'

/** Attributes of a subject in short, as OpenSSL writes them: `CN`, `UID`, `emailAddress`, or an object identifier. */
const ATTRIBUTE = /^([A-Za-z][A-Za-z0-9]*|[0-9][0-9.]*)=(.+)$/s
const ADDRESS = /^[^\s@=]+@[^\s@]+$/
const FINGERPRINT = /^sha256=[0-9a-f]{64}$/

export function parseCertUsers(text: string, file: string): Result<readonly CertificateUser[], readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const rows: CertificateUser[] = []
  for (const { line, text: raw } of controlLines(text)) {
    const [, user = '', written = ''] = /^[ \t]*([^ \t]*)[ \t]*(.*?)[ \t]*$/s.exec(raw) ?? []
    const fail = (word: string, problem: string, hint: string) =>
      errors.push({ file, line, column: Math.max(raw.lastIndexOf(word), 0) + 1, problem, hint })
    const name = comparedName(written)
    if (written === '')
      fail(user, `\`${user}\` has no certificate`, `write e.g. ${user} ann@example.org or ${user} CN=Ann`)
    else if (name === undefined)
      fail(
        written,
        `\`${written}\` is no name of a certificate`,
        'write ann@example.org, %@example.org, CN=Ann Example or sha256=FINGERPRINT',
      )
    else if (name.split(ANY).length > 2)
      fail(written, 'more than one % in a name', `write one, as in ${ANY}@example.org`)
    else if (user.split(ANY).length > name.split(ANY).length)
      fail(user, 'the % of the user is none of the name', `write e.g. ${ANY} ${ANY}@example.org`)
    else rows.push({ line, key: lineKey(file, raw), user, name })
  }
  return errors.length > 0 ? err(errors) : ok(rows)
}

/** A name as it is compared: addresses and fingerprints without regard to case; undefined: it is none. */
export function comparedName(name: string): string | undefined {
  const lower = lowerCase(name)
  if (lower.startsWith('sha256='))
    return FINGERPRINT.test(lower.replaceAll(':', '')) ? lower.replaceAll(':', '') : undefined
  if (ADDRESS.test(name)) return lower
  const [, attribute, value] = ATTRIBUTE.exec(name) ?? []
  return attribute === undefined ? undefined : `${lowerCase(attribute)}=${value}`
}

/** The users for whom a certificate of these names stands, in the order of the lines. */
export function usersNamed(rows: readonly CertificateUser[], names: readonly string[]): readonly NamedUser[] {
  const compared = names.flatMap((name) => comparedName(name) ?? [])
  return rows.flatMap((row) =>
    compared.flatMap((name) => {
      const part = matched(row.name, name)
      const user = part === undefined ? '' : row.user.replace(ANY, () => part)
      return acceptableUser(user) ? [{ user, line: row.line, key: row.key }] : []
    }),
  )
}

/** What `%` is in the name, or empty where the pattern has none; undefined: it does not fit. */
function matched(pattern: string, name: string): string | undefined {
  const at = pattern.indexOf(ANY)
  if (at < 0) return pattern === name ? '' : undefined
  const before = pattern.slice(0, at)
  const after = pattern.slice(at + 1)
  const part = name.slice(before.length, name.length - after.length)
  const fits = name.length > before.length + after.length && name.startsWith(before) && name.endsWith(after)
  return fits && !part.includes('@') ? part : undefined
}
