import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { openControlPlane } from '../../src/rpc/open.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const run = promisify(execFile)

function ping(id: number): object {
  return { jsonrpc: '2.0', id, method: 'server.ping' }
}

async function curl(path: string, ...args: string[]): Promise<string> {
  const { stdout } = await run('curl', ['-sS', '--max-time', '5', '--unix-socket', path, ...args])
  return stdout
}

void test('a request is a line and so is its reply; CR LF and blank lines do not matter', async (t) => {
  const { control } = await fixture(t)
  const c = wire(control)
  c.write('\n{"jsonrpc":"2.0","id":1,"method":"server.ping"}\r\n\r\n')
  assert.equal((await c.next()).result.pong, true)
  c.write('{"jsonrpc":"2.0","id":"a","met')
  c.write('hod":"server.whoami","params":{}}\n{"jsonrpc":"2.0","id":null,"method":"server.ping"}\n')
  assert.deepEqual((await c.next()).result, { level: 'control', transport: 'lines', streams: 0 })
  assert.equal((await c.next()).id, null)
  c.end()
  assert.equal(await c.next(), undefined)
})

void test('the last line needs no newline when the client ends its side', async (t) => {
  const { control } = await fixture(t)
  const c = wire(control)
  c.write('{"jsonrpc":"2.0","id":1,"method":"server.ping"}')
  c.end()
  assert.equal((await c.next()).result.pong, true)
  assert.equal(await c.next(), undefined)
})

const refusals: readonly [what: string, line: string, code: number, id: Json][] = [
  ['no JSON', 'hello', -32700, null],
  ['half JSON', '{"jsonrpc":"2.0"', -32700, null],
  ['null', 'null', -32600, null],
  ['false', 'false', -32600, null],
  ['zero', '0', -32600, null],
  ['a string', '"server.ping"', -32600, null],
  ['no version', '{"id":4,"method":"server.ping"}', -32600, 4],
  ['a method that is none', '{"jsonrpc":"2.0","id":4,"method":7}', -32600, 4],
  ['an id that is none', '{"jsonrpc":"2.0","id":{},"method":"server.ping"}', -32600, null],
  ['an unknown method', '{"jsonrpc":"2.0","id":4,"method":"server.fly"}', -32601, 4],
  ['a method of Object', '{"jsonrpc":"2.0","id":4,"method":"constructor"}', -32601, 4],
  ['parameters by position', '{"jsonrpc":"2.0","id":4,"method":"server.ping","params":[]}', -32602, 4],
  ['parameters that are none', '{"jsonrpc":"2.0","id":4,"method":"server.ping","params":"x"}', -32602, 4],
  ['an unknown parameter', '{"jsonrpc":"2.0","id":4,"method":"server.ping","params":{"x":1}}', -32602, 4],
  ['a missing parameter', '{"jsonrpc":"2.0","id":4,"method":"session.get"}', -32602, 4],
  ['a wrong type', '{"jsonrpc":"2.0","id":4,"method":"session.get","params":{"id":4}}', -32602, 4],
  ['a wrong address', '{"jsonrpc":"2.0","id":4,"method":"session.list","params":{"ip":"10.0.0.0/99"}}', -32602, 4],
  ['a wrong cursor', '{"jsonrpc":"2.0","id":4,"method":"session.list","params":{"cursor":"x"}}', -32602, 4],
  ['an empty filter to kill by', '{"jsonrpc":"2.0","id":4,"method":"session.kill","params":{}}', -32602, 4],
  ['an empty batch', '[]', -32600, null],
  ['an unknown session', '{"jsonrpc":"2.0","id":4,"method":"session.get","params":{"id":"x"}}', -32002, 4],
]

void test('what is refused gets its code and a reason, and the connection goes on', async (t) => {
  const { control, host, sessions } = await fixture(t)
  const c = wire(control)
  for (const [what, line, code, id] of refusals) {
    c.write(`${line}\n`)
    const reply = await c.next()
    assert.equal(reply.error?.code, code, what)
    assert.equal(reply.id, id, what)
    assert.equal(typeof reply.error.data.reason, 'string', what)
    assert.equal(typeof reply.error.data.retryable, 'boolean', what)
  }
  c.write(Buffer.from([0x22, 0xff, 0xfe, 0x22, 10]))
  assert.equal((await c.next()).error.data.reason, 'not-utf-8')
  assert.equal((await c.call('server.ping')).result.pong, true)
  assert.equal(await sessions(), 3)
  assert.doesNotMatch(host.log(), / bug /)
  c.end()
})

void test('a batch is answered in order; notifications, in it or alone, are not answered', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  c.write(`${JSON.stringify([ping(1), null, { jsonrpc: '2.0', method: 'server.drain' }, ping(2), [], ping(3)])}\n`)
  const replies = await c.next()
  assert.deepEqual(
    replies.map((reply: Json) => [reply.id, reply.error?.code]),
    [
      [1, undefined],
      [null, -32600],
      [2, undefined],
      [null, -32600],
      [3, undefined],
    ],
  )
  assert.match(host.log(), / draining sessions=3\n/)
  assert.equal(host.runtime.refusing(), true)
  c.write('{"jsonrpc":"2.0","method":"server.undrain"}\n{"jsonrpc":"2.0","method":"no.such"}\n')
  c.write('{"jsonrpc":"2.0","method":"session.get","params":{}}\n[{"jsonrpc":"2.0","method":"server.ping"}]\n')
  c.write(`${JSON.stringify([ping(9)])}\n`)
  assert.equal((await c.next())[0].id, 9)
  c.write(`${JSON.stringify(Array.from({ length: 100 }, (_, i) => ping(i)))}\n`)
  assert.equal((await c.next()).length, 100)
  c.write(`${JSON.stringify(Array.from({ length: 101 }, (_, i) => ping(i)))}\n`)
  assert.equal((await c.next()).error.data.reason, 'batch-too-long')
  c.end()
})

void test('a line over a megabyte is refused and closes', async (t) => {
  const { control } = await fixture(t)
  const exact = wire(control)
  exact.write(`${JSON.stringify('x'.repeat(1024 * 1024 - 2))}\n`)
  assert.equal((await exact.next()).error.data.reason, 'invalid-request')
  exact.end()
  for (const text of [`${'x'.repeat(1024 * 1024 + 1)}\n`, 'y'.repeat(1024 * 1024 + 1)]) {
    const c = wire(control)
    c.write(text)
    const reply = await c.next()
    assert.equal(reply.error.code, -32600)
    assert.equal(reply.error.data.reason, 'line-too-long')
    assert.equal(await c.next(), undefined)
    c.end()
  }
})

void test('the refusal of a line is not lost on a client that writes megabytes before it reads', async (t) => {
  const { control } = await fixture(t)
  const c = connect(control).setEncoding('utf8').pause()
  // The kernel takes a fraction of this: the rest is written as it is read.
  assert.ifError(await new Promise((resolve) => c.write('x'.repeat(8 * 1024 * 1024), resolve)))
  let text = ''
  c.on('data', (some) => {
    text += some
  })
  c.resume()
  await once(c, 'close')
  assert.match(text, /^\{.*"line-too-long".*\}\n$/)
})

void test('the sockets have their modes, and the status socket is read-only', async (t) => {
  const { control, status, host, idOf } = await fixture(t)
  assert.equal(statSync(control).mode & 0o777, 0o600)
  assert.equal(statSync(join(control, '..')).mode & 0o777, 0o700)
  assert.equal(statSync(status).mode & 0o777, 0o660)
  const c = wire(status)
  assert.equal((await c.call('server.whoami')).result.level, 'status')
  for (const method of ['server.drain', 'session.kill', 'config.reload', 'auth.test', 'user.block', 'op.cancel']) {
    const { error } = await c.call(method, { all: true })
    assert.equal(error.code, -32001, method)
    assert.equal(error.data.reason, 'control-socket-only')
  }
  assert.equal(host.runtime.refusing(), false)
  host.write('fixsmtpio', `${host.text('fixsmtpio')}:noop::*::250 secret rule text\n`)
  const id = await idOf('alice')
  const all = JSON.stringify([
    await c.call('session.get', { id }),
    await c.call('config.diff'),
    await c.call('config.get'),
    await c.call('rules.list'),
    await c.call('rules.eval', { event: 'greeting', reply: '220 mx\r\n', env: { AUTHUP_USER: 'a' } }),
  ])
  assert.doesNotMatch(all, /secret rule|AUTHUP_USER:/)
  assert.match(all, /"verb":"GREETING"/)
  c.end()
  const full = wire(control)
  assert.match(JSON.stringify(await full.call('rules.list')), /AUTHUP_USER:/)
  assert.match(JSON.stringify(await full.call('config.diff')), /secret rule text/)
  full.end()
})

void test('HTTP on the same socket: POST, metrics, and what is neither', async (t) => {
  const { control, metrics } = await fixture(t)
  const who = '{"jsonrpc":"2.0","id":1,"method":"server.whoami"}'
  assert.equal(JSON.parse(await curl(control, '-d', who, 'http://acceptd/')).result.transport, 'http')
  assert.match(await curl(control, 'http://acceptd/metrics'), /^acceptd_draining 0$/m)
  assert.equal(await curl(control, '-o', '/dev/null', '-w', '%{http_code}', 'http://acceptd/x'), '404')
  assert.equal(await curl(control, '-o', '/dev/null', '-w', '%{http_code}', 'http://acceptd/'), '405')
  const note = '{"jsonrpc":"2.0","method":"server.ping"}'
  assert.equal(await curl(control, '-o', '/dev/null', '-w', '%{http_code}', '-d', note, 'http://acceptd/'), '204')
  // Bodies that look like words used internally.
  assert.equal(JSON.parse(await curl(control, '-d', 'cut', 'http://acceptd/')).error.code, -32700)
  const twice = await curl(control, '-d', who, 'http://acceptd/', 'http://acceptd/')
  assert.equal(twice.trim().split('\n').length, 2)
  writeFileSync(join(control, '..', 'big'), 'x'.repeat(1024 * 1024 + 1))
  const big = await curl(control, '--data-binary', `@${join(control, '..', 'big')}`, 'http://acceptd/')
  assert.equal(JSON.parse(big).error.data.reason, 'line-too-long')
  const { stdout } = await run('curl', ['-sS', `http://${metrics}/metrics`])
  assert.match(stdout, /^acceptd_login_seconds_count\{lane="1",outcome="accepted"\} 2$/m)
  const refused = await run('curl', ['-sS', '-d', who, `http://${metrics}/`])
  assert.match(refused.stdout, /^POST \/ with one/)
})

void test('events are numbered notifications after the reply, filtered, until they are ended', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const { result } = await c.call('event.subscribe', { topics: ['session'], user: 'a*' })
  const alice = await host.login('alice')
  await host.login('bob')
  await host.say(alice, 'QUIT\r\n', /^221 /)
  alice.close()
  const first = await c.next()
  assert.equal(first.method, 'event')
  assert.equal(first.id, undefined)
  assert.equal(first.params.subscription, result.subscription)
  assert.deepEqual([first.params.name, first.params.session.user], ['ended', 'alice'])
  assert.equal(first.params.data.why, 'quit')
  assert.ok(first.params.seq > result.seq)
  assert.equal((await c.call('event.unsubscribe', { subscription: result.subscription })).result.ended, true)
  assert.equal(host.listening(), 0)
  for (let i = 0; i < 8; i++) await c.call('event.subscribe', {})
  assert.equal((await c.call('event.subscribe', {})).error.code, -32003)
  c.socket.destroy()
  // Whether a client that ended its side still reads is known only by writing to it.
  await until('the end of its subscriptions', () => {
    host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'started' })
    return host.listening() === 0
  })
})

void test('events stream over HTTP too, a line each', async (t) => {
  const { control, host } = await fixture(t)
  const body = '{"jsonrpc":"2.0","id":1,"method":"event.subscribe","params":{"topics":["lane"]}}'
  const child = execFile('curl', ['-sSN', '--unix-socket', control, '-d', body, 'http://acceptd/'])
  let text = ''
  child.stdout?.on('data', (chunk: string) => {
    text += chunk
    if (text.split('\n').length > 2) child.kill()
  })
  const ended = new Promise((resolve) => child.on('exit', resolve))
  await until('the reply', () => text.includes('\n'))
  host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane: 1 } })
  await ended
  const [reply, event] = text
    .trim()
    .split('\n')
    .map((line): Json => JSON.parse(line))
  assert.match(reply.result.subscription, /^e\d+$/)
  assert.equal(event.params.name, 'died')
  await until('the end of its subscription', () => host.listening() === 0)
})

void test('a trace ends by itself, is an operation until then, and shows no text on the status socket', async (t) => {
  const { control, status, host } = await fixture(t)
  const c = wire(control)
  const { result } = await c.call('session.trace', { lines: 3 })
  assert.equal((await c.call('op.list')).result.operations[0].subject, result.subscription)
  const alice = await host.greeted()
  await host.say(alice, 'EHLO laptop.example\r\nNOOP\r\n', /\r\n250 ok/)
  const events = [await c.next(), await c.next(), await c.next(), await c.next()].map(({ params }) => params)
  assert.deepEqual([events[0].name, events[0].data.verb], ['client', 'EHLO'])
  assert.deepEqual(events[3].data, { why: 'lines' })
  assert.deepEqual((await c.call('op.list')).result.operations, [])
  const s = wire(status)
  await s.call('session.trace', { ttl: 0.2 })
  const bob = await host.login('bob')
  await host.say(bob, 'RCPT TO:<x@example>\r\n', /^250 /)
  for (;;) {
    const { params } = await s.next()
    assert.equal(params.data.text, undefined)
    if (params.name === 'ended') {
      assert.deepEqual(params.data, { why: 'ttl' })
      break
    }
  }
  assert.equal(host.listening(), 0)
  c.end()
  s.end()
})

void test('a live socket is not stolen, a dead one is replaced, a file is left alone', async (t) => {
  const { control, directory, host } = await fixture(t)
  const stolen = await openControlPlane(host.daemon, { control })
  assert.equal(stolen.isErr() && stolen.error.reason, 'socket-in-use')
  assert.ok(existsSync(control))
  const c = wire(control)
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()

  // A process that died leaves its socket behind.
  const dead = join(directory, 'dead.sock')
  const { stdout } = await run(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]).catch(() => ({ stdout: '' }))
  assert.equal(stdout, '')
  assert.ok(existsSync(dead))
  const replaced = await openControlPlane(host.daemon, { control: dead })
  assert.ok(replaced.isOk())
  const d = wire(dead)
  assert.equal((await d.call('server.ping')).result.pong, true)
  d.end()
  await replaced.unwrapOr(undefined)?.close()
  assert.ok(!existsSync(dead))

  const file = join(directory, 'file')
  writeFileSync(file, 'precious')
  const refused = await openControlPlane(host.daemon, { control: file })
  assert.equal(refused.isErr() && refused.error.reason, 'not-a-socket')
})

void test('of many processes that find the same dead socket, one wins', async (t) => {
  const { directory, host } = await fixture(t)
  const path = join(directory, 'race.sock')
  await run(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]).catch(() => undefined)
  const opened = await Promise.all(
    Array.from({ length: 5 }, async () => openControlPlane(host.daemon, { control: path })),
  )
  const winners = opened.filter((one) => one.isOk())
  assert.equal(winners.length, 1)
  const c = wire(path)
  assert.equal((await c.call('server.ping')).result.pong, true)
  c.end()
  for (const winner of winners) await winner.unwrapOr(undefined)?.close()
})

void test('too many clients are told so', async (t) => {
  const { control } = await fixture(t)
  const many = Array.from({ length: 64 + 4 }, () => wire(control))
  for (const one of many) assert.ok((await one.call('server.ping')).result)
  const late = wire(control)
  assert.equal((await late.next()).error.data.reason, 'too-many-clients')
  assert.equal(await late.next(), undefined)
  for (const one of [...many, late]) one.socket.destroy()
})

void test('a socket that was deleted is made again, and its clients go on', async (t) => {
  const { control, status } = await fixture(t)
  const [before, mode] = [wire(control), statSync(status).mode]
  for (const path of [control, status]) {
    unlinkSync(path)
    await until('another socket', () => existsSync(path))
  }
  assert.equal(statSync(status).mode, mode)
  for (const path of [control, status]) {
    const client = wire(path)
    assert.equal((await client.call('server.ping', {})).result.pong, true)
    client.end()
  }
  assert.equal((await before.call('server.ping', {})).result.pong, true)
  before.end()
  assert.deepEqual(
    readdirSync(dirname(status)).filter((name) => name.startsWith('status')),
    ['status.sock'],
  )
})
