import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compareKeywords, keywordLines } from '../../src/protocol/keywords.ts'

const CASES: readonly (readonly [
  what: string,
  offered: readonly string[],
  backend: readonly string[],
  advice: string[],
])[] = [
  ['the same on both sides, in any case', ['8bitmime', 'SIZE 100'], ['8BITMIME', 'size 100'], []],
  ['what the backend lacks', ['DSN', 'SMTPUTF8'], ['SMTPUTF8'], ['remove DSN']],
  ['CHUNKING needs no backend', ['CHUNKING'], [], []],
  ['what the backend has', [], ['PIPELINING', 'LIMITS RCPTMAX=5'], ['add PIPELINING', 'add LIMITS RCPTMAX=5']],
  [
    'what is no line of that file',
    ['AUTH PLAIN'],
    ['AUTH PLAIN', 'AUTH=PLAIN', 'STARTTLS', 'BINARYMIME', 'XCLIENT NAME'],
    ['remove AUTH PLAIN'],
  ],
  ['a SIZE that is too large', ['SIZE 200'], ['SIZE 100'], ['change SIZE 100']],
  ['a SIZE without a limit', ['SIZE'], ['SIZE 100'], ['change SIZE 100']],
  ["a SIZE below the backend's", ['SIZE 50'], ['SIZE 100'], []],
]

for (const [what, offered, backend, advice] of CASES)
  void test(`backend.probe: ${what}`, () => {
    assert.deepEqual(
      compareKeywords(offered, backend).map(({ do: act, line }) => `${act} ${line}`),
      advice,
    )
  })

void test('the lines of a reply to EHLO', () => {
  assert.deepEqual(keywordLines('250-me\r\n250-SIZE 5\r\n250 DSN\r\n'), ['SIZE 5', 'DSN'])
  assert.deepEqual(keywordLines('250 me\r\n'), [])
})
