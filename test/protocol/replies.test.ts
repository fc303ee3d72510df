import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { joinReply, noReply, replyCode, takeReplies } from '../../src/protocol/replies.ts'
import { byteByByte, inReads } from './splits.ts'

function repliesOf(
  reads: readonly Uint8Array[],
  limit?: number,
): { replies: string[]; left: string; tooLong: boolean } {
  let buffer = noReply
  const replies: string[] = []
  for (const read of reads) {
    const taken = takeReplies(buffer, read, limit)
    replies.push(...taken.replies)
    buffer = taken.buffer
    if (taken.tooLong) return { replies, left: '', tooLong: true }
  }
  return { replies, left: buffer.text, tooLong: false }
}

const CASES: readonly (readonly [hazard: string, input: string, replies: readonly string[], left: string])[] = [
  ['one line', '250 ok\r\n', ['250 ok\r\n'], ''],
  ['two replies in one read', '250 ok\r\n354 go\r\n', ['250 ok\r\n', '354 go\r\n'], ''],
  ['a reply of three lines', '250-a\r\n250-b\r\n250 c\r\n', ['250-a\r\n250-b\r\n250 c\r\n'], ''],
  ['bare LF endings are kept', '250-a\n250 b\n', ['250-a\n250 b\n'], ''],
  ['a code with nothing behind it ends a reply', '250\r\n250\n', ['250\r\n', '250\n'], ''],
  ['a code and a space', '250 \r\n', ['250 \r\n'], ''],
  ['a code and a mark without text continue', '250-\r\n250 ok\r\n', ['250-\r\n250 ok\r\n'], ''],
  ['a line that has not ended waits', '250 ok', [], '250 ok'],
  ['a reply that has not ended waits', '250-a\r\n250-b\r\n', [], '250-a\r\n250-b\r\n'],
  ['a line without a code goes with the reply behind it', 'warning: x\r\n250 ok\r\n', ['warning: x\r\n250 ok\r\n'], ''],
  ['short and empty lines go with the reply behind them', '\r\n25\r\n250 ok\r\n', ['\r\n25\r\n250 ok\r\n'], ''],
  ['NUL and eight bits come through', '250 a\0\xff\r\n', ['250 a\0\xff\r\n'], ''],
]
for (const [hazard, input, replies, left] of CASES) {
  void test(`replies: ${hazard}`, () => {
    assert.deepEqual(repliesOf([bytesOf(input)]), { replies, left, tooLong: false })
    assert.deepEqual(repliesOf(byteByByte(input)), { replies, left, tooLong: false })
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

void test('a reply over the limit is told, and what came before it is not lost', () => {
  const input = `220 hi\r\n${'250-x\r\n'.repeat(20)}250 end\r\n`
  for (const reads of [[bytesOf(input)], byteByByte(input)]) {
    assert.deepEqual(repliesOf(reads, 64), { replies: ['220 hi\r\n'], left: '', tooLong: true })
  }
  assert.equal(repliesOf([bytesOf('x'.repeat(65))], 64).tooLong, true)
  assert.equal(repliesOf([bytesOf('x'.repeat(64))], 64).tooLong, false)
})

void test('the code of a reply is its first three digits', () => {
  assert.deepEqual(
    ['250 ok\r\n', '354-more\r\n354 go\r\n', '25', 'abc', '', '2x0 '].map(replyCode),
    [250, 354, 0, 0, 0, 0],
  )
})

void test('lines are joined to one reply, marks put right', () => {
  assert.equal(joinReply(['250 a', '250 b', '250-c']), '250-a\r\n250-b\r\n250 c\r\n')
  assert.equal(joinReply(['250-a\n', '250-b\r\n']), '250-a\n250 b\r\n')
  assert.equal(joinReply(['250', '250']), '250-\r\n250 \r\n')
  assert.equal(joinReply(['25', '\r']), '25\r\n\r\r\n')
  assert.equal(joinReply([]), '')
})
