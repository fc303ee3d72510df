// What the fault runner says about messages: it has to notice those lost, duplicated or cut short.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Fate, type Filed, judge, linesOf, onTheWire } from './message.ts'
import { readOptions } from './options.ts'
import { randomOf } from './random.ts'

const LINES = 30
const journal = (fates: Readonly<Record<string, Fate>>) => ({
  fates: new Map(Object.entries(fates).map(([id, fate]) => [id, { lines: LINES, fate }])),
})
const whole = (id: string): Filed => ({
  file: `new/${id}`,
  content: `Return-Path: <>\n${linesOf(id, LINES).join('\n')}\n`,
})

void describe('the judgement of a round', () => {
  void it('is clear where each acknowledged message is filed once', () => {
    const verdict = judge(journal({ a: 'acknowledged', b: 'sent', c: 'sent', d: 'refused' }), [whole('a'), whole('b')])
    assert.deepEqual(verdict, { acknowledged: 1, lost: [], doubled: [], half: [], keptThough: [] })
  })

  void it('names what is lost, duplicated, or filed though it was refused', () => {
    const fates = { a: 'acknowledged', b: 'acknowledged', c: 'sent', d: 'refused' } as const
    const verdict = judge(journal(fates), ['b', 'b', 'c', 'c', 'd'].map(whole))
    assert.deepEqual(verdict, { acknowledged: 2, lost: ['a'], doubled: ['b', 'c'], half: [], keptThough: ['d'] })
  })

  void it('names what is cut short, has foreign text inside, or is nobody\u2019s', () => {
    const { file, content } = whole('a')
    const at = content.length / 2
    for (const broken of [content.slice(0, -2), `${content.slice(0, at)}x${content.slice(at)}`, `${content}.\n`])
      assert.deepEqual(judge(journal({ a: 'sent' }), [{ file, content: broken }]).half, ['new/a a'])
    assert.deepEqual(judge(journal({}), [whole('z')]).half, ['new/z z'])
  })
})

void it('a message has lines that begin with dots, and doubles those dots on the wire', () => {
  const sent = onTheWire('some', 200)
  assert.match(sent, /\r\n\.\./)
  assert.doesNotMatch(sent, /\r\n\.[^.]/)
  assert.equal(sent.replaceAll('\r\n.', '\r\n').replaceAll('\r\n', '\n'), `${linesOf('some', 200).join('\n')}\n`)
})

void it('a seed gives the same numbers again, another seed gives others, and none is out of bounds', () => {
  const list = (...seed: readonly (string | number)[]): readonly number[] => {
    const random = randomOf(...seed)
    return Array.from({ length: 100 }, () => random.between(3, 7))
  }
  assert.deepEqual(list(1, 'a'), list(1, 'a'))
  assert.notDeepEqual(list(1, 'a'), list(2, 'a'))
  assert.deepEqual(new Set(list(1)), new Set([3, 4, 5, 6, 7]))
  const cards = Array.from({ length: 40 }, (_none, n) => n)
  const shuffled = randomOf(5).shuffled(cards)
  assert.notDeepEqual(shuffled, cards)
  assert.deepEqual(
    shuffled.toSorted((a, b) => a - b),
    cards,
  )
})

void it('options take numbers, and an unknown one is an error', () => {
  const read = (...argv: readonly string[]) => readOptions(argv, 7)
  assert.deepEqual([read().minutes, read().seed], [10, 7])
  const { minutes, seed, only } = read('--minutes', '0.5', '--seed', '3', '--only', 'a', '--only', 'b')
  assert.deepEqual([minutes, seed, only], [0.5, 3, ['a', 'b']])
  assert.throws(() => read('--minutes', 'ten'), /--minutes takes a number, not "ten"/)
  assert.throws(() => read('--hours', '1'), /hours/)
})
