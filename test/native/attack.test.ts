// The account of the daemon, broken into, against the helper; and a user's own processes against it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, closeSync, linkSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { within } from '../support/until.ts'
import { account, contents, Fixture, frame, gone, type Helper, isRoot, loginFrame, until, user } from './fixture.ts'

/** In a shell: a child that ends as soon as its parent runs another program. */
const ENDS_LATER = '(while [ "$(cat /proc/$$/comm)" = sh ]; do :; done)'

const ROOT_ONLY = 'needs root: without it there is no boundary to attack'

void describe('accept-helper attacked', () => {
  let fixture: Fixture
  let helper: Helper
  before(async () => {
    fixture = new Fixture()
    fixture.chains(
      'max-processes 4000',
      `chain quick\n kind guest ${isRoot ? '54323 54324' : `${account.uid} ${account.gid}`}\n backend /bin/true\n`,
    )
    helper = await fixture.serve(
      `ulimit -Sn 12; ulimit -Sf 0; ulimit -Sc unlimited; ulimit -Ss 256; ulimit -St 1; trap '' TERM CHLD PIPE HUP INT; umask 0; ${ENDS_LATER} & exec 2>&2`,
    )
  })
  after(async () => {
    assert.equal(await helper.stop(), 0)
    fixture.remove()
  })

  void test('a hostile start leaves no limit, ignored signal or mask behind', async (t) => {
    const session = helper.login({ chain: 'submission' })
    const [word, , , pid] = (await session.line()).split(' ')
    assert.equal(word, 'ok')
    assert.equal(await session.line(), '220 ready')
    const limits = contents(`/proc/${pid}/limits`)
    const status = contents(`/proc/${pid}/status`)
    for (const set of ['SigBlk', 'SigIgn']) assert.match(status, new RegExp(`${set}:\t0+\n`))
    assert.match(limits, /Max core file size +0 +0 /)
    if (isRoot) {
      assert.match(limits, /Max cpu time +unlimited +unlimited/)
      assert.match(limits, /Max file size +unlimited +unlimited/)
      assert.match(limits, /Max stack size +8388608 +unlimited/)
      assert.match(limits, /Max open files +1024 +\d{4,}/)
    } else t.diagnostic(ROOT_ONLY)
    session.socket.destroy()
  })

  void test('a hard link to the helper in a folder of the account does not start', (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const own = join(fixture.folder, 'own')
    mkdirSync(own)
    chownSync(own, account.uid, account.gid)
    linkSync(fixture.helperPath, join(own, 'accept-helper'))
    writeFileSync(join(own, 'checknotroot'), '#!/bin/sh\nid >&2\n', { mode: 0o755 })
    const started = fixture.run(['check'], account, join(own, 'accept-helper'))
    assert.equal(started.status, 78)
    assert.match(started.stderr, /own\/checknotroot: it or a folder above it does not belong to root/)
  })

  void test('half a request, or none, keeps nobody else waiting and ends in a timeout', async () => {
    const whole = loginFrame({ chain: 'submission' })
    const halves = [0, 2, 4, 20, whole.length - 1].flatMap((length) =>
      Array.from({ length: 20 }, () => helper.send(whole.subarray(0, length))),
    )
    assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
    const lines = await within('the timeouts', Promise.all(halves.map(async (half) => half.line())))
    assert.deepEqual(new Set(lines), new Set(['timeout']))
  })

  void test('out-of-band data stops nobody', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    // The kernel counts it as something to be read, and then does not give it: one octet of the request seems to be there that is not.
    const script = `use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die;
      send(S, "x", MSG_OOB); syswrite(S, pack("H*", $ARGV[1])); $| = 1; print "sent"; sleep`
    const request = loginFrame({ chain: 'submission' }).subarray(0, -1).toString('hex')
    const server = helper.server()
    process.kill(server, 'SIGSTOP')
    const sender = spawn('perl', ['-e', script, fixture.socketPath, request], {
      ...account,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    try {
      assert.equal(String((await once(sender.stdout, 'data'))[0]), 'sent')
      process.kill(server, 'SIGCONT')
      assert.match(await within('another login', helper.answer({ chain: 'submission' })), /^ok /)
    } finally {
      process.kill(server, 'SIGCONT')
      sender.kill('SIGKILL')
    }
  })

  void test('the end of the stream within a request is answered with bad, and costs no attempt', async () => {
    const half = helper.connect()
    half.socket.end(loginFrame({ chain: 'submission' }).subarray(0, 20))
    assert.equal(await half.line(), 'bad request without an end')
  })

  void test('a checkpassword that writes into the status pipe does not become a watcher', async () => {
    const session = helper.login({ chain: 'imposter' })
    assert.equal(await session.line(), `*${'0'.repeat(64)}`)
    assert.equal(await session.toEnd(), '')
  })

  void test('a watcher that does not read holds nobody up and is disconnected', async () => {
    const others = helper.children(helper.server())
    const deaf = await helper.watch()
    const [watcher = 0] = helper.children(helper.server()).filter((pid) => !others.includes(pid))
    deaf.socket.pause()
    let told = 0
    const some = async () => {
      for (let line = ''; !gone(watcher) && told < 20_000; ) {
        line = await helper.answer({ kind: 'guest', chain: 'quick', session: 'x'.repeat(64) })
        // A quick machine does more in a second than attempts-per-second allows.
        assert.match(line, /^ok |^busy$/)
        if (line !== 'busy') told += 1
      }
    }
    await within('its end', Promise.all(Array.from({ length: 16 }, some)), 60_000)
    await until('the sessions to end', () => helper.children(helper.server()).length === 0)
    deaf.socket.resume()
    const rest = await within('the end of its stream', deaf.toEnd())
    assert.ok(rest.split('\n').length < told)
    assert.match(await helper.answer({ chain: 'submission' }), /^ok /)
  })

  void test('the ends of a hundred backends at the same time are all reported', async () => {
    const news = await helper.watch()
    const sessions = Array.from({ length: 100 }, (_, i) => `many-${i}`)
    const lines = await Promise.all(
      sessions.map(async (session) => helper.answer({ kind: 'guest', chain: 'quick', session })),
    )
    for (const line of lines) assert.match(line, /^ok /)
    const told = new Set<string>()
    while (told.size < sessions.length) {
      const [, name = ''] = (await within('the news', news.line())).split(' ')
      if (name.startsWith('many-')) told.add(name)
    }
    news.socket.destroy()
  })

  void test('there are at most 64 watchers', async () => {
    await until('no other connection', () => helper.children(helper.server()).length === 0)
    // On a busy machine 64 of them may take longer than the second that a login has.
    fixture.chains('login-timeout 30')
    const all = await Promise.all(Array.from({ length: 64 }, async () => helper.watch()))
    assert.equal(await helper.send(frame('watch\0')).line(), 'busy')
    for (const one of all) one.socket.destroy()
    fixture.chains()
  })

  void test('a stderr that nobody reads stops nothing', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const quiet = new Fixture()
    const deaf = await quiet.serve()
    deaf.child.stderr?.removeAllListeners('data').pause()
    for (let i = 0; i < 30; i++)
      await Promise.all(Array.from({ length: 100 }, async () => deaf.connect({ uid: 0, gid: 0 }).toEnd()))
    assert.match(await within('an answer', deaf.answer({ chain: 'submission' })), /^ok /)
    await deaf.stop()
    deaf.child.stderr?.destroy()
    quiet.remove()
  })

  const runOnce = async (first: string) => {
    const args = isRoot ? ['run', '3'] : ['run', '3', '-c', fixture.chainsPath]
    const child = spawn('/bin/sh', ['-c', `${first}; exec "$0" "$@"`, fixture.helperPath, ...args], {
      ...account,
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    })
    const stream = child.stdio[3] as Socket
    let text = ''
    stream.on('data', (data) => {
      text += String(data)
    })
    stream.on('error', () => {})
    stream.write(loginFrame({ chain: 'builtin', password: 'wrong' }))
    await new Promise((resolve) => child.once('close', resolve))
    return text.trim()
  }

  void test('run does not mistake a child that it inherited for its own', async () => {
    assert.equal(await runOnce(`${ENDS_LATER} & true & :`), 'exit 1')
  })

  void test('starting again gives no more attempts a second, neither with run nor with serve', async () => {
    fixture.chains('attempts-per-second 1')
    const started = performance.now()
    const answers: string[] = []
    const tried = () => answers.filter((line) => line === 'exit 1').length
    while (tried() < 4 || !answers.includes('busy')) {
      answers.push(await runOnce(':'))
      assert.equal(await helper.stop(), 0)
      helper = await fixture.serve()
      answers.push(await helper.answer({ chain: 'builtin', password: 'wrong' }))
    }
    fixture.chains()
    const seconds = (performance.now() - started) / 1000
    assert.ok(tried() <= seconds + 2, `${tried()} attempts in ${seconds} s: ${answers.join(', ')}`)
  })

  void test('a guest too inherits 0, 1 and 2 only, and no group of the helper', async () => {
    const session = helper.login({ kind: 'guest', chain: 'guest' })
    const pid = (await session.line()).split(' ')[3]
    await session.line()
    assert.deepEqual(
      readdirSync(`/proc/${pid}/fd`).filter((fd) => fd !== '10'),
      ['0', '1', '2'],
    )
    if (isRoot) assert.match(contents(`/proc/${pid}/status`), /Groups:\t54324 \n/)
    session.socket.destroy()
  })

  void test('no process of the helper can be signalled or read by the account while it is root', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const others = helper.children(helper.server())
    const waiting = helper.connect()
    waiting.socket.write(loginFrame({ chain: 'submission' }).subarray(0, 20))
    const its = () => helper.children(helper.server()).filter((pid) => !others.includes(pid))
    await until('its process', () => its().length === 1)
    for (const pid of [helper.child.pid, helper.server(), ...its()]) {
      assert.match(contents(`/proc/${pid}/status`), /Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n(.*\n)*Groups:\t \n/)
      const tried = spawnAs(`kill -STOP ${pid} || kill -KILL ${pid} || cat /proc/${pid}/maps || ls /proc/${pid}/fd/`)
      assert.notEqual(await tried, 0)
    }
    waiting.socket.destroy()
  })

  void test('clerk and watchers are the account and nobody else, and it can look into neither', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const others = helper.children(helper.server())
    const watcher = await helper.watch()
    const its = helper.children(helper.server()).filter((pid) => !others.includes(pid))
    assert.equal(its.length, 1)
    const { uid, gid } = account
    for (const pid of [helper.clerk(), ...its]) {
      const ids = (name: string, id: number): string => `${name}:${`\t${id}`.repeat(4)}\n`
      const status = contents(`/proc/${pid}/status`)
      assert.ok(status.includes(ids('Uid', uid) + ids('Gid', gid)), status)
      assert.match(status, /Groups:\t \n/)
      assert.match(status, /CapPrm:\t0+\n/)
      assert.notEqual(await spawnAs(`cat /proc/${pid}/maps || ls /proc/${pid}/fd/ || cat /proc/${pid}/environ`), 0)
    }
    watcher.socket.destroy()
  })

  void test('no password stays in the memory of the helper, whatever became of its login', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const planted = randomBytes(24).toString('hex')
    for (const chain of ['submission', 'builtin', 'tempfail', 'crash', 'nothing', 'unknown'])
      assert.doesNotMatch(await helper.answer({ chain, password: planted }), /^ok /)
    // Two reads of the daemon's, so that the process is a copy from the start.
    const others = helper.children(helper.server())
    const slow = helper.connect()
    const request = loginFrame({ chain: 'submission', password: planted })
    slow.socket.write(request.subarray(0, -1))
    await until('its process', () => helper.children(helper.server()).some((pid) => !others.includes(pid)))
    slow.socket.write(request.subarray(-1))
    assert.equal(await slow.line(), 'exit 1')
    for (const pid of [helper.child.pid ?? 0, helper.server(), helper.clerk()]) {
      const memory = memoryOf(pid)
      assert.ok(memory.includes(fixture.socketPath), 'this is its memory')
      assert.ok(!memory.includes(planted.slice(2, -2)), `the password is in process ${pid}`)
    }
  })

  const spawnAs = async (command: string): Promise<number | null> => {
    const child = spawn('/bin/sh', ['-c', command], { ...account, stdio: 'ignore' })
    return new Promise((resolve) => child.once('exit', resolve))
  }

  void test('a backend cannot end the helper or a stranger, nor can it reach the socket', async (t) => {
    if (!isRoot) return t.diagnostic(ROOT_ONLY)
    const tried = spawn(
      '/bin/sh',
      ['-c', `kill -9 ${helper.server()} || cd ${join(fixture.folder, 'run')} || exec ${fixture.helperPath} check`],
      {
        ...user,
        stdio: 'ignore',
      },
    )
    assert.notEqual(await new Promise((resolve) => tried.once('exit', resolve)), 0)
  })
})

/** Everything that a process can write to. */
function memoryOf(pid: number): Buffer {
  const parts: Buffer[] = []
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  for (const [, from = '', to = ''] of contents(`/proc/${pid}/maps`).matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm)) {
    const start = BigInt(`0x${from}`)
    const part = Buffer.alloc(Number(BigInt(`0x${to}`) - start))
    readSync(memory, part, 0, part.length, start)
    parts.push(part)
  }
  closeSync(memory)
  return Buffer.concat(parts)
}
