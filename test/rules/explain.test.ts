// rules eval: why a request or a reply becomes what it becomes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { explainReply, explainRequest } from '../../src/rules/explain.ts'
import { rewriteReply, rewriteRequest } from '../../src/rules/rewrite.ts'
import { OFFER, session, WHO } from './rules.ts'

void test('an explanation names every rule of the event, line by line', () => {
  const rules = session([':quit::2*::&fixsmtpio_fixup', ':rcpt::*::', ':quit::*:9:&fixsmtpio_noop'])
  assert.deepEqual(explainReply(rules, 'quit', '221 be\r\n', WHO), {
    reply: '221 mx.example\r\n',
    exitcode: 9,
    hits: [0, 2],
    trace: [
      { rule: 0, line: 0, matched: true, before: '221 be\r\n', after: '221 mx.example' },
      { rule: 2, line: 0, matched: true, before: '221 mx.example', after: '221 mx.example' },
    ],
  })
  assert.deepEqual(explainRequest(session([':vrfy:A :*::', ':vrfy::*::', ':vrfy:B :*::']), 'vrfy', 'VRFY\r\n'), {
    line: 'B A VRFY\r\n',
    trace: [
      { rule: 0, line: 0, matched: true, before: 'VRFY\r\n', after: 'A VRFY\r\n' },
      { rule: 1, line: 0, matched: false, before: 'A VRFY\r\n', after: 'A VRFY\r\n' },
      { rule: 2, line: 0, matched: true, before: 'A VRFY\r\n', after: 'B A VRFY\r\n' },
    ],
  })
})

void test('the explanation matches what is done, whatever the rules', () => {
  const rule = fc
    .tuple(
      fc.constantFrom('', 'X'),
      fc.constantFrom('ehlo', 'help', 'quit'),
      fc.constantFrom('', 'NOOP '),
      fc.constantFrom('*', '2*', '*a*', '250?STARTTLS*', '?'),
      fc.constantFrom('', '0', '14'),
      fc.constantFrom('', '250 x', 'y', '&fixsmtpio_fixup', '&fixsmtpio_noop'),
    )
    .map((fields) => fields.join(':'))
  const reply = fc
    .array(fc.constantFrom('250-a\r\n', '250-STARTTLS\r\n', '250-\n', 'junk\r\n'), { maxLength: 4 })
    .map((lines) => `${lines.join('')}250 STARTTLS\r\n`)
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 5 }),
      fc.constantFrom('ehlo', 'help', 'quit'),
      reply,
      fc.boolean(),
      (lines, event, text, set) => {
        const rules = session(lines, ...(set ? ['X'] : []))
        const { trace, ...explained } = explainReply(rules, event, text, OFFER)
        assert.deepEqual(explained, rewriteReply(rules, event, text, OFFER))
        assert.deepEqual([...new Set(trace.filter((step) => step.matched).map((step) => step.rule))], explained.hits)
        assert.equal(explainRequest(rules, event, 'X\r\n').line, rewriteRequest(rules, event, 'X\r\n'))
        // Whatever was done to it, the client receives whole lines.
        assert.ok(explained.reply === '' || explained.reply.endsWith('\n'))
      },
    ),
  )
})
