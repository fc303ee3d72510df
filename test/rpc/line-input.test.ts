// Lines out of reads: where the reads end changes nothing, and no line is longer than its limit.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { httpRequest, LINE_LIMIT, newLineInput, takeLast, takeRead, utf8Text } from '../../src/rpc/line-input.ts'

void test('splitting the reads anywhere changes nothing', () => {
  const text = fc.array(fc.constantFrom('{}', '\n', 'é', ' '), { maxLength: 30 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 40 }), { maxLength: 5 }), (said, cuts) => {
      const whole = Buffer.from(said)
      const input = newLineInput()
      const lines: string[] = []
      let from = 0
      for (const cut of [...cuts.toSorted((a, b) => a - b), whole.length]) {
        const to = Math.min(cut, whole.length)
        for (const line of takeRead(input, whole.subarray(from, to)) ?? []) lines.push(line.toString())
        from = to
      }
      for (const line of takeLast(input)) lines.push(line.toString())
      assert.deepEqual(
        lines,
        said.split('\n').filter((line, i, all) => line !== '' || i < all.length - 1),
      )
    }),
  )
})

void test('a line of a megabyte is taken, one more octet is too long, with its line end or without', () => {
  const most = Buffer.alloc(LINE_LIMIT, 32)
  assert.equal(takeRead(newLineInput(), Buffer.concat([most, Buffer.from('\n')]))?.length, 1)
  const input = newLineInput()
  assert.deepEqual(takeRead(input, most), [])
  assert.equal(takeRead(input, Buffer.from(' ')), undefined)
  assert.equal(takeRead(newLineInput(), Buffer.concat([most, Buffer.from(' \n')])), undefined)
})

void test('HTTP is recognised by the first line, which its server receives whole', () => {
  const input = newLineInput()
  assert.equal(httpRequest(input, Buffer.from('GET /met')), undefined)
  assert.deepEqual(takeRead(input, Buffer.from('GET /met')), [])
  assert.equal(
    httpRequest(input, Buffer.from('rics HTTP/1.1\r\nHost: a\r\n'))?.toString(),
    'GET /metrics HTTP/1.1\r\nHost: a\r\n',
  )
  assert.equal(httpRequest(newLineInput(), Buffer.from('{"jsonrpc":"2.0"}\n')), undefined)
})

void test('what is not UTF-8 is not text', () => {
  assert.equal(utf8Text(Buffer.from('é')), 'é')
  assert.equal(utf8Text(Buffer.from([0xe9])), undefined)
})
