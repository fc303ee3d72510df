// acceptd/client, and the client in Python, against the real daemon.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { Acceptd, AcceptdError, type Event, FAILURES } from '../../src/client/client.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { TOP } from '../docs/pages.ts'
import { until } from '../support/lane.ts'
import { type Fixture, fixture, restarted } from './fixture.ts'

void test('calls are typed, and failures are errors with the codes of the table', async (t) => {
  const { control, status, idOf } = await fixture(t)
  const acceptd = new Acceptd({ path: control })
  t.after(() => acceptd.close())
  const { sessions, matched } = await acceptd.call('session.list', { user: 'a*', limit: 1 })
  assert.deepEqual([sessions[0]?.id, sessions[0]?.user, matched], [await idOf('alice'), 'alice', 1])
  const refused = async (asked: Promise<unknown>): Promise<AcceptdError> => {
    const error: unknown = await asked.then(() => undefined).catch((reason: unknown) => reason)
    assert.ok(error instanceof AcceptdError)
    return error
  }
  const unknown = await refused(acceptd.call('session.get', { id: 'nope' }))
  assert.deepEqual(
    [unknown.failure, unknown.code, unknown.reason],
    ['not-found', FAILURES['not-found'], 'no-such-session'],
  )
  const wrong = await refused(acceptd.call('config.reload', { ifSha256: '0'.repeat(64) }))
  assert.deepEqual([wrong.failure, wrong.retryable], ['conflict', false])
  const stranger = new Acceptd({ path: status })
  t.after(() => stranger.close())
  assert.equal((await refused(stranger.call('server.drain'))).failure, 'permission')
  assert.equal((await refused(new Acceptd({ path: '/no/such.sock' }).call('server.ping'))).failure, 'unreachable')
  const { signal } = new AbortController()
  assert.equal((await acceptd.call('server.ping', {}, { signal })).pong, true)
  const aborted = AbortSignal.abort(new Error('no more'))
  await assert.rejects(acceptd.call('server.ping', {}, { signal: aborted }), /no more/)
})

/** The next events of a stream, as many as there are numbers. */
async function lanesOf(stream: AsyncIterator<Event, undefined>, last: number): Promise<readonly number[]> {
  const lanes: number[] = []
  while (lanes.at(-1) !== last) {
    const { value } = await stream.next()
    assert.ok(value?.topic === 'lane' && value.name === 'died' && value.dropped === undefined)
    lanes.push(value.data.lane)
  }
  return lanes
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const laneDied = ({ host }: Fixture, lane: number) =>
  host.runtime.emit({ at: Date.now(), topic: 'lane', name: 'died', data: { lane, why: 'test' } })

void test('events continue across a restart of the runtime, without a gap or a repetition', async (t) => {
  const first = await fixture(t)
  const acceptd = new Acceptd({ path: first.control })
  t.after(() => acceptd.close())
  // Lanes of a runtime that is starting are not part of it.
  const events = acceptd.events({ topics: ['lane'] })
  await events.ready
  for (const lane of range(100, 149)) laneDied(first, lane)
  assert.deepEqual(await lanesOf(events, 149), range(100, 149))
  const second = await restarted(t, first, { restarts: 1 })
  for (const lane of range(150, 1999)) laneDied(second, lane)
  const seen: number[] = []
  while (seen.at(-1) !== 1999) {
    const { value } = await events.next()
    if (value?.topic === 'lane' && value.name === 'died') seen.push(value.data.lane)
  }
  assert.deepEqual(seen, range(150, 1999))
})

void test('a stream ends by break, by return while it waits, by a signal, and with its client', async (t) => {
  const own = await fixture(t)
  const acceptd = new Acceptd({ path: own.control })
  const gone = () => until('the end of the subscription', () => own.host.listening() === 0)
  laneDied(own, 1)
  for await (const event of acceptd.events({ topics: ['lane'], since: 0 })) if (event.topic === 'lane') break
  await gone()
  const waiting = acceptd.events()
  await waiting.ready
  const next = waiting.next()
  await waiting.return()
  assert.deepEqual(await next, { value: undefined, done: true })
  await gone()
  const abort = new AbortController()
  const aborted = acceptd.trace({ user: 'nobody' }, { signal: abort.signal })
  await aborted.ready
  const never = aborted.next()
  abort.abort(new Error('enough'))
  await assert.rejects(never, /enough/)
  assert.equal((await aborted.next()).done, true)
  await gone()
  const trace = acceptd.trace({ user: 'nobody', ttl: 0.05 })
  const names: string[] = []
  for await (const { name } of trace) names.push(name)
  assert.deepEqual(names, ['ended'])
  const last = acceptd.events()
  await last.ready
  acceptd.close()
  assert.equal((await last.next()).done, true)
  await gone()
  await assert.rejects(new Acceptd({ path: '/no/such.sock' }).events().next(), { failure: 'unreachable' })
})

void test('a reader that is too slow costs acceptd and itself little, and learns how much it has missed', async (t) => {
  const own = await fixture(t)
  const acceptd = new Acceptd({ path: own.control })
  t.after(() => acceptd.close())
  const events = acceptd.events({ topics: ['lane'] })
  await events.ready
  const all = 20_000
  for (const lane of range(1, all)) laneDied(own, lane)
  await until('the last event', () => own.host.daemon.events.after(0, 100_000).events.at(-1)?.data?.['lane'] === all, {
    timeout: 60_000,
    every: 100,
  })
  let [seen, lost] = [0, 0]
  while (seen + lost < all) {
    const { value } = await events.next()
    lost += value?.dropped ?? 0
    if (value?.topic === 'lane') seen += 1
  }
  assert.deepEqual([seen + lost, lost > 0], [all, true])
})

const PYTHON = `
import sys
import acceptd_client
from acceptd_client import Acceptd, AcceptdError, ConfigInvalid, Conflict, MethodNotFound, NotFound, Permission, Unreachable

control, status, *methods = sys.argv[1:]

def failing(kind, call):
    try:
        call()
    except AcceptdError as error:
        assert type(error) is kind and error.code == kind.code, repr(error)
        return error
    raise AssertionError(kind)

for name in methods:
    assert getattr(Acceptd, name).__doc__.strip(), name

with Acceptd(control, timeout=20) as acceptd:
    listed = acceptd.session_list(user="a*", limit=1)
    print(listed["matched"], listed["sessions"][0]["user"])
    print(failing(NotFound, lambda: acceptd.session_get("nope")).reason)
    assert not failing(Conflict, lambda: acceptd.config_reload(if_sha256="0" * 64)).retryable
    print([wrong["line"] for wrong in failing(ConfigInvalid, acceptd.config_reload).errors])
    failing(MethodNotFound, lambda: acceptd.call("no.such", {}))
    events = acceptd.events(topics=["op"])
    print(acceptd.user_block("Zo\u00eb", reason="stolen", ttl=60)["user"])
    for event in events:
        print(event["name"], event["data"]["method"], event["data"]["reason"], event["data"]["subject"])
        break
    events.close()
    print([line["name"] for line in acceptd.session_trace(user="nobody", ttl=0.05)])
    left = acceptd.events()
with Acceptd(status) as stranger:
    failing(Permission, stranger.server_drain)
assert failing(Unreachable, Acceptd("/no/such.sock").server_ping).retryable
failing(Unreachable, Acceptd("/no/such.sock").events)
print(list(left))
`

void test('the client in Python has every method, raises a class for each failure, and streams', async (t) => {
  const { control, status, host } = await fixture(t)
  host.write('fixsmtpio', `so bad\n${host.text('fixsmtpio')}`)
  const streams = ['event.subscribe', 'event.unsubscribe']
  const methods = [...METHOD_MAP.keys()].filter((name) => !streams.includes(name)).map((name) => name.replace('.', '_'))
  const words = ['-B', '-W', 'error', '-c', PYTHON, control, status, 'events', ...methods]
  const env = { ...process.env, PYTHONPATH: join(TOP, 'docs/examples'), PYTHONIOENCODING: 'utf-8' }
  const said = await new Promise<string>((resolve) => {
    execFile('python3', words, { env, timeout: 30_000 }, (_, out, err) => resolve(out + err))
  })
  assert.deepEqual(said.split('\n'), [
    '1 alice',
    'no-such-session',
    '[1]',
    'Zo\u00eb',
    'done user.block stolen Zo\u00eb',
    "['ended']",
    '[]',
    '',
  ])
  await until('the end of its streams', () => host.listening() === 0)
})
