// What acceptctl's words mean, and what it says about words that mean nothing.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCommand } from '../../src/rpc/commandline.ts'

/** What is wrong with the words; empty: nothing. */
const problem = (words: string): string =>
  parseCommand(words.split(' ')).match(
    () => '',
    (usage) => usage.problem,
  )

const paramsOf = (...words: readonly string[]): Readonly<Record<string, unknown>> =>
  parseCommand(words).match(
    (command) => (command.do === 'request' ? command.request.params : {}),
    () => ({}),
  )

void describe('numbers', () => {
  const cases: readonly [words: string, problem: string][] = [
    ['server ping --timeout 0', '--timeout is a number, more than 0, at most 86400; not 0'],
    ['server ping --timeout 86401', '--timeout is a number, more than 0, at most 86400; not 86401'],
    ['server ping --timeout soon', '--timeout is a number, more than 0, at most 86400; not soon'],
    ['server ping --timeout Infinity', '--timeout is a number, more than 0, at most 86400; not Infinity'],
    ['server ping --timeout 0x10', '--timeout is a number, more than 0, at most 86400; not 0x10'],
    ['server ping --timeout=', '--timeout is a number, more than 0, at most 86400; not nothing'],
    ['server ping --timeout', '--timeout needs a value'],
    ['server ping --timeout 0.5', ''],
    ['server ping --timeout 86400', ''],
    ['--timeout 5 server ping', ''],
    ['top --interval 0.05', '--interval is a number, 0.1 to 3600; not 0.05'],
    ['top --interval 3601', '--interval is a number, 0.1 to 3600; not 3601'],
    ['top --interval -1', '--interval is a number, 0.1 to 3600; not -1'],
    ['top --interval 0.1', ''],
    ['top --interval 3600', ''],
    ['session list --limit 0', '--limit is a whole number, 1 to 1000; not 0'],
    ['session list --limit 1.5', '--limit is a whole number, 1 to 1000; not 1.5'],
    ['session list --lane -1', '--lane is a whole number, at least 0; not -1'],
    ['lane recycle one', 'lane is a whole number, at least 0; not one'],
    ['user block joe --ttl 604801', '--ttl is a number, more than 0, at most 604800; not 604801'],
  ]
  for (const [words, said] of cases)
    void it(`${words}: ${said || 'good'}`, () => {
      assert.equal(problem(words), said)
    })
})

void describe('times', () => {
  void it('are accepted with a zone, or as a time before now', () => {
    assert.deepEqual(paramsOf('log', 'errors', '--since', '2026-11-22T09:00:00Z'), {
      since: '2026-11-22T09:00:00.000Z',
    })
    assert.deepEqual(paramsOf('log', 'errors', '--since', '2026-11-22T09:00:00+01:00'), {
      since: '2026-11-22T08:00:00.000Z',
    })
    assert.deepEqual(paramsOf('log', 'errors', '--since', '2026-11-22'), { since: '2026-11-22T00:00:00.000Z' })
    const before = Date.now()
    const { since } = paramsOf('log', 'errors', '--since', '2h')
    const ago = before - Date.parse(String(since))
    assert.ok(ago <= 7_200_000 && ago > 7_100_000)
  })
  for (const text of ['yesterday', '10', '10 m', '-5m', '9999999999s', '2026-13-01T00:00:00Z', '12', ''])
    void it(`${text || 'an empty one'} is refused`, () => {
      assert.match(problem(`log errors --since=${text}`), /^--since is a time such as .*30s, 10m, 2h, 1d; not /)
    })
})
