import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchProgram, freePort, greets } from '../../bench/fixture.ts'
import { loadgen, temporary } from './programs.ts'

const LOAD = '--users 4 --messages 2 --size 70000'

/** userN as whoever runs the tests. */
function users(hash: string): string {
  const file = join(temporary(), 'users')
  const text = execFileSync(benchProgram('mkusers'), ['4', '40000', '/', hash], { encoding: 'latin1' })
  writeFileSync(file, text.replace(/^([^:]+:[^:]+):\d+:\d+:/gm, `$1:${process.getuid?.()}:${process.getgid?.()}:`))
  return file
}

for (const [mode, hash, sessions, refused] of [
  ['dialogue', 'sha256', 40, 0],
  ['hash', 'sha256', 40, 8],
  ['hash', 'sha512', 40, 8],
  ['hash', 'yescrypt', 5, 1],
  ['exec', 'sha256', 40, 8],
] as const)
  void test(`limit ${mode} serves whole sessions of two messages, with ${hash}, and refuses a wrong password if it hashes`, async (t) => {
    const port = await freePort()
    const words = [mode, String(port), '2', users(hash), benchProgram('discard'), 'smtp', '-n']
    const child = spawn(benchProgram('limit'), words, { stdio: 'inherit' })
    t.after(async () => {
      child.kill()
      await once(child, 'exit')
    })
    await greets(port, child)
    const wrong = refused > 0 ? '--wrong 0.2' : ''
    const { report } = await loadgen(port, `--clients 8 --sessions ${sessions} ${LOAD} ${wrong}`)
    assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
    assert.equal(report.all.sessions, sessions)
    assert.equal(report.all.refusedLogins, refused)
    assert.equal(report.all.messages, 2 * (sessions - refused))
  })
