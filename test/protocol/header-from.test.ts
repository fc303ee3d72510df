// The From field of a message, as the backend will read it, against what the user may use.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { addressesIn, headerStart, watchHeader } from '../../src/protocol/header-from.ts'

const SENDERS = ['me@example.org', '*@lists.example.org']

/** Whether it is found to be forged, read in pieces of these sizes, used cyclically. */
function isForged(message: string, sizes: readonly number[] = [message.length || 1], senders = SENDERS): boolean {
  let state = headerStart
  for (let at = 0, n = 0; at < message.length; n += 1) {
    const size = sizes[n % sizes.length] ?? 1
    state = watchHeader(state, bytesOf(message.slice(at, at + size)), senders)
    at += size
  }
  return state.at === 'forged'
}

const END = '\r\ntext\r\n.\r\n'
const GOOD = [
  'From: me@example.org\r\n',
  'FROM:me@example.org\r\n',
  'From : Me <ME@Example.Org>\r\n',
  'From: "You, too" <me@example.org>, x <news@lists.example.org>\r\n',
  'From: John Q. P\xfcblic (you@example.org)\r\n\t<me@example.org>\r\n',
  'From: =?utf-8?q?M=C3=BC?= <me@example.org>\r\n',
  'Subject: From: you@example.org\r\nX:\r\n From: you@example.org\r\n',
  'Sender: you@example.org\r\n',
  'Fro: you@example.org\r\nFromage: you@example.org\r\n',
  'From you@example.org Sat\r\nSubject: x\r\n',
  '',
] as const
const FORGED = [
  'From: you@example.org\r\n',
  'from\t: you@example.org\r\n',
  'From:\r\n you@example.org\r\n',
  'From: me@example.org\r\nSubject: x\r\nFrom: you@example.org\r\n',
  'From: me@example.org, you@example.org\r\n',
  'From: me@example.org <you@example.org>\r\n',
  'From: you@example.org <me@example.org>\r\n',
  'From: <me@example.org> <you@example.org>\r\n',
  'From: "x\\" <me@example.org>" <you@example.org>\r\n',
  'From: (x\\) <me@example.org>) <you@example.org>\r\n',
  'From: <@relay.example:me@example.org>\r\n',
  'From: friends: me@example.org;\r\n',
  'From: "me"@example.org\r\n',
  'From: me\r\n',
  'From:\r\n',
  'From: me@example.org,\r\n',
  'From: me@example.org (\r\n',
  'From: "me@example.org\r\n',
  'From: news@lists.example.org@evil.example\r\n',
  // Stuffed: the backend takes the dot off.
  '.From: you@example.org\r\n',
  'X: y\r\n.From: you@example.org\r\n',
  'From: me@example.org\r\n. , you@example.org\r\n',
  // With the eighth bit.
  '\xc6rom: you@example.org\r\n',
  `From: ${'x'.repeat(20_000)}`,
  `From${' '.repeat(20_000)}`,
] as const

void describe('the header', () => {
  for (const header of GOOD)
    void it(`may say ${JSON.stringify(header)}`, () => assert.equal(isForged(header + END), false))
  for (const header of FORGED)
    void it(`may not say ${JSON.stringify(header.slice(0, 80))}`, () => {
      assert.equal(isForged(header + END), true)
      assert.equal(isForged(header.replace(/\r\n$/, '\r\n.\r\n')), true)
      assert.equal(isForged(`\r\n${header}${END}`), false)
    })
  void it('is read the same, wherever reads end', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...GOOD, ...FORGED),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (header, sizes) => {
          assert.equal(isForged(header + END, sizes), isForged(header + END))
        },
      ),
    )
  })
  void it('may say anything where any sender is allowed', () => {
    assert.equal(isForged(`From: friends: you@example.org;\r\n${END}`, undefined, ['*']), false)
  })
  void it('never has an address that only a comment, a name or a quoted string holds', () => {
    assert.deepEqual(addressesIn(' "a@b" (c@d) e <f@g> , h@i '), ['f@g', 'h@i'])
  })
})
