import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { benchProgram } from '../../bench/fixture.ts'
import { chainServer } from './chain.ts'
import { attach, listen, loadgen } from './programs.ts'

/** The counts that `discard -c` prints when it ends, summed over all sessions. */
interface Discarded {
  messages: number
  recipients: number
  bytes: number
  sessions: number
}

/** discard behind a listener, serving a client that does not log in. */
async function discardServer(): Promise<{ port: number; discarded: Discarded; close: () => Promise<void> }> {
  const discarded: Discarded = { messages: 0, recipients: 0, bytes: 0, sessions: 0 }
  const ended: Promise<void>[] = []
  const { port, server } = await listen((socket) => {
    const child = spawn(benchProgram('discard'), ['smtp', '-c'])
    let text = ''
    child.stderr.setEncoding('latin1').on('data', (piece: string) => {
      text += piece
    })
    ended.push(
      new Promise((resolve) => {
        child.on('close', () => {
          const [, messages, recipients, bytes] = /messages (\d+) recipients (\d+) bytes (\d+)/.exec(text) ?? []
          discarded.messages += Number(messages)
          discarded.recipients += Number(recipients)
          discarded.bytes += Number(bytes)
          discarded.sessions++
          resolve()
        })
      }),
    )
    attach(socket, child)
  })
  return {
    port,
    discarded,
    async close() {
      await Promise.all(ended)
      server.close()
    },
  }
}

for (const [name, options, expected] of [
  ['one at a time', '--sessions 5', { sessions: 5, messages: 5, recipients: 5, bytes: 5 * 4096 }],
  [
    'many messages, several recipients, all of the envelope in one write',
    '--sessions 6 --clients 3 --messages 7 --recipients 3 --pipeline --size 100',
    { sessions: 6, messages: 42, recipients: 126, bytes: 4200 },
  ],
  ['no message at all', '--sessions 4 --clients 2 --messages 0', { sessions: 4, messages: 0, recipients: 0, bytes: 0 }],
  ['a large one', '--sessions 1 --size 3000000', { sessions: 1, messages: 1, recipients: 1, bytes: 3_000_000 }],
  [
    'sent slowly',
    '--sessions 2 --clients 2 --size 2000 --slow 8000',
    { sessions: 2, messages: 2, recipients: 2, bytes: 4000 },
  ],
  [
    'open loop',
    '--rate 40 --clients 10 --duration 0.5',
    { sessions: 21, messages: 21, recipients: 21, bytes: 21 * 4096 },
  ],
] as const) {
  void test(`the backend counts what the generator counts: ${name}`, async () => {
    const { port, discarded, close } = await discardServer()
    const { report, code } = await loadgen(port, `--auth none ${options}`)
    await close()
    assert.equal(code, 0)
    assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
    assert.deepEqual(discarded, expected)
    assert.equal(report.all.sessions, expected.sessions)
    assert.equal(report.all.messages, expected.messages)
  })
}

void test('the requested share of passwords is wrong; these are refused and count as no error', async () => {
  const { port, close } = await chainServer('smtp')
  const { report } = await loadgen(port, '--clients 4 --sessions 20 --users 3 --auth mix --wrong 0.25 --messages 2')
  await close()
  assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
  assert.deepEqual(report.all, {
    started: 20,
    sessions: 20,
    logins: 15,
    refusedLogins: 5,
    messages: 30,
    late: report.all.late,
    held: 0,
  })
  assert.equal(report.ms.login.count, 15)
  assert.equal(report.ms.message.count, 30)
})

void test('POP3 logins and refusals are counted', async () => {
  const { port, close } = await chainServer('pop3')
  const { report } = await loadgen(port, '--protocol pop3 --clients 2 --sessions 8 --wrong 0.5')
  await close()
  assert.equal(report.errors.total, 0, JSON.stringify(report.samples))
  assert.equal(report.all.logins, 4)
  assert.equal(report.all.refusedLogins, 4)
  assert.equal(report.all.sessions, 8)
})

void test('idle clients stay until they are told to go', async () => {
  const { port, server } = await listen((socket) => {
    socket.on('error', () => undefined)
    socket.write('220 hold\r\n')
  })
  const { report, err } = await loadgen(port, '--hold greeting --clients 30 --duration 0.4 --sources 3')
  server.close()
  assert.match(err, /loadgen: holding 30/)
  assert.equal(report.all.held, 30)
  assert.equal(report.errors.total, 0)
})

for (const [name, say, kind, at, text] of [
  ['an unexpected reply', '554 go away\r\n', 'reply', 'greeting', '554 go away'],
  ['a connection that closes early', undefined, 'closed', 'greeting', 'end of file'],
  ['silence', '', 'timeout', 'greeting', ''],
] as const) {
  void test(`${name} is an error with its place and its text`, async () => {
    const { port, server } = await listen((socket) => {
      socket.on('error', () => undefined)
      if (say === undefined) socket.end()
      else socket.write(say)
    })
    const { report } = await loadgen(port, '--sessions 3 --timeout 0.2')
    server.close()
    assert.equal(report.errors[kind], 3)
    assert.equal(report.errors.total, 3)
    assert.equal(report.all.sessions, 0)
    assert.deepEqual(report.samples, [{ kind, at, count: 3, text }])
  })
}

void test('a port where nobody listens is refused, not retried in silence', async () => {
  const { port, server } = await listen(() => undefined)
  await new Promise((resolve) => server.close(resolve))
  const { report } = await loadgen(port, '--sessions 2')
  assert.equal(report.errors.refused, 2)
})

void test('in the open loop a slow server makes times grow from the intended beginning, and what never began is counted', async () => {
  // Serves one session at a time, 100 ms each; 20 a second are requested, and only one client may be connected at a time.
  const { port, server } = await listen((socket) => {
    socket.on('error', () => undefined)
    // The report must show how slow it is.
    setTimeout(() => socket.write('220 slow\r\n'), 100)
    socket.on('data', (bytes) => {
      if (bytes.toString('latin1').startsWith('QUIT')) socket.end('221 bye\r\n')
      else socket.write('250 ok\r\n')
    })
  })
  const { report } = await loadgen(port, '--auth none --messages 0 --rate 20 --duration 1 --timeout 0.5')
  server.close()
  assert.ok(report.all.late >= 5, `late: ${report.all.late}`)
  assert.ok(report.ms.banner.max >= 400, `slowest: ${report.ms.banner.max}`)
  assert.equal(report.all.sessions + report.errors.timeout, 21)
})

void test('only loopback addresses may be loaded', async () => {
  const { code, err } = await loadgen(25, '', '192.0.2.1')
  assert.equal(code, 2)
  assert.match(err, /only loopback addresses may be loaded/)
})

void test('names and passwords follow the patterns', async () => {
  const { port, server } = await listen((socket) => {
    socket.on('error', () => undefined)
    socket.write('220 hello\r\n')
    socket.on('data', (bytes) => {
      const line = bytes.toString('latin1')
      if (line.startsWith('EHLO')) socket.write('250 AUTH PLAIN\r\n')
      else if (line.startsWith('AUTH')) {
        const [, user, password] = Buffer.from(line.trim().split(' ')[2] ?? '', 'base64')
          .toString()
          .split('\0')
        socket.write(user === 'ann7@example' && password === 'p' ? '235 ok\r\n' : '535 no\r\n')
      } else socket.end('221 bye\r\n')
    })
  })
  const { report } = await loadgen(port, '--sessions 1 --messages 0 --user ann%d@example --first-user 7 --password p')
  server.close()
  assert.equal(report.all.logins, 1, JSON.stringify(report.samples))
})
