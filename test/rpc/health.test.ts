// server.health checks the host as a client or a login would find it; acceptctl exits as Nagios expects.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const check = async (c: ReturnType<typeof wire>, name: string): Promise<Json> =>
  (await c.call('server.health')).result.checks.find((one: Json) => one.name === name)

const acceptctl = (control: string, ...words: readonly string[]): Promise<readonly [code: number, said: string]> =>
  new Promise((resolve) => {
    execFile(process.execPath, ['dist/src/bin/acceptctl.js', '--socket', control, ...words], (error, stdout) =>
      resolve([Number(error?.code ?? 0), stdout]),
    )
  })

void test('health is a client of every listener, and leaves no trace in log, counters and limits', async (t) => {
  const { control, host, clients } = await fixture(t)
  const c = wire(control)
  const counted = async () => {
    const { text } = (await c.call('server.metrics')).result as { text: string }
    return text
      .split('\n')
      .filter((line) => /^acceptd_(sessions_(accepted|refused)|limit|first_reply_seconds_count)/.test(line))
  }
  const before = await counted()
  const { detail, state } = await check(c, 'listeners')
  assert.deepEqual([state, detail], ['ok', 'all take clients: submission'])
  assert.deepEqual(await counted(), before)
  // Anything from its lane would come before this.
  await host.say(clients[0] as never, 'QUIT\r\n', /^221 /)
  await until('the end of a user', () => host.log().includes(' session-ended '))
  assert.equal(host.log().match(/ session-(begins|ended|refused) /g)?.length, 4)
  c.end()
})

void test('a listener that nobody serves is a failure, a paused one a warning', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  await c.call('listener.pause', { listener: 'submission' })
  await until('the pause', async () => (await check(c, 'listeners')).state === 'warning')
  assert.match((await check(c, 'listeners')).detail, /^paused: submission$/)
  await c.call('listener.resume', { listener: 'submission' })
  // The lane that has the first descriptor releases it.
  await c.call('lane.recycle', { lane: 1 })
  await until('the failure', async () => (await check(c, 'listeners')).state === 'failed')
  assert.match((await check(c, 'listeners')).detail, /^submission at 127\.0\.0\.1:\d+ takes no clients: ECONNREFUSED$/)
  assert.equal(host.runtime.paused()[0], undefined)
  c.end()
})

void test('a program of a chain that is missing is a failure that names it', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  assert.equal((await check(c, 'programs')).state, 'ok')
  host.write('chains', host.text('chains').replace('/bin/cat', '/nowhere/ofmipd'))
  await c.call('config.reload', {})
  const { state, detail } = await check(c, 'programs')
  assert.equal(state, 'failed')
  assert.match(detail, /^control\/chains:\d+: the chain submission: \/nowhere\/ofmipd: there is no such file$/)
  c.end()
})

void test('the helper is asked on its own socket, and one that a unit starts is not reported to run as acceptd', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  assert.doesNotMatch((await check(c, 'helper')).detail, /account of acceptd/)
  assert.notEqual((await check(c, 'helper')).state, 'failed')
  host.helper.close()
  await until('the failure', async () => (await check(c, 'helper')).state === 'failed')
  assert.match((await check(c, 'helper')).detail, /does not answer on its socket \S+: \S+; logins get 454/)
  c.end()
})

void test('however many ask, it checks once a second', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const asked = () => host.helper.asked.filter(({ text }) => text === 'watch').length
  const before = asked()
  c.write(
    Array.from(
      { length: 50 },
      (_none, id) => `${JSON.stringify({ jsonrpc: '2.0', id, method: 'server.health' })}\n`,
    ).join(''),
  )
  for (let n = 0; n < 50; n += 1) assert.ok((await c.next()).result.checks.length > 0)
  assert.ok(asked() - before <= 5, `${asked() - before}`)
  c.end()
})

void test('acceptctl server health is one line first, and ends with 0, 1, 2 or 3', async (t) => {
  const begun = await fixture(t)
  const { control, host } = begun
  const c = wire(control)
  await until('all is well', async () => (await c.call('server.health')).result.state === 'ok')
  const health = () => acceptctl(control, 'server', 'health')
  const [code, said] = await health()
  assert.equal(code, 0)
  assert.match(said, /^ACCEPTD OK: \d+ checks\nNAME +STATE +DETAIL\nhelper +ok /)
  host.write('me', 'other.example\n')
  const [warned, warning] = await health()
  assert.equal(warned, 1)
  assert.match(warning, /^ACCEPTD WARNING: files: 1 control files differ/)
  host.write('chains', host.text('chains').replace('/bin/cat', '/nowhere/ofmipd'))
  await c.call('config.reload', {})
  const [failed, failure] = await health()
  assert.equal(failed, 2)
  assert.match(failure, /^ACCEPTD CRITICAL: programs: control\/chains:/)
  assert.match(failure, /^programs +failed /m)
  c.end()
  const [unknown, why] = await acceptctl(`${control}.none`, 'server', 'health')
  assert.deepEqual([unknown, why.split(':')[0]], [3, 'ACCEPTD UNKNOWN'])
  assert.equal((await acceptctl(`${control}.none`, 'server', 'ping'))[0], 69)
})
