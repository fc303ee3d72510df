// A large rule set is made ready by so much at a time: counted in rules, so that it holds on every machine.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RULES_A_TURN, rulesInTurns } from '../../src/lane/compiling.ts'
import { rewriteReply, rulesFor } from '../../src/rules/rewrite.ts'

const rules = (count: number): string =>
  Array.from({ length: count }, (_none, i) => `:v${i % 8}::25${i}*::250 ${i}\n`).join('')

for (const count of [0, 1, RULES_A_TURN, RULES_A_TURN + 1, 200_000])
  void test(`${count} rules are read and compiled in turns of ${RULES_A_TURN}`, async () => {
    let turns = 0
    const made = await rulesInTurns({ fixsmtpio: rules(count) }, () => {
      turns += 1
      return Promise.resolve()
    })
    assert.ok(made.isOk())
    assert.equal(made.value.rules.length, count)
    const each = Math.max(1, Math.ceil(count / RULES_A_TURN))
    assert.equal(turns, 2 * (each - 1))
  })

void test('every other callback of the lane has its turn before the next', async () => {
  let others = 0
  let done = false
  const other = () => {
    others += 1
    if (!done) setImmediate(other)
  }
  setImmediate(other)
  const made = await rulesInTurns({ fixsmtpio: rules(10 * RULES_A_TURN) })
  done = true
  assert.ok(others >= 18, `${others}`)
  const who = { greeting: 'mx', tls: 'none', classic: false, enhanced: false } as const
  const { reply } = rewriteReply(
    rulesFor(made._unsafeUnwrap(), () => false),
    'v3',
    '2511 x\r\n',
    who,
  )
  assert.equal(reply, '250 11\r\n')
})

void test('a line with an error is an error of the whole, with its place', async () => {
  const made = await rulesInTurns({ fixsmtpio: `${rules(3 * RULES_A_TURN)}:noop:bad\n` })
  assert.ok(made.isErr())
  assert.equal(made.error[0]?.line, 3 * RULES_A_TURN + 1)
})
