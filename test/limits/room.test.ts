// Lanes that decide alone where no limit is near: even so, never more than allowed.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseLimits } from '../../src/config/limits.ts'
import { LaneRoom } from '../../src/lane/room.ts'
import type { LimitsFrame, Said } from '../../src/limits/frames.ts'
import type { Who } from '../../src/limits/limit.ts'
import { laneDied, newLimiter, receive, sweepAll, useLimits } from '../../src/limits/limiter.ts'
import { setRate } from '../../src/limits/report.ts'
import { askAlways, newRoom } from '../../src/limits/room.ts'

const parsed = (text: string) =>
  parseLimits(text, 'control/limits').match(
    (limits) => limits,
    (errors) => assert.fail(JSON.stringify(errors)),
  )

const who = (ip: string, user = ''): Who => ({ ip, listener: 'smtp:587', user })

interface Client {
  readonly ip: string
  user: string
  pending: boolean
  loggedIn: boolean
}

/** Lanes over one limiter; what a lane reports arrives when the test says so, or with its next question. */
function world(text: string) {
  const room = newRoom(1)
  const limiter = newLimiter(room)
  let now = 5_000_000
  limiter.roomAhead = 0
  useLimits(limiter, parsed(text))
  sweepAll(limiter, now)
  const limits = () => limiter.published
  let alone = 0
  const lanes = new Map(
    ['one', 'two', 'three'].map((name) => [
      name,
      { see: new LaneRoom(room, () => now), out: [] as LimitsFrame[], clients: new Map<number, Client>() },
    ]),
  )
  const laneOf = (name: string) => lanes.get(name) ?? assert.fail(name)
  function flush(name: string): void {
    const { out } = laneOf(name)
    for (const frame of out.splice(0)) receive(limiter, name, frame, now)
  }
  function decided(name: string, places: readonly number[] | undefined, frame: Said): boolean {
    if (places === undefined) {
      flush(name)
      return !('limit' in (receive(limiter, name, frame, now) ?? {}))
    }
    alone += 1
    laneOf(name).out.push(['alone', 1, places, frame])
    return true
  }
  const tell = (name: string, frame: Said) => void laneOf(name).out.push(frame)
  return {
    room,
    limiter,
    limits,
    lanes,
    alone: () => alone,
    now: () => now,
    pass: (milliseconds: number) => {
      now += milliseconds
    },
    flush,
    enter: (name: string, ticket: number, ip: string) =>
      decided(name, laneOf(name).see.enter(limits(), ticket, who(ip)), ['enter', ticket, 0, who(ip)]),
    login: (name: string, ticket: number, { ip }: Client, user: string, hash: string) =>
      decided(name, laneOf(name).see.login(limits(), ticket, who(ip, user)), ['login', ticket, 0, who(ip, user), hash]),
    use: (name: string, ticket: number, { ip, user }: Client, what: 'messages' | 'recipients') =>
      decided(name, laneOf(name).see.use(limits(), who(ip, user), what), ['use', ticket, 0, who(ip, user), what]),
    failed: (name: string, ticket: number) => {
      laneOf(name).see.neither(ticket, true)
      decided(name, undefined, ['failed', ticket, 0])
    },
    passed: (name: string, ticket: number) => {
      laneOf(name).see.passed(ticket)
      tell(name, ['passed', ticket])
    },
    neither: (name: string, ticket: number) => {
      laneOf(name).see.neither(ticket, false)
      tell(name, ['neither', ticket])
    },
    ended: (name: string, ticket: number) => {
      laneOf(name).see.ended(ticket)
      tell(name, ['ended', ticket])
    },
    /** What it has not reported is lost. */
    die: (name: string) => {
      const lane = laneOf(name)
      lane.out.length = 0
      lane.clients.clear()
      Object.assign(lane, { see: new LaneRoom(room, () => now) })
      laneDied(limiter, name)
    },
  }
}

const LINES =
  'b address before-login 6\nu user sessions 4\ng address failed-logins 9/minute\nm user messages 6/minute\nr all recipients 8/minute\nl user+address logins 20/hour\n'

const step = fc.record({
  tag: fc.constantFrom(
    'enter',
    'login',
    'login',
    'failed',
    'use',
    'use',
    'use',
    'passed',
    'passed',
    'neither',
    'ended',
    'flush',
    'sweep',
    'die',
  ),
  lane: fc.constantFrom('one', 'two', 'three'),
  ticket: fc.integer({ min: 1, max: 6 }),
  ip: fc.constantFrom('192.0.2.1', '192.0.2.2'),
  user: fc.constantFrom('ann', 'bob'),
  later: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 40_000 })),
  what: fc.constantFrom('messages' as const, 'recipients' as const),
})

void describe('a lane far from every limit', () => {
  void it('never allows more than all together may have in any window, whatever is reported when, and whichever lane dies', () => {
    let alone = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 100, maxLength: 250 }), (steps) => {
        const w = world(LINES)
        const log = new Map<string, number[]>()
        const note = (key: string, most: number, window = 60_000) => {
          const times = (log.get(key) ?? []).filter((time) => time > w.now() - window)
          times.push(w.now())
          log.set(key, times)
          assert.ok(times.length <= most, `${key}: ${times.length} of ${most}`)
        }
        for (const [n, { tag, lane, ticket, ip, user, later, what }] of steps.entries()) {
          w.pass(later)
          const { clients } = w.lanes.get(lane) ?? assert.fail()
          const client = clients.get(ticket)
          if (tag === 'flush') w.flush(lane)
          else if (tag === 'sweep') sweepAll(w.limiter, w.now())
          else if (tag === 'die') w.die(lane)
          else if (tag === 'enter') {
            if (client === undefined && w.enter(lane, ticket, ip))
              clients.set(ticket, { ip, user: '', pending: false, loggedIn: false })
          } else if (client === undefined) continue
          else if (tag === 'login' && !client.loggedIn && !client.pending) {
            if (!w.login(lane, ticket, client, user, `${n}`)) continue
            Object.assign(client, { user, pending: true })
            note(`l ${user} ${client.ip}`, 20, 3_600_000)
          } else if (tag === 'failed' && client.pending) {
            w.failed(lane, ticket)
            note(`g ${client.ip}`, 9)
            Object.assign(client, { user: '', pending: false })
          } else if (tag === 'passed' && client.pending) {
            w.passed(lane, ticket)
            Object.assign(client, { pending: false, loggedIn: true })
          } else if (tag === 'neither' && client.pending) {
            w.neither(lane, ticket)
            Object.assign(client, { user: '', pending: false })
          } else if (tag === 'use' && client.loggedIn) {
            if (w.use(lane, ticket, client, what))
              note(what === 'messages' ? `m ${client.user}` : 'r', what === 'messages' ? 6 : 8)
          } else if (tag === 'ended') {
            w.ended(lane, ticket)
            clients.delete(ticket)
          }
          const all = [...w.lanes.values()].flatMap((each) => [...each.clients.values()])
          for (const address of ['192.0.2.1', '192.0.2.2'])
            assert.ok(all.filter((one) => one.ip === address && !one.loggedIn).length <= 6)
          for (const name of ['ann', 'bob']) assert.ok(all.filter((one) => one.user === name).length <= 4)
        }
        alone += w.alone()
      }),
      { numRuns: 300 },
    )
    assert.ok(alone > 1000, `${alone} went on by themselves`)
  })

  void it('leaves nothing once all sessions have ended and everything is reported', () => {
    const w = world(LINES)
    const client: Client = { ip: '192.0.2.1', user: 'ann', pending: false, loggedIn: false }
    for (const lane of ['one', 'two'])
      for (const ticket of [1, 2]) {
        assert.ok(w.enter(lane, ticket, client.ip))
        assert.ok(w.login(lane, ticket, client, 'ann', 'x'))
        w.passed(lane, ticket)
        assert.ok(w.use(lane, ticket, client, 'messages'))
      }
    assert.ok(!w.login('three', 9, client, 'ann', 'x'), 'the fifth session of a user who may have four')
    w.ended('three', 9)
    w.flush('three')
    for (const lane of ['one', 'two']) {
      w.flush(lane)
      assert.equal(w.limiter.clients.get(lane)?.size, 2)
      for (const ticket of [1, 2]) w.ended(lane, ticket)
      w.flush(lane)
    }
    assert.deepEqual([...w.limiter.atOnce], [])
    // What windows count is kept for their length: four logins and four messages, each once; and that there is one host.
    assert.deepEqual(
      Array.from(w.room.cells).filter((cell) => cell !== 0),
      [1, 4, 4],
    )
  })

  void it('asks where a line is half full, where somebody is banned, and where a line was given another rate', () => {
    const w = world('few address before-login 4\ng address failed-logins 4/hour ban=60\n')
    assert.ok(w.enter('one', 1, '192.0.2.1') && w.enter('one', 2, '192.0.2.1'))
    assert.equal(w.alone(), 2)
    assert.ok(w.enter('one', 3, '192.0.2.1') && w.enter('two', 1, '192.0.2.1'))
    assert.ok(!w.enter('two', 2, '192.0.2.1'))
    assert.equal(w.alone(), 2)

    const guesser: Client = { ip: '192.0.2.7', user: '', pending: false, loggedIn: false }
    for (let n = 0; n < 4; n += 1) {
      assert.ok(w.login('three', 10 + n, guesser, 'ann', `${n}`))
      w.failed('three', 10 + n)
    }
    assert.ok(!w.enter('two', 3, '192.0.2.7'), 'an address that is banned')

    const [few] = w.limits().limits
    assert.ok(few !== undefined)
    setRate(w.limiter, few, '1')
    assert.ok(w.enter('two', 4, '192.0.2.8') && !w.enter('two', 5, '192.0.2.8'))
    assert.equal(w.alone(), 4)
  })

  void it('gives back no more than there is, and nothing of what a lane took in another process', () => {
    const w = world('few address before-login 4\n')
    assert.ok(w.enter('one', 1, '192.0.2.1'))
    w.flush('one')
    // The frame of its end is lost with the lane.
    w.ended('one', 1)
    w.die('one')
    const { room, limiter } = w
    receive(limiter, 'former', ['alone', 2, [], ['enter', 1, 0, who('192.0.2.1')]], w.now())
    assert.equal(limiter.atOnce.get('address before-login 192.0.2.1'), 1)
    laneDied(limiter, 'former')
    assert.equal(limiter.atOnce.size, 0)
    assert.deepEqual(
      Array.from(room.cells).filter((cell) => cell !== 0),
      [1],
    )
  })

  void it('asks about everything while another process may be counting', () => {
    const w = world('few address before-login 400\n')
    askAlways(w.room, true)
    assert.ok(w.enter('one', 1, '192.0.2.1'))
    assert.equal(w.alone(), 0)
    askAlways(w.room, false)
    assert.ok(w.enter('one', 2, '192.0.2.1'))
    assert.equal(w.alone(), 1)
  })
})
