// The control directory: one knob per file, read with qmail's rules for comments and white space (qmail-control(5)).

import { createHash } from 'node:crypto'
import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ControlFile {
  readonly name: string
  readonly path: string
  /** Latin-1 text, one character an octet; undefined where there is no such file. */
  readonly text: string | undefined
  readonly sha256: string | undefined
  /** Why an existing file cannot be read. */
  readonly trouble: string | undefined
}

/** Whether there is something at the path. */
export const isThere = (path: string): boolean => existsSync(path)

/** Reads one file of the control directory; a missing file is not trouble. */
export function readControlFile(directory: string, name: string): ControlFile {
  const path = join(directory, name)
  try {
    const bytes = octetsOf(path)
    if (typeof bytes === 'string') return { name, path, text: undefined, sha256: undefined, trouble: bytes }
    return { name, path, text: bytes.toString('latin1'), sha256: sha256Of(bytes), trouble: undefined }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return {
      name,
      path,
      text: undefined,
      sha256: undefined,
      trouble: code === 'ENOENT' ? undefined : (code ?? message),
    }
  }
}

/** The content of a regular file, or what it is instead. To open a pipe without O_NONBLOCK would wait for somebody who writes. */
function octetsOf(path: string): Buffer | string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const found = fstatSync(fd)
    if (found.isDirectory()) return 'is a directory'
    return found.isFile() ? readFileSync(fd) : 'is not a regular file'
  } finally {
    closeSync(fd)
  }
}

/** Names of what a directory holds, but for directories; none if it cannot be read. */
export function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted()
  } catch {
    return []
  }
}

export const sha256Of = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex')
