// A balancer in front of a lane: its PROXY header says who the client is, in plain text and before TLS.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { bytesOf, concat } from '../../src/protocol/bytes.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { AUTH, acceptingLane, endWorker, hear, type Lane, textsOf, until } from '../support/lane.ts'
import { makePair, materialOf, namedPair, tlsClient } from '../support/tls.ts'

const dir = mkdtempSync(join(tmpdir(), 'acceptd-proxy-'))
const tls = materialOf(namedPair(['mx.example'], makePair(dir, 'mx.example')))
after(async () => {
  await endWorker()
  rmSync(dir, { recursive: true })
})

async function lane(t: { after: (f: () => Promise<void>) => void }, options: string): Promise<Lane> {
  const listeners = `127.0.0.1:0 smtp submission ${options}\n`
  return acceptingLane(t, { ...textsOf('tries=5'), tls: 'a /a.pem /a.key\n', listeners }, { tls })
}

const HEADER = 'PROXY TCP4 198.51.100.7 203.0.113.1 40000 587\r\n'

void describe('a PROXY header', () => {
  void it('gives the session its addresses, whatever comes with it in one write', async (t) => {
    const one = await lane(t, 'tls=off proxy=127.0.0.0/8')
    const end = one.dial()
    end.send(`${HEADER}EHLO me\r\n${AUTH}`)
    await hear(end, '235')
    await until('the log line', () => / login-accepted session=\S+ ip=198\.51\.100\.7 port=40000 /.test(one.log()))
    const variables = one.helper.asked[0]?.environment ?? []
    for (const wanted of [
      'TCPREMOTEIP=198.51.100.7',
      'TCPREMOTEPORT=40000',
      'TCPLOCALIP=203.0.113.1',
      'TCPLOCALPORT=587',
    ])
      assert.ok(variables.includes(wanted), `${wanted} in ${variables.join(' ')}`)
  })
  void it('is read octet by octet', async (t) => {
    const one = await lane(t, 'tls=off proxy=127.0.0.1')
    const end = one.dial()
    for (const octet of HEADER) {
      end.send(octet)
      await new Promise(setImmediate)
    }
    await hear(end, '220 ')
    end.send('NOOP\r\n')
    await hear(end, '250')
  })
  void it('comes before the handshake of implicit TLS, also in one write with it', async (t) => {
    const one = await lane(t, 'tls=implicit proxy=127.0.0.1')
    const plain = connect({ port: one.port, host: '127.0.0.1' })
    plain.cork()
    plain.write(HEADER)
    const secured = tlsClient({ socket: plain })
    process.nextTick(() => plain.uncork())
    const end = new StreamEnd(await secured)
    await hear(end, '220 ')
    end.send(AUTH)
    await hear(end, '235')
    await until('the log line', () => / login-accepted session=\S+ ip=198\.51\.100\.7 /.test(one.log()))
  })
  void it('reports TLS that the balancer has terminated, which is enough where TLS is required', async (t) => {
    const one = await lane(t, 'tls=require proxy=127.0.0.1')
    const end = one.dial()
    const tlv = (type: number, value: Uint8Array) => concat([new Uint8Array([type, 0, value.length]), value])
    const payload = concat([
      new Uint8Array([198, 51, 100, 7, 203, 0, 113, 1, 0x9c, 0x40, 0x02, 0x4b]),
      tlv(2, bytesOf('mx.example')),
      tlv(
        0x20,
        concat([
          new Uint8Array([7, 0, 0, 0, 0]),
          tlv(0x21, bytesOf('TLSv1.3')),
          tlv(0x22, bytesOf('ann')),
          tlv(0x23, bytesOf('TLS_AES_256_GCM_SHA384')),
        ]),
      ),
    ])
    const header = concat([bytesOf('\r\n\r\n\0\r\nQUIT\n'), new Uint8Array([0x21, 0x11, 0, payload.length]), payload])
    end.socket.write(header)
    await hear(end, '220 ')
    end.send(`EHLO me\r\n${AUTH}`)
    await hear(end, '235')
    assert.doesNotMatch(end.heard(), /STARTTLS/)
    const variables = one.helper.asked[0]?.environment ?? []
    for (const wanted of [
      'SSL_PROTOCOL=TLSv1.3',
      'SSL_CIPHER=TLS_AES_256_GCM_SHA384',
      'SSL_TLS_SNI=mx.example',
      'SSL_CLIENT_S_DN_CN=ann',
    ])
      assert.ok(variables.includes(wanted), `${wanted} in ${variables.join(' ')}`)
  })
  void it('that describes no client leaves the address of the balancer itself', async (t) => {
    const one = await lane(t, 'tls=off proxy=127.0.0.1')
    const end = one.dial()
    end.send(`PROXY UNKNOWN\r\n${AUTH}`)
    await hear(end, '235')
    await until('the log line', () => / login-accepted session=\S+ ip=127\.0\.0\.1 /.test(one.log()))
  })
  for (const [what, text] of [
    ['an ordinary client', 'EHLO me\r\n'],
    ['a port out of range', 'PROXY TCP4 198.51.100.7 203.0.113.1 70000 587\r\n'],
    ['TLS', '\x16\x03\x01\x02\x00'],
  ] as const) {
    void it(`does not come from ${what}, which is closed and logged`, async (t) => {
      const one = await lane(t, 'tls=off proxy=127.0.0.1')
      const end = one.dial()
      end.send(text)
      await until('the end', () => end.closed())
      assert.equal(end.heard(), '')
      await until('the log line', () =>
        / warn proxy-header-refused ip=127\.0\.0\.1 port=\d+ listener=smtp:0 why="/.test(one.log()),
      )
    })
  }
  void it('is not taken from others', async (t) => {
    const one = await lane(t, 'tls=off proxy=192.0.2.0/24')
    const end = one.dial()
    await hear(end, '220 ')
    end.send(`${HEADER}${AUTH}`)
    await hear(end, '421 authup PROXY headers are not taken from you')
    await until('the log line', () =>
      / warn proxy-header-unexpected session=\S+ ip=127\.0\.0\.1 port=\d+ listener=\S+:0\n/.test(one.log()),
    )
    assert.equal(one.helper.asked.length, 0)
    assert.doesNotMatch(one.log(), /198\.51\.100\.7/)
  })
})
