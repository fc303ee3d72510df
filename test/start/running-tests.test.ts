// scripts/test.ts, on a folder with one test file of our own.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isAlive, until } from '../system/processes.ts'

const SCRIPT = fileURLToPath(new URL('../../scripts/test.js', import.meta.url))

function folder(t: TestContext, code: string): string {
  const top = mkdtempSync(join(tmpdir(), 'acceptd-tests-'))
  t.after(() => rmSync(top, { recursive: true }))
  mkdirSync(join(top, 'dist/test'), { recursive: true })
  mkdirSync(join(top, 'test'))
  writeFileSync(join(top, 'test/one.test.ts'), '')
  writeFileSync(join(top, 'dist/test/one.test.js'), code)
  return top
}

const run = (cwd: string, ...args: readonly string[]) =>
  spawnSync(process.execPath, [SCRIPT, ...args], {
    cwd,
    encoding: 'utf8',
    // Node runs no tests below a test.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  })

void test('a run that fails leaves nothing running, not even what has left its group and has an environment of its own', async (t) => {
  const top = folder(
    t,
    `const { spawn } = require('node:child_process')
    const { test } = require('node:test')
    test('fails', async () => {
      const child = spawn('sh', ['-c', 'env -i sleep 300 & echo $$ $! >pids; echo; wait'], { detached: true })
      await new Promise((resolve) => child.stdout.once('data', resolve))
      throw new Error('of no use')
    })`,
  )
  const { status, stdout } = run(top)
  assert.equal(status, 1, stdout)
  assert.match(stdout, /of no use/)
  const pids = readFileSync(join(top, 'pids'), 'utf8').trim().split(' ').map(Number)
  assert.equal(pids.length, 2)
  await until('them to be gone', () => !pids.some(isAlive))
})

void test('--help prints how it is used and runs nothing; a word that no file has, and an unknown option, are errors', (t) => {
  const top = folder(t, "throw new Error('run')")
  const help = run(top, '--system', '--help')
  assert.deepEqual([help.status, help.stderr], [0, ''])
  assert.match(help.stdout, /^usage: npm test .*\n +npm run test:system /)
  assert.deepEqual([run(top, 'two').status, run(top, 'two').stderr], [1, 'test: no test file matches two\n'])
  const wrong = run(top, '--hlep')
  assert.equal(wrong.status, 2)
  assert.match(wrong.stderr, /^test: there is no option --hlep\nusage: /)
})
