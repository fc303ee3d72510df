// A client that may say XCLIENT, as a webmail or a mail proxy does: whoever it speaks for is the session's client.
import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { AUTH, acceptingLane, endWorker, hear, type Lane, textsOf, until } from '../support/lane.ts'

after(endWorker)

async function lane(
  t: { after: (f: () => Promise<void>) => void },
  options: string,
  more: ControlTexts = {},
): Promise<Lane> {
  const listeners = `127.0.0.1:0 smtp submission tls=off ${options}\n`
  return acceptingLane(t, { ...textsOf('tries=5'), listeners, ...more })
}

const XCLIENT =
  'XCLIENT ADDR=198.51.100.7 PORT=40000 NAME=client.example DESTADDR=203.0.113.1 DESTPORT=587 LOGIN=root\r\n'

void describe('XCLIENT', () => {
  void it('sets the client of the session, in log and variables, and is followed by a new greeting', async (t) => {
    const one = await lane(t, 'xclient=127.0.0.0/8')
    const end = one.dial()
    end.send('EHLO proxy\r\n')
    await hear(end, '250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n')
    await hear(end, '250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n')
    end.send(`${XCLIENT}EHLO me\r\n${AUTH}`)
    await hear(end, '235')
    assert.match(end.heard(), /SOURCE\r\n220 .*\r\n250-mx\.example\r\n/)
    await until('the log', () => / login-accepted session=\S+ ip=198\.51\.100\.7 port=40000 .*user=me /.test(one.log()))
    assert.match(one.log(), / info xclient session=\S+ ip=198\.51\.100\.7 port=40000 listener=\S+ by=127\.0\.0\.1\n/)
    const variables = one.helper.asked[0]?.environment ?? []
    for (const wanted of [
      'TCPREMOTEIP=198.51.100.7',
      'TCPREMOTEPORT=40000',
      'TCPREMOTEHOST=client.example',
      'TCPLOCALIP=203.0.113.1',
      'TCPLOCALPORT=587',
    ])
      assert.ok(variables.includes(wanted), `${wanted} in ${variables.join(' ')}`)
  })
  void it('makes control/access decide on the client that it names', async (t) => {
    const one = await lane(t, 'xclient=127.0.0.1', {
      access: '198.51.100.7:deny\n198.51.100.:allow,ACCEPTD_SITE="far"\n',
    })
    const end = one.dial()
    end.send(XCLIENT)
    await hear(end, '554 access denied (#5.7.1)\r\n')
    await until('the end', () => end.closed())
    const other = one.dial()
    other.send(`${XCLIENT.replace('100.7', '100.8')}${AUTH}`)
    await hear(other, '235')
    assert.ok(one.helper.asked[0]?.environment.includes('ACCEPTD_SITE=far'))
  })
  void it('is refused from anybody else, and from the client of a balancer', async (t) => {
    const one = await lane(t, 'xclient=192.0.2.0/24')
    const end = one.dial()
    end.send(`EHLO me\r\n${XCLIENT}`)
    await hear(end, '550 insufficient authorization (#5.7.1)\r\n')
    assert.doesNotMatch(end.heard(), /XCLIENT/)
    const behind = await lane(t, 'proxy=127.0.0.1 xclient=127.0.0.1')
    const client = behind.dial()
    client.send(`PROXY TCP4 198.51.100.9 203.0.113.1 40000 587\r\n${XCLIENT}`)
    await hear(client, '550 insufficient authorization (#5.7.1)\r\n')
  })
  void it('that is malformed changes nothing', async (t) => {
    const one = await lane(t, 'xclient=127.0.0.1')
    const end = one.dial()
    end.send(`XCLIENT ADDR=nobody\r\n${AUTH}`)
    await hear(end, '235')
    assert.match(end.heard(), /^220 .*\r\n501 malformed attributes \(#5\.5\.4\)\r\n235/)
    assert.ok(one.helper.asked[0]?.environment.includes('TCPREMOTEIP=127.0.0.1'))
  })
})
