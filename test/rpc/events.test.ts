// Events as a contract: every one has a row, comes in order, and can be asked for again.
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { EVENTS, type Topic } from '../../src/contract/events.ts'
import { createHistory, EVENTS_KEPT, type HistoryClock } from '../../src/runtime/history.ts'
import { type Fixture, fixture, restarted } from './fixture.ts'
import { type Json, type Wire, wire } from './wire.ts'

async function subscribed(t: TestContext, path: string, params: object): Promise<{ client: Wire; result: Json }> {
  const client = wire(path)
  t.after(() => client.socket.destroy())
  const { result } = await client.call('event.subscribe', params)
  assert.ok(result)
  return { client, result }
}

/** The next events, up to one that is `last`. */
async function until(client: Wire, last: (event: Json) => boolean): Promise<readonly Json[]> {
  const events: Json[] = []
  while (events.length === 0 || !last(events.at(-1))) events.push((await client.next()).params)
  return events
}

const known = ({ topic, name, data = {} }: Json): boolean =>
  Object.keys(data).every((member) => member in (EVENTS[topic as Topic][name as string]?.data ?? {}))

void describe('events', () => {
  void it('of a message, its session and its login have rows, come in order, and keep the sender to control.sock', async (t) => {
    const { control, status, host } = await fixture(t)
    const { client } = await subscribed(t, control, {})
    const { client: stranger } = await subscribed(t, status, { topics: ['message'] })
    const alice = await host.login('zoe')
    await host.say(alice, 'MAIL FROM:<zoe@example>\r\n', /^250 /)
    await host.say(alice, 'RCPT TO:<a@example>\r\nRCPT TO:<b@example>\r\n', /250 RCPT ok\r\n250 RCPT/)
    await host.say(alice, 'DATA\r\n', /^354 /)
    await host.say(alice, 'Subject: x\r\n\r\n.\r\n', /^250 /)
    await host.say(alice, 'QUIT\r\n', /^221 /)
    alice.close()
    const events = await until(client, ({ topic, name }) => topic === 'session' && name === 'ended')
    assert.deepEqual(
      events.map(({ topic, name }) => `${topic} ${name}`),
      ['session accepted', 'auth accepted', 'message accepted', 'session ended'],
    )
    assert.ok(events.every(known))
    const { milliseconds, ...data } = events[2].data
    assert.deepEqual(data, { sender: 'zoe@example', recipients: 2, size: 17, reply: '250 queued 1' })
    assert.ok(milliseconds >= 0)
    const [seen] = await until(stranger, () => true)
    assert.equal(seen.data.sender, undefined)
    assert.equal(seen.data.recipients, 2)
  })

  void it('of what an operator does say what, why and by which socket', async (t) => {
    const { control } = await fixture(t)
    const { client } = await subscribed(t, control, { topics: ['op'] })
    const operator = wire(control)
    t.after(() => operator.socket.destroy())
    await operator.call('user.block', { user: 'Zoë', reason: 'stolen', ttl: 0.1 })
    await operator.call('user.block', { user: 'other', dryRun: true })
    await operator.call('server.drain', {})
    const events = await until(client, ({ data }) => data.method === 'server.drain')
    assert.ok(events.every(known))
    assert.deepEqual(events[0].data, {
      method: 'user.block',
      subject: 'Zoë',
      reason: 'stolen',
      caller: 'control socket',
    })
    const expired = events.find(({ name }) => name === 'expired') ?? (await until(client, () => true))[0]
    assert.deepEqual(expired.data, { method: 'user.block', subject: 'Zoë' })
  })

  void it('that were missed are replayed by since, without a gap or a repetition', async (t) => {
    const host = await fixture(t)
    const first = await subscribed(t, host.control, { topics: ['lane'] })
    const tell = (lane: number) =>
      host.host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane, why: 'test' } })
    tell(1)
    const [seen] = await until(first.client, () => true)
    first.client.socket.destroy()
    for (let lane = 2; lane <= 3000; lane++) tell(lane)
    const again = await subscribed(t, host.control, { topics: ['lane'], since: seen.seq })
    const events = await until(again.client, ({ data }) => data.lane === 3000)
    assert.deepEqual(
      events.map(({ data }) => data.lane),
      Array.from({ length: 2999 }, (_, i) => i + 2),
    )
    assert.ok(events.every(({ dropped }) => dropped === undefined))
  })

  void it('of an earlier runtime are not replayed, and a notice says once that some may be lost', async (t) => {
    const before = await fixture(t)
    const { client } = await subscribed(t, before.control, { topics: ['lane'] })
    const tell = ({ host }: Fixture, lane: number) =>
      host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane, why: 'test' } })
    tell(before, 1)
    const [seen] = await until(client, () => true)
    // Nobody receives this one.
    tell(before, 2)
    const after = await restarted(t, before, { restarts: 1 })
    const again = await subscribed(t, after.control, { topics: ['lane'], since: seen.seq })
    tell(after, 3)
    const [notice, ...events] = await until(again.client, ({ data }) => data.lane === 3)
    assert.deepEqual([notice.topic, notice.name, notice.data], ['events', 'restarted', { since: seen.seq }])
    assert.ok(seen.seq < notice.seq && notice.seq < events[0].seq)
    assert.ok(events.every(({ topic }) => topic === 'lane'))
    const third = await subscribed(t, after.control, { topics: ['lane'], since: notice.seq })
    assert.deepEqual(await until(third.client, ({ data }) => data.lane === 3), rewritten(events, third.result))
  })
})

/** The same events as another subscription receives them. */
const rewritten = (events: readonly Json[], { subscription }: Json): readonly Json[] =>
  events.map((event) => ({ ...event, subscription }))

/** A clock that a test steps: calls whose time has come are made in their order. */
function createSteppedClock(start: number): HistoryClock & { step: (milliseconds: number) => void } {
  let now = start
  let calls: { at: number; run: () => void }[] = []
  return {
    now: () => now,
    later: (run, milliseconds) => calls.push({ at: now + milliseconds, run }),
    step(milliseconds) {
      now += milliseconds
      const due = calls.filter(({ at }) => at <= now)
      calls = calls.filter(({ at }) => at > now)
      for (const { run } of due) run()
    },
  }
}

void describe('the history', () => {
  void it('orders by time, numbers on, keeps the last 10,000 and says how many are gone', () => {
    const clock = createSteppedClock(1_000_000)
    const heard: number[] = []
    const history = createHistory(({ at }) => heard.push(at), clock)
    history.add({ at: 1_000_020, topic: 'lane', name: 'died' })
    history.add({ at: 1_000_010, topic: 'lane', name: 'died' })
    clock.step(1000)
    assert.deepEqual(heard, [1_000_010, 1_000_020])
    const from = history.last()
    for (let i = 0; i < EVENTS_KEPT + 2000; i++) history.add({ at: 1_000_030, topic: 'lane', name: 'died' })
    for (let i = 0; i < 100; i++) clock.step(100)
    const { events, missed } = history.after(from)
    assert.deepEqual([events.length, missed], [EVENTS_KEPT, 2000])
    assert.equal(events.at(-1)?.seq, history.last())
    assert.deepEqual(history.after(history.last()), { events: [], missed: 0 })
    // Of an earlier runtime: everything there is, none of ours missing, and the answer says since when that holds.
    const later = createHistory(() => undefined, clock)
    later.add({ at: clock.now(), topic: 'lane', name: 'died' })
    clock.step(1000)
    assert.equal(later.after(from).events.length, 1)
    assert.equal(later.after(from).missed, 0)
    const since = later.after(from).restarted ?? 0
    assert.ok(from < since && since < later.last())
    assert.deepEqual([later.after(since).restarted, later.after(0).restarted], [undefined, undefined])
    // Of one whose clock was ahead: the same.
    assert.deepEqual(later.after(from + 1e12), later.after(from))
  })
})
