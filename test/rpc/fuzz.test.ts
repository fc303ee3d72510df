// Whatever comes over the control socket is answered or closes it; memory stays bounded and nothing of ours throws.
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { until } from '../support/lane.ts'
import { sampleSession } from '../support/sample.ts'
import { fixture } from './fixture.ts'
import { assertAnswers, deaf, exchange, HOSTILE } from './hostile.ts'
import { wire } from './wire.ts'

function bytes(text: string): Uint8Array {
  return Buffer.from(text)
}

const anyRequest = fc.record(
  {
    jsonrpc: fc.oneof({ weight: 8, arbitrary: fc.constant('2.0') }, fc.jsonValue()),
    id: fc.oneof({ weight: 4, arbitrary: fc.integer() }, fc.jsonValue()),
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...METHOD_MAP.keys()) },
      fc.constantFrom('__proto__', 'constructor', 'toString', ''),
      fc.jsonValue(),
    ),
    params: fc.oneof(
      fc.dictionary(
        fc.constantFrom(
          'id',
          'user',
          'ip',
          'limit',
          'cursor',
          'files',
          'text',
          'event',
          'ttl',
          'dryRun',
          '__proto__',
          'topics',
          'x',
        ),
        fc.jsonValue(),
      ),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: [] },
)

void test('random bytes, split anywhere', async (t) => {
  const { control, host } = await fixture(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), async (pieces) => {
      assertAnswers(await exchange(control, pieces))
    }),
    { numRuns: 150 },
  )
  assert.doesNotMatch(host.log(), / bug /)
})

void test('requests of the right shape with anything in them, alone and in batches', async (t) => {
  const { control, status, host } = await fixture(t)
  const c = wire(control)
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(anyRequest, fc.array(anyRequest, { maxLength: 5 })),
      fc.boolean(),
      async (value, quiet) => {
        const text = `${JSON.stringify(value)}\n`
        // A subscription would keep a connection that only listens.
        if (text.includes('event.subscribe') || text.includes('session.trace')) return
        assertAnswers(await exchange(quiet ? status : control, [bytes(text.slice(0, 20)), bytes(text.slice(20))]))
      },
    ),
    { numRuns: 400 },
  )
  assert.doesNotMatch(host.log(), / bug /)
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()
})

void test('deep nesting, half requests, HTTP that is none', async (t) => {
  const { control, host } = await fixture(t)
  for (const text of HOSTILE) assertAnswers(await exchange(control, [bytes(text), bytes('\n')]))
  assert.doesNotMatch(host.log(), / bug /)
  const c = wire(control)
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()
})

function memory(): number {
  global.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

void test('clients that never read cost little, whatever they ask and whatever happens', async (t) => {
  const { control, status, host } = await fixture(t, 100)
  const unloaded = memory()
  const sockets: Socket[] = []
  for (let i = 0; i < 20; i++) {
    sockets.push(deaf(control))
  }
  const c = wire(status)
  const metrics = async (): Promise<string> => (await c.call('server.metrics')).result.text
  const REQUESTS = /^acceptd_control_requests_total\{socket="control",outcome="ok"\} (\d+)$/m
  let requests = 0
  await until('all of them to have subscribed, and to be answered no more', async () => {
    const before = requests
    requests = Number(REQUESTS.exec(await metrics())?.[1])
    return requests === before && requests > 160
  })
  for (let n = 0; n < 20_000; n++) {
    host.runtime.emit({ at: Date.now(), topic: 'session', name: 'accepted', session: sampleSession(n) })
    if (n % 1000 === 0) await turn()
  }
  const dropped = async () => /^acceptd_events_dropped_total [1-9]/m.test(await metrics())
  await until('events to be dropped', dropped)
  const grown = memory() - unloaded
  t.diagnostic(`20 clients, 160 subscriptions, 20,000 events: ${Math.round(grown / 1e6)} MB`)
  // One reply and one queue each, and what this process holds as their client.
  assert.ok(grown < 60e6, `${grown}`)
  c.end()
  for (const socket of sockets) socket.destroy()
  await until('the end of their subscriptions', () => host.listening() === 0)
})

void test('a batch whose answers would be too long is cut short, not collected', async (t) => {
  const { control } = await fixture(t, 1000)
  const c = wire(control)
  const ask = { jsonrpc: '2.0', id: 1, method: 'session.list', params: { limit: 1000 } }
  c.write(`${JSON.stringify(Array.from({ length: 100 }, () => ask))}\n`)
  const replies = await c.next()
  assert.equal(replies.length, 100)
  assert.ok(replies[0].result)
  assert.equal(replies[99].error.data.reason, 'answers-too-long')
  c.end()
})
