// A directory that outlives the process: one text, and the files that it names by their sha256. What is read was written whole.
//
//   DIR/state.json      written beside, flushed, renamed
//   DIR/files/SHA256    written once, before the text that names it; removed when none does any more

import { closeSync, fsyncSync, mkdirSync, openSync, promises, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bytesOf } from '../protocol/bytes.ts'
import { sha256Of } from './control-files.ts'

export interface Content {
  readonly text: string
  /** Latin-1 texts by their sha256. */
  readonly files: ReadonlyMap<string, string>
}

/** What an earlier process left. */
export interface Left {
  readonly directory: string
  /** Undefined: there is none. Throws where there is one that cannot be read. */
  readonly read: () => string | undefined
  /** The file of this sha256, if it still has it. */
  readonly file: (sha256: string) => string | undefined
  /** Renames the text, so that another can be written; its new name. */
  readonly putAside: () => string
}

export interface Store extends Left {
  /** Resolves when what `content` said then, or later, is on disk, or could not be written. */
  readonly save: () => Promise<void>
  /** Resolves when nothing waits to be written. */
  readonly saved: () => Promise<void>
  /** Why the last text could not be written. */
  readonly trouble: () => string | undefined
}

const NAME = 'state.json'
const AGAIN_MILLISECONDS = 5000

const textIn = (directory: string) => join(directory, NAME)
const fileIn = (directory: string, sha256: string) => join(directory, 'files', sha256)

export const leftIn = (directory: string): Left => ({
  directory,
  read: () => readIfThere(textIn(directory))?.toString('utf8'),
  file: (sha256) => {
    const bytes = readIfThere(fileIn(directory, sha256))
    return bytes !== undefined && sha256Of(bytes) === sha256 ? bytes.toString('latin1') : undefined
  },
  putAside: () => {
    const aside = `${textIn(directory)}.aside`
    renameSync(textIn(directory), aside)
    return aside
  },
})

/** `told` hears each change of what is wrong; undefined: nothing any more. */
export function openStore(
  directory: string,
  content: () => Content,
  told: (trouble: string | undefined) => void,
): Store {
  const path = textIn(directory)
  const fileOf = (sha256: string) => fileIn(directory, sha256)
  const written = new Set<string>()
  let trouble: string | undefined
  let queued: Promise<void> | undefined
  let last: Promise<void> = Promise.resolve()

  async function write(): Promise<void> {
    queued = undefined
    const { text, files } = content()
    const before = trouble
    try {
      mkdirSync(join(directory, 'files'), { recursive: true, mode: 0o700 })
      for (const [sha256, octets] of files) {
        if (written.has(sha256)) continue
        await replaceFile(fileOf(sha256), bytesOf(octets))
        written.add(sha256)
      }
      await replaceFile(path, Buffer.from(text))
      flushDirectory(directory)
      for (const name of await promises.readdir(join(directory, 'files'))) {
        if (files.has(name)) continue
        written.delete(name)
        rmSync(fileOf(name), { force: true })
      }
      trouble = undefined
    } catch (error) {
      trouble = error instanceof Error ? error.message : String(error)
      setTimeout(() => void save(), AGAIN_MILLISECONDS).unref()
    }
    if (trouble !== before) told(trouble)
  }

  function save(): Promise<void> {
    if (queued === undefined) {
      last = last.then(write)
      queued = last
    }
    return queued
  }

  return {
    ...leftIn(directory),
    save,
    saved: () => last,
    trouble: () => trouble,
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** After a crash there is the former file or this one. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.new`
  const file = await promises.open(beside, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await promises.rename(beside, path)
}

/** So that the new names are on disk, too. */
function flushDirectory(directory: string): void {
  for (const path of [join(directory, 'files'), directory]) {
    const fd = openSync(path, 'r')
    fsyncSync(fd)
    closeSync(fd)
  }
}
