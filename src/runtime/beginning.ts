// With which configuration a runtime begins: the disk's at a start of acceptd, the last good one after a runtime has died.

import { err, ok, type Result } from 'neverthrow'
import { compileConfig } from '../config/config.ts'
import { readControl, type StoredGeneration } from '../config/generations.ts'
import { type Findings, plan, planStart, restartErrors, type Start } from '../config/plan.ts'
import type { KeptGeneration } from './memory.ts'

/** What is asked first. */
export type BeginWith =
  /** A start of acceptd: what is wrong with the disk ends it. */
  | 'disk'
  /** The same with --last-good. */
  | 'disk-or-kept'
  /** A runtime has died: what it ran goes on, whatever the disk says. */
  | 'kept'
  /** An upgrade: what runs goes on with what a reload would take of the disk; what is wrong with that ends it. */
  | 'reload'

export interface Beginning {
  readonly current: StoredGeneration
  readonly warnings: Findings
  /** What is wrong on the disk, where something else runs. */
  readonly disk: Findings | undefined
}

const NONE: Findings = { list: [], count: 0 }

export function begin(control: string, kept: readonly KeptGeneration[], how: BeginWith): Result<Beginning, Findings> {
  if (how === 'reload') return beginAsReload(control, kept)
  const disk = planStart(readControl(control))
  const wrong = disk.isErr() ? disk.error : undefined
  const keeps = how === 'kept' || (how === 'disk-or-kept' && disk.isErr())
  // The newest that still compiles: acceptd itself may be another one by now.
  for (const one of keeps ? kept.toReversed() : []) {
    const compiled = compileConfig(one.texts)
    // Its certificates are read for themselves: what is wrong with one by now stops nothing.
    if (compiled.isOk())
      return ok({ current: numbered({ ...one, config: compiled.value }, kept), warnings: NONE, disk: wrong })
  }
  return disk.match(
    (start) => ok({ current: numbered(start, kept), warnings: start.warnings, disk: undefined }),
    (errors) => err(errors),
  )
}

function beginAsReload(control: string, kept: readonly KeptGeneration[]): Result<Beginning, Findings> {
  const last = kept.at(-1)
  if (last === undefined) return begin(control, kept, 'disk')
  const compiled = compileConfig(last.texts)
  if (compiled.isErr()) return err({ list: compiled.error, count: compiled.error.length })
  const { verdict, texts, sha256, warnings } = plan({ texts: last.texts, config: compiled.value }, readControl(control))
  if (verdict.do === 'publish' || verdict.do === 'nothing') {
    const current = numbered({ texts, sha256, config: verdict.config }, kept)
    return ok({ current, warnings, disk: undefined })
  }
  return err(verdict.do === 'refuse' ? verdict.errors : restartErrors('files' in verdict ? verdict.files : []))
}

/** The last generation goes on if it says the same; anything else is a new one. */
function numbered(
  { texts, sha256, config }: Pick<Start, 'texts' | 'sha256' | 'config'>,
  kept: readonly KeptGeneration[],
): StoredGeneration {
  const last = kept.at(-1)
  if (last?.sha256 === sha256) {
    const { generation, published, by, reason } = last
    return { generation, sha256, texts, config, published, by, reason }
  }
  const generation = (last?.generation ?? 0) + 1
  return { generation, sha256, texts, config, published: Date.now(), by: 'start', reason: undefined }
}
