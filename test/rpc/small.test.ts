// Small answers that were wrong once, over the real daemon.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { parseCommand } from '../../src/rpc/commandline.ts'
import { PASSWORD } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { wire } from './wire.ts'

const program = 'dist/src/bin/acceptctl.js'

const acceptctl = (control: string, words: readonly string[]): Promise<number> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [program, '--socket', control, ...words])
    child.on('exit', (code) => resolve(code ?? -1))
  })

void describe('answers', () => {
  void it('log.set knows no component of Object', async (t) => {
    const { control } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    for (const component of ['__proto__', 'constructor', 'toString']) {
      const { error } = await client.call('log.set', { component, level: 'debug' })
      assert.equal(error.code, -32002)
    }
  })

  void it('log.get shows what is in force: of control/loglevel, of log.set, and after a reload', async (t) => {
    const { control, host } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const levels = async () => {
      const { acceptd, auth, tls } = (await client.call('log.get')).result.levels
      return [acceptd, auth, tls]
    }
    assert.deepEqual(await levels(), ['debug', 'debug', 'debug'])
    host.write('loglevel', 'warn\nauth=debug\n')
    await client.call('config.reload', {})
    assert.deepEqual(await levels(), ['warn', 'debug', 'warn'])
    await client.call('log.set', { component: 'acceptd', level: 'error' })
    await client.call('log.set', { component: 'tls', level: 'debug', ttl: 600 })
    assert.deepEqual(await levels(), ['error', 'debug', 'debug'])
    const before = host.log().length
    await host.greeted()
    await host.login('bob')
    await until('the login', () => / info login-accepted .*user=bob/.test(host.log().slice(before)))
    assert.doesNotMatch(host.log().slice(before), / session-begins /)
    // What is set permanently gives way to the file; what is set for a time lasts that long, and then gives way to it, too.
    host.write('loglevel', 'info\n')
    await client.call('config.reload', {})
    assert.deepEqual(await levels(), ['info', 'info', 'debug'])
    const [{ id }] = (await client.call('op.list')).result.operations
    await client.call('op.cancel', { id })
    assert.deepEqual(await levels(), ['info', 'info', 'info'])
  })

  for (const [text, said] of [
    ['loud\n', /loglevel:1:1: `loud` is no level/],
    ['info\nmail=debug\n', /loglevel:2:1: `mail` is no part of the log/],
    ['info\n__proto__=debug\n', /loglevel:2:1: `__proto__` is no part of the log/],
    ['info\nauth=debug\nauth=info\n', /loglevel:3:1: the level of auth is said twice/],
  ] as const)
    void it(`control/loglevel with ${JSON.stringify(text)} is refused`, async (t) => {
      const { control } = await fixture(t)
      const client = wire(control)
      t.after(() => client.socket.destroy())
      const { result } = await client.call('config.check', { files: { loglevel: text } })
      const [error] = result.errors
      assert.match(`${error.file.replace('control/', '')}:${error.line}:${error.column}: ${error.message}`, said)
    })

  void it('config.get shows the value in force and its line, not the comments before it', async (t) => {
    const { control, host } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const rules = host
      .text('fixsmtpio')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    host.write('fixsmtpio', `# rules\n\n${rules.join('\n')}\n`)
    await client.call('config.reload', {})
    const { result } = await client.call('config.get', { name: 'fixsmtpio' })
    assert.deepEqual([result.knobs[0].value, result.knobs[0].source.line], [rules.join('\n'), 3])
  })

  void it('a dry run of session.kill names every session, however many', async (t) => {
    const { control } = await fixture(t, 1100)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const { result } = await client.call('session.kill', { all: true, dryRun: true })
    assert.equal(result.ids.length, result.matched)
    assert.ok(result.matched > 1000)
  })

  void it('a session that logs in after a reload with next-transaction sends its first message under the new rules', async (t) => {
    const { control, host, clients } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const early = await host.greeted()
    const [running] = clients
    host.write('fixsmtpio', `${host.text('fixsmtpio')}:mail::250*::250 new rules\n`)
    await client.call('config.reload', { apply: 'next-transaction' })
    const plain = Buffer.from(`\0bob\0${PASSWORD}`, 'latin1').toString('base64')
    await host.say(early, `AUTH PLAIN ${plain}\r\n`, /^235 /)
    await host.say(early, 'MAIL FROM:<a@b>\r\n', /^250 new rules\r\n/)
    await host.say(running as never, 'MAIL FROM:<a@b>\r\n', /^250 new rules\r\n/)
  })

  void it('::/0 matches no IPv4 address, and a backslash takes a * as it is', async (t) => {
    const { control } = await fixture(t)
    const client = wire(control)
    t.after(() => client.socket.destroy())
    const matched = async (filter: object) => (await client.call('session.list', filter)).result.matched
    assert.deepEqual([await matched({ ip: '::/0' }), await matched({ ip: '0.0.0.0/0' })], [0, 3])
    assert.deepEqual([await matched({ user: 'user*' }), await matched({ user: 'user\\*' })], [2, 0])
  })

  void it('metrics come with a query string too, and a 405 says what is allowed', async (t) => {
    const { metrics } = await fixture(t)
    const got = await fetch(`http://${metrics}/metrics?x=1`)
    assert.equal(got.status, 200)
    const posted = await fetch(`http://${metrics}/metrics`, { method: 'POST' })
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
  })
})

void describe('acceptctl', () => {
  void it('exits 0 for a list without a filter that is empty, and 3 for a search', async (t) => {
    const { control, clients, sessions } = await fixture(t)
    for (const client of clients) client.socket.destroy()
    while ((await sessions()) > 0) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(await acceptctl(control, ['session', 'list']), 0)
    assert.equal(await acceptctl(control, ['session', 'list', '--user', 'nobody']), 3)
  })

  void it('exits 74 where its output cannot be written', async (t) => {
    const { control } = await fixture(t)
    const code = await new Promise((resolve) => {
      execFile('sh', ['-c', `${process.execPath} ${program} --socket ${control} rpc discover >/dev/full`], (error) =>
        resolve(error?.code ?? 0),
      )
    })
    assert.equal(code, 74)
  })

  void it('has a version, and bounds for --timeout and --interval', () => {
    const version = parseCommand(['--version'])
    assert.ok(version.isOk() && version.value.do === 'print' && /^acceptctl \d/.test(version.value.text))
    for (const words of [
      'top --interval 0',
      'top --interval 9999',
      'server ping --timeout 0',
      'server ping --timeout -1',
    ])
      assert.ok(parseCommand(words.split(' ')).isErr(), words)
  })
})
