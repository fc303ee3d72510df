// What another host of a fleet, or whoever else writes to the engine, may say.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { parseLimits } from '../../../src/config/limits.ts'
import { hearCounts } from '../../../src/fleet/counts.ts'
import { factsOf } from '../../../src/fleet/hosts.ts'
import { decode, encode, type State } from '../../../src/fleet/state.ts'
import { NO_LIMITS } from '../../../src/limits/limit.ts'
import { newLimiter, useLimits } from '../../../src/limits/limiter.ts'
import { newSharing, parseTold } from '../../../src/limits/sharing.ts'
import { anyOctets, octets, pure } from '../target.ts'

const LIMITS = 'guesses address failed-logins 30/hour ban=1800\nmail user messages 200/minute\n'
const parsed = parseLimits(LIMITS, 'control/limits').unwrapOr(NO_LIMITS)

const odd = fc.jsonValue({ maxDepth: 2 })
const told = fc.oneof(octets(['0', '1', '17', ' ', '-1', '1e9', 'x', '9007199254740993'], 9), odd)
const key = octets(['w ', 'n ', 'mail ', 'guesses ', '60 ', '3600 ', 'delay ', 'ann', '192.0.2.7', ' '], 5)
const news = fc.oneof(
  fc.record({
    ban: fc.constantFrom('guesses', 'mail', 'x'),
    subject: fc.oneof(fc.constant('192.0.2.7'), odd),
    seconds: odd,
  }),
  fc.record({ forgive: odd, subject: fc.oneof(fc.constant('192.0.2.7'), odd) }),
  fc.record({ forget: fc.oneof(fc.constant('mail 60'), odd), subject: odd }),
  odd,
)

const fleet = pure(
  'fleet-messages',
  'what another host of a fleet says is taken or left alone, and never thrown over',
  fc.record({
    counts: fc.oneof({ weight: 5, arbitrary: fc.array(fc.oneof(fc.tuple(key, told), odd), { maxLength: 4 }) }, odd),
    news: fc.oneof({ weight: 5, arbitrary: fc.array(news, { maxLength: 4 }) }, odd),
    facts: fc.oneof(fc.record({ version: fc.constant('1'), generation: odd, sha256: fc.constant('x') }), odd),
    words: anyOctets(12),
  }),
  ({ counts, news: said, facts, words }) => {
    const limiter = newLimiter()
    useLimits(limiter, parsed)
    const sharing = newSharing()
    limiter.sharing = sharing
    const state = { parts: { limiter, now: () => 1_000_000 }, sharing } as unknown as State
    hearCounts(state, 'other', counts, said)
    for (const share of sharing.shares.values())
      for (const { at, reserved, part } of share.others.values())
        assert.ok([at, reserved, part].every((one) => Number.isSafeInteger(one)))
    const found = factsOf(facts)
    assert.ok(found === undefined || Number.isSafeInteger(found.generation))
    assert.equal(decode(encode(words)), words)
    assert.ok(parseTold(words)?.counts.every((one) => one >= 0) ?? true)
  },
)

export const fleetTargets = [fleet]
