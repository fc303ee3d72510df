// TLS with a lane's clients, over real sockets: implicit, STARTTLS and STLS; what is refused, logged and counted.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { newTicketKey, type TlsMaterial } from '../../src/edge/tls.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { AUTH, acceptingLane, endWorker, hear, type Lane, logs, until } from '../support/lane.ts'
import { makePair, materialOf, namedPair, tlsClient, tlsTexts } from '../support/tls.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-tls-'))
let material: TlsMaterial

before(() => {
  const names = ['mx.example']
  material = materialOf(
    namedPair(names, makePair(dir, 'mx.example', 'ec')),
    namedPair(names, makePair(dir, 'mx.example', 'rsa')),
    namedPair(['*.example.org', 'other.example'], makePair(dir, '*.example.org')),
  )
})
after(async () => {
  await endWorker()
  rmSync(dir, { recursive: true })
})

async function lane(
  t: { after: (f: () => Promise<void>) => void },
  listener: string,
  tls: Partial<TlsMaterial> = {},
): Promise<Lane> {
  return acceptingLane(t, tlsTexts(listener), { tls: { ...material, ...tls } })
}

const dial = (one: Lane, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  tlsClient({ port: one.port, host: '127.0.0.1', ...options })

/** After STARTTLS or STLS said `go`. */
async function upgrade(one: Lane, command: string, options: ConnectionOptions = {}): Promise<StreamEnd> {
  const plain = connect({ port: one.port, host: '127.0.0.1' })
  const end = new StreamEnd(plain)
  await hear(end, '\r\n')
  const greeted = end.heard().length
  end.send(`${command}\r\n`)
  await until('a yes', () => end.heard().length > greeted)
  plain.removeAllListeners('data')
  return new StreamEnd(await tlsClient({ socket: plain, ...options }))
}

void describe('implicit TLS', () => {
  void it('greets in TLS, offers no STARTTLS, and reports TLS to chain and control plane', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const end = new StreamEnd(await dial(one, { servername: 'mx.example' }))
    await hear(end, '220 mx.example')
    end.send('EHLO me\r\n')
    await hear(end, '250')
    assert.doesNotMatch(end.heard(), /STARTTLS/)
    end.send(AUTH)
    await hear(end, '235')
    const variables = one.helper.asked.at(-1)?.environment ?? []
    for (const wanted of [
      'SSL_PROTOCOL=TLSv1.3',
      'SSL_CIPHER=TLS_AES_128_GCM_SHA256',
      'SSL_TLS_SNI=mx.example',
      'FIXSMTPIOTLS=1',
    ])
      assert.ok(variables.includes(wanted), `${wanted} in ${variables.join(' ')}`)
    const { sessions } = await one.ask('sessions', {
      filter: {},
      sort: 'started',
      descending: false,
      limit: 10,
      now: 0,
    })
    assert.deepEqual(sessions[0]?.tls, { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', name: 'mx.example' })
  })
  void it('serves POP3 as well', async (t) => {
    const one = await lane(t, 'pop3 submission tls=implicit')
    const end = new StreamEnd(await dial(one))
    await hear(end, '+OK')
    end.send('CAPA\r\n')
    await hear(end, '\r\n.\r\n')
    assert.doesNotMatch(end.heard(), /STLS/)
  })
  void it('disconnects a client that speaks without TLS, and logs this', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const end = one.dial()
    end.send('EHLO me\r\n')
    await until('the end', () => end.closed())
    await logs(one, / warn tls-failed ip=127\.0\.0\.1 port=\d+ listener=smtp:0 why=plain-text\n/)
    assert.doesNotMatch(end.heard(), /^220/)
  })
  void it('refuses versions before TLS 1.2, and suites without forward secrecy', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    for (const old of [
      { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' },
    ] as const)
      await assert.rejects(dial(one, old))
    await until('three failures in the log', () => one.log().split(' tls-failed ').length === 4)
    await logs(one, /why=protocol\n/)
    await logs(one, /why=cipher\n/)
  })
  void it('counts handshakes and failures', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const end = new StreamEnd(await dial(one))
    await hear(end, '220')
    const { counted } = await one.ask('measure', null)
    const found = counted.filter(({ metric }) => metric === 'acceptd_tls_handshakes_total')
    assert.deepEqual(
      found.map(({ labels, value }) => ({ ...labels, value })),
      [{ version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', kind: 'full', value: 1 }],
    )
  })
})

void describe('STARTTLS', () => {
  void it('is required where the listener says so: AUTH is hidden and refused before, offered after', async (t) => {
    const one = await lane(t, 'smtp submission tls=require')
    const plain = one.dial()
    plain.send('EHLO me\r\n')
    await hear(plain, 'STARTTLS')
    assert.doesNotMatch(plain.heard(), /AUTH/)
    plain.send(AUTH)
    await hear(plain, '538 authup encryption required for authentication (#5.7.11)\r\n')
    assert.equal(one.helper.asked.length, 0)
    const end = await upgrade(one, 'STARTTLS')
    end.send('EHLO me\r\n')
    await hear(end, 'AUTH')
    assert.doesNotMatch(end.heard(), /STARTTLS/)
    end.send(AUTH)
    await hear(end, '235')
    await logs(one, / login-accepted /)
  })
  void it('works in POP3 as STLS', async (t) => {
    const one = await lane(t, 'pop3 submission tls=require')
    const plain = one.dial()
    plain.send('USER me\r\n')
    await hear(plain, '-ERR')
    const end = await upgrade(one, 'STLS')
    end.send('USER me\r\nPASS secret\r\n')
    await until('the helper to be asked', () => one.helper.asked.length === 1)
  })
  void it('discards what was said before it', async (t) => {
    const one = await lane(t, 'smtp submission tls=offer')
    const plain = connect({ port: one.port, host: '127.0.0.1' })
    const early = new StreamEnd(plain)
    early.send('EHLO evil.example\r\n')
    await hear(early, '250 ')
    early.send('STARTTLS\r\n')
    await hear(early, '220 Ready')
    plain.removeAllListeners('data')
    const end = new StreamEnd(await tlsClient({ socket: plain }))
    end.send(AUTH)
    await hear(end, '235')
    assert.deepEqual(one.helper.backends[0]?.heard().includes('evil.example'), false)
  })
  for (const [what, more] of [
    ['a command', 'EHLO evil.example\r\n'],
    ['half a line', 'EHLO evil'],
    ['one octet', 'x'],
    ['the first octets of a handshake', '\x16\x03\x01'],
  ] as const) {
    void it(`with ${what} in the same write ends the session as an attack`, async (t) => {
      const one = await lane(t, 'smtp submission tls=offer')
      const end = one.dial()
      await hear(end, '220')
      end.send(`STARTTLS\r\n${more}`)
      await until('the end', () => end.closed())
      end.close()
      await logs(one, / warn plaintext-before-tls session=/)
      await logs(one, / session-ended .*why=plaintext-before-tls /)
    })
  }
  void it('that fails ends the session', async (t) => {
    const one = await lane(t, 'smtp submission tls=offer')
    const end = one.dial()
    await hear(end, '220')
    end.send('STARTTLS\r\n')
    await hear(end, '220 Ready')
    end.send('NOOP\r\n')
    await until('the end', () => end.closed())
    await logs(one, / tls-failed session=\S+ ip=127\.0\.0\.1 port=\d+ listener=smtp:0 why=plain-text\n/)
    await logs(one, / session-ended .*why=tls-failed /)
  })
})

void describe('TLS on a plain port', () => {
  for (const listener of [
    'smtp submission tls=require',
    'smtp submission tls=off guest=open',
    'pop3 submission tls=offer',
  ]) {
    void it(`ends clearly and with a line in the log: ${listener}`, async (t) => {
      const one = await lane(t, listener)
      await assert.rejects(dial(one), /wrong version number|packet length|disconnected/i)
      await logs(one, / warn tls-unexpected session=\S+ ip=127\.0\.0\.1 port=\d+ listener=\S+:0\n/)
      await logs(one, / session-ended .*why=tls-unexpected /)
      assert.equal(one.helper.asked.length, 0)
    })
  }
})

void describe('certificates', () => {
  const nameOf = (client: TLSSocket): unknown => client.getPeerCertificate().subject.CN
  void it('are chosen by the name that the client asks for, wildcards for one label', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    for (const [asked, wanted] of [
      [undefined, 'mx.example'],
      ['mx.example', 'mx.example'],
      ['MX.example', 'mx.example'],
      ['a.example.org', '*.example.org'],
      ['other.example', '*.example.org'],
      ['a.b.example.org', 'mx.example'],
      ['nobody.example', 'mx.example'],
    ] as const) {
      const client = await dial(one, asked === undefined ? {} : { servername: asked })
      assert.equal(nameOf(client), wanted, asked)
      client.destroy()
    }
  })
  void it('are not served for an unknown name, where that is refused', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit', { unknownName: 'refuse' })
    const client = await dial(one)
    assert.equal(nameOf(client), 'mx.example')
    client.destroy()
    await assert.rejects(dial(one, { servername: 'nobody.example' }))
    await logs(one, / tls-failed .*why=name\n/)
  })
  void it('of both key types serve clients that know one of them', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    for (const [sigalgs, type] of [
      ['rsa_pss_rsae_sha256', 'rsa'],
      ['ecdsa_secp256r1_sha256', 'ec'],
    ] as const) {
      const client = await dial(one, { sigalgs })
      const { pubkey, bits } = client.getPeerCertificate() as { pubkey?: Buffer; bits?: number }
      assert.equal(bits, type === 'rsa' ? 2048 : 256, String(pubkey?.length))
      client.destroy()
    }
  })
})

void describe('session tickets', () => {
  const sessionOf = (client: TLSSocket): Promise<Buffer> =>
    new Promise((resolve) => void client.once('session', resolve))
  async function ticketOf(one: Lane): Promise<Buffer> {
    const client = await dial(one)
    const session = await sessionOf(client)
    client.destroy()
    return session
  }
  async function resumes(one: Lane, session: Buffer): Promise<boolean> {
    const client = await dial(one, { session })
    const reused = client.isSessionReused()
    client.destroy()
    return reused
  }
  void it('of one lane resume in another', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const other = await lane(t, 'smtp submission tls=implicit')
    assert.equal(await resumes(other, await ticketOf(one)), true)
  })
  void it('resume after a rotation, until their key is gone', async (t) => {
    const one = await lane(t, 'smtp submission tls=implicit')
    const session = await ticketOf(one)
    const [first] = material.tickets
    assert.ok(first)
    await one.ask('tls', { ...material, tickets: [newTicketKey(), newTicketKey(), first] })
    assert.equal(await resumes(one, session), true)
    await one.ask('tls', { ...material, tickets: [newTicketKey(), newTicketKey()] })
    assert.equal(await resumes(one, session), false)
  })
})
