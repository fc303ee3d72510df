import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { joinReply, noReply, replyCode, takeReplies } from '../../src/protocol/replies.ts'
import { byteByByte, inReads } from './splits.ts'

function repliesOf(
  reads: readonly Uint8Array[],
  limit?: number,
): { replies: string[]; left: string; nonsense: string } {
  let buffer = noReply
  const replies: string[] = []
  for (const read of reads) {
    const taken = takeReplies(buffer, read, limit)
    replies.push(...taken.replies)
    buffer = taken.buffer
    if (taken.nonsense !== '') return { replies, left: '', nonsense: taken.nonsense }
  }
  return { replies, left: buffer.text, nonsense: '' }
}

const CASES: readonly (readonly [hazard: string, input: string, replies: readonly string[], left: string])[] = [
  ['one line', '250 ok\r\n', ['250 ok\r\n'], ''],
  ['two replies in one read', '250 ok\r\n354 go\r\n', ['250 ok\r\n', '354 go\r\n'], ''],
  ['a reply of three lines', '250-a\r\n250-b\r\n250 c\r\n', ['250-a\r\n250-b\r\n250 c\r\n'], ''],
  ['bare LF endings are kept', '250-a\n250 b\n', ['250-a\n250 b\n'], ''],
  ['a code with nothing after it ends a reply', '250\r\n250\n', ['250\r\n', '250\n'], ''],
  ['a code and a space', '250 \r\n', ['250 \r\n'], ''],
  ['a code and a mark without text continue', '250-\r\n250 ok\r\n', ['250-\r\n250 ok\r\n'], ''],
  ['a line that has not ended waits', '250 ok', [], '250 ok'],
  ['a reply that has not ended waits', '250-a\r\n250-b\r\n', [], '250-a\r\n250-b\r\n'],
  [
    'anything but a space after a code continues',
    '250xa\r\n250\tb\r\n2501\r\n250 c\r\n',
    ['250xa\r\n250\tb\r\n2501\r\n250 c\r\n'],
    '',
  ],
  ['NUL and eight bits come through', '250 a\0\xff\r\n', ['250 a\0\xff\r\n'], ''],
]
for (const [hazard, input, replies, left] of CASES) {
  void test(`replies: ${hazard}`, () => {
    assert.deepEqual(repliesOf([bytesOf(input)]), { replies, left, nonsense: '' })
    assert.deepEqual(repliesOf(byteByByte(input)), { replies, left, nonsense: '' })
  })
}

void test('splitting replies anywhere changes nothing', () => {
  const pieces = inReads('250-', '250 ', '250', '\r\n', '\n', 'x', ' ', '-', '2', 'junk', '\0')
  fc.assert(
    fc.property(pieces, ({ whole, reads }) => {
      assert.deepEqual(repliesOf(reads), repliesOf([bytesOf(whole)]))
    }),
    { numRuns: 2000 },
  )
})

void test('a line without a code is not a reply, and what came before it is not lost', () => {
  for (const line of [
    'warning: x\r\n',
    '\r\n',
    '\n',
    '25\r\n',
    '25x ok\r\n',
    ' 250 ok\r\n',
    '25\xb0 ok\n',
    '\x00250 ok\r\n',
  ])
    for (const first of ['250 ok\r\n', '250 ok\r\n250-a\r\n'])
      for (const reads of [[bytesOf(`${first}${line}250 b\r\n`)], byteByByte(`${first}${line}250 b\r\n`)])
        assert.deepEqual(repliesOf(reads), { replies: ['250 ok\r\n'], left: '', nonsense: line })
})

void test('a reply over the limit is reported, and what came before it is not lost', () => {
  const input = `220 hi\r\n${'250-x\r\n'.repeat(20)}250 end\r\n`
  for (const reads of [[bytesOf(input)], byteByByte(input)]) {
    const { replies, nonsense } = repliesOf(reads, 64)
    assert.deepEqual(replies, ['220 hi\r\n'])
    assert.ok(nonsense.length > 64 && input.includes(nonsense), nonsense)
  }
  assert.equal(repliesOf([bytesOf('x'.repeat(65))], 64).nonsense, 'x'.repeat(65))
  assert.equal(repliesOf([bytesOf('x'.repeat(64))], 64).nonsense, '')
})

void test('the code of a reply is the three digits of its last line', () => {
  assert.deepEqual(
    ['250 ok\r\n', '250\n', '354-more\r\n354 go\r\n', '250-x\r\n354 go\n', '25', 'abc', '', '\n', '2x0 '].map(
      replyCode,
    ),
    [250, 250, 354, 354, 0, 0, 0, 0, 0],
  )
})

void test('lines are joined to one reply, marks put right', () => {
  assert.equal(joinReply(['250 a', '250 b', '250-c']), '250-a\r\n250-b\r\n250 c\r\n')
  assert.equal(joinReply(['250-a\n', '250-b\r\n']), '250-a\n250 b\r\n')
  assert.equal(joinReply(['250', '250']), '250-\r\n250 \r\n')
  assert.equal(joinReply(['25', '\r']), '25\r\n\r\r\n')
  assert.equal(joinReply([]), '')
})
