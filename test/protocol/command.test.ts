import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { bytesOf, textOf } from '../../src/protocol/bytes.ts'
import { isWord, splitCommand, splitOctets, upper } from '../../src/protocol/command.ts'

const BLANKS = [' ', '\t', '\v', '\f', '\r', '\0']
const VERBS = 'EHLO HELO MAIL RCPT DATA BDAT RSET VRFY EXPN HELP NOOP QUIT AUTH STARTTLS USER PASS vrfy sTarttls'.split(
  ' ',
)

const CASES: readonly (readonly [
  hazard: string,
  line: string,
  verb: string,
  argument: string,
  plain: string,
  rest: string,
])[] = [
  ['a plain line goes on as it is', 'vrfy  a b \r\n', 'VRFY', 'a b', 'vrfy  a b \r\n', ' a b '],
  ['so does one that ends in a bare LF', 'QUIT\n', 'QUIT', '', 'QUIT\n', ''],
  [
    'and one whose blanks follow the first space',
    'AUTH \t PLAIN\r\n',
    'AUTH',
    'PLAIN',
    'AUTH \t PLAIN\r\n',
    '\t PLAIN',
  ],
  ['and one with NUL or CR in its argument', 'NOOP a\0b\rc\r\n', 'NOOP', 'a\0b\rc', 'NOOP a\0b\rc\r\n', 'a\0b\rc'],
  ['a TAB at the end is none of the verb', 'STARTTLS\t\r\n', 'STARTTLS', '', 'STARTTLS\r\n', ''],
  ['two CR end a line like one', 'NOOP\r\r\n', 'NOOP', '', 'NOOP\r\n', ''],
  ['its own line ending stays', ' QUIT\t\n', 'QUIT', '', 'QUIT\n', ''],
  ['a line of blanks has no verb', ' \t \r\n', '', '', '\r\n', ''],
  ['an empty line has none either', '\r\n', '', '', '\r\n', ''],
  ['NUL inside a word ends it, as in C', 'N\0OP x\r\n', 'N', 'OP x', 'N OP x\r\n', 'OP x'],
  [
    'octets above 127 are no blanks and no letters',
    '\xa0VRFY\xa0x\xdf\r\n',
    '\xa0VRFY\xa0X\xdf',
    '',
    '\xa0VRFY\xa0x\xdf\r\n',
    '',
  ],
  ['a password keeps its blanks', 'PASS  two words \r\n', 'PASS', 'two words', 'PASS  two words \r\n', ' two words '],
  ['NUL at the end of an argument stays', 'USER me\0\r\n', 'USER', 'me\0', 'USER me\0\r\n', 'me\0'],
]

void describe('a command line', () => {
  for (const [hazard, line, verb, argument, plain, rest] of CASES)
    void test(hazard, () => assert.deepEqual(splitCommand(line), { verb, argument, plain, rest }))

  void test('blanks before a verb, after it and around its argument do not change the verb', () => {
    for (const verb of VERBS)
      for (const before of ['', ...BLANKS])
        for (const between of BLANKS)
          for (const after of ['', ...BLANKS])
            for (const end of ['\r\n', '\n']) {
              const alone = splitCommand(before + verb + (after === '' ? '' : between + after) + end)
              assert.equal(alone.verb, verb.toUpperCase())
              assert.equal(alone.argument, '')
              assert.match(alone.plain, /^[A-Za-z]+ *\r?\n$|^[A-Za-z]+ [\s\0]*\r?\n$/)
              const split = splitCommand(`${before + verb + between + after}me${end}`)
              assert.equal(split.verb, verb.toUpperCase())
              assert.equal(split.argument, 'me')
              if (before + between !== ' ') assert.equal(split.plain, `${verb} me${end}`)
            }
  })

  void test('the plain spelling is its own, and reads the same', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'B', '\xe9', '<', ...BLANKS), maxLength: 12 })
    fc.assert(
      fc.property(line, fc.constantFrom('\r\n', '\n'), (text, end) => {
        const split = splitCommand(text + end)
        const again = splitCommand(split.plain)
        assert.equal(again.plain, split.plain)
        assert.equal(again.verb, split.verb)
        assert.equal(again.argument, split.argument)
        assert.match(split.plain, /^(?![\s\0])[^\s\0]*(?: [^\n]*)?\r?\n$|^\r?\n$/)
      }),
    )
  })
})

void test('a line that stays octets has the same parts as one that is text', () => {
  const octets = fc
    .array(fc.constantFrom(...'aUtH\t \0\r\n\v\xe1*='.split('')), { maxLength: 20 })
    .map((chosen) => chosen.join(''))
  fc.assert(
    fc.property(octets, fc.constantFrom('', '\n', '\r\n'), (begin, end) => {
      const line = begin + end
      const { verb, argument, rest, plain } = splitCommand(line)
      const split = splitOctets(bytesOf(line))
      assert.deepEqual(
        [upper(textOf(split.word)), textOf(split.argument), textOf(split.rest), split.odd],
        [verb, argument, rest, plain !== line],
      )
      assert.equal(isWord(split.word, verb), true)
    }),
    { numRuns: 2000 },
  )
})

void test('a word is itself in upper and lower case, and no other', () => {
  for (const word of ['AUTH', 'auth', 'Auth']) assert.equal(isWord(bytesOf(word), 'AUTH'), true)
  for (const word of ['', 'AUT', 'AUTHX', '\xc1UTH', 'AUT\x28', 'aut\x08'])
    assert.equal(isWord(bytesOf(word), 'AUTH'), false)
})
