// A rule set as another thread has it: its text and a table that both share, from which rules become values only as they are needed.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { ruleTried } from '../../src/rules/apply.ts'
import { parseRules, ruleAt, rulesIn } from '../../src/rules/parse.ts'
import { rewriteReply, rewriteRequest, rulesFor } from '../../src/rules/rewrite.ts'
import { beginsWith, COLUMNS, FROM, type RuleSet, startOf } from '../../src/rules/ruleset.ts'
import { held } from '../protocol/results.ts'
import { setOf, WHO } from './rules.ts'

/** As a message port delivers it to the other side. */
const given = (set: RuleSet): RuleSet => structuredClone(set)

void describe('a rule set in another thread', () => {
  void it('has the same table, not a copy of it', () => {
    const set = setOf(':noop::2*::250 a')
    const other = given(set)
    set.table[FROM] = 7
    assert.equal(other.table[FROM], 7)
  })

  void it('has the same rules', () => {
    const set = held(parseRules('# x\n\nX:Noop:A :25[0-9]*:3:250 b:c \t\n:ehlo::250?AUTH*::\n', 'control/fixsmtpio'))
    const other = given(set)
    assert.deepEqual([ruleAt(other, 1), ruleAt(other, 2)], [rulesIn(set)[1], undefined])
    assert.deepEqual(rulesIn(other), rulesIn(set))
    assert.deepEqual(rulesIn(given(setOf())), [])
  })

  void it('does to any request and reply what it does here', () => {
    const field = fc.constantFrom('2*', '25', '250*', '[2-5]50*', '250 a*', '*b', '\\25*', '?5?-x', 'x')
    const rule = fc
      .tuple(fc.constantFrom('', 'X', 'Y'), fc.constantFrom('noop', 'Mail'), fc.constantFrom('', 'P '), field)
      .chain(([env, event, prepend, glob]) =>
        fc
          .constantFrom('250 z', '', '&fixsmtpio_noop')
          .map((answer) => `${env}:${event}:${prepend}:${glob}::${answer}`),
      )
    const reply = fc.constantFrom('250 a\r\n', '250-x\r\n250 b\r\n', '25\r\n', 'x\n', '451 b\r\n', '')
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 8 }), reply, fc.subarray(['X', 'Y']), (rules, said, names) => {
        const set = setOf(...rules)
        const [here, there] = [set, given(set)].map((one) => rulesFor(one, (name) => names.includes(name)))
        assert.ok(here !== undefined && there !== undefined)
        for (const event of ['noop', 'MAIL', 'rcpt']) {
          assert.deepEqual(rewriteReply(there, event, said, WHO), rewriteReply(here, event, said, WHO))
          assert.equal(rewriteRequest(there, event, `${event}\r\n`), rewriteRequest(here, event, `${event}\r\n`))
        }
      }),
    )
  })

  void it('of 100,000 rules makes values of only those that may match', () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => `:v${i % 4}::${i === 8 ? '250' : '55?'} never ${i}*::250 x`)
    const set = given(setOf(...lines))
    // Any rule that is read from now on is wrong.
    const { reply, hits } = rewriteReply(
      rulesFor(
        without(set, (index) => index === 8),
        () => false,
      ),
      'v0',
      '250 never 8\r\n',
      WHO,
    )
    assert.deepEqual([reply, hits], ['250 x\r\n', [8]])
    assert.equal(ruleTried(set, 8).line, 9)
  })
})

/** The same with places that are none, but for rules that are to be read. */
function without(set: RuleSet, isRead: (index: number) => boolean): RuleSet {
  for (let index = 0; index < set.count; index++) if (!isRead(index)) set.table[index * COLUMNS + FROM] = -1
  return set
}

void describe('how a text begins, as a number', () => {
  const cases: readonly (readonly [text: string, start: string, begins: boolean])[] = [
    ['250 ok', '250', true],
    ['250 ok', '', true],
    ['250 ok', '2', true],
    ['250 ok', '25', true],
    ['250 ok', '251', false],
    ['25', '250', false],
    ['', '2', false],
    ['', '', true],
    ['\xff\xfe\xfd', '\xff\xfe\xfd', true],
    ['\xff\xfe\xfd', '\xff\xfe\xfc', false],
    ['2\0\0', '2', true],
    ['2', '2\0', false],
  ]
  for (const [text, start, begins] of cases)
    void it(`${JSON.stringify(text)} ${begins ? 'begins' : 'does not begin'} with ${JSON.stringify(start)}`, () => {
      assert.equal(beginsWith(startOf(text), startOf(start)), begins)
    })
})
