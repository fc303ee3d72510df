import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  account,
  BUILDS,
  endWell,
  Fixture,
  frame,
  guest,
  type Helper,
  isRoot,
  loginFrame,
  privilege,
  type Request,
  user,
} from './fixture.ts'

for (const [build, make] of BUILDS) {
  /** A login with a long environment, which does not outlast it. */
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
    after(() => endWell(fixture, helper))

    void test('it reports where it serves and with which rights', () => {
      assert.match(helper.stderr, new RegExp(`Z info accept-helper: serving ${fixture.socketPath} ${privilege}\n`))
      assert.equal(/without privileges/.test(helper.stderr), !isRoot)
    })

    for (const chain of ['submission', 'builtin'] as const) {
      void test(`${chain}: a right password gets a backend that runs as the user, after one line that says so`, async () => {
        // Nothing of the previous login, which had a longer environment, is in its environment.
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
      fixture.chains('login-timeout 4')
      const answers: string[] = []
      const hanging = Array.from({ length: 60 }, () => helper.login({ chain: 'hang' }))
      const all = hanging.map(async (one) => answers.push(await one.line()))
      const session = helper.login({ chain: 'submission' })
      assert.match(await session.line(), /^ok /)
      assert.deepEqual(answers, [], 'the others wait for their timeout')
      session.socket.destroy()
      await Promise.all(all)
      assert.deepEqual(new Set(answers), new Set(['timeout']))
      fixture.chains()
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
        await new Promise((resolve) => lines.socket.write(Buffer.from([byte]), resolve))
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
        await helper.stderrHas(`refused a connection of uid ${uid}\n`)
      }
      assert.equal(
        spawnSync('stat', ['-c', '%u %g %a', join(fixture.folder, 'run'), fixture.socketPath], { encoding: 'utf8' })
          .stdout,
        `0 ${account.gid} 750\n0 ${account.gid} 660\n`,
      )
    })
  })
}
