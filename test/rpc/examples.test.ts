// The scripts of docs/examples, run as they are against a daemon in memory.
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fixture } from './fixture.ts'
import type { Json } from './wire.ts'

const examples = fileURLToPath(new URL('../../../docs/examples/', import.meta.url))

interface Ran {
  readonly out: string
  readonly err: string
  readonly code: number
}

function run(name: string, ...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(join(examples, name), args, { timeout: 20_000 }, (error, out, stderr) =>
      resolve({ out, err: stderr, code: typeof error?.code === 'number' ? error.code : error ? -1 : 0 }),
    )
  })
}

/** Runs until `enough` lines have come, then is interrupted. */
function follow(name: string, args: readonly string[], enough: number, each: () => void): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(join(examples, name), args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true })
    let text = ''
    const timer = setInterval(each, 50)
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.split('\n').length <= enough) return
      clearInterval(timer)
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM')
    })
    child.on('close', () => resolve(text))
  })
}

function ok(out: string): Ran {
  return { out, err: '', code: 0 }
}

const missing = ['socat', 'jq'].filter((tool) => spawnSync('which', [tool]).status !== 0)
const skip = missing.length > 0 ? `needs ${missing.join(' and ')}` : false

void test('with socat and jq', { skip }, async (t) => {
  const { control, status, host, directory, idOf, sessions } = await fixture(t)
  const id = await idOf('alice')
  const rules = host.text('fixsmtpio')
  const line = rules.split('\n').length
  assert.deepEqual(await run('sessions-of-user.sh', control, 'alice'), ok(`${id}\tready\t127.0.0.1\t0\n`))
  assert.deepEqual(await run('sessions-of-user.sh', status, 'nobody'), ok(''))

  host.write('fixsmtpio', `${rules}:noop::*::250 new\n`)
  assert.deepEqual(await run('reload.sh', control, 'because'), ok('generation 2, was 1; changed: fixsmtpio\n'))
  host.write('fixsmtpio', `${rules}so bad\n`)
  const refused = await run('reload.sh', control)
  assert.equal(refused.out, `control/fixsmtpio:${line}:7: the rule ends after 1 of 6 fields\n`)
  assert.notEqual(refused.code, 0)
  assert.match((await run('reload.sh', status)).err, /control socket only/)

  const file = join(directory, 'rules')
  writeFileSync(file, `${rules}\n\n  bad\n`)
  const checked = await run('check.sh', control, 'fixsmtpio', file)
  const bad = `control/fixsmtpio:${line + 2}:6: the rule ends after 1 of 6 fields`
  assert.deepEqual(checked.out.split('\n'), [bad, 'false', ''])
  assert.notEqual(checked.code, 0)
  writeFileSync(file, rules)
  assert.deepEqual(await run('check.sh', control, 'fixsmtpio', file), ok('true\n'))

  assert.deepEqual(await run('rollback.sh', control), ok('generation 3, was 2\n'))
  assert.deepEqual(await run('kill-user.sh', control, 'alice', 'now'), ok(`ended 1\n${id}\n`))
  assert.equal(await sessions(), 2)

  const events = await follow('events.sh', [control, 'lane'], 2, () =>
    host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane: 1 } }),
  )
  assert.match(events, /^\d{4}-\S+Z lane died \{"lane":1\}$/m)
})

void test('with curl', async (t) => {
  const { control, host, idOf } = await fixture(t)
  const rules = host.text('fixsmtpio')
  const ask = async (name: string, ...args: string[]): Promise<Json> =>
    JSON.parse((await run(name, control, ...args)).out)
  assert.equal((await ask('curl-sessions-of-user.sh', 'alice')).result.sessions[0].id, await idOf('alice'))
  host.write('fixsmtpio', `bad\n${rules}`)
  for (const errors of [(await ask('curl-check.sh')).result.errors, (await ask('curl-reload.sh')).error.data.errors])
    assert.deepEqual([errors[0].file, errors[0].line, errors[0].column], ['control/fixsmtpio', 1, 4])
  host.write('fixsmtpio', `${rules}:noop::*::250 new\n`)
  assert.equal((await ask('curl-reload.sh')).result.generation, 2)
  assert.equal((await ask('curl-rollback.sh', '1')).result.generation, 3)
  assert.equal((await ask('curl-kill-user.sh', 'alice')).result.killed, 1)
  const events = await follow('curl-events.sh', [control], 3, () =>
    host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died' }),
  )
  const [reply, first] = events.split('\n').map((text): Json => (text ? JSON.parse(text) : undefined))
  assert.ok(reply.result.subscription)
  assert.deepEqual([first.method, first.params.name, first.params.seq > 0], ['event', 'died', true])
})
