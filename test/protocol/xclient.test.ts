// XCLIENT and XFORWARD as Postfix has them: what is passed on about a client, and what is believed from one.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type ClientFacts, parseForwarded, parseProxied, proxyLine } from '../../src/protocol/xclient.ts'

const CLIENT: ClientFacts = {
  ip: '192.0.2.7',
  port: 40_000,
  name: 'client.example',
  helo: 'my laptop',
  proto: 'ESMTP',
  login: 'ann@example.org',
  local: { ip: '2001:db8::1', port: 587 },
  ident: '',
  source: 'REMOTE',
}

void describe('what a backend is told', () => {
  for (const [offered, more, wanted] of [
    ['XCLIENT ADDR', {}, 'XCLIENT ADDR=192.0.2.7'],
    ['XCLIENT addr  port', {}, 'XCLIENT ADDR=192.0.2.7 PORT=40000'],
    ['XCLIENT ADDR PORT', { port: 0 }, 'XCLIENT ADDR=192.0.2.7'],
    ['XCLIENT ADDR', { ip: '::ffff:192.0.2.7' }, 'XCLIENT ADDR=192.0.2.7'],
    ['XCLIENT ADDR', { ip: 'fe80::1%eth0' }, 'XCLIENT ADDR=IPV6:fe80::1'],
    ['XCLIENT HELO PROTO NAME', {}, 'XCLIENT PROTO=ESMTP NAME=client.example HELO=my+20laptop'],
    ['XCLIENT HELO', { helo: 'a+b=c\xfc' }, 'XCLIENT HELO=a+2Bb+3Dc+FC'],
    [
      'XCLIENT NAME LOGIN HELO',
      { name: '', login: '', helo: '' },
      'XCLIENT LOGIN=[UNAVAILABLE] NAME=[UNAVAILABLE] HELO=[UNAVAILABLE]',
    ],
    ['XCLIENT LOGIN', { login: '[UNAVAILABLE]' }, 'XCLIENT LOGIN=[UNAVAILABLE]'],
    ['XCLIENT DESTADDR DESTPORT', {}, 'XCLIENT DESTADDR=IPV6:2001:db8::1 DESTPORT=587'],
    ['XCLIENT FUTURE', {}, ''],
    ['XCLIENT', {}, ''],
    ['XCLIENTS ADDR', {}, ''],
    ['XFORWARD ADDR', {}, ''],
  ] as const)
    void it(`${offered}: ${wanted || 'nothing'}`, () => {
      const line = proxyLine('XCLIENT', `250-mx\r\n250-SIZE\r\n250 ${offered}\r\n`, { ...CLIENT, ...more })
      assert.equal(line, wanted === '' ? '' : `${wanted}\r\n`)
    })
  void it('the first line of the reply offers nothing', () => {
    assert.equal(proxyLine('XCLIENT', '250 XCLIENT ADDR\r\n', CLIENT), '')
  })
  void it('no value ends the line, or makes it too long, and each can be read back', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.string({ unit: 'binary', maxLength: 300 }),
        (helo, login) => {
          const octets = (text: string) => Buffer.from(text).toString('latin1')
          const line = proxyLine('XCLIENT', '250-mx\r\n250 XCLIENT HELO LOGIN ADDR\r\n', {
            ...CLIENT,
            helo: octets(helo),
            login: octets(login),
          })
          assert.match(line, /^XCLIENT ADDR=192\.0\.2\.7[!-~ ]*\r\n$/)
          assert.ok(line.length <= 512)
          assert.equal(parseProxied(line.slice(8, -2))?.ip, '192.0.2.7')
        },
      ),
    )
  })
})

void describe('what is accepted of XCLIENT', () => {
  for (const [argument, wanted] of [
    ['ADDR=192.0.2.7 PORT=5', { ip: '192.0.2.7', port: 5 }],
    ['addr=IPV6:2001:db8::7', { ip: '2001:db8::7' }],
    ['ADDR=2001:db8::7', { ip: '2001:db8::7' }],
    ['NAME=Client.Example HELO=x PROTO=SMTP LOGIN=root', { name: 'Client.Example' }],
    ['NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] PORT=[unavailable]', {}],
    ['NAME=a+2Eexample', { name: 'a.example' }],
    ['DESTADDR=203.0.113.1 DESTPORT=587', { localIp: '203.0.113.1', localPort: 587 }],
    ['', undefined],
    ['ADDR', undefined],
    ['ADDR=192.0.2', undefined],
    ['ADDR=192.0.2.7 FUTURE=1', undefined],
    ['PORT=65536', undefined],
    ['PORT=-1', undefined],
    ['NAME=a b', undefined],
    ['NAME=a+0Ab', undefined],
    ['NAME=a+2', undefined],
  ] as const)
    void it(argument || 'nothing at all', () => {
      const nothing = { ip: undefined, port: undefined, name: undefined, localIp: undefined, localPort: undefined }
      assert.deepEqual(parseProxied(argument), wanted && { ...nothing, ...wanted })
    })
})

void describe('what is accepted of XFORWARD', () => {
  const EVERY = '250-mx\r\n250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n'
  for (const [argument, wanted] of [
    ['ADDR=192.0.2.7', 'ADDR=192.0.2.7 NAME=[UNAVAILABLE] HELO=[UNAVAILABLE] SOURCE=REMOTE'],
    [
      'NAME=a.example ADDR=[UNAVAILABLE] PROTO=ESMTP HELO=x IDENT=4Z source=local',
      'ADDR=[UNAVAILABLE] PROTO=ESMTP NAME=a.example HELO=x IDENT=4Z SOURCE=LOCAL',
    ],
    ['HELO=a+0D+0Ab', 'ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE] HELO=a+0D+0Ab SOURCE=REMOTE'],
    ['SOURCE=somewhere', undefined],
    ['LOGIN=root', undefined],
    ['DESTADDR=192.0.2.1', undefined],
    ['', undefined],
  ] as const)
    void it(argument || 'nothing at all', () => {
      const facts = parseForwarded(argument)
      const line = facts === undefined ? undefined : proxyLine('XFORWARD', EVERY, facts)
      assert.equal(line, wanted === undefined ? undefined : `XFORWARD ${wanted}\r\n`)
    })
})
