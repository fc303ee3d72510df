// What accept-helper is besides its answers: how it starts, watches, limits, reads its file, and survives what is done to it.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  account,
  BUILDS,
  contents,
  endWell,
  Fixture,
  gone,
  type Helper,
  isRoot,
  loginFrame,
  newsOf,
  privilege,
  until,
  user,
} from './fixture.ts'

for (const [build, make] of BUILDS) {
  void describe(`accept-helper as a service, ${privilege}, ${build}`, () => {
    let fixture: Fixture
    let helper: Helper
    before(async () => {
      fixture = new Fixture(make)
      helper = await fixture.serve()
    })
    after(() => endWell(fixture, helper))

    void test('a watcher hears how every accepted session ended, and can end one with all it started', async () => {
      await until('earlier processes to end', () => helper.children(helper.server()).length === 0)
      const watcher = await helper.watch()
      const first = helper.login({ chain: 'submission', session: 'w.1' })
      const pid = (await first.line()).split(' ')[3]
      await first.line()
      first.socket.write('exit 9\n')
      assert.equal(await watcher.line(), `end w.1 ${pid} exit 9`)
      assert.equal(await helper.answer({ chain: 'tempfail', session: 'w.2' }), 'exit 111')
      const third = helper.login({ chain: 'builtin', session: 'w.3' })
      const third_pid = (await third.line()).split(' ')[3]
      await third.line()
      const grandchild = Number(await third.ask('fork'))
      watcher.socket.write('kill nobody\nkill w.')
      watcher.socket.write('3\n')
      assert.equal(await watcher.line(), `end w.3 ${third_pid} signal 15`)
      await until('the grandchild to be gone', () => gone(grandchild))
      watcher.socket.write('nonsense\n')
      assert.equal(await watcher.line(), '')
    })

    void test('three hundred logins at the same time are all answered, and nothing is left behind', async () => {
      fixture.chains('login-timeout 30')
      const server = helper.server()
      await until('earlier processes to end', () => helper.children(server).length === 0)
      const descriptors = () => readdirSync(`/proc/${server}/fd`).length
      // Some may still be those of sessions that have just ended.
      const idle = descriptors()
      const answers = await Promise.all(
        Array.from({ length: 300 }, async (_, i) => {
          const session = helper.login({
            chain: i % 2 ? 'submission' : 'builtin',
            password: i % 3 ? 'secret' : 'no',
            session: `n${i}`,
          })
          const line = await session.line()
          const greeting = await session.line()
          session.socket.destroy()
          return `${line.split(' ')[0]} ${greeting}`
        }),
      )
      assert.equal(answers.filter((line) => line === 'ok 220 ready').length, 200)
      assert.equal(answers.filter((line) => line === 'exit ').length, 100)
      await until('the processes to end', () => helper.children(server).length === 0)
      await until('the descriptors to be closed', () => descriptors() <= idle)
      fixture.chains()
    })

    void test('run serves one login on a descriptor of its own and ends as its backend does', async () => {
      const child = spawn(fixture.helperPath, isRoot ? ['run', '3'] : ['run', '3', '-c', fixture.chainsPath], {
        ...account,
        stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      })
      const stream = child.stdio[3] as Socket
      const text: string[] = []
      stream.on('data', (data) => text.push(String(data)))
      stream.on('error', () => {})
      stream.write(loginFrame({ chain: 'submission' }))
      await until('the greeting', () => text.join('').includes('220 ready\n'))
      assert.match(text.join(''), /^ok \d+ \d+ \d+\n220 ready\n$/)
      stream.write('exit 5\n')
      assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 5)
    })

    void test('a second helper for the same socket gives up, and does not disturb the first', () => {
      const second = fixture.run(['serve'])
      assert.equal(second.status, 75)
      assert.match(second.stderr, /another helper serves here/)
      assert.ok(existsSync(fixture.socketPath))
    })

    void test('a killed server is replaced, and running sessions go on', async () => {
      const session = helper.login({ chain: 'submission' })
      assert.match(await session.line(), /^ok /)
      await session.line()
      const server = helper.server()
      process.kill(server, 'SIGKILL')
      await until('another server', () => helper.server() !== 0 && helper.server() !== server)
      assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
      assert.match(await session.ask('limits'), /^1024 /)
      session.socket.destroy()
    })

    void test('a changed chains file is used by the next login; a bad one changes nothing and is reported', async () => {
      fixture.chains(
        '',
        `chain later\n  checkpassword builtin ${fixture.folder}/passwd\n  backend ${fixture.folder}/backend\n`,
      )
      assert.match(await helper.answer({ chain: 'later' }), /^ok /)
      fixture.chains('nonsense 1')
      assert.match(await helper.answer({ chain: 'later' }), /^ok /)
      await helper.stderrHas(`${fixture.chainsPath}:6: nonsense 1: unknown word`)
      await helper.stderrHas('keeping the chains that were read before')
      fixture.chains()
      assert.equal(await helper.answer({ chain: 'later' }), 'bad no such chain')
    })

    void test('more processes than allowed, or more attempts a second, are busy', async () => {
      await until('earlier processes to end', () => helper.children(helper.server()).length === 0)
      fixture.chains('max-processes 2')
      const two = [helper.login({ chain: 'builtin' }), helper.login({ chain: 'builtin' })]
      for (const session of two) assert.match(await session.line(), /^ok /)
      assert.equal(await helper.answer({ chain: 'builtin' }), 'busy')
      for (const session of two) session.socket.destroy()
      await until('both to end', () => helper.children(helper.server()).length === 0)
      fixture.chains('attempts-per-second 3')
      const attempt = () => helper.answer({ chain: 'builtin', password: 'no' })
      await until('a second with an attempt left', async () => (await attempt()) === 'exit 1')
      const lines = await Promise.all(Array.from({ length: 30 }, attempt))
      assert.ok(lines.includes('busy'))
      fixture.chains()
    })

    void test('no second has more attempts than allowed, whatever falls on its edge', async () => {
      fixture.chains('attempts-per-second 20')
      const began = performance.now()
      let tried = 0
      const some = async () => {
        while (tried < 70) if ((await helper.answer({ chain: 'builtin', password: 'no' })) === 'exit 1') tried += 1
      }
      await Promise.all(Array.from({ length: 12 }, some))
      fixture.chains()
      const seconds = (performance.now() - began) / 1000
      // What was refused counts, too.
      await until(
        'another second',
        async () => (await helper.answer({ chain: 'builtin', password: 'no' })) === 'exit 1',
      )
      assert.ok(tried <= 20 * (Math.ceil(seconds) + 1), `${tried} attempts in ${seconds} s`)
    })

    void test('a name has one value: the chain sets it before the daemon, and the login before the chain', async () => {
      const sets = ['PATH=/bin', 'TCPREMOTEIP=chain', 'AUTHUP_USER=chain', 'USER=chain', 'HOME=chain']
      const lines = sets.map((variable) => `  set ${variable}\n`).join('')
      const check = `${fixture.bin}/checkpassword -f ${fixture.folder}/passwd`
      fixture.chains(
        '',
        [`builtin ${fixture.folder}/passwd`, check]
          .map((how, i) => `chain set${i}\n  checkpassword ${how}\n${lines}  backend /usr/bin/env\n`)
          .join(''),
      )
      for (const chain of ['set0', 'set1']) {
        const session = helper.login({ chain, env: ['TCPREMOTEIP=192.0.2.1', 'PROTO=TCP', 'PROTO=UDP'] })
        assert.match(await session.line(), /^ok /)
        const seen = (await session.toEnd()).trimEnd().split('\n').toSorted()
        assert.deepEqual(seen, [
          'AUTHUP_USER=demo',
          'AUTHUSER=demo',
          'HOME=/tmp',
          'PATH=/bin',
          'PROTO=TCP',
          'SHELL=/bin/sh',
          'TCPREMOTEIP=chain',
          'USER=demo',
        ])
      }
      fixture.chains()
    })

    void test('a uid below the minimum is like root', async (t) => {
      fixture.chains(`min-uid ${user.uid + 1}`)
      const lines = await Promise.all([
        ...['submission', 'builtin'].map(async (chain) => helper.answer({ chain })),
        helper.answer({ kind: 'certificate', chain: 'certificate' }),
      ])
      if (!isRoot) t.diagnostic('without privileges there is nobody else to become: the minimum is not asked')
      for (const line of lines) assert.match(line, isRoot ? /^root$/ : /^ok /)
      fixture.chains()
    })

    void test('check says what is wrong, each with file and line', () => {
      assert.equal(fixture.run(['check']).stdout, `ok ${privilege}\n`)
      fixture.chains(
        '',
        'chain submission\n backend relative\nfoo\nchain two\n kind guest 0 0\n checkpassword builtin x\n set A-B=1\n warm often\n',
      )
      const checked = fixture.run(['check'])
      assert.equal(checked.status, 78)
      const problems = checked.stderr.split('\n').filter((line) => line.startsWith(`${fixture.chainsPath}:`))
      for (const part of [
        'second one of that name',
        'must be absolute',
        'foo: unknown',
        'guest cannot be root',
        'absolute path',
        'A-B=1',
        'often',
        'no backend',
      ])
        assert.ok(
          problems.some((line) => line.includes(part)),
          `${part} in ${checked.stderr}`,
        )
      fixture.chains()
    })

    void test("the chains file must be root's, and so must every folder above it", (t) => {
      if (!isRoot) {
        t.diagnostic('without privileges any file of ours will do')
        assert.equal(fixture.run(['check']).status, 0)
        return
      }
      const refused = (why: RegExp) => {
        const checked = fixture.run(['check'])
        assert.equal(checked.status, 78, checked.stderr)
        assert.match(checked.stderr, why)
      }
      chmodSync(fixture.chainsPath, 0o664)
      refused(/can be written by others than root/)
      chmodSync(fixture.chainsPath, 0o644)
      chownSync(fixture.chainsPath, account.uid, 0)
      refused(/does not belong to root/)
      chownSync(fixture.chainsPath, 0, 0)
      chmodSync(fixture.folder, 0o1777)
      refused(/can be written by others than root/)
      chmodSync(fixture.folder, 0o755)
      renameSync(fixture.chainsPath, `${fixture.chainsPath}.real`)
      symlinkSync(`${fixture.chainsPath}.real`, fixture.chainsPath)
      refused(/symbolic links/)
      renameSync(`${fixture.chainsPath}.real`, fixture.chainsPath)
      assert.equal(fixture.run(['check']).status, 0)
    })

    void test('borrowed rights are for the account only, and for its own file only', (t) => {
      if (!isRoot) {
        t.diagnostic('needs root to borrow from')
        assert.equal(fixture.run(['nonsense']).status, 100)
        return
      }
      assert.equal(fixture.run(['check'], { uid: user.uid, gid: account.gid }).status, 77)
      const own = join(fixture.folder, 'own')
      mkdirSync(own)
      writeFileSync(join(own, 'chains'), '')
      for (const args of [
        ['serve', '-c', join(own, 'chains')],
        ['run', '-s', '/tmp/x.sock'],
      ])
        assert.equal(fixture.run(args).status, 100)
    })

    void test('a killed clerk is replaced together with its server, and running sessions go on', async () => {
      const session = helper.login({ chain: 'builtin' })
      assert.match(await session.line(), /^ok /)
      await session.line()
      const [server, clerk] = [helper.server(), helper.clerk()]
      process.kill(clerk, 'SIGKILL')
      await until('another server', () => helper.server() !== 0 && helper.server() !== server && helper.clerk() !== 0)
      assert.equal(gone(clerk), true)
      assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
      assert.match(await session.ask('limits'), /^1024 /)
      session.socket.destroy()
    })

    void test('a clerk that the account has stopped delays no login, and catches up', async () => {
      const watcher = await helper.watch()
      const clerk = helper.clerk()
      assert.equal(spawnSync('/bin/sh', ['-c', `kill -STOP ${clerk}`], account).status, 0)
      for (const chain of ['builtin', 'submission', 'builtin'])
        assert.match(await helper.answer({ chain, session: `stopped.${chain}` }), /^ok /)
      process.kill(clerk, 'SIGCONT')
      for (let i = 0; i < 3; i++) assert.match(await newsOf(watcher, 'stopped'), /^end \S+ \d+ (exit|signal) \d+$/)
      watcher.socket.destroy()
    })

    void test('what the clerk asks for reaches children of the server only', async () => {
      const watcher = await helper.watch()
      const session = helper.login({ chain: 'builtin', session: 'kept' })
      assert.match(await session.line(), /^ok /)
      await session.line()
      for (const name of ['', '1', '-1', 'x'.repeat(64), 'kep', 'kept.']) watcher.socket.write(`kill ${name}\n`)
      watcher.socket.write('kill kept\n')
      assert.match(await newsOf(watcher, 'kept'), /^end kept \d+ signal 15$/)
      session.socket.destroy()
      watcher.socket.destroy()
    })

    void test('the account cannot signal the helper, but its end of file ends it', async (t) => {
      const pid = helper.child.pid ?? 0
      if (!isRoot) {
        t.diagnostic('needs root; our own processes can of course be signalled')
      } else {
        const killed = spawnSync('/bin/sh', ['-c', `kill -9 ${pid} ${helper.server()}`], {
          ...account,
          encoding: 'utf8',
        })
        assert.notEqual(killed.status, 0)
        assert.match(contents(`/proc/${pid}/status`), /Uid:\t0\t0\t0\t0\n/)
      }
      const session = helper.login({ chain: 'submission' })
      assert.match(await session.line(), /^ok /)
      await session.line()
      const server = helper.server()
      assert.equal(await helper.stop(), 0)
      await until('the server to be gone', () => gone(server))
      assert.equal(existsSync(fixture.socketPath), false)
      assert.match(await session.ask('limits'), /^1024 /)
      // The next one waits for no session of the one before.
      helper = await fixture.serve()
      assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
      assert.match(await session.ask('limits'), /^1024 /)
      session.socket.destroy()
    })
  })
}
