import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileGlob, isPlainGlob, literalStart, matchesPlain } from '../../src/rules/glob.ts'

/** xorshift32: the same patterns in every run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const PIECES = [
  ...'* * ? [ ] [! [^ \\ - [: :] [. .] [= =] a b c z A 0 5 / . [:alpha:] [:digit:] [:space:] [:nosuch:] [:fuzz:]'.split(
    ' ',
  ),
  ...'[.a.] [.ab.] [=b=] a-c c-a [a-c] [!a-c] []a] [0-9] \\] \\* [\xe0-\xff] \xe9 25 AUTH ** *a [[] [a-] [-a]'.split(
    ' ',
  ),
  ' ',
  '250 ',
  '\r\n',
  '\x01',
  '\x7f',
  '\xff',
]
const LETTERS = 'abczA05 /.-[]!^\\:=*?\r\n\xe9\xff'.split('')

function pairs(count: number, seed: number): (readonly [string, string])[] {
  const random = randomFrom(seed)
  const pick = (from: readonly string[]): string => from[random(from.length)] ?? ''
  return Array.from({ length: count }, () => {
    let pattern = ''
    for (let left = random(8); left > 0; left--) pattern += pick(PIECES)
    let text = ''
    // Half of the texts are made from the pattern, so that many match.
    if (random(2) === 0) {
      for (const letter of pattern) {
        const turn = random(12)
        text +=
          letter === '*'
            ? pick(['', 'a', 'xyz'])
            : letter === '?' || turn === 0
              ? pick(LETTERS)
              : turn === 1
                ? ''
                : letter
      }
    } else for (let left = random(10); left > 0; left--) text += pick(LETTERS)
    return [pattern, text] as const
  })
}

void test('a glob matches what fnmatch(3) matches, on 100,000 random patterns and texts', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'fnmatch-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const program = join(dir, 'fnmatch')
  const built = spawnSync('cc', ['-O2', '-D_GNU_SOURCE', '-o', program, 'test/rules/fnmatch.c'], { encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  const cases = pairs(100_000, 20_261_122)
  const input = Buffer.from(cases.map(([pattern, text]) => `${pattern}\0${text}\0`).join(''), 'latin1')
  const oracle = spawnSync(program, { input, env: {}, maxBuffer: 1 << 20 })
  const answers = oracle.stdout.toString('latin1')
  assert.equal(answers.length, cases.length)
  const wrong = cases.filter(([pattern, text], at) => compileGlob(pattern)(text) !== (answers[at] === '1'))
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} differ`)
  const matching = answers.split('1').length - 1
  assert.ok(matching > 10_000, `only ${matching} match`)
})

void test('what matches begins as the pattern says', () => {
  for (const [pattern, text] of pairs(100_000, 20_261_127))
    for (const most of [1, 3])
      if (compileGlob(pattern)(text)) assert.ok(text.startsWith(literalStart(pattern, most)), `${pattern} ${text}`)
  assert.deepEqual(
    ['250 ok*', '25?', '2*', '*', '', '\\250', '[2]5', '25\0x'].map((glob) => literalStart(glob, 3)),
    ['250', '25', '2', '', '', '', '', '25'],
  )
})

const SHAPES: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
  ['*', '', true],
  ['**', '250 ok\r\n', true],
  ['2*', '250 ok\r\n', true],
  ['2*', '', false],
  ['4*', 'I have eaten 450 fries', false],
  ['250 ok', '250 ok', true],
  ['250 ok', '250 ok\r\n', false],
  ['250 ok??', '250 ok\r\n', true],
  ['250?AUTH*', '250-AUTH LOGIN PLAIN\r\n', true],
  ['250?AUTH*', '250  AUTH\r\n', false],
  ['\\*', '*', true],
  ['\\2*', '250\r\n', true],
  ['a\\', 'a\\', false],
  ['*\\', 'x', false],
  ['?', '', false],
  ['*[0-9]*x', '11111111x', true],
]
for (const [pattern, text, matches] of SHAPES) {
  void test(`${JSON.stringify(pattern)} ${matches ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () => {
    assert.equal(compileGlob(pattern)(text), matches)
  })
}

void test('what follows a NUL is not part of the pattern', () => {
  assert.equal(compileGlob('a\0b')('a'), true)
})

void test('a character that is not a byte matches * and ? only', () => {
  assert.equal(compileGlob('[!a]')('\u0141'), false)
  assert.equal(compileGlob('?')('\u0141'), true)
})

void test('patterns designed to be slow are not', () => {
  const line = `${'a'.repeat(60_000)}\r\n`
  for (const pattern of [
    `${'*a'.repeat(30)}*b`,
    `${'*a?'.repeat(20)}*b`,
    `*${'[a-z]'.repeat(20)}b`,
    `${'*'.repeat(1000)}b`,
  ]) {
    const matches = compileGlob(pattern)
    // With backtracking it would still be running when the tests are killed.
    assert.equal(matches(line), false)
  }
})

void test('a plain pattern inside a text matches as if it had been compiled by itself', () => {
  const part = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', ' '), maxLength: 9 })
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n'), maxLength: 12 })
  fc.assert(
    fc.property(part, part, part, text, (before, pattern, after, subject) => {
      assert.ok(isPlainGlob(pattern))
      const within = `${before}${pattern}${after}`
      const matched = matchesPlain(within, before.length, before.length + pattern.length, subject)
      assert.equal(matched, compileGlob(pattern)(subject))
    }),
  )
  for (const pattern of ['[a]', 'a\\*', 'a\0']) assert.ok(!isPlainGlob(pattern), pattern)
})
