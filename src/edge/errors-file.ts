// The last warnings and errors, for the next runtime: DIR/errors.jsonl, since when they are complete, then a line for each, the oldest first.
// Lines are appended as they come; now and then the file is written anew with those that are kept.

import { mkdirSync, promises, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LOG_ERRORS_KEPT, type LogError, type LogErrors } from '../contract/log.ts'

export interface ErrorsFile {
  /** What an earlier runtime left; undefined: nothing that can be read. */
  readonly read: () => LogErrors | undefined
  /** `all`: what is kept then, if the file has become too long. */
  readonly append: (errors: readonly LogError[], all: () => LogErrors) => void
  /** Resolves when all of it is written, or could not be. */
  readonly saved: () => Promise<void>
}

const NAME = 'errors.jsonl'
/** Lines that may be appended before the file is written anew. */
const MOST_LINES = 5 * LOG_ERRORS_KEPT

export function errorsFile(directory: string): ErrorsFile {
  const path = join(directory, NAME)
  let waiting: LogError[] = []
  /** Undefined: it is not known to be there. */
  let lines: number | undefined
  let writing: Promise<void> | undefined

  async function write(all: () => LogErrors): Promise<void> {
    while (waiting.length > 0) {
      const errors = waiting
      waiting = []
      try {
        if (lines === undefined || lines > MOST_LINES) lines = await writeAnew(path, all())
        else {
          await promises.appendFile(path, linesOf(errors), { mode: 0o600 })
          lines += errors.length
        }
      } catch {
        // As state-not-saved says of the directory. The next line tries it again.
        lines = undefined
      }
    }
    writing = undefined
  }

  return {
    read: () => {
      try {
        return parse(readFileSync(path, 'utf8'))
      } catch {
        return undefined
      }
    },
    append: (errors, all) => {
      for (const error of errors) waiting.push(error)
      if (waiting.length > LOG_ERRORS_KEPT) waiting = waiting.slice(-LOG_ERRORS_KEPT)
      if (waiting.length > 0) writing ??= write(all)
    },
    saved: () => writing ?? Promise.resolve(),
  }
}

const linesOf = (errors: readonly LogError[]): string => errors.map((error) => `${JSON.stringify(error)}\n`).join('')

/** How many lines it has then. */
async function writeAnew(path: string, { errors, since }: LogErrors): Promise<number> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  await promises.writeFile(`${path}.new`, `${JSON.stringify({ since })}\n${linesOf(errors)}`, { mode: 0o600 })
  await promises.rename(`${path}.new`, path)
  return errors.length
}

function parse(text: string): LogErrors | undefined {
  const values = text.split('\n').flatMap((line): unknown[] => {
    try {
      return line === '' ? [] : [JSON.parse(line)]
    } catch {
      // A line that was cut when its writer was killed.
      return []
    }
  })
  const all = values.filter(isError)
  const errors = all.slice(-LOG_ERRORS_KEPT)
  const begun = (values[0] as { readonly since?: unknown } | undefined)?.since
  const since = typeof begun === 'number' && errors.length === all.length ? begun : errors[0]?.at
  return since === undefined ? undefined : { errors, since }
}

function isError(value: unknown): value is LogError {
  if (typeof value !== 'object' || value === null) return false
  const { at, level, event, fields } = value as Partial<LogError>
  return (
    typeof at === 'number' &&
    (level === 'warn' || level === 'error') &&
    typeof event === 'string' &&
    typeof fields === 'object' &&
    Object.values(fields).every((field) => typeof field === 'string' || typeof field === 'number')
  )
}
