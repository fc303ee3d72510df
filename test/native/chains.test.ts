// control/chains has two readers, the daemon's and the helper's: both take and refuse the same files, at the same line.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parseChains } from '../../src/config/chains.ts'
import { Fixture } from './fixture.ts'

interface Row {
  readonly what: string
  readonly file: string
  /** The line of the first problem; a file without it is accepted. */
  readonly refusedAt?: number
}

const table = JSON.parse(readFileSync('test/native/chains.json', 'utf8')) as readonly Row[]
const whole = 'account 54321\nchain a\n checkpassword builtin\n backend /bin/true\n'
const MEGABYTE = 1 << 20
const rows: readonly Row[] = [
  ...table,
  { what: 'a file of a megabyte', file: whole.padEnd(MEGABYTE) },
  { what: 'a file of more than a megabyte', file: whole.padEnd(MEGABYTE + 1), refusedAt: 1 },
]

void describe('control/chains', () => {
  const fixture = new Fixture()
  after(() => fixture.remove())
  const path = join(fixture.folder, 'table')

  for (const { what, file, refusedAt } of rows)
    void test(`both readers ${refusedAt === undefined ? 'take' : 'refuse'}: ${what}`, () => {
      writeFileSync(path, file, { encoding: 'latin1', mode: 0o644 })
      const checked = fixture.check(path)
      const ours = parseChains(file, 'control/chains')
      const lines = checked.stderr.split('\n').filter((line) => line.startsWith(`${path}:`))
      assert.equal(checked.status, refusedAt === undefined ? 0 : 78, checked.stderr)
      assert.equal(Number(lines[0]?.split(':')[1] ?? 0), refusedAt ?? 0, checked.stderr)
      assert.equal(ours.isErr() ? ours.error[0]?.line : 0, refusedAt ?? 0)
    })
})
