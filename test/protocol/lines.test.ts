import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { emptyLines, skipLine, takeLine, takeLines } from '../../src/protocol/lines.ts'
import { byteByByte, inReads } from './splits.ts'

const LIMIT = 8
const CASES: readonly (readonly [hazard: string, input: string, lines: readonly string[]])[] = [
  ['a line ends with LF, with or without CR', 'a\r\nb\n', ['a\r\n', 'b\n']],
  ['an empty line is a line', '\n\r\n', ['\n', '\r\n']],
  ['a bare CR is inside a line', 'a\rb\n', ['a\rb\n']],
  ['eight bits and NUL come through', '\xff\0\xe9\n', ['\xff\0\xe9\n']],
  ['a line of exactly the limit is taken', '123456\r\n', ['123456\r\n']],
  ['one octet more is too long, and the next line is read', '1234567\r\nok\r\n', ['TOO LONG', 'ok\r\n']],
  ['a line over many reads is reported once', `${'x'.repeat(50)}\nok\n`, ['TOO LONG', 'ok\n']],
  ['a line at the limit without its LF is too long immediately', '12345678', ['TOO LONG']],
  ['one octet below the limit is waited for', '1234567', []],
]

function linesOf(reads: readonly Uint8Array[]): string[] {
  let buffer = emptyLines
  const out: string[] = []
  for (const read of reads) {
    const taken = takeLines(buffer, read, LIMIT)
    buffer = taken.buffer
    out.push(...taken.lines.map((line) => (line.kind === 'line' ? line.text : 'TOO LONG')))
    assert.ok(buffer.rest.length < LIMIT, 'the buffer never holds a whole limit')
  }
  return out
}

for (const [hazard, input, lines] of CASES) {
  void test(hazard, () => {
    assert.deepEqual(linesOf([bytesOf(input)]), lines)
    assert.deepEqual(linesOf(byteByByte(input)), lines, 'byte by byte')
  })
}

void test('splitting the input anywhere changes nothing', () => {
  fc.assert(
    fc.property(inReads('\n', '\r\n', 'a', 'abc', '\r', '12345678', '\0'), ({ whole, reads }) => {
      assert.deepEqual(linesOf(reads), linesOf([bytesOf(whole)]))
    }),
  )
})

void test('one line is taken and the bytes after it are left alone', () => {
  const bytes = bytesOf('AUTH PLAIN\r\nAHUA\r\n')
  assert.deepEqual(takeLine(bytes, 0, 512), { kind: 'line', text: 'AUTH PLAIN\r\n', next: 12 })
  assert.deepEqual(takeLine(bytes, 12, 512), { kind: 'line', text: 'AHUA\r\n', next: 18 })
  assert.deepEqual(takeLine(bytes, 18, 512), { kind: 'more' })
})

void test('a line that is too long can be skipped to its end in a later read', () => {
  assert.deepEqual(takeLine(bytesOf('xxxxxxxxxx'), 0, LIMIT), { kind: 'too-long', next: 10, ended: false })
  assert.deepEqual(skipLine(bytesOf('xxx'), 0), { next: 3, ended: false })
  assert.deepEqual(skipLine(bytesOf('xxx\nNOOP\n'), 0), { next: 4, ended: true })
  assert.deepEqual(takeLine(bytesOf('xxxxxxxxxx\nNOOP\n'), 0, LIMIT), { kind: 'too-long', next: 11, ended: true })
})

void test('what is kept of a read does not keep the whole read in memory', () => {
  const read = new Uint8Array(65_536).fill(97)
  read.set(bytesOf('NOOP\r\n'), 0)
  const { buffer } = takeLines(emptyLines, read.subarray(0, 10), 512)
  assert.equal(buffer.rest.buffer.byteLength, 4)
})
