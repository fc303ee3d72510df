// Rule generations: parse -> compile -> publish. What is on disk, what is published, and the last error are three different things.

import { createHash } from 'node:crypto'
import type { ChangedBy } from '../contract/daemon.ts'
import { readControlFile, sha256Of } from '../edge/control-files.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { type Config, type ControlTexts, compileConfig, KNOBS } from './config.ts'

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

export interface ReadControl {
  readonly texts: ControlTexts
  /** Files that exist and cannot be read. */
  readonly errors: readonly ConfigError[]
}

/** Reads every knob of the control directory. */
export function readControl(directory: string): ReadControl {
  const texts: Record<string, string> = {}
  const errors: ConfigError[] = []
  for (const { name } of KNOBS) {
    const file = readControlFile(directory, name)
    if (file.text !== undefined) texts[name] = file.text
    if (file.trouble !== undefined) {
      errors.push({
        file: `control/${name}`,
        line: 1,
        column: 1,
        problem: `cannot be read: ${file.trouble}`,
        hint: `make ${file.path} a file that the account acceptd can read`,
      })
    }
  }
  return { texts, errors }
}

/** One number for a whole set of files. */
export function hashOf(texts: ControlTexts): string {
  const hash = createHash('sha256')
  for (const { name } of KNOBS) {
    const text = texts[name]
    if (text !== undefined) hash.update(`${name}\0${sha256Of(Buffer.from(text, 'latin1'))}\0`)
  }
  return hash.digest('hex')
}

/** Files of `next` whose content differs. */
export function changedFiles(before: ControlTexts, next: ControlTexts): readonly string[] {
  return KNOBS.map((knob) => knob.name).filter((name) => before[name] !== next[name])
}

export { compileConfig }
