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
import { setTimeout as sleep } from 'node:timers/promises'
import {
  account,
  contents,
  Fixture,
  frame,
  gone,
  guest,
  type Helper,
  isRoot,
  loginFrame,
  privilege,
  type Request,
  until,
  user,
} from './fixture.ts'

for (const [build, make] of [
  ['as installed', []],
  ['under the sanitizers', ['sanitized']],
] as const) {
  /** A login with a long environment, which it does not survive. */
  const talkative = {
    env: Array.from({ length: 100 }, (_, i) => `ACCEPTD_${i}=planted`),
    password: 'wrong',
  }

  void describe(`accept-helper ${privilege}, ${build}`, () => {
    let fixture: Fixture
    let helper: Helper
    before(async () => {
      fixture = new Fixture(make)
      helper = await fixture.serve()
    })
    after(async () => {
      const code = await helper.stop()
      const noise = helper.stderr
      fixture.remove()
      assert.equal(code, 0)
      assert.doesNotMatch(noise, /Sanitizer|runtime error/)
    })

    void test('it says where it serves and with which rights', () => {
      assert.match(helper.stderr, new RegExp(`accept-helper: serving ${fixture.socketPath} ${privilege}\n`))
      assert.equal(/without privileges/.test(helper.stderr), !isRoot)
    })

    for (const chain of ['submission', 'builtin'] as const) {
      void test(`${chain}: a right password gets a backend that runs as the user, after one line that says so`, async () => {
        // Nothing of the login before, which had more to say, is in its environment.
        assert.equal(await helper.answer({ ...talkative, chain: 'submission' }), 'exit 1')
        const session = helper.login({
          chain,
          env: ['TCPREMOTEIP=192.0.2.1', 'LD_PRELOAD=/x.so', 'IFS=x', 'RELAYCLIENT=no', 'PATH=/evil'],
        })
        assert.match(await session.line(), new RegExp(`^ok ${user.uid} ${user.gid} \\d+$`))
        assert.equal(await session.line(), '220 ready')
        if (isRoot) assert.equal(await session.ask('ids'), `${user.uid} ${user.gid} ${user.gid}`)
        const seen = new Map<string, string>()
        for (let line = await session.ask('env'); line !== '.'; line = await session.line()) {
          const at = line.indexOf('=')
          seen.set(line.slice(0, at), line.slice(at + 1))
        }
        seen.delete('_')
        seen.delete('SHLVL')
        assert.deepEqual(Object.fromEntries(seen), {
          AUTHUP_USER: 'demo',
          AUTHUSER: 'demo',
          HOME: '/tmp',
          PATH: '/usr/local/bin:/usr/bin:/bin',
          PWD: '/tmp',
          RELAYCLIENT: '',
          SHELL: '/bin/sh',
          TCPREMOTEIP: '192.0.2.1',
          USER: 'demo',
        })
        assert.match(await session.ask('fds'), /^0 +1 +(10 +)?2$/) // 10 is the shell's own copy of its script
        assert.equal(await session.ask('limits'), '1024 0077 /tmp')
        assert.equal(await session.ask('exit 7'), '')
      })
    }

    void test('a checkpassword that is not ours is followed by checknotroot, and by the backend as its user', async () => {
      const session = helper.login({ chain: 'foreign' })
      assert.match(await session.line(), new RegExp(`^ok ${user.uid} ${user.gid} \\d+$`))
      assert.equal(await session.line(), '220 ready')
      if (isRoot) assert.equal(await session.ask('ids'), `${user.uid} ${user.gid} ${user.gid}`)
      session.socket.destroy()
      if (isRoot) assert.equal(await helper.answer({ chain: 'careless' }), 'root')
    })

    for (const [chain, name] of [
      ['certificate', 'demo'],
      ['certificate', 'nopassword'],
      ['looksup', 'demo'],
    ] as const)
      void test(`${chain}: a certificate of ${name} gets the backend as that user, without a password`, async () => {
        const session = helper.login({ kind: 'certificate', chain, name })
        assert.match(await session.line(), new RegExp(`^ok ${user.uid} ${user.gid} \\d+$`))
        assert.equal(await session.line(), '220 ready')
        session.socket.write('env\n')
        const seen: string[] = []
        for (let line = await session.line(); line !== '.'; line = await session.line()) seen.push(line)
        assert.ok(seen.includes(`AUTHUP_USER=${name}`), seen.join(' '))
        session.socket.destroy()
      })

    void test('logins that hang hold up nobody', async () => {
      const hanging = Array.from({ length: 60 }, () => helper.login({ chain: 'hang' }))
      const began = Date.now()
      const session = helper.login({ chain: 'submission' })
      assert.match(await session.line(), /^ok /)
      assert.ok(Date.now() - began < 900, `${Date.now() - began} ms, while the others wait for their timeout`)
      session.socket.destroy()
      for (const one of hanging) assert.equal(await one.line(), 'timeout')
    })

    void test('a guest runs as the ids of its chain, without a user name', async () => {
      assert.equal(await helper.answer({ ...talkative, chain: 'submission' }), 'exit 1')
      const session = helper.login({ kind: 'guest', chain: 'guest' })
      assert.match(await session.line(), isRoot ? /^ok 54323 54324 \d+$/ : /^ok \d+ \d+ \d+$/)
      assert.equal(await session.line(), '220 ready')
      if (isRoot) assert.equal(await session.ask('ids'), `${guest.uid} ${guest.gid} ${guest.gid}`)
      session.socket.write('env\n')
      for (let line = await session.line(); line !== '.'; line = await session.line())
        assert.doesNotMatch(line, /^AUTH|^ACCEPTD|planted/)
      session.socket.destroy()
    })

    const refusals: readonly (readonly [string, Request, RegExp])[] = [
      ['a wrong password is exit 1', { chain: 'submission', password: 'wrong' }, /^exit 1$/],
      ['a wrong password is exit 1 (built in)', { chain: 'builtin', password: 'wrong' }, /^exit 1$/],
      ['nobody of that name is exit 1', { chain: 'builtin', name: 'nobody-here' }, /^exit 1$/],
      ['no name is exit 1', { chain: 'submission', name: '' }, /^exit 1$/],
      ['a locked account is exit 1', { chain: 'submission', name: 'locked' }, /^exit 1$/],
      ['an empty hash is exit 1', { chain: 'builtin', name: 'empty', password: '' }, /^exit 1$/],
      ['a home that is not there is exit 111', { chain: 'builtin', name: 'homeless' }, /^exit 111$/],
      ["root's right password", { chain: 'submission', name: 'root' }, isRoot ? /^root$/ : /^exit 111$/],
      ["root's right password (built in)", { chain: 'builtin', name: 'root' }, isRoot ? /^root$/ : /^exit 111$/],
      ['misused', { chain: 'misused' }, /^exit 2$/],
      ['temporarily not possible', { chain: 'tempfail' }, /^exit 111$/],
      ['a crash', { chain: 'crash' }, /^signal 11$/],
      ['a checkpassword that talks cannot forge an acceptance', { chain: 'talker' }, /^exit 1$/],
      [
        'a missing checkpassword',
        { chain: 'nothing' },
        /^missing \/nonexistent\/checkpassword: No such file or directory$/,
      ],
      ['a missing backend', { chain: 'nobackend' }, /^missing \/nonexistent\/backend: No such file or directory$/],
      ['a missing backend (built in)', { chain: 'nobackend-builtin' }, /^missing \/nonexistent\/backend: No such file/],
      ['a hang', { chain: 'hang' }, /^timeout$/],
      ['an unknown chain', { chain: 'unknown' }, /^bad no such chain$/],
      ['a guest of a chain with passwords', { kind: 'guest', chain: 'submission' }, /^bad /],
      ['a password for a guest chain', { chain: 'guest' }, /^bad /],
      ['a session name with a space', { chain: 'submission', session: 'a b' }, /^bad /],
      ['a session name over 64', { chain: 'submission', session: 'x'.repeat(65) }, /^bad /],
      ['a line feed in a variable', { chain: 'submission', env: ['TCPREMOTEIP=1\n2'] }, /^bad /],
      ['a line feed in the user name', { chain: 'submission', name: 'de\nmo' }, /^bad /],
      ['credentials of 513 bytes', { chain: 'submission', password: 'x'.repeat(513 - 7) }, /^bad credentials over /],
      ['more than a chain takes', { chain: 'long', password: 'x'.repeat(8193 - 7) }, /^bad credentials over /],
      ['all that a chain takes', { chain: 'long', password: 'x'.repeat(8192 - 7) }, /^exit 1$/],
      ['a right password for a chain of certificates', { chain: 'certificate' }, /^bad /],
      ['a certificate for a chain of passwords', { kind: 'certificate', chain: 'builtin' }, /^bad /],
      ['a certificate for guests', { kind: 'certificate', chain: 'guest' }, /^bad /],
      ['a guest of a chain of certificates', { kind: 'guest', chain: 'certificate' }, /^bad /],
      ['a certificate of nobody', { kind: 'certificate', chain: 'certificate', name: 'nobody-here' }, /^exit 1$/],
      ['a certificate without a name', { kind: 'certificate', chain: 'certificate', name: '' }, /^exit 1$/],
      ['a certificate of a closed account', { kind: 'certificate', chain: 'certificate', name: 'locked' }, /^exit 1$/],
      [
        "root's certificate",
        { kind: 'certificate', chain: 'certificate', name: 'root' },
        isRoot ? /^root$/ : /^exit 111$/,
      ],
    ]
    for (const [what, request, answer] of refusals)
      void test(`refused with one line and the end of the stream: ${what}`, async () => {
        const session = helper.login(request)
        assert.match(await session.line(), answer)
        assert.equal(await session.toEnd(), '')
      })

    void test('credentials of 512 bytes are not too long', async () => {
      assert.equal(await helper.login({ chain: 'submission', password: 'x'.repeat(512 - 7) }).line(), 'exit 1')
    })

    for (const [what, bytes] of [
      ['a length of zero', Buffer.from([0, 0, 0, 0])],
      ['a length over 65536', Buffer.from([0, 1, 0, 1])],
      ['a length of four gigabytes', Buffer.from([255, 255, 255, 255])],
      ['an unknown kind', frame('root\0s\0submission\0\0')],
      ['no NUL at all', frame('auth')],
      ['strings that do not end', frame('auth\0s\0submission\0A=B')],
      ['no credentials', frame('auth\0s\0submission\0\0')],
      ['two fields only', frame('auth\0s\0submission\0\0demo\0secret\0')],
      ['four fields', frame('auth\0s\0submission\0\0demo\0secret\0\0\0')],
      ['a watch with more after it', frame('watch\0x\0')],
      ['a byte after the request', Buffer.concat([loginFrame({ chain: 'submission' }), Buffer.from('x')])],
      ['sixty-four thousand bytes of nothing', frame(Buffer.alloc(65536))],
      ['noise', frame(Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) & 255)))],
    ] as const)
      void test(`answered with bad: ${what}`, async () => {
        assert.match(await helper.send(bytes).line(), /^bad /)
      })

    void test('a request may come byte by byte', async () => {
      const lines = helper.connect()
      for (const byte of loginFrame({ chain: 'builtin' })) {
        lines.socket.write(Buffer.from([byte]))
        await sleep(1)
      }
      assert.match(await lines.line(), /^ok /)
      lines.socket.destroy()
    })

    void test('a client of another uid is turned away', async (t) => {
      if (!isRoot) {
        t.diagnostic('needs root; without it only the file modes can be seen')
        assert.equal(spawnSync('stat', ['-c', '%a', join(fixture.folder, 'run')], { encoding: 'utf8' }).stdout, '700\n')
        return
      }
      for (const uid of [0, user.uid]) {
        const lines = helper.connect({ uid, gid: account.gid })
        lines.socket.write(loginFrame({ chain: 'submission' }))
        assert.equal(await lines.line(), '')
        assert.match(helper.stderr, new RegExp(`refused a connection of uid ${uid}\n`))
      }
      assert.equal(
        spawnSync('stat', ['-c', '%u %g %a', join(fixture.folder, 'run'), fixture.socketPath], { encoding: 'utf8' })
          .stdout,
        `0 ${account.gid} 750\n0 ${account.gid} 660\n`,
      )
    })

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
      await sleep(100)
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
      await until('the descriptors to be closed', () => descriptors() === idle)
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

    void test('a second helper for the same socket gives up, and does not harm the first', () => {
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
      await sleep(1100) // a second that nobody has asked in
      fixture.chains('attempts-per-second 3')
      const lines = await Promise.all(
        Array.from({ length: 30 }, async () => helper.answer({ chain: 'builtin', password: 'no' })),
      )
      assert.ok(lines.includes('busy'))
      assert.ok(lines.includes('exit 1'))
      fixture.chains()
    })

    void test('no second has more attempts than it may have, whoever is at its edge', async () => {
      fixture.chains('attempts-per-second 20')
      const began = performance.now()
      let tried = 0
      const some = async () => {
        while (performance.now() < began + 3000)
          if ((await helper.answer({ chain: 'builtin', password: 'no' })) === 'exit 1') tried += 1
      }
      await Promise.all(Array.from({ length: 12 }, some))
      fixture.chains()
      const seconds = (performance.now() - began) / 1000
      while ((await helper.answer({ chain: 'builtin', password: 'no' })) === 'busy') await sleep(50) // what was refused counts, too
      assert.ok(tried >= 20 && tried <= 20 * (Math.ceil(seconds) + 1), `${tried} attempts in ${seconds} s`)
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

    void test('the account cannot signal the helper, and its end of file ends it', async (t) => {
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
      session.socket.destroy()
    })
  })
}
