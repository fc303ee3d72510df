// Check, diff, dry run, reload, rollback and HUP answer from one plan: what the dry run says is what is done.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ChangeRequest } from '../../src/contract/configuration.ts'
import { createWatch } from '../../src/runtime/watching.ts'
import { until } from '../support/lane.ts'
import { makePair } from '../support/tls.ts'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const HUP: ChangeRequest = { from: 'disk', apply: 'new-sessions', by: 'signal', dryRun: false }

/** What both must agree on: the error whole, or the result without what only a change has. */
function agreed({ error, result }: Json): Json {
  if (error) return error
  const { generation: _g, previous: _p, lanes: _l, milliseconds: _m, dryRun: _d, olderSessions: _o, ...same } = result
  return same
}

const cases: readonly [what: string, files: (text: (name: string) => string) => object, params: object, Json][] = [
  ['a rule', (text) => ({ fixsmtpio: `${text('fixsmtpio')}:noop::*::250 x\n` }), {}, ['fixsmtpio']],
  ['nothing', () => ({}), {}, []],
  ['a changed account', (text) => ({ chains: text('chains').replace('account 1000', 'account 7') }), {}, -32008],
  ['broken listeners', () => ({ listeners: 'here smtp submission\n' }), {}, -32010],
  ['lanes and a greeting', () => ({ lanes: '7\n', smtpgreeting: 'x.example\n' }), {}, ['smtpgreeting']],
  ['one of two files', () => ({ smtpgreeting: 'x.example\n', me: 'y.example\n' }), { only: ['me'] }, ['me']],
  ['a file that is none', () => ({}), { only: ['nofile'] }, -32002],
  ['a file that is a directory or the like', () => ({ timeoutsmtpd: 'FIFO' }), {}, -32010],
]

for (const [what, files, params, wanted] of cases)
  void test(`dry run and reload agree about ${what}`, async (t) => {
    const { control, host } = await fixture(t)
    const c = wire(control)
    for (const [name, text] of Object.entries(files(host.text))) {
      if (text === 'FIFO') {
        host.write(name, undefined)
        spawnSync('mkfifo', [join(host.directory, name)])
      } else host.write(name, text as string)
    }
    const before = (await c.call('config.status')).result
    const checked = (await c.call('config.check')).result
    const differs = (await c.call('config.diff')).result.files
    const tried = await c.call('config.reload', { ...params, dryRun: true })
    assert.deepEqual((await c.call('config.status')).result, before)
    const done = await c.call('config.reload', params)
    assert.deepEqual(agreed(tried), agreed(done))
    if (typeof wanted === 'number') {
      assert.equal(done.error.code, wanted)
      assert.equal((await c.call('config.status')).result.generation, 1)
      if (wanted === -32008)
        assert.deepEqual([done.error.data.needsRestart, checked.needsRestart], [['chains'], ['chains']])
      if (wanted === -32010) assert.deepEqual(done.error.data.errors, checked.errors)
    } else {
      assert.deepEqual(done.result.changed, wanted)
      assert.equal(done.result.unchanged, wanted.length === 0)
      assert.equal(done.result.sha256, (await c.call('config.status')).result.sha256)
      assert.equal(done.result.generation, wanted.length === 0 ? 1 : 2)
      if (!('only' in params)) {
        assert.equal(checked.sha256, done.result.sha256)
        const restart = differs.filter((one: Json) => one.needsRestart).map((one: Json) => one.file)
        assert.deepEqual(done.result.needsRestart, restart)
        assert.deepEqual(
          wanted,
          differs.map((one: Json) => one.file).filter((name: string) => !restart.includes(name)),
        )
      }
    }
    c.end()
  })

void test('HUP is refused, published or ignored just as a reload is, and reported in the same places', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const rules = host.text('fixsmtpio')
  for (const by of ['signal', 'control']) {
    const change = async () => {
      if (by === 'control') await c.call('config.reload')
      else await host.daemon.config.change(HUP)
      return (await c.call('config.status')).result
    }
    host.write('fixsmtpio', `${rules}so bad\n`)
    const refused = await change()
    assert.deepEqual([refused.lastError.by, refused.lastError.errorCount], [by, 1])
    assert.match(host.log(), new RegExp(` error reload-failed by=${by} errors=1 first="control/fixsmtpio:`))
    host.write('fixsmtpio', rules)
    host.write('chains', host.text('chains').replace('account 1000', 'account 7'))
    const restart = await change()
    assert.match(restart.lastError.errors[0].message, /account, group and socket cannot change/)
    host.write('chains', host.text('chains').replace('account 7', 'account 1000'))
    const { generation, lastError } = await change()
    assert.deepEqual([generation, lastError], [1, undefined])
    assert.match(host.log(), new RegExp(` info unchanged generation=1 by=${by}`))
  }
  const metrics = (await c.call('server.metrics')).result.text
  for (const outcome of ['invalid', 'restart', 'unchanged'])
    for (const by of ['signal', 'control'])
      assert.match(metrics, new RegExp(`^acceptd_reloads_total\\{by="${by}",outcome="${outcome}"\\} 1$`, 'm'))
  c.end()
})

void test('control/watchcontrol reloads once four looks have found no further change, and no file that is being written', async (t) => {
  const { control, host, plane } = await fixture(t)
  const c = wire(control)
  let reloads = 0
  const look = createWatch(host.runtime, () => {
    reloads += 1
    void plane.inTurn(() => host.daemon.config.change({ ...HUP, by: 'file' }))
  })
  const rules = host.text('fixsmtpio')
  host.write('smtpgreeting', 'early.example\n')
  host.write('watchcontrol', '1\n')
  await c.call('config.reload')
  // A slow writer: each part of what it writes would be a good file.
  let text = rules
  for (let n = 0; n < 8; n += 1) {
    text += `:noop::*::250 ${n}\n`
    host.write('fixsmtpio', text)
    for (let looks = 0; looks < 4; looks += 1) look()
  }
  assert.equal(reloads, 0)
  look()
  assert.equal(reloads, 1)
  await until('a reload', async () => (await c.call('config.status')).result.generation === 3)
  const status = (await c.call('config.status')).result
  assert.deepEqual([status.by, status.drift], ['file', false])
  assert.match(host.log(), / info published generation=3 .* by=file .*changed=fixsmtpio /)
  const settle = () => {
    for (let looks = 0; looks < 5; looks += 1) look()
  }
  host.write('fixsmtpio', 'so bad\n')
  settle()
  await until('a refusal', async () => (await c.call('config.status')).result.lastError?.by === 'file')
  host.write('fixsmtpio', `${rules}:noop::*::250 good\n`)
  settle()
  await until('the good file', async () => (await c.call('config.status')).result.generation === 4)
  host.write('watchcontrol', undefined)
  settle()
  await until('the end of the watch', async () => (await c.call('config.status')).result.generation === 5)
  host.write('fixsmtpio', rules)
  const before = reloads
  settle()
  assert.equal(reloads, before)
  c.end()
})

void test('a reload that changes nothing makes no generation, and a rollback goes back to the last that differed', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const rules = host.text('fixsmtpio')
  const first = (await c.call('config.status')).result.sha256
  assert.equal((await c.call('config.rollback')).error.data.reason, 'no-such-generation')
  host.write('fixsmtpio', `${rules}:noop::*::250 bad\n`)
  const bad = (await c.call('config.reload')).result
  for (let n = 0; n < 30; n += 1) assert.equal((await c.call('config.reload')).result.unchanged, true)
  assert.equal((await c.call('config.history')).result.generations.length, 2)
  const tried = (await c.call('config.rollback', { dryRun: true })).result
  const back = (await c.call('config.rollback')).result
  assert.deepEqual([back.generation, back.sha256, back.changed], [3, first, ['fixsmtpio']])
  assert.deepEqual([tried.sha256, tried.changed, tried.rules], [back.sha256, back.changed, back.rules])
  assert.equal((await c.call('config.rollback')).result.sha256, bad.sha256)
  // The current one again is no change.
  const { generation } = (await c.call('config.status')).result
  assert.equal((await c.call('config.rollback', { generation })).result.unchanged, true)
  c.end()
})

void test('rules that stay keep counting', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  const hits = async () => {
    const { rules } = (await c.call('rules.list')).result
    return new Map<string, number>(rules.map((rule: Json) => [rule.text, rule.hits]))
  }
  const rule = 'AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)'
  assert.equal((await hits()).get(rule), 3)
  host.write('fixsmtpio', `:noop::*::250 new\n${host.text('fixsmtpio')}`)
  assert.equal((await c.call('config.reload')).result.generation, 2)
  const alice = await host.login('alice')
  await host.say(alice, 'NOOP\r\n', /^250 new/)
  const after = await hits()
  assert.deepEqual([after.get(rule), after.get(':noop::*::250 new')], [4, 1])
  c.end()
})

void test('certificates are read by the plan, loaded by the reload, and watched by health', async (t) => {
  const { control, directory, host } = await fixture(t)
  const c = wire(control)
  const certificate = async () =>
    (await c.call('server.health')).result.checks.find(({ name }: Json) => name === 'certificates')
  assert.equal(await certificate(), undefined)
  const pair = makePair(directory, 'mx.example')
  host.write('tls', `mx.example ${pair.certificate} ${pair.key}.gone\n`)
  const [tried, done] = [await c.call('config.reload', { dryRun: true }), await c.call('config.reload')]
  assert.deepEqual([tried.error.code, tried.error], [-32010, done.error])
  assert.equal(done.error.data.errors[0].file, 'control/tls')
  host.write('tls', `mx.example ${pair.certificate} ${pair.key}\n`)
  const events = wire(control)
  await events.call('event.subscribe', { topics: ['tls'] })
  assert.deepEqual((await c.call('config.reload')).result.changed, ['tls'])
  assert.equal((await events.next()).params.name, 'loaded')
  const good = await certificate()
  assert.equal(good.state, 'ok')
  assert.ok(good.value > 29 * 86_400 && good.value <= 30 * 86_400)
  c.end()
  events.end()
})

void test('certificates are listed, read again when asked, and kept while the new ones are bad', async (t) => {
  const { control, status, directory, host } = await fixture(t)
  const c = wire(control)
  const pairs = [makePair(directory, 'mx.example'), makePair(directory, 'mx.example', 'rsa')] as const
  const other = makePair(directory, 'other.example')
  const lines = pairs.map(({ certificate, key }) => `mx.example ${certificate} ${key}\n`)
  host.write('tls', lines.join(''))
  await c.call('config.reload')
  const listed = async () => (await c.call('tls.list')).result
  const before = await listed()
  assert.deepEqual(
    before.certificates.map(({ names, keyType, line, hosts, issuer }: Json) => [names, keyType, line, hosts, issuer]),
    [
      [['mx.example'], 'ec', 1, ['mx.example'], 'CN=mx.example'],
      [['mx.example'], 'rsa', 2, ['mx.example'], 'CN=mx.example'],
    ],
  )
  assert.deepEqual([before.errors, before.handshakes, before.resumedShare], [[], [], undefined])
  const events = wire(control)
  await events.call('event.subscribe', { topics: ['tls'] })

  // Both are broken: every error is in the answer, from whichever reader.
  const [good, goodKey] = [readFileSync(pairs[0].certificate), readFileSync(pairs[0].key)]
  copyFileSync(other.certificate, pairs[0].certificate)
  chmodSync(pairs[1].key, 0o644)
  const errors = (await c.call('config.check')).result.errors
  assert.deepEqual(
    errors.map(({ file, line }: Json) => [file, line]),
    [
      ['control/tls', 1],
      ['control/tls', 2],
    ],
  )
  for (const [method, params] of [
    ['tls.reload', { dryRun: true }],
    ['tls.reload', {}],
    ['config.reload', { dryRun: true }],
    ['config.reload', {}],
  ] as const) {
    const { error } = await c.call(method, params)
    assert.deepEqual([method, error?.code, error?.data.errors], [method, -32010, errors])
  }
  assert.equal((await events.next()).params.name, 'failed')
  const meanwhile = await listed()
  assert.deepEqual([meanwhile.certificates, meanwhile.errors], [before.certificates, errors])
  const health = (await c.call('server.health')).result
  assert.deepEqual(
    [health.state, health.checks.find(({ name }: Json) => name === 'certificates').state],
    ['failed', 'failed'],
  )
  const asked = wire(status)
  const seen: Json[] = (await asked.call('tls.list')).result.errors
  assert.deepEqual(
    seen.map(({ file, line }) => [file, line]),
    errors.map(({ file, line }: Json) => [file, line]),
  )
  assert.ok(seen.every(({ message, hint }) => !message.includes('.pem') && hint === ''))
  // A reload of something else alone is not held up.
  host.write('smtpgreeting', 'x.example\n')
  assert.deepEqual((await c.call('config.reload', { only: ['smtpgreeting'] })).result.changed, ['smtpgreeting'])
  assert.equal((await c.call('config.rollback')).error, undefined)

  chmodSync(pairs[1].key, 0o600)
  writeFileSync(pairs[0].certificate, readFileSync(other.certificate))
  writeFileSync(pairs[0].key, readFileSync(other.key))
  const reloaded = (await c.call('tls.reload', { reason: 'renewed' })).result
  assert.equal(reloaded.certificates[0].subject, 'CN=other.example')
  assert.deepEqual((await listed()).certificates, reloaded.certificates)
  assert.match(host.log(), / certificates-loaded by=control reason=renewed certificates=2\n/)
  writeFileSync(pairs[0].certificate, good)
  writeFileSync(pairs[0].key, goodKey)
  for (const one of [c, events, asked]) one.end()
})

void test('ciphers that OpenSSL does not know are an error of tlsciphers', async (t) => {
  const { control, host } = await fixture(t)
  const c = wire(control)
  host.write('tlsciphers', 'nonsense\n')
  const { error } = await c.call('config.reload')
  assert.deepEqual([error.code, error.data.errors[0].file], [-32010, 'control/tlsciphers'])
  c.end()
})
