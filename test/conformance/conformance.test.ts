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

/**
 * Recorded as the original does it, where a row of "better on purpose" asks for something else. The case is played all the same;
 * only what the row names is expected as the row has it.
 */
const OVERRULED: Readonly<Record<string, { readonly row: string; readonly mended: (result: Result) => Result }>> = {
  'smtp-tls-one-var': { row: 'all SSL_* variables are passed on', mended: withVariables({ SSL_A: '1' }) },
  'pop3-stls-session': {
    row: 'all SSL_* variables are passed on',
    mended: withVariables({ SSL_CIPHER: 'FAKE', SSL_X: '1' }),
  },
  'tls-second-greeting-exit': {
    row: 'all SSL_* variables are passed on',
    mended: withVariables({ SSL_CIPHER: 'FAKE', SSL_X: '1' }),
  },
}

/** In the environment of what is started after TLS is on: the last run. */
function withVariables(variables: Readonly<Record<string, string>>): (result: Result) => Result {
  const added = (runs: Result['child_runs']): Result['child_runs'] =>
    runs?.map((run, i) => (i === runs.length - 1 ? { ...run, env: { ...run.env, ...variables } } : run))
  return (result) => ({
    ...result,
    ...(result.child_runs === undefined ? {} : { child_runs: added(result.child_runs) ?? [] }),
    ...(result.backend_runs === undefined ? {} : { backend_runs: added(result.backend_runs) ?? [] }),
  })
}

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
      const overruled = OVERRULED[played.name]
      const about = [played.about, overruled && `better on purpose: ${overruled.row}`].filter(Boolean).join('; ')
      void test(`${played.name}${about === '' ? '' : `: ${about}`}`, async () => {
        const { trouble, result } = await play(played, join(top, 'dist/programs'), join(here, 'fakes.js'))
        const wanted = forUs(played, overruled?.mended(played.result) ?? played.result)
        assert.deepEqual(trouble, [], JSON.stringify(result))
        assert.deepEqual(result, wanted)
      })
    }
  })
}
