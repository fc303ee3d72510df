// `verified SECONDS` of a chain: a password that was right a moment ago is not hashed again, until something says that it should be. What a
// login hashes is seen in the processor time of the process that it has become.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { contents, Fixture, type Helper, isRoot, newsOf, until, user } from './fixture.ts'

/** Of 10 ms each, as proc_pid_stat(5) counts. A hash of this many rounds takes some thirty; the rest of a login takes one or two. */
const ROUNDS = 800_000
const FEW = 8

const password = randomBytes(12).toString('hex')
const hashOf = (text: string, rounds = ROUNDS): string =>
  spawnSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1])', text, `$5$rounds=${rounds}$acceptd$`], {
    encoding: 'utf8',
  }).stdout
const slow = hashOf(password)

void describe('a chain with `verified`', () => {
  let fixture: Fixture
  let helper: Helper
  const file = () => join(fixture.folder, 'slow')
  const entry = (hash: string, name = 'demo') => `${name}:${hash}:${user.uid}:${user.gid}::/tmp:/bin/sh\n`
  const write = (text: string) => {
    writeFileSync(`${file()}.new`, text, { mode: 0o600 })
    renameSync(`${file()}.new`, file())
  }
  const chains = (seconds: number, more = '') => {
    const chain = (name: string, line: string) =>
      `chain ${name}\n checkpassword builtin ${file()}\n ${line}\n backend ${fixture.folder}/backend\n`
    fixture.chains(`login-timeout 60\n${more}`, chain('cached', `verified ${seconds}`) + chain('plain', ''))
  }
  before(async () => {
    fixture = new Fixture()
    write(
      entry(slow) +
        entry(
          slow.replace(/.$/, (last) => (last === '/' ? '.' : '/')),
          'other',
        ),
    )
    chains(3600)
    helper = await fixture.serve()
  })
  after(async () => {
    assert.equal(await helper.stop(), 0)
    fixture.remove()
  })

  /** Logs in and says how it went: refused, or with the password hashed or not. */
  const login = async (chain = 'cached', text = password, name = 'demo'): Promise<string> => {
    const session = helper.login({ chain, name, password: text })
    const line = await session.line()
    const pid = /^ok \d+ \d+ (\d+)$/.exec(line)?.[1]
    if (pid === undefined) return line
    const fields = contents(`/proc/${pid}/stat`)
      .replace(/^.*\) /s, '')
      .split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    session.socket.destroy()
    return ticks > FEW ? 'hashed' : 'known'
  }
  const forget = async () => {
    const watcher = await helper.watch()
    watcher.socket.write('forget\n')
    // The server has obeyed when it has ended this one, which it is asked for later.
    const session = helper.login({ kind: 'guest', chain: 'guest', session: 'last' })
    assert.match(await session.line(), /^ok /)
    watcher.socket.write('kill last\n')
    assert.match(await newsOf(watcher, 'last'), /^end last /)
    watcher.socket.destroy()
  }
  beforeEach(forget)

  void test('hashes once; a chain without it, always', async () => {
    assert.deepEqual([await login(), await login(), await login()], ['hashed', 'known', 'known'])
    assert.deepEqual([await login('plain'), await login('plain')], ['hashed', 'hashed'])
  })

  void test('accepts a password for its own user only, and no wrong one', async () => {
    assert.equal(await login(), 'hashed')
    assert.equal(await login('cached', `${password}x`), 'exit 1')
    assert.equal(await login('cached', `${password}x`), 'exit 1')
    assert.equal(await login('cached', password, 'other'), 'exit 1')
    assert.equal(await login('cached', password, 'nobody-here'), 'exit 1')
    assert.equal(await login(), 'known')
  })

  const changes: readonly (readonly [what: string, change: () => unknown])[] = [
    ['a watcher that says so', forget],
    ['the password file, its time', () => utimesSync(file(), 1, 1)],
    ['the password file, another of the same content', () => write(contents(file()))],
    ['the password file, a line more', () => write(`${contents(file())}${entry('!', 'another')}`)],
    ['the chains file', () => chains(3600, '# again')],
  ]
  for (const [what, change] of changes)
    void test(`forgets when there is a change: ${what}`, async () => {
      assert.deepEqual([await login(), await login()], ['hashed', 'known'])
      await change()
      assert.deepEqual([await login(), await login()], ['hashed', 'known'])
    })

  void test('refuses users whose password was changed, or whose account was closed', async () => {
    const text = contents(file())
    assert.equal(await login(), 'hashed')
    for (const hash of [hashOf('another', 1000), `!${slow}`, '*', '']) {
      write(entry(hash))
      assert.equal(await login(), 'exit 1', hash)
    }
    write(text)
    assert.equal(await login(), 'hashed')
  })

  void test('looks up the account at each login: its new ids apply', async (t) => {
    if (!isRoot) return t.diagnostic('needs root to have another user')
    assert.equal(await login(), 'hashed')
    const { mtime, atime } = statSync(file())
    write(contents(file()).replace(`:${user.uid}:`, ':0:'))
    utimesSync(file(), atime, mtime)
    assert.equal(await login(), 'root')
    write(contents(file()).replace(':0:', `:${user.uid}:`))
  })

  void test('hashes again after its seconds', async () => {
    chains(1)
    assert.equal(await login(), 'hashed')
    const end = performance.now() + 1000
    await until('a second', () => performance.now() > end)
    assert.equal(await login(), 'hashed')
    chains(3600)
  })

  void test('keeps the memory to itself: locked, in no core, in no process that is not root, without a password', async () => {
    assert.deepEqual([await login(), await login()], ['hashed', 'known'])
    const shared = (pid: number) => contents(`/proc/${pid}/maps`).match(/^\S+ rw-s .*\/dev\/zero \(deleted\)$/gm) ?? []
    const monitor = helper.child.pid ?? 0
    assert.equal(shared(monitor).length, 1)
    const [, flags = ''] =
      /rw-s .*\/dev\/zero \(deleted\)\n(?:\w+:.*\n)*?VmFlags: (.*)\n/.exec(contents(`/proc/${monitor}/smaps`)) ?? []
    assert.deepEqual(
      ['lo', 'dd'].filter((flag) => !flags.split(' ').includes(flag)),
      [],
      flags,
    )
    const watcher = await helper.watch()
    const session = helper.login({ chain: 'cached', password })
    assert.match(await session.line(), /^ok /)
    for (const pid of [helper.clerk(), ...helper.children(helper.server())]) assert.deepEqual(shared(pid), [], `${pid}`)
    const [range = ''] = shared(helper.server())
    const [from = 0n, to = 0n] = (range.split(' ')[0] ?? '').split('-').map((hex) => BigInt(`0x${hex}`))
    const memory = openSync(`/proc/${helper.server()}/mem`, 'r')
    const bytes = Buffer.alloc(Number(to - from))
    assert.equal(readSync(memory, bytes, 0, bytes.length, from), bytes.length)
    closeSync(memory)
    assert.ok(bytes.some((byte) => byte !== 0))
    for (const part of [password, slow.split('$').at(-1) ?? '', 'demo']) assert.ok(!bytes.includes(part), part)
    session.socket.destroy()
    watcher.socket.destroy()
  })
})
