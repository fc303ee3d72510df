// Clients on slow lines, in a real lane: nothing meant for them is thrown away because they are slow.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, afterEach, describe, it } from 'node:test'
import { unsentOf } from '../../src/edge/reading.ts'
import { controlTexts } from '../support/control.ts'
import type { StreamEnd } from '../support/fake-helper.ts'
import { endWorker, type Lane, startLane, until } from '../support/lane.ts'
import { parseTranscripts } from '../support/transcript.ts'

/** `+OK <1.2.3.4@mx.example>` and the answers to USER and PASS: counted with the message. */
const GREETINGS = 27
/** Longer than the wait for a client that has everything and does not close, in milliseconds. */
const PAUSE = 6500

let lane: Lane
afterEach(() => lane.stop())
after(endWorker)

async function start(options: string): Promise<void> {
  const [made] = parseTranscripts(`# made up\nwith: ${options}`, '')
  assert.ok(made !== undefined)
  lane = await startLane(controlTexts(made.settings))
}

async function backendOf(): Promise<StreamEnd> {
  await until('a login', () => lane.helper.asked.some(({ text }) => text.startsWith('auth')))
  const end = lane.helper.asked.at(-1)?.answer('ok 1000 1000 42')
  assert.ok(end !== undefined)
  return end
}

async function state(): Promise<string> {
  const query = { filter: {}, sort: 'id', descending: false, limit: 10, now: Date.now() } as const
  return (await lane.ask('sessions', query)).sessions[0]?.state ?? 'none'
}

const endedWith = (): string => / session-ended .*$/m.exec(lane.log())?.[0] ?? ''

/** Node cannot make a receive buffer small. Takes the greeting, says what the arguments say one by one, takes nothing until it is sent a line, then everything; prints how many octets that was. */
const CLIENT = `
use Socket;
my ($port, @says) = @ARGV;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 8192) or die;
connect($s, sockaddr_in($port, inet_aton('127.0.0.1'))) or die;
for (@says) { sysread($s, my $text, 1000); syswrite($s, $_) }
<STDIN>;
my $all = 0;
while (my $n = sysread($s, my $text, 65536)) { $all += $n }
print $all;
`
const children: ChildProcess[] = []
after(() => {
  for (const child of children) child.kill('SIGKILL')
})

function slowClient(port: number, says: readonly string[]) {
  const child = spawn('perl', ['-e', CLIENT, String(port), ...says], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  return child
}

/** How many of these octets, all written, remain when no more of them are sent. */
async function stuck(socket: Socket, octets: number): Promise<number> {
  let waiting = octets
  const isStuck = () => {
    const before = waiting
    waiting = unsentOf(socket)
    return waiting === before && waiting < octets
  }
  await until('the kernel to be full', isStuck, { every: 200 })
  return waiting
}

/** How much this kernel buffers for a client that takes nothing. */
async function kernelTakes(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const child = slowClient((server.address() as AddressInfo).port, [])
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.on('error', () => undefined)
  const octets = 20_000_000
  socket.write(Buffer.alloc(octets))
  const waiting = await stuck(socket, octets)
  socket.destroy()
  server.close()
  child.kill()
  return octets - waiting
}

/** A client that asks for a message and QUITs in one write, and pauses; the backend has answered both long before it goes on. */
async function fetch() {
  const octets = (await kernelTakes()) + 100_000
  await start('pop3 timeout=1200')
  const says = ['USER me\r\n', 'PASS secret\r\n', 'RETR 1\r\nDELE 1\r\nQUIT\r\n']
  const child = slowClient(lane.port, says)
  const backend = await backendOf()
  backend.send('+OK\r\n')
  await until('the commands', () => backend.heard().endsWith('QUIT\r\n'))
  backend.socket.end(Buffer.alloc(octets, 'x'))
  await until('the end of the backend', async () => (await state()) === 'ending')
  return { child, octets }
}

void describe('a POP3 client that pauses', () => {
  void it('gets all of a message even if the backend has ended after it', async () => {
    const { child, octets } = await fetch()
    await lane.advance(PAUSE)
    assert.equal(await state(), 'ending')
    child.stdin.write('\n')
    const [text] = (await once(child.stdout, 'data')) as [Buffer]
    assert.equal(text.toString(), String(octets))
    await until('the end', () => endedWith() !== '')
    assert.match(endedWith(), new RegExp(` why=backend-end .* out=${octets + GREETINGS}$`))
  })

  void it('and takes nothing more is given up after the idle timeout, and only what was sent is counted', async () => {
    const { octets } = await fetch()
    await lane.advance(PAUSE)
    await lane.advance(1_201_000)
    await until('the end', () => endedWith() !== '')
    const out = Number(/ out=(\d+)$/.exec(endedWith())?.[1])
    assert.ok(out > 8192 && out < octets, `${octets}: ${endedWith()}`)
  })

  void it('and is cut off in the middle of a message ends its session, and the mail program has not sent everything', async () => {
    await start('pop3 timeout=1200')
    const child = slowClient(lane.port, ['USER me\r\n', 'PASS secret\r\n', 'RETR 1\r\nDELE 1\r\nQUIT\r\n'])
    const backend = await backendOf()
    backend.send('+OK\r\n')
    await until('the commands', () => backend.heard().endsWith('QUIT\r\n'))
    const all = (await kernelTakes()) + 20_000_000
    let failure = ''
    backend.socket.on('error', (error) => {
      failure = error.message
    })
    backend.socket.write(Buffer.alloc(all, 'x'))
    assert.ok((await stuck(backend.socket, all)) > 0)
    child.kill('SIGKILL')
    await until('the end', () => endedWith() !== '')
    assert.match(endedWith(), / why=client-eof /)
    await until('the mail program to hear of it', () => /EPIPE|ECONNRESET/.test(failure))
  })
})

void describe('an SMTP client that takes no replies', () => {
  void it('and is cut off ends its session when its mail program has said what it had to say', async () => {
    await start('timeout=1200')
    const login = `AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`
    const reply = `250 ${'x'.repeat(900)}\r\n`
    const many = Math.ceil(((await kernelTakes()) + 1_000_000) / reply.length)
    const child = slowClient(lane.port, [login, 'NOOP\r\n'.repeat(many)])
    const backend = await backendOf()
    backend.send('220 backend\r\n')
    backend.socket.on('end', () => backend.close())
    backend.onText = (text) => backend.send(reply.repeat(text.split('NOOP').length - 1))
    await until('commands', () => backend.heard().includes('NOOP'))
    await stuck(backend.socket, Number.POSITIVE_INFINITY)
    child.kill('SIGKILL')
    await until('the end', () => endedWith() !== '')
  })
})

void describe('an SMTP client that is still sending when its message is refused', () => {
  void it('hears why, however long it goes on sending', async () => {
    await start('timeout=1200')
    const client = lane.dial()
    let failure = ''
    client.socket.on('error', (error) => {
      failure = error.message
    })
    client.send(`EHLO me\r\nAUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`)
    const backend = await backendOf()
    backend.onText = (text) => {
      for (const [verb = ''] of text.matchAll(/^(EHLO|MAIL|RCPT|DATA)/gm))
        backend.send(verb === 'DATA' ? '354 go\r\n' : '250 ok\r\n')
    }
    backend.send('220 backend\r\n')
    await until('the login', () => / 235 |\n235 /.test(client.heard()))
    client.send('MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n')
    await until('354', () => client.heard().includes('354 '))
    const line = `${'x'.repeat(998)}\r\n`.repeat(64)
    client.send(line)
    await until('some of it', () => backend.heard().length > 10_000)
    backend.socket.write('552 too large\r\n')
    backend.socket.destroy()
    for (let n = 0; n < 10; n += 1) {
      client.send(line)
      await lane.advance(PAUSE / 10)
    }
    client.send('.\r\n')
    await until('the reply', () => client.heard().includes('552 too large\r\n') && client.closed())
    assert.equal(failure, '')
    client.close()
    await until('the end', () => endedWith() !== '')
  })
})

void describe('a client that is turned away', () => {
  void it('hears why, though it goes on sending for longer than a second', async () => {
    await start('timeout=1200')
    await lane.ask('refuse', { refuse: true })
    const client = lane.dial()
    let failure = ''
    client.socket.on('error', (error) => {
      failure = error.message
    })
    for (let n = 0; n < 75; n += 1) {
      client.send('NOOP\r\n')
      await lane.advance(20)
    }
    assert.equal(failure, '')
    assert.equal(client.heard(), '421 shutting down (#4.3.2)\r\n')
    client.close()
  })

  void it('and does not go takes no descriptor from others for long', async () => {
    await start('timeout=1200')
    await lane.ask('refuse', { refuse: true })
    const clients = Array.from({ length: 100 }, () => lane.dial())
    await until('all to hear why', () => clients.every((one) => one.heard().startsWith('421 ')))
    let gone = 0
    for (const { socket } of clients) socket.on('error', () => (gone += 1))
    await until('the oldest to be closed', () => {
      for (const one of clients) one.send('NOOP\r\n')
      return gone >= 30
    })
    assert.ok(gone < 60, String(gone))
  })
})
