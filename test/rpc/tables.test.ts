// Tables that fit a terminal: which cells give way, and how wide a character is.
import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { show, table } from '../../src/rpc/show.ts'
import { columnWidths, cutTo, displayWidth, fitTo } from '../../src/rpc/width.ts'
import { bare, terminal } from '../support/terminal.ts'
import { fixture } from './fixture.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

void describe('how many columns a text takes', () => {
  const cases: readonly [text: string, columns: number][] = [
    ['', 0],
    ['alice', 5],
    ['Zoë', 3],
    ['Zoe\u0308', 3],
    ['日本語', 6],
    ['한국어', 6],
    ['\u1112\u1161\u11ab', 2],
    ['ｗｉｄｅ', 8],
    ['ﾊﾝｶｸ', 4],
    ['日記 a', 6],
    ['👍', 2],
    ['☃', 1],
    ['مرحبا', 5],
    ['a\u200bb', 2],
    ['𠮷', 2],
    ['…', 1],
  ]
  for (const [text, columns] of cases)
    void it(`${JSON.stringify(text)}: ${columns}`, () => {
      assert.equal(displayWidth(text), columns)
    })

  void it('any text is cut and padded to exactly the given number', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 0, max: 40 }),
        fc.boolean(),
        (text, width, right) => {
          assert.equal(displayWidth(fitTo(text, width, right)), width)
          const cut = cutTo(text, width)
          assert.ok(displayWidth(cut) <= width)
          assert.ok(cut === text || width < 1 || (cut.endsWith('\u2026') && text.startsWith(cut.slice(0, -1))))
        },
      ),
    )
  })
})

void describe('columns that have to fit', () => {
  const cases: readonly [wanted: readonly number[], width: number, given: readonly number[]][] = [
    [[5, 10], 80, [5, 10]],
    [[5, 10], 17, [5, 10]],
    [[5, 10], 16, [5, 9]],
    [[5, 50, 60], 40, [5, 16, 15]],
    [[5, 10, 60], 40, [5, 10, 21]],
    [[30, 30], 10, [6, 6]],
    [[], 10, []],
  ]
  for (const [wanted, width, given] of cases)
    void it(`${wanted.join(' ') || 'none'} in ${width}: ${given.join(' ') || 'none'}`, () => {
      assert.deepEqual(columnWidths(wanted, width), given)
    })
})

void describe('a table', () => {
  const rows = [
    { id: '1.a1b2c3.1', user: '日本語のとても長い名前', text: `AUTHUP_USER:greeting::2*::${'x'.repeat(100)}`, hits: 1 },
    { id: '1.a1b2c3.2', user: 'bob', text: 'short', hits: 20_000 },
  ]
  const columns = ['id', 'user', 'text', 'hits']

  void it('for a terminal keeps its narrow columns whole and ends what it cuts with an ellipsis', () => {
    const lines = table(columns, rows, 60).split('\n')
    for (const line of lines) assert.ok(displayWidth(line) <= 60, line)
    assert.match(lines[1] ?? '', /^1\.a1b2c3\.1 {2}日本語の\S*… +AUTHUP_USER:\S*… +1$/)
    assert.match(lines[2] ?? '', /^1\.a1b2c3\.2 {2}bob +short +20000$/)
  })

  void it('aligns its columns, whatever the characters', () => {
    const lines = table(columns, rows, undefined).trimEnd().split('\n')
    const before = lines.slice(1).map((line) => displayWidth(line.slice(0, line.search(/AUTHUP|short/))))
    assert.equal(new Set(before).size, 1)
  })

  void it('for a pipe is not cut', () => {
    const text = table(columns, rows, undefined)
    for (const { user, text: cell } of rows) assert.ok(text.includes(user) && text.includes(cell))
  })

  void it('that cannot fit is cut at the edge', () => {
    for (const line of table(columns, rows, 20).split('\n')) assert.ok(displayWidth(line) <= 20)
  })

  void it('of hashes shows their beginnings on a terminal, and the whole elsewhere', () => {
    const sha256 = 'b7a1c0de'.repeat(8)
    assert.equal(table(['sha256'], [{ sha256 }], 80), 'SHA256\nb7a1c0deb7a1\n')
    assert.equal(table(['sha256'], [{ sha256 }], undefined), `SHA256\n${sha256}\n`)
  })

  void it('that is a record has a line for each sentence', () => {
    assert.equal(
      show({ does: ['One thing.', 'Another.'], n: 1 }, {}, 'table', undefined),
      'does  One thing.\n      Another.\nn     1\n',
    )
  })
})

void test('on a terminal rules are cut to it, and --wide shows them whole', async (t) => {
  const { control } = await fixture(t)
  const run = async (...words: readonly string[]) => {
    const screen = await terminal(t, [process.execPath, program, '--socket', control, ...words], { columns: 50 })
    assert.equal(await screen.ended, 0)
    const lines = bare(screen.written()).split(/\r*\n/)
    return lines.slice(lines.findIndex((line) => line.startsWith('LINE')))
  }
  const cut = await run('rules', 'list')
  assert.ok(cut.length > 5 && cut.every((line) => displayWidth(line) <= 50))
  assert.ok(cut.some((line) => line.endsWith('\u2026')))
  const whole = await run('--wide', 'rules', 'list')
  assert.ok(whole.some((line) => line.endsWith('503 already authenticated (#5.5.1)')))
})
