// TLS of the running daemon under what the Internet does to it: handshakes left half done by the thousand, certificates that change.
import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { StreamEnd } from '../support/fake-helper.ts'
import { clientHello, letExpire, tlsClient } from '../support/tls.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { converse } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { runtimeOf, signal, until } from './processes.ts'

let fixture: Fixture
let stranger: Certificate
before(async () => {
  fixture = await makeFixture({
    smtp: ['embedded'],
    certificates: ['localhost'],
    listeners: [
      '127.0.0.1:0 smtp embedded tls=implicit name=implicit',
      '127.0.0.1:0 smtp embedded tls=require name=starttls',
    ],
  })
  stranger = await makeCertificate(fixture.claim.dir, 'stranger.example', fixture.account)
})
after(() => fixture.end())

const own = (): Certificate => {
  const [certificate] = fixture.certificates
  assert.ok(certificate)
  return certificate
}
const renew = () => makeCertificate(fixture.claim.dir, 'localhost', fixture.account)

/** A key that is not the certificate's. */
const breakPair = (): void => copyFileSync(stranger.key, own().key)

const client = () => tlsClient({ port: fixture.daemon.port('implicit'), host: '127.0.0.1', servername: 'localhost' })

async function login(): Promise<void> {
  const [user] = fixture.people
  const end = new StreamEnd(await client())
  end.send(`AUTH PLAIN ${Buffer.from(`\0${user.name}\0${user.password}`).toString('base64')}\r\n`)
  await until('the login', () => end.heard().includes('235'), { show: () => end.heard() })
  end.send('QUIT\r\n')
  await until('the end', () => end.closed())
  end.socket.destroy()
}

async function served(): Promise<string> {
  const socket = await client()
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Handshakes that have failed so far, for whatever reason: as the lanes count them, since so many lines of a log may be lost. */
async function failed(): Promise<number> {
  const { failures } = (await fixture.daemon.call('tls.list')) as { failures: Readonly<Record<string, number>> }
  return Object.values(failures).reduce((sum, count) => sum + count, 0)
}

async function loaded(): Promise<string> {
  const { certificates } = (await fixture.daemon.call('tls.list')) as {
    certificates: readonly { fingerprint: string }[]
  }
  return certificates[0]?.fingerprint ?? ''
}

const HALVES = 5000
/** Fewer than a listening socket holds. */
const AT_ONCE = 250

void describe('five thousand handshakes', () => {
  void it('left half done keep nobody from logging in, and disappear with their clients', async () => {
    const hello = await clientHello()
    const halves: Socket[] = []
    const sofar = await failed()
    while (halves.length < HALVES) {
      const more = Array.from({ length: AT_ONCE }, (_, i) => {
        const socket = connect({ port: fixture.daemon.port('implicit'), host: '127.0.0.1' }).on(
          'error',
          () => undefined,
        )
        socket.write(hello.subarray(0, 1 + ((i * 7) % (hello.length - 1))))
        return socket
      })
      await Promise.all(more.map((socket) => new Promise((resolve) => void socket.once('connect', resolve))))
      halves.push(...more)
    }
    await login()
    for (const socket of halves) socket.destroy()
    let count = 0
    const all = async () => {
      count = (await failed()) - sofar
      return count === HALVES
    }
    await until('all of them to be counted', all, { timeout: 60_000, show: () => `${count}` })
    await login()
  })
})

void describe('certificates of the running daemon', () => {
  void it('are replaced a hundred times under load, broken pairs between them, without a failed handshake', async () => {
    const over = new AbortController()
    let done = 0
    const load = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const socket = await client()
        await new Promise((resolve) => void socket.once('data', resolve))
        socket.destroy()
        done += 1
      }
    }
    const failures = await failed()
    const clients = Array.from({ length: 4 }, load)
    try {
      for (let n = 1; n <= 100; n += 1) {
        const was = await loaded()
        const sofar = done
        if (n % 10 === 0) {
          breakPair()
          await assert.rejects(fixture.daemon.call('tls.reload'), /key/)
          assert.equal(await loaded(), was)
          await until('a handshake', () => done > sofar)
        }
        await renew()
        await fixture.daemon.call('tls.reload')
        assert.notEqual(await loaded(), was)
        await until('a handshake', () => done > sofar + 1)
      }
    } finally {
      over.abort()
      await Promise.all(clients)
    }
    assert.equal(await failed(), failures, fixture.daemon.log().slice(-2000))
    assert.equal(await served(), await loaded())
  })

  void it('are read again at SIGHUP, and a pair that does not fit changes nothing', async () => {
    const { daemon } = fixture
    const was = await served()
    await renew()
    process.kill(daemon.pid, 'SIGHUP')
    await until('the new one', async () => (await served()) !== was)
    const now = await served()
    assert.match(daemon.log(), / info certificates-loaded by=signal /)
    breakPair()
    assert.ok(
      statSync(own().key).size > 0 && readFileSync(own().key, 'latin1') === readFileSync(stranger.key, 'latin1'),
    )
    process.kill(daemon.pid, 'SIGHUP')
    await until('the error', () => / error certificates-failed by=signal /.test(daemon.log()))
    assert.equal(await served(), now)
    await login()
    await renew()
    process.kill(daemon.pid, 'SIGHUP')
    await until('the next one', async () => (await served()) !== now)
  })
})

void describe('a runtime that is killed', () => {
  async function killRuntime(): Promise<void> {
    const first = runtimeOf(fixture.daemon.pid)
    assert.ok(first !== undefined)
    signal(first.pid, 'SIGKILL')
    await until('the next runtime', async () => {
      const next = runtimeOf(fixture.daemon.pid)
      return next !== undefined && next.pid !== first.pid && (await loaded().catch(() => undefined)) !== undefined
    })
  }
  const certificates = async () => {
    const { checks } = (await fixture.daemon.call('server.health')) as {
      checks: readonly { name: string; state: string; detail: string }[]
    }
    return checks.find(({ name }) => name === 'certificates')
  }

  void it('while its certificate has expired is followed by one that serves with it, and says so', async () => {
    letExpire(own(), 'localhost')
    await assert.rejects(fixture.daemon.call('tls.reload'), /expired/)
    await killRuntime()
    await login()
    assert.equal((await certificates())?.state, 'failed')
    await renew()
    await fixture.daemon.call('tls.reload')
    assert.notEqual((await certificates())?.state, 'failed')
    await login()
  })
  void it('while its only pair does not fit is followed by one that turns clients away until it does', async () => {
    breakPair()
    await killRuntime()
    const refused = await converse(fixture.daemon.port('starttls'))
    assert.match(await refused.reply(), /^421 .*no certificate/)
    await refused.rest()
    assert.match((await certificates())?.detail ?? '', /listeners with TLS refuse all clients/)
    await renew()
    await fixture.daemon.call('tls.reload')
    await login()
  })
})
