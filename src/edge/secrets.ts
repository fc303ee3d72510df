// Files that a control file names and that are not of the control directory: a password, an authority. And what this host is called.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { err, ok, type Result } from 'neverthrow'

export interface SecretTrouble {
  readonly problem: string
  readonly hint: string
}

const OTHERS = 0o007
/** No password and no list of authorities is larger. */
const MOST_OCTETS = 1024 * 1024

/** The name of this host, up to its first dot. */
export const hostName = (): string => hostname().split('.')[0] ?? ''

/** The text of a file; one with a secret that everybody can read is refused. */
export function secretIn(file: string, isSecret: boolean): Result<string, SecretTrouble> {
  try {
    // To open a pipe without O_NONBLOCK would wait for somebody who writes.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const found = fstatSync(fd)
      if (!found.isFile()) return err({ problem: 'is not a regular file', hint: 'name a file' })
      if (found.size > MOST_OCTETS) return err({ problem: 'is too large', hint: 'name a file of one line' })
      if (isSecret && (found.mode & OTHERS) !== 0)
        return err({ problem: 'can be read by everybody', hint: 'chmod o= it, and let a group read it' })
      return ok(readFileSync(fd, 'utf8'))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    const hint = code === 'EACCES' ? 'let the account that runs acceptd read it, by its group' : 'name a file'
    return err({ problem: `cannot be read: ${code || message}`, hint })
  }
}
