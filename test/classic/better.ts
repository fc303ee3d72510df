// Rows of the table "Where we are better on purpose" of the compatibility page: the name of a test is what the original does.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Case, Result } from '../conformance/case.ts'
import { playAll } from './dialogue.ts'

export interface Row {
  readonly original: string
  readonly here: string
  readonly play: Omit<Case, 'name' | 'result'>
  readonly result: Partial<Result>
  readonly check?: (result: Result) => void
}

export function testRows(rows: readonly Row[]): void {
  for (const row of rows)
    void test(`${row.original} | ${row.here}`, async () => {
      const result = await playAll(row.play)
      for (const [key, wanted] of Object.entries(row.result))
        assert.deepEqual(result[key as keyof Result], wanted, `${key} of ${JSON.stringify(result)}`)
      row.check?.(result)
    })
}
