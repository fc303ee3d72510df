// Never more than allowed in any window, whatever the order of frames, lanes, deaths, reloads and upgrades: the limiter beside an exact log
// of what it has allowed.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseLimits } from '../../src/config/limits.ts'
import type { LimitsFrame } from '../../src/limits/frames.ts'
import { keptOf, takeKept } from '../../src/limits/kept.ts'
import type { Limits, Who } from '../../src/limits/limit.ts'
import { type Limiter, laneDied, newLimiter, receive, sweepAll, useLimits } from '../../src/limits/limiter.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const LINES = `a address sessions 3
b address before-login 2
n network sessions 3
u user sessions 3
g address failed-logins 3/minute
h user failed-logins 6/hour ban=600
m user messages 3/minute
d user messages 8/hour
r all recipients 4/minute
l user+address logins 5/minute
o user octets 1000/minute
`
/** Lines that change their numbers have more of it: what was counted goes on being counted. */
const OTHER_LINES = `${LINES}x all logins 1000/hour\n`

const limits = (text: string): Limits =>
  parseLimits(text, 'control/limits').match(
    (parsed) => parsed,
    (errors) => assert.fail(JSON.stringify(errors)),
  )

const step = fc.record({
  /** go: what a session does next. */
  tag: fc.oneof(
    { weight: 12, arbitrary: fc.constant('go' as const) },
    { weight: 2, arbitrary: fc.constantFrom('ended', 'death', 'sweep', 'reload', 'upgrade') },
  ),
  lane: fc.constantFrom('one', 'two'),
  ticket: fc.integer({ min: 1, max: 2 }),
  ip: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:3::1'),
  user: fc.constantFrom('ann', 'Ann', 'bob'),
  later: fc.oneof(
    { weight: 4, arbitrary: fc.constant(0) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 10_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(MINUTE - 6000, MINUTE - 1, MINUTE, MINUTE + 1, 20 * MINUTE) },
  ),
  outcome: fc.constantFrom('failed', 'failed', 'failed', 'passed', 'passed', 'neither'),
  uses: fc.constantFrom('messages', 'messages', 'recipients', 'octets'),
  octets: fc.integer({ min: 1, max: 700 }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What a line counts an address and its network as. */
const ADDRESSES: Readonly<Record<string, readonly [address: string, network: string]>> = {
  '192.0.2.1': ['v4 1', 'v4'],
  '192.0.2.2': ['v4 2', 'v4'],
  '2001:db8:1:2::1': ['v6 2', 'v6'],
  '2001:db8:1:2::2': ['v6 2', 'v6'],
  '2001:db8:1:3::1': ['v6 3', 'v6'],
}

interface Session {
  readonly ip: string
  user: string
  /** When the login under way began. */
  pending: number | undefined
  loggedIn: boolean
}

const who = (ip: string, user: string): Who => ({ ip, listener: 'smtp:587', user })

class Model {
  limiter: Limiter = newLimiter()
  readonly sessions = new Map<string, Session>()
  /** By line and subject: when it was allowed. */
  readonly log = new Map<string, number[]>()
  readonly octets: { readonly user: string; readonly at: number; readonly octets: number }[] = []
  now = 5_000_000

  constructor() {
    useLimits(this.limiter, limits(LINES))
  }

  private asks(lane: string, frame: LimitsFrame): boolean {
    return !('limit' in (receive(this.limiter, lane, frame, this.now) ?? {}))
  }

  /** Something that `at` allowed: of all windows of this length none has more. */
  private note(key: string, at: number, most: number, length: number): void {
    const times = [...(this.log.get(key) ?? []), at].toSorted((a, b) => a - b)
    this.log.set(key, times)
    for (const [i, first] of times.entries())
      assert.ok(
        (times[i + most] ?? Number.POSITIVE_INFINITY) - first > length,
        `${key}: more than ${most}: ${times.join(' ')}`,
      )
  }

  take(does: Step, n: number): void {
    const { tag, lane, ticket, later } = does
    this.now += later
    const session = this.sessions.get(`${lane} ${ticket}`)
    if (tag === 'death') this.dies(lane)
    else if (tag === 'sweep') sweepAll(this.limiter, this.now)
    else if (tag === 'reload') useLimits(this.limiter, limits(ticket === 1 ? LINES : OTHER_LINES))
    else if (tag === 'upgrade') this.upgrade()
    else if (session === undefined) this.enters(does, n)
    else if (tag === 'ended') {
      this.asks(lane, ['ended', ticket])
      this.sessions.delete(`${lane} ${ticket}`)
    } else if (session.loggedIn) this.serves(session, does, n)
    else if (session.pending === undefined) this.logsIn(session, does, n)
    else this.answers(session, session.pending, does, n)
  }

  private enters({ lane, ticket, ip }: Step, n: number): void {
    if (this.asks(lane, ['enter', ticket, n, who(ip, '')]))
      this.sessions.set(`${lane} ${ticket}`, { ip, user: '', pending: undefined, loggedIn: false })
  }

  private logsIn(session: Session, { lane, ticket, user }: Step, n: number): void {
    if (!this.asks(lane, ['login', ticket, n, who(session.ip, user), `${n}`])) return
    Object.assign(session, { user: user.toLowerCase(), pending: this.now })
    this.note(`l ${session.user} ${ADDRESSES[session.ip]?.[0]}`, this.now, 5, MINUTE)
  }

  private answers(session: Session, pending: number, { outcome, lane, ticket }: Step, n: number): void {
    this.asks(lane, outcome === 'failed' ? [outcome, ticket, n] : [outcome, ticket])
    if (outcome === 'failed') {
      // The guess was made when the login was allowed, however long the answer took.
      this.note(`g ${ADDRESSES[session.ip]?.[0]}`, pending, 3, MINUTE)
      this.note(`h ${session.user}`, pending, 6, HOUR)
    }
    const loggedIn = outcome === 'passed'
    Object.assign(session, { pending: undefined, loggedIn, user: loggedIn ? session.user : '' })
  }

  private serves({ ip, user }: Session, { uses, lane, ticket, octets }: Step, n: number): void {
    if (uses === 'octets') {
      this.asks(lane, ['octets', ticket, who(ip, user), octets])
      this.octets.push({ user, at: this.now, octets })
      return
    }
    if (!this.asks(lane, ['use', ticket, n, who(ip, user), uses])) return
    if (uses === 'recipients') {
      this.note('r', this.now, 4, MINUTE)
      return
    }
    this.note(`m ${user}`, this.now, 3, MINUTE)
    this.note(`d ${user}`, this.now, 8, HOUR)
    const before = this.octets.filter((one) => one.user === user && one.at >= this.now - MINUTE)
    assert.ok(before.reduce((sum, one) => sum + one.octets, 0) < 1000)
  }

  private dies(lane: string): void {
    laneDied(this.limiter, lane)
    for (const key of this.sessions.keys()) if (key.startsWith(lane)) this.sessions.delete(key)
  }

  /** Another process takes over, with the values sent to it. */
  private upgrade(): void {
    const kept = structuredClone(keptOf(this.limiter))
    this.limiter = newLimiter()
    useLimits(this.limiter, limits(LINES))
    takeKept(this.limiter, kept)
  }

  holds(): void {
    const all = [...this.sessions.values()]
    const number = (of: (session: Session) => string | undefined) => {
      const numbers = new Map<string, number>()
      for (const session of all) {
        const key = of(session)
        if (key !== undefined) numbers.set(key, (numbers.get(key) ?? 0) + 1)
      }
      return numbers
    }
    const address = ({ ip }: Session) => ADDRESSES[ip]?.[0]
    const held = [
      ['address sessions', 3, number(address)],
      ['address before-login', 2, number((one) => (one.loggedIn ? undefined : address(one)))],
      ['network sessions', 3, number(({ ip }) => ADDRESSES[ip]?.[1])],
      ['user sessions', 3, number(({ user }) => (user === '' ? undefined : user))],
    ] as const
    for (const [line, most, numbers] of held) {
      for (const [subject, count] of numbers) assert.ok(count <= most, `${line} of ${subject}: ${count}`)
      const counted = [...this.limiter.atOnce].filter(([key]) => key.startsWith(line)).map(([, count]) => count)
      const inOrder = (list: readonly number[]) => list.toSorted((a, b) => a - b)
      assert.deepEqual(inOrder(counted), inOrder([...numbers.values()]), line)
    }
  }
}

void describe('never more than allowed', () => {
  void it('in any window, whatever the order of frames, lanes, deaths, reloads and upgrades', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 40, maxLength: 150 }), (steps) => {
        const model = new Model()
        for (const [n, one] of steps.entries()) {
          model.take(one, n)
          model.holds()
        }
      }),
      { numRuns: 1000 },
    )
  })

  void it('and nothing is left when all clients have gone', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Model()
        for (const [n, one] of steps.entries()) model.take(one, n)
        for (const lane of ['one', 'two']) laneDied(model.limiter, lane)
        sweepAll(model.limiter, model.now + 2 * HOUR)
        const { atOnce, pending, clients, bans, windows } = model.limiter
        const subjects = [...windows.values()].reduce((sum, { counts }) => sum + counts.size, 0)
        assert.deepEqual([atOnce.size, pending.size, clients.size, bans.values.size, subjects], [0, 0, 0, 0, 0])
      }),
    )
  })
})
