// What the methods do over a real socket: reload, what ends by itself, pages, secrets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PASSWORD } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

void test('reload: published, refused with every error, refused by ifSha256, tried without doing, rolled back', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const rules = host.text('fixsmtpio')
  const before = (await c.call('config.status')).result
  host.write('fixsmtpio', `${rules}:noop::*::250 new\n`)
  const tried = (await c.call('config.reload', { dryRun: true })).result
  assert.deepEqual([tried.dryRun, tried.changed, tried.generation], [true, ['fixsmtpio'], 1])
  assert.equal((await c.call('config.status')).result.drift, true)
  const done = (await c.call('config.reload', { ifSha256: before.sha256, reason: 'why not' })).result
  assert.deepEqual([done.generation, done.previous, done.changed], [2, 1, ['fixsmtpio']])
  const status = (await c.call('config.status')).result
  assert.deepEqual([status.drift, status.by, status.reason], [false, 'control', 'why not'])
  const conflict = (await c.call('config.reload', { ifSha256: before.sha256 })).error
  assert.deepEqual([conflict.code, conflict.data.sha256, conflict.data.generation], [-32004, done.sha256, 2])
  host.write('fixsmtpio', `${rules}two bad\n`)
  const line = rules.split('\n').length
  for (const dryRun of [true, false]) {
    const { error } = await c.call('config.reload', { dryRun })
    assert.equal(error.code, -32010)
    assert.deepEqual(
      error.data.errors.map((one: Json) => [one.file, one.line, one.column]),
      [['control/fixsmtpio', line, 8]],
    )
    assert.equal(error.data.reason, 'config-invalid')
  }
  assert.equal((await c.call('config.status')).result.lastError.errors[0].line, line)
  const back = (await c.call('config.rollback', { generation: 1, ifSha256: done.sha256 })).result
  assert.deepEqual([back.generation, back.sha256], [3, before.sha256])
  assert.equal((await c.call('config.rollback', { generation: 99 })).error.code, -32002)
  // Of two changes that saw the same sha256, one is refused.
  host.write('fixsmtpio', `${rules}:noop::*::250 newer\n`)
  const race = [1, 2].map(() => wire(control))
  const outcomes = await Promise.all(race.map((one) => one.call('config.reload', { ifSha256: before.sha256 })))
  assert.deepEqual(
    outcomes.map((one) => one.error?.code ?? 0).toSorted((a, b) => a - b),
    [-32004, 0],
  )
  for (const one of [...race, c]) one.end()
})

void test('what is temporary ends by itself, by op.cancel or when undone, and restores what was there before', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const operations = async () => (await c.call('op.list')).result.operations
  assert.ok((await c.call('listener.pause', { listener: 'submission', ttl: 1 })).result.ends)
  assert.equal((await operations()).length, 1)
  await until('the end of the pause', () => host.runtime.paused()[0] === undefined)
  assert.deepEqual(await operations(), [])
  const first = (await c.call('log.get')).result.levels.acceptd
  await c.call('log.set', { component: 'acceptd', level: 'warn', ttl: 60 })
  await c.call('log.set', { component: 'acceptd', level: 'error', ttl: 60 })
  const [log] = await operations()
  assert.equal((await operations()).length, 1)
  await c.call('op.cancel', { id: log.id, dryRun: true })
  assert.equal((await operations()).length, 1)
  await c.call('op.cancel', { id: log.id })
  assert.equal((await c.call('log.get')).result.levels.acceptd, first)
  assert.equal((await c.call('op.cancel', { id: log.id })).error.code, -32002)
  const blocked = (await c.call('user.block', { user: 'alice', ttl: 60, reason: 'why' })).result
  assert.deepEqual([blocked.ended, (await operations())[0].reason], [1, 'why'])
  await c.call('user.unblock', { user: 'alice' })
  assert.deepEqual(await operations(), [])
  c.end()
})

void test('dryRun changes nothing', async (t) => {
  const { control, host, sessions } = await fixture(t)
  const c = wire(control)
  host.write('smtpgreeting', 'another.example\n')
  const seen = async () => {
    const asked = ['server.info', 'listener.list', 'config.status', 'user.list', 'lane.list', 'log.get']
    const all = await Promise.all(asked.map((method) => wireOnce(control, method)))
    return JSON.stringify(all, (name, value: unknown) =>
      ['uptime', 'memoryBytes', 'lag', 'lagSeconds', 'id', 'now'].includes(name) ? undefined : value,
    )
  }
  await c.call('user.block', { user: 'mallory' })
  const before = await seen()
  const calls: [string, object][] = [
    ['server.drain', {}],
    ['server.undrain', {}],
    ['server.stop', {}],
    ['listener.pause', { listener: 'submission' }],
    ['listener.resume', { listener: 'submission' }],
    ['config.reload', {}],
    ['config.rollback', { generation: 1 }],
    ['session.kill', { user: 'alice' }],
    ['user.block', { user: 'alice' }],
    ['user.unblock', { user: 'mallory' }],
    ['lane.recycle', { lane: 1 }],
    ['log.set', { component: 'acceptd', level: 'error' }],
  ]
  for (const [method, params] of calls) {
    const { result } = await c.call(method, { ...params, dryRun: true })
    assert.equal(result?.dryRun, true, method)
  }
  assert.equal(await seen(), before)
  assert.equal(await sessions(), 3)
  c.end()
})

async function wireOnce(path: string, method: string): Promise<Json> {
  const c = wire(path)
  const { result } = await c.call(method)
  c.end()
  return result
}

void test('a thousand sessions list in pages, in any order, each once', async (t) => {
  const { control, idOf } = await fixture(t, 1000)
  const c = wire(control)
  for (const sort of ['started', 'user', 'messages']) {
    const seen = new Set<string>()
    let cursor: string | undefined
    do {
      const { result } = await c.call('session.list', { sort, limit: 100, descending: sort === 'user', cursor })
      assert.equal(result.matched, 1003)
      for (const { id } of result.sessions) {
        assert.ok(!seen.has(id))
        seen.add(id)
      }
      cursor = result.next
    } while (cursor !== undefined)
    assert.equal(seen.size, 1003)
  }
  const few = (await c.call('session.list', { user: 'a*', fields: ['user'], limit: 2 })).result
  assert.deepEqual(few.sessions, [{ id: await idOf('alice'), user: 'alice' }])
  c.end()
})

void test('a password is in no reply, whatever is wrong with the request', async (t) => {
  const { control, status, host } = await fixture(t)
  const replies: Json[] = []
  for (const path of [control, status]) {
    const c = wire(path)
    const good = { user: 'alice', password: PASSWORD }
    replies.push(await c.call('auth.test', good))
    for (const odd of [{ protocol: PASSWORD }, { chain: { a: PASSWORD } }, { user: '' }, { extra: PASSWORD }])
      replies.push(await c.call('auth.test', { ...good, ...odd }))
    replies.push(await c.call('auth.test', { user: 'alice', password: [PASSWORD] }))
    replies.push(await c.call('auth.test', [PASSWORD]))
    replies.push(await c.call('server.ping', good))
    c.write(`{"jsonrpc":"2.0","id":1,"method":"auth.test","params":{"password":"${PASSWORD}\n`)
    replies.push(await c.next())
    c.end()
  }
  assert.equal(replies[0].result.verdict, 'accepted')
  assert.ok(!JSON.stringify([replies, host.log()]).includes(PASSWORD))
})

void test('a method that throws is a bug: -32603 without its text, and logged', async (t) => {
  const { control, host } = await fixture(t)
  Object.assign(host.daemon.lanes, {
    list: () => {
      throw new Error('private detail')
    },
  })
  const c = wire(control)
  const { error } = await c.call('lane.list')
  assert.equal(error.code, -32603)
  assert.doesNotMatch(JSON.stringify(error), /private/)
  assert.match(host.log(), / error bug where=.* stack="Error: private detail/)
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()
})
