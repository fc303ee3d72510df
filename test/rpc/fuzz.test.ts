// Whatever comes over the control socket, it is answered or closed; memory stays bounded and nothing of ours throws.
import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { fakeSession } from './fake.ts'
import { bed, wire } from './wire.ts'

/** Sends the pieces and ends; resolves with all that came back when the connection has closed, rejects after five seconds. */
function exchange(path: string, pieces: readonly Uint8Array[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    let text = ''
    const timer = setTimeout(() => reject(new Error('neither answered nor closed')), 5000)
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      text += chunk
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    for (const piece of pieces) socket.write(piece)
    socket.end()
  })
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text)
}

/** Every line that came back is a JSON-RPC response or a batch of them, unless it is HTTP. */
function assertAnswers(text: string): void {
  if (text.startsWith('HTTP/1.1 ')) return
  for (const line of text.split('\n').filter((one) => one !== '')) {
    const value: unknown = JSON.parse(line)
    for (const response of Array.isArray(value) ? value : [value]) {
      assert.equal(response.jsonrpc, '2.0')
      assert.ok('result' in response !== 'error' in response)
    }
  }
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
  const { control, fake } = await bed(t)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), async (pieces) => {
      assertAnswers(await exchange(control, pieces))
    }),
    { numRuns: 150 },
  )
  assert.deepEqual(fake.bugs, [])
})

void test('requests of the right shape with anything in them, alone and in batches', async (t) => {
  const { control, status, fake } = await bed(t)
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
  assert.deepEqual(fake.bugs, [])
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()
})

void test('deep nesting, half requests, HTTP that is none', async (t) => {
  const { control, fake } = await bed(t)
  const deep = 500_000
  const cases: readonly string[] = [
    '['.repeat(deep),
    '['.repeat(deep) + ']'.repeat(deep),
    `{"jsonrpc":"2.0","id":1,"method":"session.list","params":{"user":${'['.repeat(deep)}${']'.repeat(deep)}}}`,
    `{"jsonrpc":"2.0","id":${'{"a":'.repeat(1000)}1${'}'.repeat(1000)},"method":"server.ping"}`,
    `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
    '{"jsonrpc":"2.0","id":1,"method":"server.pi',
    'GET / HTTP/1.1',
    'GET / HTTP/1.1\r\n',
    'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{}',
    `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n`,
    `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(20_000)}\r\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\0'.repeat(1000),
    '\n'.repeat(100_000),
  ]
  for (const text of cases) assertAnswers(await exchange(control, [bytes(text), bytes('\n')]))
  assert.deepEqual(fake.bugs, [])
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
  const { control, fake } = await bed(t, 2000)
  const before = memory()
  const sockets: Socket[] = []
  for (let i = 0; i < 20; i++) {
    const socket = connect(control)
    socket.pause()
    socket.on('error', () => {})
    // Every reply is half a megabyte, the requests behind the first wait in the kernel.
    const ask = `{"jsonrpc":"2.0","id":1,"method":"session.list","params":{"limit":1000}}\n`
    socket.write('{"jsonrpc":"2.0","id":1,"method":"event.subscribe"}\n'.repeat(8))
    for (let n = 0; n < 50; n++) socket.write(ask)
    sockets.push(socket)
  }
  await sleep(300)
  for (let n = 0; n < 20_000; n++) {
    fake.emit({ topic: 'session', name: 'accepted', session: fakeSession(n) })
    if (n % 1000 === 0) await sleep(1)
  }
  const grown = memory() - before
  t.diagnostic(`20 clients, 160 subscriptions, 20,000 events: ${Math.round(grown / 1e6)} MB`)
  // A reply and a queue each, and what this process holds as their clients.
  assert.ok(grown < 60e6, `${grown}`)
  const c = wire(control)
  assert.match((await c.call('server.metrics')).result.text, /^acceptd_events_dropped_total [1-9]/m)
  c.end()
  for (const socket of sockets) socket.destroy()
  while (fake.listening() > 0) await sleep(5)
})

void test('a batch whose answers would be too long is cut short, not collected', async (t) => {
  const { control } = await bed(t, 2000)
  const c = wire(control)
  const ask = { jsonrpc: '2.0', id: 1, method: 'session.list', params: { limit: 1000 } }
  c.write(`${JSON.stringify(Array.from({ length: 100 }, () => ask))}\n`)
  const replies = await c.next()
  assert.equal(replies.length, 100)
  assert.ok(replies[0].result)
  assert.equal(replies[99].error.data.reason, 'answers-too-long')
  c.end()
})
