// The limiter by examples; never-more.test.ts has what holds for every order of frames, lanes and deaths.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseLimits } from '../../src/config/limits.ts'
import type { LimitsFrame, LimitsVerdict } from '../../src/limits/frames.ts'
import type { Who } from '../../src/limits/limit.ts'
import {
  type Limiter,
  laneDied,
  MOST_SUBJECTS,
  newLimiter,
  receive,
  sweepAll,
  useLimits,
} from '../../src/limits/limiter.ts'
import { addTo, inWindow, newWindows } from '../../src/limits/windows.ts'

function limiterOf(text: string): Limiter {
  const limiter = newLimiter()
  useLimits(limiter, parsed(text))
  return limiter
}
const parsed = (text: string) =>
  parseLimits(text, 'control/limits').match(
    (limits) => limits,
    (errors) => assert.fail(JSON.stringify(errors)),
  )

const who = (ip: string, user = ''): Who => ({ ip, listener: 'smtp:587', user })
const nameOf = (verdict: LimitsVerdict | undefined): string =>
  verdict === undefined
    ? 'nothing'
    : 'limit' in verdict
      ? verdict.limit
      : verdict.wait > 0
        ? `wait ${verdict.wait}`
        : 'ok'

/** A conversation of one lane with the limiter, at given times. */
function talk(text: string) {
  const limiter = limiterOf(text)
  let now = 1_000_000
  return {
    limiter,
    pass: (seconds: number) => {
      now += seconds * 1000
    },
    say: (frame: LimitsFrame, lane = 'one') => nameOf(receive(limiter, lane, frame, now)),
  }
}

void describe('the limiter', () => {
  void it('counts simultaneous sessions of an address, across lanes and their deaths', () => {
    const { limiter, say } = talk('few address sessions 2\n')
    assert.equal(say(['enter', 1, 1, who('192.0.2.1')]), 'ok')
    assert.equal(say(['enter', 1, 1, who('192.0.2.1')], 'two'), 'ok')
    assert.equal(say(['enter', 2, 2, who('192.0.2.1')]), 'few')
    assert.equal(say(['enter', 3, 3, who('192.0.2.2')]), 'ok')
    laneDied(limiter, 'two')
    assert.equal(say(['enter', 4, 4, who('192.0.2.1')]), 'ok')
    assert.equal(say(['ended', 1]), 'nothing')
    assert.equal(say(['enter', 5, 5, who('192.0.2.1')]), 'ok')
    assert.equal(limiter.atOnce.size, 2)
  })

  void it('counts IPv6 clients by their /64, and IPv4 in IPv6 as IPv4', () => {
    const { say } = talk('few address sessions 1\n')
    assert.equal(say(['enter', 1, 1, who('2001:db8:1:2::1')]), 'ok')
    assert.equal(say(['enter', 2, 2, who('2001:db8:1:2:ffff::9')]), 'few')
    assert.equal(say(['enter', 3, 3, who('2001:db8:1:3::1')]), 'ok')
    assert.equal(say(['enter', 4, 4, who('::ffff:192.0.2.1')]), 'ok')
    assert.equal(say(['enter', 5, 5, who('192.0.2.1')]), 'few')
  })

  void it('lets a specific line replace the general one, and trusts a network except for its users', () => {
    const { say } = talk(
      'few address sessions 1\nann user=Ann messages 2/hour\neach user messages 1/hour\nfree address=192.0.2.9 sessions off\nmill network=10.0.0.0/8 * off\n',
    )
    for (const n of [1, 2, 3]) assert.equal(say(['enter', n, n, who('192.0.2.9')]), 'ok')
    for (const n of [4, 5, 6]) assert.equal(say(['enter', n, n, who('10.1.2.3')]), 'ok')
    assert.equal(say(['use', 4, 1, who('10.1.2.3', 'ann'), 'messages']), 'ok')
    assert.equal(say(['use', 4, 1, who('10.1.2.3', 'ANN'), 'messages']), 'ok')
    assert.equal(say(['use', 4, 1, who('10.1.2.3', 'ann'), 'messages']), 'ann')
    assert.equal(say(['use', 5, 1, who('10.1.2.3', 'bob'), 'messages']), 'ok')
    assert.equal(say(['use', 5, 1, who('10.1.2.3', 'bob'), 'messages']), 'each')
  })

  void it('delays wrong passwords by 2, 4, 8, 15 seconds; the same one counts once; success clears the part of the address', () => {
    const { say, pass } = talk('slow address failed-logins delay=15\n')
    const guess = (hash: string) => [say(['login', 1, 1, who('192.0.2.1', 'ann'), hash]), say(['failed', 1, 1])]
    assert.deepEqual(guess('a'), ['ok', 'wait 2000'])
    // An address that has hung up and comes back waits for the same answer first.
    assert.equal(say(['login', 2, 1, who('192.0.2.1', 'bob'), 'x']), 'wait 2000')
    say(['neither', 2])
    pass(2)
    assert.deepEqual(guess('a'), ['ok', 'wait 2000'])
    pass(2)
    const delays = ['b', 'c', 'd', 'e'].map((hash) => {
      const [, delay] = guess(hash)
      pass(15)
      return delay
    })
    assert.deepEqual(delays, ['wait 4000', 'wait 8000', 'wait 15000', 'wait 15000'])
    assert.equal(say(['login', 1, 1, who('192.0.2.1', 'ann'), 'right']), 'ok')
    say(['passed', 1])
    assert.deepEqual(guess('f'), ['ok', 'wait 2000'])
  })

  void it('a user that others guess at is not kept out, and is not told from one that does not exist', () => {
    const { say } = talk('slow user failed-logins delay=15\n')
    for (const [n, user] of ['ann', 'nobody'].entries()) {
      say(['login', n, 1, who('192.0.2.1', user), `${user}1`])
      assert.equal(say(['failed', n, 1]), 'wait 2000')
      say(['login', n, 1, who('192.0.2.2', user), `${user}2`])
      assert.equal(say(['failed', n, 1]), 'wait 4000')
    }
    assert.equal(say(['login', 9, 1, who('198.51.100.1', 'ann'), 'right']), 'ok')
  })

  void it('refuses an address that goes on guessing, for its time; what says nothing of the password costs nothing', () => {
    const { say, pass } = talk('guesses address failed-logins 3/hour ban=60\n')
    for (let n = 0; n < 10; n += 1) {
      assert.equal(say(['login', 1, 1, who('192.0.2.1', 'ann'), `${n}`]), 'ok')
      say(['neither', 1])
    }
    for (let n = 0; n < 3; n += 1) {
      assert.equal(say(['login', 1, 1, who('192.0.2.1', 'ann'), `${n}`]), 'ok')
      say(['failed', 1, 1])
    }
    assert.equal(say(['enter', 2, 2, who('192.0.2.1')]), 'guesses')
    assert.equal(say(['enter', 3, 3, who('192.0.2.2')]), 'ok')
    pass(61)
    assert.equal(say(['enter', 2, 2, who('192.0.2.1')]), 'ok')
    // The hour has not passed.
    assert.equal(say(['login', 2, 1, who('192.0.2.1', 'ann'), 'new']), 'guesses')
  })

  void it('simultaneous logins allow no more guesses, and those under way are no reason for a ban', () => {
    const { say } = talk('guesses address failed-logins 3/hour ban=60\n')
    for (const n of [1, 2, 3]) assert.equal(say(['login', n, n, who('192.0.2.1', 'ann'), `${n}`]), 'ok')
    assert.equal(say(['login', 4, 4, who('192.0.2.1', 'ann'), '4']), 'guesses')
    say(['failed', 1, 1])
    assert.equal(say(['enter', 5, 5, who('192.0.2.1')]), 'ok')
    say(['passed', 2])
    assert.equal(say(['login', 5, 5, who('192.0.2.1', 'ann'), '5']), 'ok')
  })

  void it('a login that nobody asked about ends what counts before a login all the same', () => {
    const { say } = talk('few address before-login 1\n')
    assert.equal(say(['enter', 1, 1, who('192.0.2.1')]), 'ok')
    assert.equal(say(['enter', 2, 2, who('192.0.2.1')]), 'few')
    say(['passed', 1])
    assert.equal(say(['enter', 2, 2, who('192.0.2.1')]), 'ok')
  })

  void it('a line whose number changes goes on counting, and those who are here are counted by new lines', () => {
    const { limiter, say } = talk('m user messages 1/hour\n')
    say(['enter', 1, 1, who('192.0.2.1')])
    say(['use', 1, 1, who('192.0.2.1', 'ann'), 'messages'])
    say(['login', 2, 1, who('192.0.2.1', 'ann'), 'a'])
    say(['passed', 2])
    useLimits(limiter, parsed('m user messages 2/hour\ns address sessions 1\nu user sessions 1\n'))
    assert.equal(say(['use', 1, 1, who('192.0.2.1', 'ann'), 'messages']), 'ok')
    assert.equal(say(['use', 1, 1, who('192.0.2.1', 'ann'), 'messages']), 'm')
    assert.equal(say(['enter', 3, 1, who('192.0.2.1')]), 's')
    assert.equal(say(['login', 3, 1, who('192.0.2.2', 'ann'), 'a']), 'u')
  })
})

void describe('a window', () => {
  void it('allows everything again once its time is over', () => {
    const { say, pass } = talk('m user messages 3/minute\n')
    for (let round = 0; round < 5; round += 1) {
      for (const wanted of ['ok', 'ok', 'ok', 'm'])
        assert.equal(say(['use', 1, 1, who('192.0.2.1', 'ann'), 'messages']), wanted)
      pass(66)
    }
  })
})

void describe('a million addresses', () => {
  void it('cost no more than the bound on subjects, and do not displace one that has nearly reached its limit', () => {
    const windows = newWindows(3600, 50_000)
    addTo(windows, 'busy', 4, 0)
    for (let n = 0; n < 1_000_000; n += 1) addTo(windows, `address ${n}`, 1, n)
    assert.equal(windows.counts.size, 50_000)
    assert.equal(inWindow(windows, 'busy', 1_000_000), 4)
  })

  void it('share the subjects between the lines', () => {
    const limiter = limiterOf('m address logins 5/hour\nn address failed-logins 9/hour\n')
    for (let n = 0; n < 70_000; n += 1) {
      receive(limiter, 'one', ['login', 2, 1, who(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 'ann'), 'x'], n)
    }
    let subjects = 0
    for (const { counts } of limiter.windows.values()) subjects += counts.size
    assert.ok(subjects <= MOST_SUBJECTS, `${subjects}`)
    assert.ok(limiter.pending.size <= 1 && limiter.clients.get('one')?.size === 1)
  })

  void it('and nothing is kept for longer than its window', () => {
    const windows = newWindows(60, 100)
    addTo(windows, 'a', 3, 0)
    assert.equal(inWindow(windows, 'a', 60_000), 3)
    assert.equal(inWindow(windows, 'a', 66_000), 0)
    const limiter = limiterOf('m address logins 5/minute\n')
    receive(limiter, 'one', ['login', 1, 1, who('192.0.2.1', 'ann'), 'x'], 0)
    sweepAll(limiter, 66_001)
    assert.equal(limiter.windows.get('address logins 60')?.counts.size, 0)
  })
})
