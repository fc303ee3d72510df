// Nobody on status.sock can stop anything, or read what is in control/.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDispatch } from '../../src/rpc/dispatch.ts'
import { fixture } from './fixture.ts'
import { wire } from './wire.ts'

const stars = 'a*'.repeat(2000)
const HEAVY: readonly [what: string, params: object][] = [
  ['a long glob', { event: 'noop', reply: `250 ${'a'.repeat(60_000)}`, text: `:noop::${stars}b::250 x\n` }],
  [
    'twenty of them',
    { event: 'noop', reply: `250 ${'a'.repeat(60_000)}`, text: `:noop::${stars}b::250 x\n`.repeat(20) },
  ],
  [
    'a long explanation',
    { event: 'noop', reply: '250 x\r\n'.repeat(8000), text: ':noop::*::&fixsmtpio_noop\n'.repeat(5000) },
  ],
  [
    'many prepends',
    { event: 'noop', request: 'x'.repeat(60_000), text: `:noop:${'y'.repeat(500)}:*::&fixsmtpio_noop\n`.repeat(1500) },
  ],
]
for (const [what, params] of HEAVY)
  void test(`rules.eval refuses ${what}, and others are answered meanwhile`, async (t) => {
    const { status, control, clients, host } = await fixture(t)
    const [c, other] = [wire(status), wire(control)]
    const asked = c.call('rules.eval', params)
    for (let n = 0; n < 5; n += 1) assert.ok((await other.call('server.ping')).result.pong)
    await host.say(clients[0] as never, 'NOOP\r\n', /^250 /)
    const { error } = await asked
    assert.deepEqual([error.code, error.data.reason], [-32602, 'too-much-work'])
    // And is available again.
    const small = await c.call('rules.eval', { event: 'noop', reply: '250 a', text: ':noop::250*::250 b\n' })
    assert.equal(small.result.reply, '250 b\r\n')
    c.end()
    other.end()
  })

void test('status.sock shows neither reasons nor what is in a control file', async (t) => {
  const { status, control, host } = await fixture(t)
  const c = wire(control)
  const secret = 'topsecret'
  await c.call('user.block', { user: 'eve', reason: secret, ttl: 600 })
  host.write('smtpgreeting', `${secret}.example\n`)
  await c.call('config.reload', { reason: secret })
  host.write('timeoutsmtpd', `${secret}\n`)
  host.write('fixsmtpio', `:noop::*:${secret}:250 x\n`)
  await c.call('config.reload')
  c.end()
  const s = wire(status)
  for (const method of [
    'user.list',
    'op.list',
    'config.status',
    'config.history',
    'config.check',
    'config.diff',
    'server.health',
    'rules.list',
    'backend.list',
  ]) {
    const answer = await s.call(method)
    assert.ok(answer.result, method)
    assert.doesNotMatch(JSON.stringify(answer), new RegExp(secret), method)
  }
  s.end()
})

void test('when streams take up every connection, one is still left for a request', async (t) => {
  const { control } = await fixture(t)
  const streams = Array.from({ length: 64 }, () => wire(control))
  t.after(() => {
    for (const one of streams) one.socket.destroy()
  })
  for (const one of streams) assert.ok((await one.call('event.subscribe', { topics: ['config'] })).result)
  const c = wire(control)
  assert.ok((await c.call('server.ping')).result.pong)
  c.end()
})

void test('a batch ends when its client has disconnected', async () => {
  const asked: unknown[] = []
  const gone = { level: 'control', transport: 'lines', streams: 0, dropped: 0, isGone: false } as const
  const client = { ...gone, open: () => undefined, endStream: () => false }
  const plane = {
    count: () => undefined,
    daemon: {
      saved: async () => undefined,
      lanes: {
        list: () => {
          asked.push(1)
          Object.assign(client, { isGone: true })
          return []
        },
      },
    },
  }
  const batch = Array.from({ length: 100 }, (_none, id) => ({ jsonrpc: '2.0', id, method: 'lane.list' }))
  await createDispatch(plane as never)(JSON.stringify(batch), client as never)
  assert.equal(asked.length, 1)
})
