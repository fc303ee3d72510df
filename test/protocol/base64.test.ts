import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from '../../src/protocol/base64.ts'
import { bytesOf, textOf } from '../../src/protocol/bytes.ts'
import { held } from './results.ts'

const MALFORMED: readonly (readonly [hazard: string, text: string])[] = [
  ['a lone padding', '='],
  ['no padding', 'dXNlcg'],
  ['half of its padding', 'dXNlcg='],
  ['too much padding', 'dXNlcjE2===='],
  ['padding in the middle', 'dX==dXNl'],
  ['padding of three', 'd==='],
  ['white space', 'dXNl cg=='],
  ['a line ending', 'dXNlcg==\r\n'],
  ['a character outside the alphabet', 'dXN!cg=='],
  ['the URL alphabet', 'a-_b'],
  ['eight bits', 'dXN\xe9'],
  ['pad bits that are not zero, two characters', 'dXNlch=='],
  ['pad bits that are not zero, three characters', 'dXNlcmF='],
  ['a star', '*'],
]
for (const [hazard, text] of MALFORMED) {
  void test(`base64 with ${hazard} is malformed`, () => {
    assert.equal(decodeBase64(bytesOf(text)).isErr(), true)
  })
}

const VECTORS: readonly (readonly [string, string])[] = [
  ['', ''],
  ['f', 'Zg=='],
  ['fo', 'Zm8='],
  ['foo', 'Zm9v'],
  ['foob', 'Zm9vYg=='],
  ['fooba', 'Zm9vYmE='],
  ['foobar', 'Zm9vYmFy'],
]
for (const [plain, text] of VECTORS) {
  void test(`RFC 4648 10: ${JSON.stringify(plain)} is ${JSON.stringify(text)}`, () => {
    assert.equal(textOf(held(decodeBase64(bytesOf(text)))), plain)
  })
}

void test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.deepEqual([...held(decodeBase64(bytesOf(encodeBase64(bytes))))], [...bytes])
    }),
  )
})

void test('what is decoded has one spelling', () => {
  const letters = fc.constantFrom(...'ABQRgw09+/=='.split(''))
  fc.assert(
    fc.property(fc.array(letters, { maxLength: 12 }), (chosen) => {
      const text = chosen.join('')
      const decoded = decodeBase64(bytesOf(text))
      if (decoded.isOk()) assert.equal(encodeBase64(decoded.value), text)
      else assert.notEqual(Buffer.from(text, 'base64').toString('base64'), text)
    }),
    { numRuns: 3000 },
  )
})
