// control/limits: what is accepted, and each mistake with its file, line and column.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parseLimits } from '../../src/config/limits.ts'
import { rateText } from '../../src/limits/limit.ts'

const errorsOf = (text: string): readonly string[] =>
  parseLimits(text, 'control/limits').match(
    () => [],
    (errors) => errors.map(({ file, line, column, problem }) => `${file}:${line}:${column}: ${problem}`),
  )

void describe('control/limits', () => {
  void it('as it ships is good, and limits sessions before login, failed logins and recipients', () => {
    const limits = parseLimits(readFileSync('control/limits', 'utf8'), 'control/limits')._unsafeUnwrap()
    assert.deepEqual(
      [...new Set(limits.limits.map(({ what }) => what))],
      ['before-login', 'failed-logins', 'recipients'],
    )
  })
  void it('has limits on simultaneous use and on rates, delays, bans, and limits that are off', () => {
    const text = [
      'a address sessions 20',
      'b user=Ann messages\t100/minute',
      'c user failed-logins delay=15',
      'd network failed-logins 20/hour ban=1800',
      'e listener=smtp:587 octets off',
      'f all recipients 5000/second',
      'g network=2001:db8::/32 * off',
      '',
    ].join('\n')
    const { limits, trusted } = parseLimits(text, 'control/limits')._unsafeUnwrap()
    assert.deepEqual(
      limits.map(({ name, only, rate }) => [name, only?.text, rateText(rate)]),
      [
        ['a', undefined, '20'],
        ['b', 'ann', '100/minute'],
        ['c', undefined, 'delay=15'],
        ['d', undefined, '20/hour ban=1800'],
        ['e', 'smtp:587', 'off'],
        ['f', undefined, '5000/second'],
      ],
    )
    assert.equal(trusted.length, 1)
  })
  for (const [line, wanted] of [
    ['a address sessions', '1:1: not NAME SCOPE WHAT RATE'],
    ['a! address sessions 1', '1:1: `a!` is no name of a limit'],
    ['a addres sessions 1', '1:3: `addres` is no scope; did you mean address?'],
    ['a address=x sessions 1', '1:3: `x` is not an address or a network'],
    ['a all=x sessions 1', '1:3: a line of all is for nobody alone'],
    ['a address session 1', '1:11: `session` is nothing that is counted; did you mean sessions?'],
    ['a  address  sessions  0', '1:23: `0` is not a rate'],
    ['a address sessions 1/week', '1:20: `1/week` is not a rate'],
    ['a address messages 1', '1:20: messages are counted in a time'],
    ['a address before-login 1/hour', '1:24: before-login counts sessions at the same time'],
    ['a user before-login 1', '1:3: before login there is no user'],
    ['a address logins delay=15', '1:18: a delay is for failed-logins by address or user'],
    ['a address logins 1/hour ban=5', '1:25: a ban is for failed-logins in a time'],
    ['a address failed-logins 1/hour ban=x', '1:32: `ban=x` is not an option'],
    ['a user=ann * off', '1:12: * is for networks that are trusted'],
  ] as const)
    void it(`says what is wrong with ${line}`, () =>
      assert.deepEqual(errorsOf(`${line}\n`), [`control/limits:${wanted}`]))
  void it('reports that two lines have the same name', () => {
    assert.deepEqual(errorsOf('# two\na all sessions 1\na all logins 1/hour\n'), [
      'control/limits:3:1: there are two limits a',
    ])
  })
})
