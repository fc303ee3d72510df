// log.errors: the last warnings and errors of acceptd, its runtimes and their lanes, over the real daemon.
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LOG_ERRORS_KEPT } from '../../src/contract/log.ts'
import { errorsFile } from '../../src/edge/errors-file.ts'
import { logError } from '../../src/edge/log.ts'
import { createLogErrors } from '../../src/runtime/log-errors.ts'
import { PASSWORD } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { fixture, restarted } from './fixture.ts'
import { type Json, wire } from './wire.ts'

/** A wrong password that may not be seen anywhere. */
const GUESS = 'hunter2-hunter2'

const plain = (user: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`, 'latin1').toString('base64')}\r\n`

void test('what the lanes and the main thread warn about is kept, whatever the log level', async (t) => {
  const { control, host } = await fixture(t)
  const client = wire(control)
  t.after(() => client.end())
  await client.call('log.set', { component: 'acceptd', level: 'error' })
  const guest = await host.greeted(2)
  await host.say(guest, plain('m\u00e4x', GUESS), /^5\d\d /)
  await client.call('user.block', { user: 'mallory', reason: 'stolen' })
  host.write('fixsmtpio', 'so bad\n')
  await client.call('config.reload', {})
  let errors: readonly Json[] = []
  await until('all three', async () => {
    errors = (await client.call('log.errors', {})).result.errors
    return errors.length === 3
  })
  assert.deepEqual(
    errors.map(({ level, event }) => `${level} ${event}`),
    ['warn login-failed', 'warn user-blocked', 'error reload-failed'],
  )
  const [failed, blocked] = errors
  assert.deepEqual(
    [failed.fields.user, failed.fields.ip, failed.fields.listener],
    ['m\\xe4x', '127.0.0.1', 'submission'],
  )
  assert.deepEqual(blocked.fields, { user: 'mallory', reason: 'stolen', ended: 0 })
  assert.doesNotMatch(host.log(), /login-failed/)
  const only = (await client.call('log.errors', { level: 'error' })).result
  assert.deepEqual([only.errors.length, only.matched, only.errors[0].event], [1, 1, 'reload-failed'])
  const newest = (await client.call('log.errors', { limit: 1 })).result
  assert.deepEqual([newest.errors[0].event, newest.matched], ['reload-failed', 3])
})

void test('since takes a time of any zone, and nothing else', async (t) => {
  const { control, host } = await fixture(t)
  const client = wire(control)
  t.after(() => client.end())
  await host.daemon.users.block('mallory', undefined)
  const all = (await client.call('log.errors', {})).result
  const at = Date.parse(all.errors[0].at)
  const later = new Date(at + 1).toISOString()
  const zone = `${new Date(at + 2 * 3_600_000).toISOString().slice(0, -1)}+02:00`
  assert.equal((await client.call('log.errors', { since: later })).result.matched, 0)
  assert.equal((await client.call('log.errors', { since: zone })).result.matched, 1)
  assert.ok(Date.parse(all.since) <= at)
  for (const since of ['yesterday', '2026-11-31T00:00:00', '2026-13-01T00:00:00Z', 12])
    assert.equal((await client.call('log.errors', { since })).error.code, -32602, String(since))
})

void test('it contains no password, and on status.sock no reason of an operator either', async (t) => {
  const { control, status, host } = await fixture(t)
  const [client, watcher] = [wire(control), wire(status)]
  t.after(() => client.end())
  t.after(() => watcher.end())
  const guest = await host.greeted()
  await host.say(guest, plain('alice', GUESS), /^5\d\d /)
  await host.say(guest, 'AUTH LOGIN\r\n', /^334 /)
  await host.say(guest, `${Buffer.from('alice').toString('base64')}\r\n`, /^334 /)
  await host.say(guest, `${Buffer.from(GUESS).toString('base64')}\r\n`, /^5\d\d /)
  await client.call('auth.test', { user: 'alice', password: GUESS })
  await client.call('auth.test', { user: 'alice', password: PASSWORD })
  await until('both', async () => (await client.call('log.errors', {})).result.matched >= 2)
  await client.call('user.block', { user: 'mallory', reason: 'stolen' })
  const open = (await watcher.call('log.errors', {})).result.errors
  assert.deepEqual(open.at(-1).fields, { user: 'mallory', ended: 0 })
  const text = JSON.stringify((await client.call('log.errors', {})).result)
  for (const secret of [GUESS, PASSWORD, Buffer.from(GUESS).toString('base64')]) assert.ok(!text.includes(secret))
})

void test('the newest thousand are kept, and older ones are reported as missing', () => {
  const kept = createLogErrors()
  const began = kept.all().since
  const error = (n: number) => ({ at: began + n, level: 'warn' as const, event: 'e', fields: { n } })
  for (let n = 0; n < LOG_ERRORS_KEPT; n += 1) kept.add([error(n)])
  assert.deepEqual([kept.all().errors.length, kept.all().since], [LOG_ERRORS_KEPT, began])
  kept.add(Array.from({ length: 1500 }, (_, i) => error(LOG_ERRORS_KEPT + i)).toReversed())
  const { errors, since } = kept.all()
  assert.deepEqual([errors.length, errors[0]?.fields.n, errors.at(-1)?.fields.n], [LOG_ERRORS_KEPT, 1500, 2499])
  assert.equal(since, began + 1500)
})

void test('an entry is kept as a value: no empty field, none of unlimited length, and nothing that is not a warning', () => {
  const error = logError('warn', 'x', { a: 'b'.repeat(5000), c: undefined, d: '', n: 0 }, { n: 7 })
  assert.deepEqual(error?.fields, { a: 'b'.repeat(1000), n: 7 })
  assert.equal(logError('info', 'x', {}), undefined)
})

void test('they outlive the runtime, and what acceptd itself reports is among them', async (t) => {
  const before = await fixture(t)
  await before.host.daemon.users.block('mallory', 'stolen')
  const ended = {
    at: Date.now(),
    level: 'warn',
    event: 'child-ended',
    fields: { name: 'runtime', how: 'SIGKILL' },
  } as const
  const after = await restarted(t, before, { restarts: 1 })
  after.host.acceptd({ errors: [ended] })
  await after.host.daemon.users.block('eve', undefined)
  const { errors, since } = await after.host.daemon.log.errors()
  assert.deepEqual(
    errors.map(({ event, fields }) => [event, fields['user'] ?? fields['name']]),
    [
      ['user-blocked', 'mallory'],
      ['child-ended', 'runtime'],
      ['user-blocked', 'eve'],
    ],
  )
  assert.ok(since <= (errors[0]?.at ?? 0))
  // Of all of them there is a copy for the next one.
  const last = await restarted(t, after, { restarts: 2 })
  const kept = await last.host.daemon.log.errors()
  assert.deepEqual([kept.errors, kept.since], [errors, since])
})

void test('the file is rewritten when it has grown long, and a truncated line is left out', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'acceptd-errors-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'errors.jsonl')
  const error = (n: number) => ({ at: 1_000_000 + n, level: 'error' as const, event: 'e', fields: { n } })
  const kept = createLogErrors(errorsFile(directory))
  kept.goOn()
  for (let n = 0; n < 7 * LOG_ERRORS_KEPT; n += 100) {
    kept.add(Array.from({ length: 100 }, (_, i) => error(n + i)))
    await kept.saved()
  }
  const lines = readFileSync(path, 'utf8').split('\n').length
  assert.ok(lines < 6.5 * LOG_ERRORS_KEPT, `${lines}`)
  appendFileSync(path, '{"at":17,"level":"err')
  const next = createLogErrors(errorsFile(directory))
  next.goOn()
  assert.deepEqual(next.all(), kept.all())
  assert.deepEqual(next.all().errors.at(-1), error(7 * LOG_ERRORS_KEPT - 1))
  // A file that cannot be written stops nothing.
  const nowhere = createLogErrors(errorsFile(join(path, 'below-a-file')))
  nowhere.goOn()
  nowhere.add([error(1)])
  await nowhere.saved()
  assert.equal(nowhere.all().errors.length, 1)
})
