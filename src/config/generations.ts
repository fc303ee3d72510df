// Rule generations: parse -> compile -> publish. What is on disk, what is published, and the last error are three different things.

import { createHash } from 'node:crypto'
import type { ChangedBy } from '../contract/configuration.ts'
import { namesIn, readControlFile, sha256Of } from '../edge/control-files.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { Config } from './config.ts'
import { type ControlTexts, filesIn, knobOf, trouble } from './knobs.ts'

export interface StoredGeneration {
  readonly generation: number
  readonly sha256: string
  readonly texts: ControlTexts
  readonly config: Config
  readonly published: number
  readonly by: ChangedBy
  readonly reason: string | undefined
}

/** How many are kept for history and rollback. */
export const GENERATIONS_KEPT = 20

/** The control directory as it was read. */
export interface Disk {
  readonly texts: ControlTexts
  /** Files that exist and cannot be read. */
  readonly errors: readonly ConfigError[]
  /** Names in it that are no knobs. */
  readonly unknown: readonly string[]
}

/** Reads every knob of the control directory. */
export function readControl(directory: string): Disk {
  const texts: Record<string, string> = {}
  const errors: ConfigError[] = []
  const found = namesIn(directory)
  for (const name of filesIn(Object.fromEntries(found.map((each) => [each, ''])))) {
    const file = readControlFile(directory, name)
    if (file.text !== undefined) texts[name] = file.text
    if (file.trouble === undefined) continue
    const hint = `make ${file.path} a file that the account acceptd can read`
    errors.push(trouble(name, 1, 1, `cannot be read: ${file.trouble}`, hint))
  }
  return { texts, errors, unknown: found.filter((name) => knobOf(name) === undefined) }
}

/** One number for a whole set of files. */
export function hashOf(texts: ControlTexts): string {
  const hash = createHash('sha256')
  for (const name of filesIn(texts)) {
    const text = texts[name]
    if (text !== undefined) hash.update(`${name}\0${sha256Of(Buffer.from(text, 'latin1'))}\0`)
  }
  return hash.digest('hex')
}

/** By the texts of a generation, which never change. */
const common = new WeakMap<ControlTexts, string>()

/** What hosts of a fleet can have in common: all files but those that say which host it is. */
export function commonHashOf(texts: ControlTexts): string {
  const known = common.get(texts)
  if (known !== undefined) return known
  const { me: _me, fleet: _fleet, ...rest } = texts
  const hash = hashOf(rest)
  common.set(texts, hash)
  return hash
}

/** Files of `next` whose content differs. */
export function changedFiles(before: ControlTexts, next: ControlTexts): readonly string[] {
  return filesIn(before, next).filter((name) => before[name] !== next[name])
}
