// Whose turn it is to log in, and how many at the same time: few if they wait for a processor, all if they wait for anything else.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  answered,
  crowdedOut,
  leave,
  newTurns,
  next,
  over,
  queue,
  STANDINGS,
  type Standing,
  stalled,
  type Turns,
} from '../../src/limits/turns.ts'

const always = (): boolean => true

/** All waiting logins, in order. */
function drain(turns: Turns<string>, may: (standing: Standing) => boolean = always): readonly string[] {
  const order: string[] = []
  for (let login = next(turns, 1000, may); login !== undefined; login = next(turns, 1000, may)) {
    order.push(login)
    over(turns)
  }
  return order
}

void describe('turns', () => {
  void it('go on for others where a chain hangs, within the bound of all', () => {
    const turns = newTurns<string>()
    for (let n = 0; n < 20; n += 1) queue(turns, 'new', `192.0.2.${n}`, `hangs ${n}`)
    let begun = 0
    while (next(turns, 12, always) !== undefined) begun += 1
    assert.equal(begun, 8)
    for (let n = 0; n < 8; n += 1) stalled(turns, 1)
    while (next(turns, 12, always) !== undefined) begun += 1
    assert.equal(begun, 12)
    for (let n = 0; n < 8; n += 1) {
      stalled(turns, -1)
      over(turns)
    }
    assert.deepEqual([turns.running, turns.stalled], [4, 0])
  })

  void it('are taken by address: a hundred logins of one delay another by one', () => {
    const turns = newTurns<string>()
    for (let n = 0; n < 100; n += 1) queue(turns, 'new', '192.0.2.1', `many ${n}`)
    queue(turns, 'new', '192.0.2.2', 'other')
    assert.deepEqual(drain(turns).slice(0, 3), ['many 0', 'other', 'many 1'])
  })

  void it('go to known users first, but not all of them', () => {
    const turns = newTurns<string>()
    for (const standing of STANDINGS) for (let n = 0; n < 64; n += 1) queue(turns, standing, `192.0.2.${n}`, standing)
    const first = drain(turns).slice(0, 64)
    const share = (standing: Standing) => first.filter((one) => one === standing).length
    assert.deepEqual(STANDINGS.map(share), [48, 12, 4])
  })

  void it('wait while nobody of their class may begin, and others go on', () => {
    const turns = newTurns<string>()
    queue(turns, 'suspect', '192.0.2.1', 'guess')
    queue(turns, 'known', '192.0.2.2', 'user')
    assert.deepEqual(
      drain(turns, (standing) => standing === 'known'),
      ['user'],
    )
    assert.equal(turns.waiting, 1)
    assert.deepEqual(drain(turns), ['guess'])
  })

  void it('end for the last login of the address that has most, where too many wait', () => {
    const turns = newTurns<string>()
    queue(turns, 'known', '192.0.2.1', 'user')
    queue(turns, 'suspect', '192.0.2.2', 'one')
    for (const n of [1, 2]) queue(turns, 'suspect', '192.0.2.3', `more ${n}`)
    assert.deepEqual(
      [1, 2, 3, 4, 5].map(() => crowdedOut(turns)),
      ['more 2', 'one', 'more 1', 'user', undefined],
    )
    assert.equal(turns.waiting, 0)
    assert.equal(next(turns, 1000, always), undefined)
  })

  void it('come to each login once, in whatever order logins arrive, leave and begin', () => {
    const step = fc.record({
      does: fc.constantFrom('queue', 'queue', 'leave', 'next', 'crowded'),
      standing: fc.constantFrom(...STANDINGS),
      address: fc.constantFrom('a', 'b', 'c'),
      which: fc.nat(50),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const turns = newTurns<number>()
        const waits = new Map<number, { standing: Standing; address: string }>()
        for (const [n, { does, standing, address, which }] of steps.entries()) {
          if (does === 'queue') {
            queue(turns, standing, address, n)
            waits.set(n, { standing, address })
          } else if (does === 'leave') {
            const [login, at] = [...waits][which] ?? [-1, { standing, address }]
            assert.equal(leave(turns, at.standing, at.address, login), waits.delete(login))
          } else {
            const login = does === 'next' ? next(turns, 1000, always) : crowdedOut(turns)
            if (does === 'next' && login !== undefined) over(turns)
            assert.equal(login !== undefined, waits.size > 0)
            if (login !== undefined) assert.ok(waits.delete(login))
          }
          assert.equal(turns.waiting, waits.size)
        }
        while (next(turns, 1000, always) !== undefined) over(turns)
        assert.equal(turns.waiting, 0)
      }),
    )
  })
})

/** A helper by the clock: `take` gives the time of a login from how many run. Five hundred always wait; returns the most that ran. */
function served(take: (running: number) => number, answers: number): { most: number; late: number } {
  const turns = newTurns<number>()
  const running: { began: number; ends: number }[] = []
  let [now, n, most, late] = [0, 0, 0, 0]
  for (let done = 0; done < answers; done += 1) {
    while (turns.waiting < 500) {
      n += 1
      queue(turns, 'new', `${n}`, n)
    }
    while (next(turns, 1000, always) !== undefined) running.push({ began: now, ends: now + take(turns.running) })
    most = Math.max(most, running.length)
    running.sort((a, b) => a.ends - b.ends)
    const first = running.shift()
    assert.ok(first)
    now = Math.max(now, first.ends)
    if (done > answers / 2) late = Math.max(late, running.length)
    answered(turns, 'chain', first.began, now)
  }
  return { most, late }
}

void describe('logins at the same time', () => {
  void it('are few where each takes as long as all of them together: hashes', () => {
    const { late } = served((running) => (26 * running) / 2, 5000)
    assert.ok(late >= 4 && late <= 40, `${late}`)
  })

  void it('are all that there are where one takes as long as many: a directory service', () => {
    const { most } = served(() => 500, 20_000)
    assert.ok(most > 400, `${most}`)
  })

  void it('are no more than the lane has processes for', () => {
    const turns = newTurns<number>()
    for (let n = 0; n < 10; n += 1) queue(turns, 'new', 'a', n)
    for (const wanted of [0, 1, undefined]) assert.equal(next(turns, 2, always), wanted)
    over(turns)
    assert.equal(next(turns, 2, always), 2)
  })
})
