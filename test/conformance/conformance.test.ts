// The behaviour recorded from acceptutils, byte for byte, exit codes and standard error included.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Case, Result } from './case.ts'
import { play } from './replay.ts'

const here = fileURLToPath(new URL('.', import.meta.url))
const top = join(here, '../../..')
const root = process.getuid?.() === 0

/** An ordinary user cannot start a program as root, nor as another user. */
function forUs(played: Case, result: Result): Result {
  if (root) return result
  if (result.stderr.includes('WAS RUNNING AS ROOT')) return { ...result, stderr: '' }
  const runs = result.child_runs?.map(({ uid, ...run }) => (uid === undefined ? run : { ...run, uid: ourselves() }))
  return played.user === undefined || runs === undefined ? result : { ...result, child_runs: runs }
}

const ourselves = (): readonly number[] => [process.getuid?.() ?? -1, process.getgid?.() ?? -1]

for (const file of ['fixsmtpio', 'authup', 'chain', 'reup', 'checknotroot']) {
  const cases = JSON.parse(readFileSync(join(top, 'test/conformance', `${file}.json`), 'utf8')) as Case[]
  void describe(file, { concurrency: 2 * availableParallelism() }, () => {
    for (const played of cases) {
      const { name, about } = played
      void test(about === undefined ? name : `${name}: ${about}`, async () => {
        const { trouble, result } = await play(played, join(top, 'dist/programs'), join(here, 'fakes.js'))
        assert.deepEqual(trouble, [], JSON.stringify(result))
        assert.deepEqual(result, forUs(played, played.result))
      })
    }
  })
}
