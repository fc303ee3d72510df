// The manual pages and documents, as their tests read them.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const TOP = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

export interface Page {
  /** E.g. `acceptd.8`. */
  readonly file: string
  readonly path: string
  readonly name: string
  readonly section: string
  readonly text: string
  readonly lines: readonly string[]
}

export const read = (path: string): string => readFileSync(join(TOP, path), 'utf8')

export const pages: readonly Page[] = readdirSync(join(TOP, 'man'))
  .toSorted()
  .map((file) => {
    const path = join(TOP, 'man', file)
    const text = readFileSync(path, 'utf8')
    const dot = file.lastIndexOf('.')
    return { file, path, name: file.slice(0, dot), section: file.slice(dot + 1), text, lines: text.split('\n') }
  })

export function page(file: string): Page {
  const found = pages.find((one) => one.file === file)
  if (found === undefined) throw new Error(`there is no man/${file}`)
  return found
}

/** Where a program is, or undefined. */
export const inPath = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

/** What mandoc complains about, except about pages that it does not find: which ones a host has is not the page's concern. */
export const complaints = (said: string): readonly string[] =>
  said.split('\n').filter((line) => line !== '' && !line.includes('referenced manual not found'))
