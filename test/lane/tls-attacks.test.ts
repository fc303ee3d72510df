// What clients do to TLS other than one handshake; and certificates that change under load.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { newTicketKey, type TlsMaterial } from '../../src/edge/tls.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { AUTH, acceptingLane, endWorker, type Lane, until } from '../support/lane.ts'
import { clientHello, makePair, namedPair, tlsClient, tlsTexts } from '../support/tls.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-tls-attacks-'))
let materials: readonly [TlsMaterial, TlsMaterial]
let hello: Buffer

before(async () => {
  const [first, second] = ['first', 'second'].map((name): TlsMaterial => {
    const folder = mkdtempSync(join(dir, name))
    return {
      pairs: [
        namedPair(['mx.example'], makePair(folder, 'mx.example')),
        namedPair(['mx.example'], makePair(folder, 'mx.example', 'rsa')),
        namedPair(['other.example'], makePair(folder, 'other.example')),
      ],
      minimum: 'TLSv1.2',
      ciphers: '',
      unknownName: 'default',
      tickets: [newTicketKey()],
      authorities: {},
    }
  })
  assert.ok(first !== undefined && second !== undefined)
  materials = [first, second]
  hello = await clientHello()
})
after(async () => {
  await endWorker()
  rmSync(dir, { recursive: true })
})

async function lane(t: { after: (f: () => Promise<void>) => void }, listener: string): Promise<Lane> {
  return acceptingLane(t, tlsTexts(listener), { tls: materials[0] })
}

const IMPLICIT = 'smtp submission tls=implicit'
const count = (one: Lane, word: string): number => one.log().split(word).length - 1

for (const [protocol, command, injected] of [
  ['smtp', 'STARTTLS\r\n', `EHLO evil.example\r\n${AUTH}`],
  ['pop3', 'STLS\r\n', 'USER me\r\nPASS secret\r\n'],
] as const)
  void describe(`injection before the handshake, ${protocol}`, () => {
    void it('of any length in the same write ends the session as an attack', async (t) => {
      const one = await lane(t, `${protocol} submission tls=offer`)
      for (let n = 1; n <= injected.length; n += 1) {
        const end = one.dial()
        end.send(command + injected.slice(0, n))
        await until(`the end after ${n} octets`, () => end.closed())
        end.close()
      }
      await until('the log', () => count(one, ' plaintext-before-tls ') === injected.length)
      assert.equal(one.helper.asked.length, 0)
    })
    void it('in two writes, wherever they are split, never becomes a command', async (t) => {
      const one = await lane(t, `${protocol} submission tls=offer`)
      const whole = command + injected
      for (let n = 1; n < whole.length; n += 1) {
        const end = one.dial()
        await until('the greeting', () => end.heard().endsWith('\r\n'))
        end.send(whole.slice(0, n))
        await new Promise((resolve) => setImmediate(resolve))
        end.send(whole.slice(n))
        await until(`the end, parted at ${n}`, () => end.closed())
        end.close()
      }
      await until('the ends', () => count(one, ' session-ended ') === whole.length - 1)
      assert.equal(count(one, ' plaintext-before-tls ') + count(one, ' tls-failed '), whole.length - 1)
      assert.equal(one.helper.asked.length, 0)
    })
  })

void describe('a handshake', () => {
  const dial = (one: Lane): Socket => connect({ port: one.port, host: '127.0.0.1' }).on('error', () => undefined)

  void it('that is abandoned halfway affects nobody else', async (t) => {
    const one = await lane(t, IMPLICIT)
    const halves = Array.from({ length: 300 }, (_, i) => {
      const socket = dial(one)
      socket.write(hello.subarray(0, 1 + ((i * 7) % (hello.length - 1))))
      return socket
    })
    await Promise.all(halves.map((socket) => new Promise((resolve) => void socket.once('connect', resolve))))
    const end = new StreamEnd(await tlsClient({ port: one.port, host: '127.0.0.1' }))
    end.send(AUTH)
    await until('the login', () => end.heard().includes('235'))
    assert.equal(count(one, ' why=closed\n'), 0)
    for (const socket of halves) socket.destroy()
    await until('the failures', () => count(one, ' why=closed\n') === halves.length)
  })
  void it('with a ClientHello of 64 KB is refused', async (t) => {
    const one = await lane(t, IMPLICIT)
    const socket = dial(one)
    const body = Buffer.alloc(65_536, 0x61)
    hello.copy(body, 0, 5)
    body.writeUIntBE(body.length - 4, 1, 3)
    for (let at = 0; at < body.length; at += 16_384) {
      const head = Buffer.from([0x16, 3, 1, 0, 0])
      const piece = body.subarray(at, at + 16_384)
      head.writeUInt16BE(piece.length, 3)
      socket.write(Buffer.concat([head, piece]))
    }
    socket.resume()
    await until('the end', () => socket.closed)
    await until('the log', () => count(one, ' tls-failed ') === 1)
  })
  /** The output of s_client, which is given `input` once it has printed `cue`. */
  const sClient = (one: Lane, options: readonly string[], cue: string, input: string): Promise<string> =>
    new Promise((resolve) => {
      let heard = ''
      const argv = ['s_client', '-connect', `127.0.0.1:${one.port}`, ...options]
      const child = execFile('openssl', argv, { timeout: 10_000 }, (_error, out, err) => resolve(out + err))
      child.stdout?.on('data', (text: string) => {
        const cued = heard.includes(cue)
        heard += text
        if (!cued && heard.includes(cue)) child.stdin?.end(input)
      })
    })
  void it('is not done twice: renegotiation is refused', async (t) => {
    const one = await lane(t, IMPLICIT)
    const said = await sClient(one, ['-tls1_2'], '220 mx.example', 'R\n')
    assert.match(said, /RENEGOTIATING(?:.*\n)*.*no renegotiation/)
  })
  void it('does not allow early data (0-RTT)', async (t) => {
    const one = await lane(t, IMPLICIT)
    const said = await sClient(one, ['-tls1_3'], '220 mx.example', 'QUIT\r\n')
    const allowed = [...said.matchAll(/Max Early Data: (\d+)/g)].map((found) => found[1])
    assert.ok(allowed.length > 0 && allowed.every((octets) => octets === '0'), said)
  })
})

void it('certificates that are replaced a hundred times under load fail no handshake', async (t) => {
  const one = await lane(t, IMPLICIT)
  let done = 0
  const over = new AbortController()
  const load = async (servername: string, sigalgs: string): Promise<void> => {
    while (!over.signal.aborted) {
      const client = await tlsClient({ port: one.port, host: '127.0.0.1', servername, sigalgs })
      await new Promise((resolve) => void client.once('data', resolve))
      client.destroy()
      done += 1
    }
  }
  const both = 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256'
  const clients = [
    load('mx.example', both),
    load('mx.example', 'rsa_pss_rsae_sha256'),
    load('other.example', both),
    load('', both),
  ]
  for (let i = 1; i <= 100; i += 1) {
    const sofar = done
    await one.ask('tls', materials[i % 2 === 0 ? 0 : 1])
    await until('a handshake', () => done > sofar, { timeout: 20_000 })
  }
  over.abort()
  await Promise.all(clients)
  assert.doesNotMatch(one.log(), / tls-failed /)
})
