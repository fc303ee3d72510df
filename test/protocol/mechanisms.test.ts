// SASL mechanisms as values: whatever a client sends is one response, and its outcome can neither write a second line nor end early.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from '../../src/protocol/base64.ts'
import { bytesOf, textOf } from '../../src/protocol/bytes.ts'
import type { Answer, DialogueView } from '../../src/protocol/dialogue.ts'
import { beginExchange, continueExchange, offered } from '../../src/protocol/mechanisms.ts'
import {
  decodeBearer,
  decodeDigest,
  decodePlain,
  decodeXoauth2,
  type MechanismName,
  type NamedSecret,
} from '../../src/protocol/sasl.ts'

const MECHANISMS: readonly MechanismName[] = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'XOAUTH2', 'OAUTHBEARER', 'EXTERNAL']

const view: DialogueView = {
  settings: {
    protocol: 'smtp',
    greeting: 'mx.example',
    capabilities: [],
    tls: 'none',
    brokenClients: false,
    guest: false,
    mechanisms: MECHANISMS,
    credentials: 512,
    classic: false,
  },
  tlsOn: true,
  trusted: false,
  timestamp: '<1.2@mx.example>',
  user: undefined,
  external: ['ann', 'office'],
}

/** Octets mixed with the elements of the messages. */
const message = fc
  .array(
    fc.constantFrom(
      'user=',
      'auth=Bearer ',
      'n,a=',
      'p=x,',
      ',',
      '\x01',
      '\x01\x01',
      '\0',
      '\r\n',
      ' ',
      'me',
      'a=2C',
      'é',
      '=',
    ),
  )
  .map((parts) => bytesOf(parts.join('')))

const hasNoControls = (text: string): boolean =>
  text !== '' && bytesOf(text).every((octet) => octet >= 32 && octet !== 127)

/** Neither NUL nor an end of line reaches descriptor 3, the environment or the log. */
function assertClean({ user, secret }: NamedSecret): void {
  assert.ok(hasNoControls(user), JSON.stringify(user))
  assert.ok(secret.every((octet) => octet !== 0 && octet !== 10 && octet !== 13))
}

function assertAnswer(answer: Answer): void {
  switch (answer.do) {
    case 'login': {
      const { user, password, mechanism } = answer.login
      assertClean({ user, secret: password })
      assert.equal(password.length === 0, mechanism === 'EXTERNAL')
      break
    }
    case 'ask':
      assert.deepEqual([answer.exchange.mechanism, answer.challenge], ['LOGIN', 'Password:'])
      break
    case 'not-authorized':
      break
    default:
      assert.equal(answer.do, 'fault')
  }
}

void describe('a mechanism', () => {
  for (const mechanism of MECHANISMS) {
    void it(`${mechanism} has an answer to any octets, and to any line`, () => {
      const exchange = { mechanism, user: '' }
      fc.assert(
        fc.property(fc.oneof(message, fc.uint8Array()), (octets) => {
          assertAnswer(continueExchange(exchange, bytesOf(encodeBase64(octets)), view))
          assertAnswer(continueExchange(exchange, octets, view))
          const begun = beginExchange(bytesOf(mechanism), bytesOf(encodeBase64(octets)), view)
          if (octets.length > 0) assertAnswer(begun)
          else assert.equal(begun.do, 'ask')
        }),
      )
    })
    void it(`${mechanism} that is cancelled is a fault, and has one name`, () => {
      assert.deepEqual(continueExchange({ mechanism, user: '' }, bytesOf('*'), view), {
        do: 'fault',
        fault: 'cancelled',
      })
      for (const name of [`${mechanism}x`, mechanism.slice(1), '']) {
        const answer = beginExchange(bytesOf(name), bytesOf('bWU='), view)
        assert.deepEqual(answer, { do: 'fault', fault: 'noauth' })
      }
    })
  }
  void it('is offered where the listener has it, EXTERNAL to a client with a certificate', () => {
    assert.deepEqual(offered(view), MECHANISMS)
    assert.deepEqual(offered({ ...view, external: [] }), MECHANISMS.slice(0, -1))
    assert.deepEqual(offered({ ...view, settings: { ...view.settings, mechanisms: ['USER', 'APOP', 'LOGIN'] } }), [
      'LOGIN',
    ])
  })
})

const name = fc.string({ minLength: 1, unit: 'grapheme-ascii' }).filter(hasNoControls)
const token = fc.string({ minLength: 1, unit: 'grapheme-ascii' }).filter((text) => /^[!-~]+$/.test(text))
const escaped = (user: string): string => user.replace(/=/g, '=3D').replace(/,/g, '=2C')
const shown = (named: NamedSecret | undefined) => named && [named.user, textOf(named.secret)]

void describe('what a client means is what is read', () => {
  void it('in PLAIN', () => {
    fc.assert(
      fc.property(name, token, (user, password) => {
        const read = decodePlain(bytesOf(`\0${user}\0${password}`))._unsafeUnwrap()
        assert.deepEqual([read.user, textOf(read.password)], [user, password])
      }),
    )
  })
  void it('in XOAUTH2 and OAUTHBEARER', () => {
    fc.assert(
      fc.property(name, token, (user, secret) => {
        assert.deepEqual(shown(decodeXoauth2(bytesOf(`user=${user}\x01auth=Bearer ${secret}\x01\x01`))), [user, secret])
        const bearer = `n,a=${escaped(user)},\x01host=x\x01port=25\x01auth=Bearer ${secret}\x01\x01`
        assert.deepEqual(shown(decodeBearer(bytesOf(bearer))), [user, secret])
      }),
    )
  })
  void it('in CRAM-MD5 and APOP', () => {
    fc.assert(
      fc.property(name, fc.stringMatching(/^[0-9a-f]{32}$/), (user, digest) => {
        assert.deepEqual(shown(decodeDigest(bytesOf(`${user} ${digest}`))), [user, digest])
      }),
    )
  })
  void it('and a message that is cut short anywhere is not one', () => {
    const whole = 'n,a=me,\x01auth=Bearer abc\x01\x01'
    const other = 'user=me\x01auth=Bearer abc\x01\x01'
    const digest = 'me 0123456789abcdef0123456789abcdef'
    for (let at = 0; at < whole.length; at++) assert.equal(decodeBearer(bytesOf(whole.slice(0, at))), undefined)
    for (let at = 0; at < other.length; at++) assert.equal(decodeXoauth2(bytesOf(other.slice(0, at))), undefined)
    for (let at = 0; at < digest.length; at++) assert.equal(decodeDigest(bytesOf(digest.slice(0, at))), undefined)
  })
})

void it('base 64 has one spelling: what is taken is written back the same', () => {
  fc.assert(
    fc.property(fc.base64String(), fc.string({ maxLength: 3 }), (text, more) => {
      const read = decodeBase64(bytesOf(`${text}${more}`))
      if (read.isOk()) assert.equal(encodeBase64(read.value), `${text}${more}`)
    }),
  )
})
