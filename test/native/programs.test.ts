import assert from 'node:assert/strict'
import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process'
import { chmodSync, openSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Fixture, frame, gone, isRoot, Lines, until, user } from './fixture.ts'

const fixture = new Fixture()
after(() => fixture.remove())
const program = (name: string) => join(fixture.bin, name)

const ask = (
  credentials: string,
  args: readonly string[] = ['/bin/sh', '-c', 'echo $USER $HOME $SHELL; id -u; id -g'],
): SpawnSyncReturns<string> => {
  const path = join(fixture.folder, 'credentials')
  writeFileSync(path, Buffer.from(credentials, 'latin1'))
  return spawnSync(program('checkpassword'), ['-f', join(fixture.folder, 'passwd'), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe', openSync(path, 'r')],
  })
}

const reup = (args: readonly string[]) => spawnSync(program('reup'), args, { encoding: 'utf8', timeout: 10_000 })

const chain =
  'read -r pw <&3 2>/dev/null; case $AUTHUP_USER in bad) exit 1;; dead) kill -9 $$;; esac; echo "as $AUTHUP_USER $UCSPITLS $SSL_PROTOCOL $EVIL"; read -r x; echo "got $x"'

const start = (args: readonly string[]) => {
  const child = spawn(program('authup-helper'), ['--', ...args], {
    env: { PATH: '/usr/bin:/bin', UCSPITLS: '!', KEPT: 'yes' },
    stdio: ['pipe', 'pipe', 'inherit', 'pipe', 'pipe', 'pipe', 'pipe'],
  })
  return { child, control: new Lines(child.stdio[3] as Socket), relay: new Lines(child.stdio[4] as Socket) }
}

const request = (kind: string, flags: string, env: readonly string[], credentials = '') =>
  frame(`${[kind, flags, ...env, ''].map((text) => `${text}\0`).join('')}${credentials}`)

void describe('checkpassword', () => {
  void test('a right password runs the program as the user', () => {
    const ran = ask('demo\0secret\0\0')
    assert.equal(ran.stdout, `demo /tmp /bin/sh\n${user.uid}\n${user.gid}\n`)
    assert.equal(ran.status, 0)
  })
  for (const [what, credentials, status] of [
    ['a wrong password', 'demo\0wrong\0\0', 1],
    ['nobody of that name', 'other\0secret\0\0', 1],
    ['a locked account', 'locked\0secret\0\0', 1],
    ['an empty hash', 'empty\0\0\0', 1],
    ['a missing home', 'homeless\0secret\0\0', 111],
    ['more than 512 bytes', `demo\0${'x'.repeat(510)}\0\0`, 2],
    ['no password', 'demo', 2],
    ['nothing', '', 2],
  ] as const)
    void test(`${what} is exit ${status}`, () => {
      assert.equal(ask(credentials).status, status)
    })
  // crypt(5), each of "secret"
  const hashes = [
    '$y$j75$VBqMZ/5RY3qMXJ4QoFKMX/$vUIl7tF13bOwQDeXjgkxVlfKQtUEhnDpH0ek06vcxs8',
    '$gy$j75$VBqMZ/5RY3qMXJ4QoFKMX/$JnLpTMrKXegtlz3dE5RNdsnCQEiEfJz96S99muFO.o4',
    '$7$BU..../....VBqMZ/5RY3qMXJ4QoFKMX/$lINjZ.rTcW5ucue59miKN3kji3i/YgtHglyLk6Dyg15',
    '$2b$04$acceptdacceptdacceptduHa3/QwiRcgDhaR0n1vyRwT.kUffksbu',
    '$6$acceptd$QbmYhZZsFDhSqtsmks8lSHuIhleibumRjj9IjOZGgtnb1vW1ZaUxvaHqFThuIF/AmBzf5H1CP1qdkldeDrsqF.',
    '$6$rounds=1000$acceptd$jW5N4RiqLKQI2H4Jdz/GrY5qVwmAOlmBv7AxiCCpWVxKm28Yf1buNMkx5hHEdCOCvOfM6szn9LP205aoJY5b40',
    '$5$rounds=1000$acceptd$FJ68jbbmLzBIIbt0HgQlZ/Pv681t24c0tIFq1EDCNVA',
    '$sha1$100$acceptd$FO5EhcvPQ8ZN/TotZ5m0mj/2.VC3',
    '$md5,rounds=100$acceptd$$kpKf3EXHfjVdIgOaJDjmW1',
    '$1$acceptd$K9XKDn1RBjkVCBWCnMpT8.',
    '$3$$878d8014606cda29677a44efa1353fc7',
    '_/...acceCmT.pZuq.qQ',
    'acI.WsXmTid6k',
  ]
  for (const hash of hashes)
    void test(`of ${hash.slice(0, 9)} takes the password and no other`, () => {
      const path = join(fixture.folder, 'hash')
      writeFileSync(path, `demo:${hash}:${user.uid}:${user.gid}::/tmp:/bin/sh\n`, { mode: 0o600 })
      assert.equal(ask('demo\0secret\0\0', ['-f', path, 'true']).status, 0)
      assert.equal(ask('demo\0secres\0\0', ['-f', path, 'true']).status, 1)
      assert.equal(ask('demo\0\0\0', ['-f', path, 'true']).status, 1)
    })
  void test('the program has the environment that was there, with its own variables in place of what had their names', () => {
    const path = join(fixture.folder, 'credentials')
    writeFileSync(path, 'demo\0secret\0\0')
    const ran = spawnSync(program('checkpassword'), ['--', 'env'], {
      encoding: 'utf8',
      env: {
        USER: 'root',
        KEPT: 'as it is',
        HOME: '/root',
        CHECKPASSWORD_FILE: join(fixture.folder, 'passwd'),
        PATH: '/x:/usr/bin',
      },
      stdio: ['ignore', 'pipe', 'pipe', openSync(path, 'r')],
    })
    assert.deepEqual(ran.stdout.trim().split('\n').toSorted(), [
      'HOME=/tmp',
      'KEPT=as it is',
      'PATH=/x:/usr/bin',
      'SHELL=/bin/sh',
      'USER=demo',
    ])
  })
  void test('a missing program is named, with the reason', () => {
    const ran = ask('demo\0secret\0\0', ['/nonexistent/program'])
    assert.equal(ran.status, 111)
    assert.equal(ran.stderr, 'checkpassword: unable to run /nonexistent/program: No such file or directory\n')
    assert.match(
      ask('demo\0secret\0\0', ['/etc/passwd']).stderr,
      /^checkpassword: unable to run \/etc\/passwd: Permission denied\n$/,
    )
  })
  void test('options are those of its synopsis', () => {
    for (const args of [['-x', 'true'], ['-f'], ['-f', join(fixture.folder, 'passwd')], ['--']])
      assert.equal(ask('demo\0secret\0\0', args).status, 2, args.join(' '))
    for (const args of [
      ['--', 'true'],
      [`-f${join(fixture.folder, 'passwd')}`, 'true'],
    ])
      assert.equal(ask('demo\0secret\0\0', args).status, 0, args.join(' '))
  })
  void test('no program is exit 2, and so is no descriptor 3', () => {
    assert.equal(ask('demo\0secret\0\0', []).status, 2)
    assert.equal(spawnSync('/bin/sh', ['-c', `exec ${program('checkpassword')} true 3<&-`]).status, 2)
  })
  void test('a password file that others can write is exit 111', () => {
    chmodSync(join(fixture.folder, 'passwd'), 0o622)
    assert.equal(ask('demo\0secret\0\0').status, 111)
    chmodSync(join(fixture.folder, 'passwd'), 0o600)
  })
  void test('somebody else cannot log in without root rights', () => {
    const who = isRoot ? { uid: 54329, gid: 54329 } : {}
    const file = join(fixture.folder, 'passwd.open')
    writeFileSync(
      file,
      spawnSync('sed', ['s/^demo:\\([^:]*\\):[0-9]*/demo:\\1:54399/', join(fixture.folder, 'passwd')]).stdout,
      { mode: 0o644 },
    )
    const ran = spawnSync(
      '/bin/sh',
      ['-c', `printf 'demo\\0secret\\0\\0' | ${program('checkpassword')} -f ${file} id 3<&0`],
      { ...who, encoding: 'utf8' },
    )
    assert.equal(ran.status, 111)
    assert.match(ran.stderr, /without root rights/)
  })
})

void describe('checkpassword with hashes of many costs', () => {
  const file = join(fixture.folder, 'passwd.costs')
  const cheap = '$5$rounds=1000$acceptd$FJ68jbbmLzBIIbt0HgQlZ/Pv681t24c0tIFq1EDCNVA'
  const dear = `$6$rounds=400000$acceptd$${'x'.repeat(86)}`
  writeFileSync(
    file,
    `cheap:${cheap}:${user.uid}:${user.gid}::/:\ndear:${dear}:${user.uid}:${user.gid}::/:\nlocked:!${dear}:1:1::/:\nshut:!!:1:1::/:\n`,
    { mode: 0o600 },
  )
  const costOnce = (name: string): number => {
    const ran = spawnSync(
      '/bin/sh',
      ['-c', `printf '${name}\\0wrong\\0\\0' | ${program('checkpassword')} -f ${file} true 3<&0; echo $?; times`],
      { encoding: 'utf8' },
    )
    const [status, , children = ''] = ran.stdout.split('\n')
    assert.equal(status, '1')
    const [, minutes, seconds] = /^(\d+)m([\d.]+)s/.exec(children) ?? []
    return Number(minutes) * 60_000 + Number(seconds) * 1000
  }
  void test('the time of an unknown name, of one without a hash and of a locked one is that of the most expensive hash', () => {
    // Milliseconds of processor time, the least of seven in turn with the others: whatever else the machine does only adds to it.
    const costs: Record<string, number> = {
      dear: Infinity,
      cheap: Infinity,
      unknown: Infinity,
      shut: Infinity,
      locked: Infinity,
      '': Infinity,
    }
    for (let round = 0; round < 7; round += 1)
      for (const [name, least] of Object.entries(costs)) costs[name] = Math.min(least, costOnce(name))
    const { dear: most = 0, cheap: least = 0, ...others } = costs
    assert.ok(most > 50, `a dear hash took ${most} ms only`)
    for (const [name, took] of Object.entries(others))
      assert.ok(took > most * 0.6 && took < most * 1.6, `${name} took ${took} ms, the dearest ${most} ms`)
    assert.ok(least < most / 2)
  })
})

void describe('reup', () => {
  void test('tries until 0, 12 or the last try, counting in REUP', () => {
    const ran = reup(['-t', '5', '/bin/sh', '-c', 'exit $((10 + REUP))'])
    assert.equal(ran.status, 12)
    assert.match(ran.stderr, /^reup \d+ \/bin\/sh \d+ \(1\/5\): exit 11\nreup \d+ \/bin\/sh \d+ \(2\/5\): exit 12\n$/)
  })
  void test('a missing program without a limit is not tried in a tight loop', async () => {
    const began = performance.now()
    const child = spawn(program('reup'), ['/nonexistent/program'], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (bytes: Buffer) => {
      said += bytes.toString()
    })
    // It waits 0.1 s before the third try and 0.8 s before the fourth.
    await until('four tries', () => said.split(': exit 111\n').length > 4)
    child.kill('SIGKILL')
    assert.ok(performance.now() - began > 890)
  })
  void test('a signal is passed on, and reup ends by it when its program has', async () => {
    const child = spawn(program('reup'), ['/bin/sh', '-c', 'trap "exit 3" TERM; echo up; while :; do :; done'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    child.kill('SIGTERM')
    assert.equal(await new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal))), 'SIGTERM')
  })
})

void describe('checknotroot', () => {
  void test('root is refused in capitals, anybody else continues', () => {
    const ran = spawnSync(program('checknotroot'), ['echo', 'on'], { encoding: 'utf8' })
    assert.deepEqual(
      [ran.status, ran.stdout, ran.stderr],
      isRoot ? [1, '', 'checknotroot: WAS RUNNING AS ROOT, TERMINATING\n'] : [0, 'on\n', ''],
    )
  })
})

void describe('authup-helper', () => {
  void test('a refused attempt, a killed one, then one that gets the client', async () => {
    const { child, control } = start(['/bin/sh', '-c', chain])
    for (const [name, end] of [
      ['bad', 'exit 1'],
      ['dead', 'signal 9'],
    ] as const) {
      control.socket.write(request('auth', '', [`AUTHUP_USER=${name}`], `${name}\0x\0\0`))
      assert.match(await control.line(), /^pid \d+$/)
      assert.equal(await control.line(), end)
    }
    control.socket.write(request('auth', '', ['AUTHUP_USER=me', 'SSL_PROTOCOL=TLSv1.3', 'EVIL=1'], 'me\0x\0\0'))
    assert.match(await control.line(), /^pid \d+$/)
    let out = ''
    child.stdout?.on('data', (data) => {
      out += String(data)
    })
    child.stdin?.write('hello\n')
    assert.equal(await control.line(), 'exit 0')
    await until('all output', () => out.includes('got'))
    assert.equal(out, 'as me  TLSv1.3 \ngot hello\n')
    control.socket.end()
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0)
  })
  void test('with relay the chain speaks to authup, and its end is reported after its last byte', async () => {
    const { control, relay } = start(['/bin/sh', '-c', chain])
    control.socket.write(request('auth', 'relay', ['AUTHUP_USER=me'], 'me\0x\0\0'))
    assert.match(await control.line(), /^pid \d+$/)
    assert.equal(await relay.line(), 'as me   ')
    assert.equal(await relay.ask('there'), 'got there')
    assert.equal(await control.line(), 'exit 0')
    control.socket.end()
  })
  void test('with tls the chain has descriptors 5 and 6 as 0 and 1, and no other', async () => {
    const { child, control } = start(['/bin/sh', '-c', 'read -r x; echo "got $x"; ls -C -w 200 /proc/$$/fd'])
    const stdio: readonly unknown[] = child.stdio
    const tls = new Lines(stdio[6] as Socket)
    let plain = ''
    child.stdout?.on('data', (data) => {
      plain += String(data)
    })
    control.socket.write(request('auth', 'tls', ['AUTHUP_USER=me'], 'me\0x\0\0'))
    assert.match(await control.line(), /^pid \d+$/)
    ;(stdio[5] as Socket).write('inside\n')
    assert.equal(await tls.line(), 'got inside')
    assert.doesNotMatch(await tls.line(), /\b[456]\b/)
    assert.equal(await control.line(), 'exit 0')
    assert.equal(plain, '')
    control.socket.end()
  })
  void test('a guest gets the other chain, no descriptor 3 and no user', async () => {
    const { child, control } = start([
      '/bin/false',
      '--',
      '/bin/sh',
      '-c',
      'echo "user=$AUTHUP_USER"; [ -e /proc/$$/fd/3 ] && echo 3; exit 4',
    ])
    let out = ''
    child.stdout?.on('data', (data) => {
      out += String(data)
    })
    control.socket.write(request('guest', '', ['AUTHUP_USER=x']))
    assert.match(await control.line(), /^pid \d+$/)
    assert.equal(await control.line(), 'exit 4')
    await until('the output', () => out.includes('\n'))
    assert.equal(out, 'user=\n')
    control.socket.end()
  })
  void test('a chain that cannot be run is reported as missing', async () => {
    const { control } = start(['nonexistent-program'])
    control.socket.write(request('auth', '', [], 'me\0x\0\0'))
    assert.match(await control.line(), /^pid \d+$/)
    assert.equal(await control.line(), 'missing nonexistent-program: No such file or directory')
    control.socket.write(request('what', '', []))
    assert.match(await control.line(), /^bad /)
    control.socket.end()
  })
  void test('the end of the control stream leaves the running chain alone', async () => {
    const { child, control } = start(['/bin/sh', '-c', 'read -r x; exit 0'])
    control.socket.write(request('auth', '', [], 'me\0x\0\0'))
    const pid = Number((await control.line()).split(' ')[1])
    control.socket.destroy()
    assert.equal(gone(pid), false)
    child.stdin?.write('\n')
    await until('the chain to end', () => gone(pid))
  })
})
