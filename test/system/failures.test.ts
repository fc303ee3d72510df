// What must hold when a login goes wrong for reasons that are not the client's, with the real helper and real processes.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { messageFrom } from './clients.ts'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { call } from './daemon.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { isAlive, type Process, picture, runtimeOf, signal, supervisorOf, treeOf, until } from './processes.ts'
import { writePasswordFile } from './users.ts'

let fixture: Fixture
/** Wrong passwords a session may send. */
const TRIES = 3

before(async () => {
  fixture = await makeFixture({
    smtp: ['postfix'],
    options: `tries=${TRIES}`,
    globals: { 'login-timeout': 1 },
    chains: async ({ claim: { dir }, people: [user] }) => {
      const passwords = join(dir, 'passwords')
      await writePasswordFile(passwords, [
        { name: 'root', uid: 0, gid: 0, home: '/root', password: 'right' },
        { name: 'toor', uid: 0, gid: 0, home: '/root', password: 'right' },
        user,
      ])
      // A checkpassword that behaves as the user's name says; it accepts nobody.
      const moody = script(
        dir,
        'moody',
        `case $(tr '\\0' '\\n' <&3 | head -n 1) in
temporary) exit 111 ;;
crash) kill -SEGV $$ ;;
hang) exec sleep 1000 ;;
strange) exit 77 ;;
misused) exit 2 ;;
esac
exit 1`,
      )
      const backend = ['/usr/sbin/sendmail', '-bs']
      return [
        { name: 'file', checkpassword: ['builtin', passwords], backend },
        { name: 'moody', checkpassword: [moody], backend },
        { name: 'missing', checkpassword: [join(dir, 'nowhere')], backend },
        { name: 'nobackend', checkpassword: ['builtin'], backend: [join(dir, 'nowhere')] },
      ]
    },
  })
})
after(() => fixture.end())

async function introduced(chain: string): Promise<Conversation> {
  const talk = await converse(fixture.daemon.port(chain))
  await talk.reply()
  await talk.say('EHLO client.example')
  return talk
}

const login = (talk: Conversation, user: string, password: string): Promise<string> =>
  talk.say(`AUTH PLAIN ${plain(user, password)}`)

/** The output of a session from greeting to close when every attempt is this one. */
async function exhausted(chain: string, user: string, password: string): Promise<string> {
  const talk = await introduced(chain)
  const said: string[] = []
  for (let n = 0; n < TRIES; n += 1) said.push(await login(talk, user, password))
  return said.join('') + (await talk.rest())
}

void describe('root', () => {
  for (const name of ['root', 'toor'])
    void it(`${name}'s right password gets what a wrong one gets, and a log line in capitals`, async () => {
      const start = fixture.daemon.log().length
      const right = await exhausted('file', name, 'right')
      const line = await until(
        'the log line',
        () => new RegExp(` [A-Z][A-Z-]{9,} .*\\b${name}\\b.*$`, 'm').exec(fixture.daemon.log().slice(start))?.[0],
        {
          show: () => fixture.daemon.log().slice(start),
        },
      )
      assert.match(line, new RegExp(`\\b${name}\\b`))
      assert.equal(right, await exhausted('file', name, 'wrong'))
      assert.match(right, /^(535 [^\r]*\r\n){3}$/)
    })
})

void describe('what is not the client\u2019s fault', () => {
  for (const [what, chain, user] of [
    ['exit 111', 'moody', 'temporary'],
    ['a crash', 'moody', 'crash'],
    ['an exit code that means nothing', 'moody', 'strange'],
    ['a missing checkpassword', 'missing', 'anybody'],
  ] as const)
    void it(`${what} is answered with 454, more often than there are tries, and the session goes on`, async () => {
      const talk = await introduced(chain)
      for (let n = 0; n < TRIES + 2; n += 1) assert.match(await login(talk, user, 'any'), /^454 /)
      assert.match(await talk.say('NOOP'), /^250 /)
      assert.match(await talk.say('QUIT'), /^221 /)
    })

  void it('a checkpassword that hangs is 454 when its time is over, and is ended', async () => {
    const talk = await introduced('moody')
    assert.match(await login(talk, 'hang', 'any'), /^454 /)
    assert.match(await talk.say('NOOP'), /^250 /)
    await until('the sleeper to be gone', () => treeOf(fixture.daemon.pid).every((one) => one.comm !== 'sleep'), {
      show: () => picture(treeOf(fixture.daemon.pid)),
    })
    talk.cut()
  })

  void it('a missing backend is 454', async () => {
    const [user] = fixture.people
    const talk = await introduced('nobackend')
    assert.match(await login(talk, user.name, user.password), /^454 /)
    talk.cut()
  })

  void it('costs no try in between those that do', async () => {
    const talk = await introduced('moody')
    const said: string[] = []
    for (const user of ['wrong', 'temporary', 'crash', 'misused', 'temporary', 'hang', 'wrong'])
      said.push((await login(talk, user, 'any')).slice(0, 3))
    assert.deepEqual(said, ['535', '454', '454', '535', '454', '454', '535'])
    assert.equal(await talk.rest(), '')
  })
})

const helpers = (): readonly Process[] =>
  treeOf(fixture.daemon.pid).filter((one) => one.argv[0]?.endsWith('/accept-helper') === true)

void describe('the helper', () => {
  const submit = async (talk: Conversation, subject: string): Promise<void> => {
    assert.match(await talk.say('MAIL FROM:<me@example.org>'), /^250 /)
    assert.match(await talk.say('RCPT TO:<you@example.org>'), /^250 /)
    assert.match(await talk.say('DATA'), /^354 /)
    assert.match(
      await talk.say(`${messageFrom('me@example.org', subject).replaceAll('\n', '\r\n')}.`),
      fixture.backend('postfix').queued,
    )
  }

  void it('killed: 454 and no try lost while it is away, running sessions go on, and it comes back', async () => {
    const [user] = fixture.people
    const running = await loggedIn(fixture.daemon.port('postfix'), user.name, user.password)
    const talk = await introduced('postfix')
    // Stopped, the supervisor cannot start another helper before we have seen that there is none.
    const supervisor = supervisorOf(fixture.daemon.pid)?.pid ?? 0
    signal(supervisor, 'SIGSTOP')
    try {
      const all = helpers()
      for (const { pid } of all) signal(pid, 'SIGKILL')
      await until('the helper to be gone', () => all.every(({ pid }) => !isAlive(pid)))
      for (let n = 0; n < TRIES + 1; n += 1) assert.match(await login(talk, user.name, user.password), /^454 /)
    } finally {
      signal(supervisor, 'SIGCONT')
    }
    await submit(running, 'while the helper was away')
    await until('the helper to come back', async () => {
      const answer = await login(talk, user.name, user.password)
      if (!answer.startsWith('235')) assert.match(answer, /^454 /)
      return answer.startsWith('235')
    })
    await submit(talk, 'after the helper came back')
    const queued = await fixture.backend('postfix').delivered(user)
    assert.equal(queued.length, 2)
    running.cut()
    talk.cut()
  })

  void it('its server process killed: its monitor starts another', async () => {
    const [user] = fixture.people
    const [monitor, server] = helpers()
    assert.ok(monitor !== undefined && server !== undefined)
    signal(server.pid, 'SIGKILL')
    await until('another server', () => helpers().some(({ pid, ppid }) => ppid === monitor.pid && pid !== server.pid))
    const talk = await introduced('postfix')
    await until('a login', async () => (await login(talk, user.name, user.password)).startsWith('235'))
    talk.cut()
  })
})

void describe('the runtime', () => {
  const runtime = (): Process | undefined => runtimeOf(fixture.daemon.pid)

  void it('killed: its backends end, connections wait in the kernel and are served by the next one', async () => {
    const [user] = fixture.people
    const port = fixture.daemon.port('postfix')
    const cut = await loggedIn(port, user.name, user.password)
    await cut.say('MAIL FROM:<me@example.org>')
    await cut.say('RCPT TO:<you@example.org>')
    await cut.say('DATA')
    cut.send('Subject: cut by the death of the runtime\r\n\r\nhalf')
    const first = runtime()
    assert.ok(first !== undefined)
    signal(first.pid, 'SIGKILL')
    const waiting = await converse(port)
    assert.match(await waiting.reply(), /^220 /)
    await waiting.say('EHLO client.example')
    assert.match(await login(waiting, user.name, user.password), /^235 /)
    assert.equal((await waiting.say('QUIT')).slice(0, 3), '221')
    await until('the backends to end', () => treeOf(fixture.daemon.pid).every((one) => one.comm !== 'smtpd'), {
      show: () => picture(treeOf(fixture.daemon.pid)),
    })
    const queued = await fixture.backend('postfix').delivered(user)
    assert.ok(queued.every(({ content }) => !content.includes('cut by the death')))
    assert.notEqual(runtime()?.pid, first.pid)
  })

  void it('killed with a bad file on disk: rules, blocks and pauses are back for the first client', async () => {
    const [user] = fixture.people
    const path = join(fixture.place.control, 'fixsmtpio')
    const rules = readFileSync(path, 'latin1')
    const told = async () => [
      await fixture.daemon.call('user.list', { user: 'mallory' }),
      await fixture.daemon.call('op.list'),
      await fixture.daemon.call('rules.eval', { event: 'noop', reply: '250 theirs' }),
    ]
    writeFileSync(path, `${rules}:noop::*::250 mine\n`)
    await fixture.daemon.call('config.reload', { reason: 'the test' })
    await fixture.daemon.call('user.block', { user: 'mallory', reason: 'stolen', ttl: 600 })
    const { listeners } = (await fixture.daemon.call('listener.list')) as {
      listeners: { name: string; chain: string }[]
    }
    const listener = listeners.find(({ chain }) => chain === 'moody')?.name
    await fixture.daemon.call('listener.pause', { listener, mode: '421', ttl: 600 })
    const earlier = await told()
    writeFileSync(path, 'so bad\n')
    const first = runtime()
    assert.ok(first !== undefined)
    signal(first.pid, 'SIGKILL')
    const waiting = await converse(fixture.daemon.port('postfix'))
    assert.match(await waiting.reply(), /^220 /)
    await waiting.say('EHLO client.example')
    assert.match(await login(waiting, user.name, user.password), /^235 /)
    assert.match(await waiting.say('NOOP'), /^250 mine/)
    await waiting.say('QUIT')
    const again = await until('the control socket', () => told().catch(() => undefined))
    assert.deepEqual(again, earlier)
    assert.match(await (await converse(fixture.daemon.port('moody'))).reply(), /^421 /)
    assert.match(fixture.daemon.log(), / error last-good-runs /)
    writeFileSync(path, rules)
    await fixture.daemon.call('config.reload')
    for (const { id } of ((await fixture.daemon.call('op.list')) as { operations: { id: string }[] }).operations)
      await fixture.daemon.call('op.cancel', { id })
  })
})

void describe('a socket that is deleted', () => {
  void it('of the helper is made again; sessions go on, and new logins', async () => {
    const [{ name, password }] = fixture.people
    const already = await loggedIn(fixture.daemon.port('postfix'), name, password)
    const path = fixture.place.helperSocket
    rmSync(path)
    await until('another helper', () => existsSync(path))
    assert.match(await already.say('NOOP'), /^250 /)
    const talk = await until('a login', () =>
      loggedIn(fixture.daemon.port('postfix'), name, password).catch(() => undefined),
    )
    assert.match(await talk.say('NOOP'), /^250 /)
    assert.match(fixture.daemon.log(), / warn helper-socket-gone path=/)
  })
  for (const name of ['control.sock', 'status.sock'])
    void it(`of the control plane, ${name}, is made again`, async () => {
      const path = join(fixture.place.run, name)
      rmSync(path)
      await until('another socket', () => existsSync(path))
      assert.ok(await call(path, 'server.ping', {}))
    })
})
