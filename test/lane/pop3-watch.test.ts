// What session.trace shows of POP3 after login.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { heardOfBackend, heardOfClient, newPop3Watch, type Pop3Watch } from '../../src/lane/pop3-watch.ts'

type Said = readonly ['C' | 'S', string]

/** Each side's octets in pieces of `size`. */
function told(watch: Pop3Watch, conversation: readonly Said[], size = 1_000_000): readonly string[] {
  return conversation.flatMap(([side, text]) => {
    const bytes = Buffer.from(text, 'latin1')
    const lines: string[] = []
    for (let at = 0; at < bytes.length; at += size) {
      const piece = bytes.subarray(at, at + size)
      for (const each of (side === 'C' ? heardOfClient : heardOfBackend)(watch, piece))
        lines.push(`${each.from === 'client' ? 'C' : 'S'} ${each.text}`)
    }
    return lines
  })
}

const CONVERSATION: readonly Said[] = [
  ['S', '+OK you are in\r\n'],
  ['C', 'STAT\r\nLIST\r\nLIST 1\r\n'],
  ['S', '+OK 2 99\r\n+OK\r\n1 9\r\n2 90\r\n.\r\n+OK 1 9\r\n'],
  ['C', 'RETR 1\r\n'],
  ['S', '+OK here\r\nSubject: +OK\r\n\r\n-ERR a body\r\n..\r\n.\r\n'],
  ['C', 'TOP 7 0\r\n'],
  ['S', '-ERR no such message\r\n'],
  ['C', 'QUIT\r\n'],
  ['S', '+OK bye\r\n'],
]
const TOLD = [
  'S +OK you are in',
  'C STAT',
  'C LIST',
  'C LIST 1',
  'S +OK 2 99',
  'S +OK',
  'S +OK 1 9',
  'C RETR 1',
  'S +OK here',
  'C TOP 7 0',
  'S -ERR no such message',
  'C QUIT',
  'S +OK bye',
]

void describe('POP3 after login', () => {
  for (const size of [1, 2, 3, 7, 1000])
    void it(`in pieces of ${size}: verbs and first lines, no list and no message`, () => {
      assert.deepEqual(told(newPop3Watch('LOGIN'), CONVERSATION, size), TOLD)
    })

  void it('a trace begun inside a message shows nothing before the next verb', () => {
    const inside: readonly Said[] = [
      ['S', 'a secret\r\n+OK of the body\r\n'],
      ['S', '-ERR more\r\n.\r\n'],
    ]
    assert.deepEqual(told(newPop3Watch(undefined), [...inside, ...CONVERSATION.slice(1)]), TOLD.slice(1))
    // Here it must not be taken for an answer, though a command is under way.
    const early: readonly Said[] = [
      ['S', 'a secret\r\n'],
      ['C', 'NOOP\r\n'],
      ['S', '+OK of the body\r\n.\r\n+OK\r\n'],
    ]
    assert.deepEqual(told(newPop3Watch(undefined), early), [])
  })

  void it('what a client sends when it is asked for the rest of a command is not shown', () => {
    const auth: readonly Said[] = [
      ['C', 'AUTH PLAIN\r\n'],
      ['S', '+ \r\n'],
      ['C', 'AHNlY3JldA==\r\n'],
      ['S', '-ERR no\r\n'],
    ]
    assert.deepEqual(told(newPop3Watch('LOGIN'), [['S', '+OK\r\n'], ...auth]), [
      'S +OK',
      'C AUTH PLAIN',
      'S + ',
      'S -ERR no',
    ])
  })

  void it('keeps little, and shows no line of a message, whatever the message', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary-ascii' })), fc.integer({ min: 1, max: 50 }), (lines, size) => {
        const watch = newPop3Watch('LOGIN')
        const body = lines.map((line) => `${line.replace(/[\r\n]/g, '').replace(/^\./, '..')}\r\n`).join('')
        const said: readonly Said[] = [
          ['S', '+OK\r\n'],
          ['C', 'RETR 1\r\n'],
          ['S', `+OK\r\n${body}.\r\n`],
          ['C', 'NOOP\r\n'],
          ['S', '+OK\r\n'],
        ]
        assert.deepEqual(told(watch, said, size), ['S +OK', 'C RETR 1', 'S +OK', 'C NOOP', 'S +OK'])
      }),
    )
    const watch = newPop3Watch('LOGIN')
    told(watch, [['C', 'x'.repeat(100_000)]], 1000)
    assert.ok(watch.client.length < 1000)
  })
})
