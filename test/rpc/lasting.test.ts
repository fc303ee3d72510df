// What the daemon was told is on disk before it answers, and the next runtime continues with it.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { fixture, restarted } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const told = async (c: ReturnType<typeof wire>) => ({
  status: (await c.call('config.status')).result.sha256,
  history: (await c.call('config.history')).result.generations.map((one: Json) => ({ ...one, sessions: 0 })),
  users: (await c.call('user.list')).result.users
    .filter((one: Json) => one.blocked)
    .toSorted((a: Json, b: Json) => (a.user < b.user ? -1 : 1)),
  listeners: (await c.call('listener.list')).result.listeners.map((one: Json) => [one.name, one.paused]),
  levels: (await c.call('log.get')).result.levels,
  operations: (await c.call('op.list')).result.operations,
  rules: (await c.call('rules.list')).result.rules.map((one: Json) => one.text),
})

const check = async (c: ReturnType<typeof wire>, name: string): Promise<Json> =>
  (await c.call('server.health')).result.checks.find((one: Json) => one.name === name)

void test('a runtime that died comes back with its generation, blocks, pauses, levels and overrides, whatever the disk says', async (t) => {
  const first = await fixture(t)
  const { host } = first
  const c = wire(first.control)
  const rules = host.text('fixsmtpio')
  host.write('fixsmtpio', `${rules}:noop::*::250 mine\n`)
  await c.call('config.reload', { reason: 'a better noop' })
  await c.call('user.block', { user: 'mallory' })
  await c.call('user.block', { user: 'eve', reason: 'spam', ttl: 3600 })
  await c.call('log.set', { component: 'acceptd', level: 'warn', ttl: 600 })
  await c.call('listener.pause', { listener: 'submission', mode: '421', reason: 'full', ttl: 60 })
  const before = await told(c)
  assert.deepEqual(before.operations.map((one: Json) => one.method).toSorted(), [
    'listener.pause',
    'log.set',
    'user.block',
  ])
  c.end()
  host.write('fixsmtpio', `${rules}so bad\n`)
  await first.plane.close()
  await host.stop()

  const next = await startHost(t, { directory: host.directory, restarts: 1 })
  assert.match(next.log(), / error last-good-runs .*generation=2 errors=1 first="control\/fixsmtpio:/)
  const refused = next.dial()
  await until('a reply', () => refused.heard() !== '')
  assert.match(refused.heard(), /^421 /)
  await next.daemon.listeners.resume('submission')
  const mallory = await next.greeted()
  const plain = Buffer.from('\0mallory\0correct horse battery staple').toString('base64')
  await next.say(mallory, `AUTH PLAIN ${plain}\r\n`, /^535 /)
  await next.say(await next.login('ann'), 'NOOP\r\n', /^250 mine\r\n/)
  await next.daemon.listeners.pause('submission', '421')
  const { openControlPlane } = await import('../../src/rpc/open.ts')
  const opened = (
    await openControlPlane(next.daemon, { control: join(host.directory, 'next', 'control.sock') })
  )._unsafeUnwrap()
  t.after(() => opened.close())
  const c2 = wire(join(host.directory, 'next', 'control.sock'))
  assert.deepEqual(await told(c2), before)
  const files = await check(c2, 'files')
  assert.equal(files.state, 'warning')
  assert.match(
    files.detail,
    /differ from what is loaded, generation 2; the last change was refused for control\/fixsmtpio:/,
  )
  // Each can still be ended, and is then no longer kept.
  for (const { id } of (await c2.call('op.list')).result.operations)
    assert.ok((await c2.call('op.cancel', { id })).result)
  const after = await told(c2)
  assert.deepEqual(
    [after.levels.acceptd, after.listeners, after.users.map((one: Json) => one.user)],
    ['debug', [['submission', undefined]], ['mallory']],
  )
  c2.end()
})

void test('what has run out meanwhile is over when the next runtime begins', async (t) => {
  const first = await fixture(t)
  const c = wire(first.control)
  await c.call('user.block', { user: 'eve', ttl: 600 })
  c.end()
  await first.plane.close()
  await first.host.stop()
  const path = join(first.host.directory, 'kept', 'state.json')
  const state = JSON.parse(readFileSync(path, 'utf8'))
  assert.equal(state.overrides.length, 1)
  state.overrides[0].ends = Date.now() - 1
  writeFileSync(path, JSON.stringify(state))
  const next = await fixture(t, 0, { directory: first.host.directory, restarts: 1 })
  const c2 = wire(next.control)
  await until('the end of the block', async () => (await told(c2)).users.length === 0)
  assert.deepEqual((await told(c2)).operations, [])
  c2.end()
})

void test('the next runtime keeps what the last one kept, and no extra file', async (t) => {
  let now = await fixture(t)
  for (let n = 1; n <= 3; n += 1) {
    const c = wire(now.control)
    now.host.write('smtpgreeting', `${n}.example\n`)
    assert.equal((await c.call('config.reload', { reason: `number ${n}` })).result.generation, n + 1)
    c.end()
    now = await restarted(t, now, { restarts: n })
  }
  const c = wire(now.control)
  const { generations } = (await c.call('config.history')).result
  assert.deepEqual(
    generations.map((one: Json) => [one.generation, one.reason]),
    [
      [4, 'number 3'],
      [3, 'number 2'],
      [2, 'number 1'],
      [1, undefined],
    ],
  )
  assert.equal((await c.call('config.rollback', { generation: 2 })).result.generation, 5)
  const kept = join(now.host.directory, 'kept')
  const named = new Set(
    JSON.parse(readFileSync(join(kept, 'state.json'), 'utf8')).generations.flatMap((one: Json) =>
      Object.values(one.files),
    ),
  )
  assert.deepEqual(new Set(readdirSync(join(kept, 'files'))), named)
  c.end()
})

void test('a bad file makes acceptd refuse to start, except with --last-good', async (t) => {
  const first = await fixture(t)
  const { host } = first
  host.write('fixsmtpio', `${host.text('fixsmtpio')}so bad\n`)
  await first.plane.close()
  await host.stop()
  await assert.rejects(startHost(t, { directory: host.directory }), /the rule ends after 1 of 6 fields/)
  const next = await startHost(t, { directory: host.directory, lastGood: true })
  assert.match(next.log(), / error last-good-runs /)
  assert.equal(next.runtime.current().generation, 1)
  await next.login('ann')
})

const DAMAGED: readonly [what: string, text: string, said: RegExp][] = [
  ['cut off', '{"version": 1, "gen', /not taken: .*JSON/],
  ['of a later version', '{"version": 2}', /version 2 is not 1/],
  ['of another kind', '[]', /version undefined is not 1/],
  [
    'wrong inside',
    '{"version":1,"generations":[],"blocks":[{"user":7}],"pauses":[],"draining":false,"overrides":[],"deaths":[]}',
    /7 does not belong there/,
  ],
  ['empty', '', /not taken/],
]
for (const [what, text, said] of DAMAGED)
  void test(`a state file that is ${what} is put aside and reported, and stops nothing`, async (t) => {
    const first = await startHost(t)
    await first.stop()
    const path = join(first.directory, 'kept', 'state.json')
    writeFileSync(path, text)
    for (const restarts of [0, 1]) {
      const next = await startHost(t, { directory: first.directory, restarts })
      if (restarts === 0) assert.match(next.log(), said)
      else assert.doesNotMatch(next.log(), /state-unreadable/)
      await next.login('ann')
      await next.stop()
    }
    assert.equal(readFileSync(`${path}.aside`, 'utf8'), text)
  })

void test('a generation whose files are damaged is left out, and reported', async (t) => {
  const first = await fixture(t)
  const c = wire(first.control)
  first.host.write('smtpgreeting', 'new.example\n')
  await c.call('config.reload')
  c.end()
  await first.plane.close()
  await first.host.stop()
  const files = join(first.host.directory, 'kept', 'files')
  for (const name of readdirSync(files))
    if (readFileSync(join(files, name), 'utf8') === 'new.example\n') writeFileSync(join(files, name), 'evil.example\n')
  const next = await startHost(t, { directory: first.host.directory, restarts: 1 })
  assert.match(next.log(), / error state-unreadable message="the files of generation 2 are not whole"/)
  assert.equal(next.runtime.current().config.smtpGreeting, 'mx.example')
})

void test('the helper forgets which passwords were right at user.block and at a reload, and at nothing else', async (t) => {
  const { host, control } = await fixture(t)
  const c = wire(control)
  await until('the standing connection', async () => (await check(c, 'helper')).state !== 'failed')
  const forgets = async (times: number) => {
    await until('the helper to hear it', () => host.helper.orders.length >= times * 'forget\n'.length)
    assert.equal(host.helper.orders, 'forget\n'.repeat(times))
  }
  await c.call('user.block', { user: 'eve' })
  await forgets(1)
  await c.call('user.unblock', { user: 'eve' })
  await c.call('config.reload', { dryRun: true })
  await forgets(1)
  writeFileSync(join(host.directory, 'smtpgreeting'), 'mx2.example\n')
  assert.equal((await c.call('config.reload')).result.generation, 2)
  await forgets(2)
  assert.equal((await c.call('config.reload')).result.generation, 2)
  await forgets(3)
  c.end()
})

void test('sockets whose directory is gone are reported by health; one that was only deleted is soon back', async (t) => {
  const { control } = await fixture(t)
  const c = wire(control)
  const sockets = () => check(c, 'sockets')
  assert.equal(await sockets(), undefined)
  rmSync(control)
  await until('another socket', () => existsSync(control))
  assert.equal(await sockets(), undefined)
  rmSync(dirname(control), { recursive: true })
  const { state, detail } = await sockets()
  assert.equal(state, 'failed')
  assert.match(detail, /\/control\.sock is missing: \S+ is gone, too; restart acceptd$/)
  c.end()
})

void test('a directory that cannot be written is reported in log and health, and mail goes on', async (t) => {
  const { host, control } = await fixture(t)
  const c = wire(control)
  const kept = join(host.directory, 'kept')
  rmSync(kept, { recursive: true, maxRetries: 10 }) // the first state may be on its way to it
  writeFileSync(kept, 'a file')
  assert.equal((await c.call('user.block', { user: 'eve' })).result.blocked, true)
  assert.match(host.log(), / error state-not-saved path=\S+ message=/)
  assert.equal((await check(c, 'state')).state, 'failed')
  rmSync(kept)
  await c.call('user.block', { user: 'eve' })
  assert.equal((await check(c, 'state')).state, 'ok')
  assert.match(readFileSync(join(kept, 'state.json'), 'utf8'), /"eve"/)
  c.end()
})
