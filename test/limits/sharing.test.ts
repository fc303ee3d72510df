// Limits over several hosts, in a fleet of limiters whose engine is a table and whose clock is simulated: whatever the delays and rates, a
// limit holds to one percent over all of them.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseLimits } from '../../src/config/limits.ts'
import { type Limiter, newLimiter, ownCount, receive, useLimits } from '../../src/limits/limiter.ts'
import {
  answered,
  giveBack,
  heard,
  newSharing,
  outgoing,
  parseTold,
  type Sharing,
  type Told,
} from '../../src/limits/sharing.ts'

const TICK = 50

interface Host {
  readonly name: string
  readonly limiter: Limiter
  readonly sharing: Sharing
  isExchanging: boolean
}

interface Run {
  readonly hosts: number
  readonly line: string
  /** Milliseconds that a message to or from the engine takes. */
  readonly delay: () => number
}

/** Hosts, the engine between them, and what is yet to happen. */
function fleetOf({ hosts: count, line, delay }: Run) {
  const limits = parseLimits(line, 'control/limits')._unsafeUnwrap()
  const names = Array.from({ length: count }, (_none, i) => `mx${i + 1}`)
  const engine = new Map<string, Map<string, Told>>()
  const events: { readonly at: number; readonly run: () => void }[] = []
  let now = 1_000_000_000
  const later = (milliseconds: number, run: () => void) => {
    const at = now + milliseconds
    const place = events.findLastIndex((one) => one.at <= at)
    events.splice(place + 1, 0, { at, run })
  }
  const hosts = names.map((name): Host => {
    const limiter = newLimiter()
    useLimits(limiter, limits)
    const sharing = { ...newSharing(), mode: 'together' as const, hosts: new Set(names), now }
    limiter.sharing = sharing
    return { name, limiter, sharing, isExchanging: false }
  })

  function exchange(host: Host): void {
    host.sharing.now = now
    if (host.isExchanging) return
    const written = outgoing(host.sharing, ownCount(host.limiter, now), 1000)
    if (written.length === 0) return
    host.isExchanging = true
    later(delay(), () => {
      const read = written.map(({ share, value }) => {
        const told = parseTold(value)
        assert.ok(told)
        const all = engine.get(share.key) ?? new Map<string, Told>()
        engine.set(share.key, all.set(host.name, told))
        for (const other of hosts)
          if (other !== host)
            later(delay(), () => {
              other.sharing.now = now
              heard(other.sharing, share.key, host.name, told)
            })
        return new Map([...all].filter(([name]) => name !== host.name))
      })
      later(delay(), () => {
        host.sharing.now = now
        host.isExchanging = false
        for (const [i, one] of written.entries()) answered(host.sharing, one, read[i])
        if (host.sharing.urgent) exchange(host)
      })
    })
  }

  const beat = (host: Host) => {
    host.sharing.now = now
    giveBack(host.sharing)
    exchange(host)
    later(TICK, () => beat(host))
  }
  for (const [i, host] of hosts.entries()) later(i * 17, () => beat(host))

  /** A message of ann at a host; returns whether it is accepted. */
  function send(index: number): boolean {
    const host = hosts[index % count] as Host
    const verdict = receive(
      host.limiter,
      '1',
      ['use', 1, 1, { ip: '192.0.2.1', listener: 'a', user: 'ann' }, 'messages'],
      now,
    )
    // What a turn has counted goes to the engine at its end.
    if (host.sharing.urgent) later(0, () => exchange(host))
    return verdict !== undefined && 'wait' in verdict
  }

  return {
    hosts,
    later,
    send,
    now: () => now,
    runFor(milliseconds: number) {
      const end = now + milliseconds
      while ((events[0]?.at ?? end) < end) {
        const next = events.shift()
        now = Math.max(now, next?.at ?? now)
        next?.run()
      }
      now = end
    },
  }
}

/** Numbers from 0 to 1 (Park and Miller). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
}

/** The most of these moments, given in order, that fall into any one minute. */
function mostInAMinute(taken: readonly number[]): number {
  let most = 0
  let first = 0
  for (const [i, at] of taken.entries()) {
    while ((taken[first] ?? 0) <= at - 60_000) first += 1
    most = Math.max(most, i - first + 1)
  }
  return most
}

void describe('a limit over several hosts', () => {
  void it('of 100 messages a minute holds to one percent over three, whatever the rate and the way to the engine', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 31 - 2 }),
        fc.integer({ min: 2, max: 100 }),
        fc.integer({ min: 1, max: 15 }),
        fc.constantFrom([1, 1, 1], [8, 1, 1], [1, 0, 0], [5, 5, 0]),
        (seed, perSecond, slowest, weights) => {
          const next = randomOf(seed)
          const fleet = fleetOf({ hosts: 3, line: 'mails user messages 100/minute\n', delay: () => next() * slowest })
          const taken: number[] = []
          const all = weights.flatMap((n, i) => Array<number>(n).fill(i))
          const arrive = () => {
            if (fleet.send(all[Math.floor(next() * all.length)] ?? 0)) taken.push(fleet.now())
            fleet.later(-Math.log(1 - next() * 0.999) * (1000 / perSecond), arrive)
          }
          fleet.later(0, arrive)
          fleet.runFor(130_000)
          const most = mostInAMinute(taken)
          assert.ok(most <= 101, `${most} in a minute`)
          // More came than allowed: then nearly as many as allowed were accepted.
          if (perSecond >= 10) assert.ok(most >= 99, `only ${most} in a minute`)
        },
      ),
      { numRuns: 25, endOnFailure: true },
    )
  })

  void it('is known to a host that has not seen the user', () => {
    const fleet = fleetOf({ hosts: 3, line: 'mails user messages 100/minute\n', delay: () => 1 })
    for (let i = 0; i < 100; i += 1) {
      assert.ok(fleet.send(0))
      fleet.runFor(20)
    }
    fleet.runFor(200)
    assert.deepEqual([fleet.send(0), fleet.send(1), fleet.send(2)], [false, false, false])
    fleet.runFor(70_000)
    assert.ok(fleet.send(2))
  })

  void it('lets a burst on one host use all there is', () => {
    const fleet = fleetOf({ hosts: 3, line: 'mails user messages 100/minute\n', delay: () => 10 })
    const taken = Array.from({ length: 120 }, () => fleet.send(1)).filter(Boolean).length
    assert.equal(taken, 100)
  })

  void it('is not reported as long as it is far away', () => {
    const fleet = fleetOf({ hosts: 3, line: 'mails user messages 100/minute\n', delay: () => 1 })
    for (let i = 0; i < 30; i += 1) {
      fleet.send(i)
      fleet.runFor(100)
    }
    assert.deepEqual(
      fleet.hosts.map(({ sharing }) => sharing.shares.size),
      [0, 0, 0],
    )
  })

  void it('goes by the last known state without the engine, each host for itself', () => {
    const fleet = fleetOf({ hosts: 2, line: 'mails user messages 100/minute\n', delay: () => 1 })
    for (let i = 0; i < 60; i += 1) {
      assert.ok(fleet.send(0))
      fleet.runFor(20)
    }
    fleet.runFor(200)
    for (const { sharing } of fleet.hosts) sharing.mode = 'alone'
    const taken = [0, 1].map((host) => Array.from({ length: 100 }, () => fleet.send(host)).filter(Boolean).length)
    assert.deepEqual(taken, [40, 40])
  })

  void it('reads what other hosts write, and nothing else', () => {
    assert.deepEqual(parseTold('5 1 2 3 4'), { at: 5, reserved: 1, part: 2, counts: [3, 4] })
    for (const wrong of ['', '1', '1 2', 'a b c', '1 -2 3', '1 2 3 -4', '1 2 3 4.5', `1 2 3${' 4'.repeat(30)}`])
      assert.equal(parseTold(wrong), undefined, wrong)
  })
})
