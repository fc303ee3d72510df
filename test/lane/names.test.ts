// Who a client is: its name by a DNS server of the test's own, its user by an identd, and what control/access makes of them.
import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { identOf } from '../../src/edge/names.ts'
import { controlTexts } from '../support/control.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { AUTH, acceptingLane, endWorker, type Lane, until } from '../support/lane.ts'
import { parseTranscripts } from '../support/transcript.ts'

after(endWorker)

interface Test {
  after: (f: () => Promise<void>) => void
}

async function lane(t: Test, dns: DnsServer, more: ControlTexts): Promise<Lane> {
  const [made] = parseTranscripts('# made up\nwith: tries=5', '')
  assert.ok(made)
  t.after(async () => dns.close())
  return acceptingLane(t, {
    ...controlTexts(made.settings),
    remotehost: '1\n',
    dnsservers: `${dns.address}\n`,
    ...more,
  })
}

const HERE = '1.0.0.127.in-addr.arpa'
const hear = (end: StreamEnd, text: string) =>
  until(`${JSON.stringify(text)} in ${JSON.stringify(end.heard())}`, () => end.heard().includes(text))

async function environment(one: Lane): Promise<readonly string[]> {
  const end = one.dial()
  end.send(AUTH)
  await hear(end, '235')
  return one.helper.asked.at(-1)?.environment ?? []
}

void describe('the name of a client', () => {
  void it('that leads back to its address is a variable, and control/access knows it', async (t) => {
    const dns = await startDns({ [`PTR ${HERE}`]: 'Client.Example', 'A client.example': '127.0.0.1' })
    const one = await lane(t, dns, { access: '=.example:allow,ACCEPTD_SITE="here"\n:deny\n' })
    const variables = await environment(one)
    for (const wanted of ['TCPREMOTEHOST=Client.Example', 'TCPLOCALHOST=mx.example', 'ACCEPTD_SITE=here'])
      assert.ok(variables.includes(wanted), `${wanted} in ${variables.join(' ')}`)
  })
  void it('is refused where control/access says so', async (t) => {
    const dns = await startDns({ [`PTR ${HERE}`]: 'client.example', 'A client.example': '127.0.0.1' })
    const one = await lane(t, dns, { access: '=client.example:deny\n' })
    await hear(one.dial(), '554 access denied (#5.7.1)\r\n')
  })
  for (const [what, records] of [
    ['of another address', { [`PTR ${HERE}`]: 'client.example', 'A client.example': '192.0.2.1' }],
    ['that has no address', { [`PTR ${HERE}`]: 'client.example' }],
    ['that is an address', { [`PTR ${HERE}`]: '127.0.0.1' }],
    ['with octets of no name', { [`PTR ${HERE}`]: 'a b', 'A a b': '127.0.0.1' }],
    ['nobody has given it', {}],
  ] as const)
    void it(`${what} is none`, async (t) => {
      const one = await lane(t, await startDns(records), { access: '=:deny\n' })
      assert.doesNotMatch((await environment(one)).join(' '), /TCPREMOTEHOST/)
    })
  void it('that never arrives keeps nobody else waiting', async (t) => {
    const dns = await startDns({
      [`PTR ${HERE}`]: 'client.example',
      'A client.example': '127.0.0.1',
      'PTR 2.0.0.127.in-addr.arpa': null,
    })
    const one = await lane(t, dns, {})
    const waiting = new StreamEnd(connect({ port: one.port, host: '127.0.0.1', localAddress: '127.0.0.2' }))
    await until('its question', () => dns.asked.includes('PTR 2.0.0.127.in-addr.arpa'))
    assert.ok((await environment(one)).includes('TCPREMOTEHOST=client.example'))
    assert.equal(waiting.heard(), '')
    waiting.socket.destroy()
  })
  void it('is not looked up without the knob', async (t) => {
    const dns = await startDns({})
    const one = await lane(t, dns, { remotehost: '0\n' })
    await environment(one)
    assert.deepEqual(dns.asked, [])
  })
})

void describe('identd', () => {
  const ends = { peer: { ip: '127.0.0.1', port: 40_000 }, local: { ip: '127.0.0.1', port: 587 } }
  /** The user made of this answer to the question. */
  async function ask(t: Test, answer: (socket: Socket, question: string) => void): Promise<string> {
    const server = createServer((socket) => socket.once('data', (bytes) => answer(socket, String(bytes))))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(async () => void server.close())
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    return identOf(ends, 10, address.port)
  }
  for (const [answer, wanted] of [
    ['40000, 587 : USERID : UNIX : ann\r\n', 'ann'],
    ['40000,587:userid:OTHER,US-ASCII:ann\r\n', 'ann'],
    ['40000, 587 : ERROR : NO-USER\r\n', ''],
    ['40000, 25 : USERID : UNIX : ann\r\n', ''],
    ['40000, 587 : USERID : UNIX : a\x01b\r\n', ''],
    ['40000, 587 : USERID : UNIX : ann', ''],
    ['x'.repeat(5000), ''],
  ] as const)
    void it(`that says ${JSON.stringify(answer.slice(0, 50))}`, async (t) => {
      const user = await ask(t, (socket, question) => {
        assert.equal(question, '40000, 587\r\n')
        socket.end(answer)
      })
      assert.equal(user, wanted)
    })
  void it('that is not there', async () => {
    assert.equal(await identOf(ends, 10, 1), '')
  })
})
