// The control directory: one knob per file, read with qmail's rules for comments and white space (qmail-control(5)).

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
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

/** Reads one file of the control directory; a missing file is not trouble. */
export function readControlFile(directory: string, name: string): ControlFile {
  const path = join(directory, name)
  try {
    const bytes = readFileSync(path)
    return { name, path, text: bytes.toString('latin1'), sha256: sha256Of(bytes), trouble: undefined }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const trouble = code === 'ENOENT' ? undefined : code === 'EISDIR' ? 'is a directory' : (code ?? message)
    return { name, path, text: undefined, sha256: undefined, trouble }
  }
}

export const sha256Of = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex')
