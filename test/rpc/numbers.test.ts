// A number that only grows never goes back: not when a lane is recycled, dies or does not answer, not when rules move.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { METRICS } from '../../src/contract/metrics.ts'
import { until } from '../support/lane.ts'
import { fixture, restarted } from './fixture.ts'
import { type Json, wire } from './wire.ts'

type Series = ReadonlyMap<string, number>

async function scrape(c: ReturnType<typeof wire>): Promise<Series> {
  const { text } = (await c.call('server.metrics')).result
  const lines = (text as string).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
}

const isCounter = (series: string): boolean => {
  const family = series.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')
  const row = Object.entries(METRICS).find(([name]) => name === family || series.startsWith(`${name}{`))?.[1]
  return row !== undefined && row.type !== 'gauge'
}

function neverBack(before: Series, after: Series): void {
  for (const [series, value] of before)
    if (isCounter(series))
      assert.ok((after.get(series) ?? -1) >= value, `${series}: ${value}, then ${after.get(series)}`)
}

const bytesIn = 'acceptd_bytes_total{protocol="smtp",direction="in"}'

void test('every counter of an idle acceptd is there, as zero', async (t) => {
  const { control } = await fixture(t)
  const c = wire(control)
  const series = await scrape(c)
  for (const [name, { type }] of Object.entries(METRICS)) {
    if (type !== 'counter') continue
    // What they will name is not yet known.
    if (/^acceptd_(tls_|certificate_|control_requests_)/.test(name)) continue
    assert.ok(
      [...series.keys()].some((one) => one.replace(/\{.*/, '') === name),
      name,
    )
  }
  for (const one of [
    'acceptd_start_time_seconds',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'acceptd_helper_up',
    'acceptd_runtime_restarts_total',
    'acceptd_last_reload_successful',
    'acceptd_last_reload_success_timestamp_seconds',
    'acceptd_health{check="files"}',
  ])
    assert.ok(series.has(one), one)
  assert.equal(series.get('acceptd_messages_total{protocol="smtp",outcome="refused"}'), 0)
  assert.equal(series.get('acceptd_reloads_total{by="file",outcome="ok"}'), 0)
  c.end()
})

void test('octets count while they flow', async (t) => {
  const { control, clients, host } = await fixture(t)
  const c = wire(control)
  const before = (await scrape(c)).get(bytesIn) ?? 0
  await host.say(clients[0] as never, 'NOOP\r\n', /^250 /)
  assert.equal((await scrape(c)).get(bytesIn), before + 6)
  c.end()
})

void test('totals survive recycled lanes, a lane that is killed, and a silent one; the old lane finishes its sessions', async (t) => {
  const { control, clients, host } = await fixture(t)
  const c = wire(control)
  const mail = async (client: (typeof clients)[number]) => {
    await host.say(client, 'MAIL FROM:<a@b>\r\n', /^250 /)
    await host.say(client, 'RCPT TO:<a@b>\r\n', /^250 /)
    await host.say(client, 'DATA\r\n', /^354 /)
    await host.say(client, 'text\r\n.\r\n', /^250 /)
  }
  for (const client of clients) await mail(client)
  let before = await scrape(c)
  const messages = 'acceptd_messages_total{protocol="smtp",outcome="accepted"}'
  assert.equal(before.get(messages), 3)
  const again = async () => {
    const after = await scrape(c)
    neverBack(before, after)
    before = after
  }
  const listeners = async () => (await c.call('listener.list')).result.listeners[0].accepted
  const accepted = await listeners()
  const { result } = await c.call('lane.recycle', { lane: 1, reason: 'why' })
  assert.deepEqual([result.lane, result.recycled], [3, [{ lane: 1, replacement: 3, sessions: 2 }]])
  await again()
  const lanes = (await c.call('lane.list')).result.lanes
  assert.deepEqual(lanes.map((one: Json) => [one.lane, one.place, one.state]).toSorted(), [
    [1, 1, 'draining'],
    [2, 2, 'running'],
    [3, 1, 'running'],
  ])
  // In the old lane, as if nothing had happened.
  await mail(clients[0] as never)
  assert.equal((await scrape(c)).get(messages), 4)
  await host.say(clients[0] as never, 'QUIT\r\n', /^221 /)
  await host.say(clients[2] as never, 'QUIT\r\n', /^221 /)
  for (const client of clients) client.socket.end()
  await until('the end of the old lane', () => host.runtime.lanes().length === 2)
  await again()
  assert.equal(before.get(messages), 4)
  assert.equal(await listeners(), accepted)
  assert.equal((await c.call('lane.recycle', { lane: 1 })).error.code, -32002)
  assert.equal((await c.call('lane.recycle', {})).error.code, -32602)
  c.end()
})

void test('all lanes are recycled in turn, and those that are still draining are no reason to end anything', async (t) => {
  const { control, clients, host } = await fixture(t)
  const c = wire(control)
  const { recycled } = (await c.call('lane.recycle', { all: true })).result
  assert.deepEqual(
    recycled.map((one: Json) => [one.lane, one.replacement]),
    [
      [1, 3],
      [2, 4],
    ],
  )
  const { error } = await c.call('lane.recycle', { lane: 3 })
  assert.deepEqual([error.code, error.data.reason, error.data.retryable], [-32003, 'still-draining', true])
  for (const client of clients) await host.say(client, 'NOOP\r\n', /^250 /)
  for (const client of clients) await host.say(client, 'QUIT\r\n', /^221 /)
  for (const client of clients) client.socket.end()
  await until('the old lanes to end', () => host.runtime.lanes().length === 2)
  c.end()
})

void test('hits are named by what a reload does not change', async (t) => {
  const { control, clients, host } = await fixture(t)
  const c = wire(control)
  const rules = host.text('fixsmtpio')
  const twice = ':noop::*::250 mine\n'
  host.write('fixsmtpio', `${rules}${twice}${twice}`)
  await c.call('config.reload', { apply: 'next-transaction' })
  await host.say(clients[0] as never, 'RSET\r\n', /^250 /)
  const session = await host.login('bob')
  await host.say(session, 'NOOP\r\n', /^250 mine/)
  const hits = (series: Series) => [...series].filter(([name]) => /^acceptd_rule_hits_total.*event="noop"/.test(name))
  const before = await scrape(c)
  const [[name, value] = ['', 0], ...others] = hits(before)
  assert.deepEqual([value, others], [1, []])
  host.write('fixsmtpio', `# moved\n# down\n${rules}${twice}`)
  await c.call('config.reload')
  const next = await host.login('ann')
  await host.say(next, 'NOOP\r\n', /^250 mine/)
  const after = await scrape(c)
  assert.deepEqual(hits(after), [[name, 2]])
  assert.equal(after.get(name.replace('hits_total', 'line')), rules.split('\n').length + 2)
  c.end()
})

void test('deaths of lanes and restarts of the runtime are counted across restarts', async (t) => {
  const first = await fixture(t)
  const [lane] = first.host.runtime.lanes()
  lane?.end('the test')
  await until('another', () => first.host.runtime.deaths(1) === 1)
  await first.host.daemon.saved()
  const next = await restarted(t, first, { restarts: 3 })
  const c = wire(next.control)
  const series = await scrape(c)
  assert.equal(series.get('acceptd_lane_deaths_total{lane="1"}'), 1)
  assert.equal(series.get('acceptd_runtime_restarts_total'), 3)
  c.end()
})

void test('GET /healthz and /readyz report by their status what server.health and draining report', async (t) => {
  const { control, metrics, host } = await fixture(t)
  const c = wire(control)
  const get = async (path: string) => {
    const answer = await fetch(`http://${metrics}${path}`)
    return [answer.status, await answer.text()] as const
  }
  await until('the helper', async () => (await c.call('server.health')).result.state !== 'failed')
  assert.deepEqual([(await get('/healthz'))[0], (await get('/readyz'))[0]], [200, 200])
  await c.call('server.drain')
  const [status, text] = await get('/readyz')
  assert.deepEqual([status, (await get('/healthz'))[0]], [503, 200])
  assert.match(text, /^draining\n/)
  await c.call('server.undrain')
  host.helper.close()
  await until('the helper to be missed', async () => (await get('/healthz'))[0] === 503)
  assert.match((await get('/healthz'))[1], /^helper failed: /m)
  assert.equal((await get('/other'))[0], 404)
  c.end()
})
