// The control sockets of a running acceptd under hostile clients, many sessions, second daemons and sudden ends.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { METHODS } from '../../src/rpc/methods.ts'
import { assertAnswers, deaf, exchange, HOSTILE } from '../rpc/hostile.ts'
import { wire } from '../rpc/wire.ts'
import { loggedIn } from './conversation.ts'
import { type Daemon, type Start, startDaemon } from './daemon.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import {
  cpuSeconds,
  isAlive,
  memory,
  type Process,
  picture,
  runtimeOf,
  SCHED_BATCH,
  schedulingOf,
  signal,
  treeOf,
  until,
} from './processes.ts'
import { makeRecorder, type Recorder, transact } from './recorder.ts'
import { type Ran, run } from './run.ts'

/** The group of status.sock; only the test's reader is in it. */
const STATUS_GROUP = 61_357

let fixture: Fixture
let recorder: Recorder
/** The one after the fixture's. */
let running: Daemon | undefined
before(async () => {
  fixture = await makeFixture({
    control: { lanes: '2\n', statusgroup: `${STATUS_GROUP}\n` },
    chains: async ({ claim, people }) => {
      recorder = await makeRecorder(claim.dir, people)
      return [recorder.chain]
    },
  })
})
after(async () => {
  await running?.stop()
  await fixture.end()
})

const login = (n: number, port = fixture.daemon.port('mail')) => {
  const { name, password } = fixture.people[n % 3] ?? fixture.people[0]
  return loggedIn(port, name, password, 30_000)
}

const acceptctl = (socket: string, words: readonly string[], as: { uid?: number; gid?: number } = {}): Promise<Ran> =>
  run([join(fixture.place.programs, 'acceptctl'), '--socket', join(fixture.place.run, socket), ...words], as)

/** Twenty sessions submit for as long as `what` takes; nothing of theirs is lost, duplicated or refused. */
async function whileMailFlows(name: string, what: () => Promise<void>): Promise<number> {
  const talks = await Promise.all(Array.from({ length: 20 }, (_, n) => login(n)))
  const state = { going: true }
  const acknowledged: string[] = []
  const flow = talks.map(async (talk, session) => {
    for (let n = 0; state.going || n < 2; n += 1) {
      const subject = `${name} ${session} ${n}`
      for (const reply of await transact(talk, subject)) assert.match(reply, /^(?:250|354) /)
      acknowledged.push(subject)
    }
    assert.match(await talk.say('QUIT'), /^221 /)
  })
  const done = what().finally(() => (state.going = false))
  await Promise.all([done, ...flow])
  const taken = recorder.taken().filter((subject) => subject.startsWith(`${name} `))
  assert.deepEqual(taken.toSorted(), acknowledged.toSorted())
  return acknowledged.length
}

/** Each method with each of its parameters, and then the whole, of a wrong type. */
const MISFITS = Object.entries(METHODS).flatMap(([method, { params, changes }]) => {
  const names = Object.keys(params.shape)
  const wrong: unknown[] = [7, 'x', [[]], { '': 0 }, ...names.map((name) => ({ [name]: [[{}]] }))]
  return wrong.map((value, id) => ({ changes, line: JSON.stringify({ jsonrpc: '2.0', id, method, params: value }) }))
})

void describe('a hostile client', () => {
  const round = async (): Promise<void> => {
    const path = fixture.daemon.controlSocket
    for (const text of HOSTILE) assertAnswers(await exchange(path, [Buffer.from(text), Buffer.from('\n')], 20_000))
    for (let n = 1; n <= 30; n += 1) assertAnswers(await exchange(path, [randomBytes(n * 300)], 20_000))
    for (const text of ['x'.repeat(3_000_000), `${'y'.repeat(3_000_000)}\n`]) {
      const answer = JSON.parse(await exchange(path, [Buffer.from(text)], 20_000))
      assert.equal(answer.error.data.reason, 'line-too-long')
    }
    const misfits = await exchange(path, [Buffer.from(MISFITS.map(({ line }) => `${line}\n`).join(''))], 20_000)
    assertAnswers(misfits)
    const codes = misfits.split('\n').map((line) => (line === '' ? undefined : JSON.parse(line).error?.code))
    for (const [n, { changes, line }] of MISFITS.entries()) if (changes) assert.equal(codes[n], -32602, line)

    const request = { jsonrpc: '2.0', id: 1, method: 'session.list', params: { limit: 1000 } }
    for (const length of [100, 101])
      assertAnswers(await exchange(path, [Buffer.from(JSON.stringify(Array.from({ length }, () => request)))], 20_000))
    const silent = Array.from({ length: 30 }, () => deaf(path))
    await Promise.all(silent.map(async (socket) => socket.connecting && once(socket, 'connect')))
    const control = wire(path)
    for (let n = 0; n < 100; n += 1) assert.equal((await control.call('server.ping')).result.pong, true)
    control.end()
    for (const socket of silent) socket.destroy()
  }

  void it('is answered or closed, costs no memory for good, and nobody who submits mail notices', async (t) => {
    const pid = runtimeOf(fixture.daemon.pid)?.pid ?? 0
    const rss: number[] = []
    const messages = await whileMailFlows('among hostile clients', async () => {
      for (let n = 0; n < 8; n += 1) {
        await round()
        rss.push(Math.round(memory(pid).rss / 1024))
      }
    })
    t.diagnostic(`${messages} messages meanwhile; MB resident after each round: ${rss.join(', ')}`)
    const [, first = 0] = rss
    assert.ok((rss.at(-1) ?? Infinity) < first + 128, rss.join(' '))
    assert.equal(runtimeOf(fixture.daemon.pid)?.pid, pid)
    assert.doesNotMatch(fixture.daemon.log(), / (?:bug|lane-died|child-ended) /)
  })
})

void it('ten thousand sessions are listed in pages with a second of the processor', async (t) => {
  const sockets: Socket[] = []
  const come = async (): Promise<void> => {
    const socket = connect(fixture.daemon.port('mail'), '127.0.0.1')
    sockets.push(socket)
    const [greeting] = await once(socket, 'data')
    assert.match(String(greeting), /^220 /)
  }
  try {
    while (sockets.length < 10_000) await Promise.all(Array.from({ length: 250 }, come))
    const control = wire(fixture.daemon.controlSocket)
    const runtime = runtimeOf(fixture.daemon.pid)?.pid ?? 0
    const times: number[] = []
    for (const sort of ['started', 'ip', 'id']) {
      const began = cpuSeconds(runtime)
      const ids = new Set<string>()
      let cursor: string | undefined
      do {
        const { result } = await control.call('session.list', { sort, limit: 1000, cursor })
        assert.equal(result.matched, sockets.length)
        for (const { id } of result.sessions) ids.add(id)
        cursor = result.next
      } while (cursor !== undefined)
      times.push(cpuSeconds(runtime) - began)
      assert.equal(ids.size, sockets.length)
    }
    control.end()
    t.diagnostic(`${times.map((time) => time.toFixed(2)).join(', ')} s of the processor`)
    assert.ok(Math.min(...times) < 1, times.join(' '))
  } finally {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  await until('them to be gone', async () => {
    const { stdout } = await acceptctl('control.sock', ['session', 'list', '-o', 'json'])
    return JSON.parse(stdout).matched === 0
  })
})

void describe('a user who is only in the group of status.sock', () => {
  const reader = () => ({ uid: fixture.people[2].uid, gid: STATUS_GROUP })

  void it('may read the status', async () => {
    const talk = await login(0)
    const { code, stdout } = await acceptctl('status.sock', ['session', 'list', '-o', 'jsonl'], reader())
    assert.equal(code, 0)
    assert.equal(JSON.parse(stdout).user, fixture.people[0].name)
    talk.cut()
  })

  void it('is told that only control.sock reloads', async () => {
    const refused = await acceptctl('status.sock', ['config', 'reload'], reader())
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /^acceptctl: .*control socket only\n$/)
  })

  void it('cannot open control.sock, and others can open neither', async () => {
    const outsider = { uid: fixture.people[2].uid, gid: fixture.people[2].gid }
    for (const [socket, as] of [
      ['control.sock', reader()],
      ['control.sock', outsider],
      ['status.sock', outsider],
    ] as const) {
      const refused = await acceptctl(socket, ['server', 'ping'], as)
      assert.equal(refused.code, 69, refused.stdout)
      assert.match(refused.stderr, /not reachable: .*EACCES/)
    }
  })
})

void it('acceptctl rules eval shows the resulting reply', async () => {
  const words = ['rules', 'eval', 'noop', '--reply', '250 fine', '-o', 'table']
  const { code, stdout } = await acceptctl('control.sock', [...words, '--text', ':noop::2*::250 by a rule\n'])
  assert.equal(code, 0)
  assert.match(stdout, /^reply +250 by a rule/m)
  assert.match(stdout, /^trace:$/m)
})

void it('a second acceptd on the same control and run directory says why it ends, and the first goes on', async () => {
  const talk = await login(0)
  const argv = [join(fixture.place.programs, 'acceptd'), '--control', fixture.place.control, '--run', fixture.place.run]
  const { code, transcript } = await run(argv)
  assert.equal(code, 71, transcript)
  assert.match(transcript, /control\.sock is answered by another process/)
  assert.match((await transact(talk, 'beside a second daemon')).at(-1) ?? '', /^250 /)
  assert.ok(await fixture.daemon.call('server.ping'))
  await talk.say('QUIT')
  const newcomer = await login(1)
  assert.match(await newcomer.say('QUIT'), /^221 /)
})

void it('a runtime that dies comes back with what was changed over its socket, until that is undone', async () => {
  const [user] = fixture.people
  const { listeners } = (await fixture.daemon.call('listener.list')) as { listeners: { name: string }[] }
  const listener = listeners[0]?.name
  await fixture.daemon.call('user.block', { user: user.name, ttl: 3600 })
  await fixture.daemon.call('listener.pause', { listener, ttl: 3600 })
  await assert.rejects(login(0), /greeting: 421 paused|login of/)
  const { operations } = (await fixture.daemon.call('op.list')) as { operations: unknown[] }
  assert.equal(operations.length, 2)
  const old = runtimeOf(fixture.daemon.pid)
  assert.ok(old !== undefined)
  signal(old.pid, 'SIGKILL')
  await until('another runtime', () => fixture.daemon.call('server.ping').catch(() => undefined))
  assert.notEqual(runtimeOf(fixture.daemon.pid)?.pid, old.pid)
  const kept = (await fixture.daemon.call('op.list')) as { operations: unknown[] }
  assert.deepEqual(kept.operations, operations)
  await assert.rejects(login(0), /greeting: 421 paused|login of/)
  await fixture.daemon.call('user.unblock', { user: user.name })
  await fixture.daemon.call('listener.resume', { listener })
  const talk = await login(0)
  assert.match(await talk.say('QUIT'), /^221 /)
})

const KILLED = {
  'its first process': (all: readonly Process[]) => all.slice(0, 1),
  'its supervisor': (all: readonly Process[]) => all.slice(1, 2),
  'all of acceptd': (all: readonly Process[]) => all,
}
// This comes last, since the first daemon is gone afterwards.
for (const [what, whom] of Object.entries(KILLED))
  void it(`${what} killed: nothing stays, and the next one takes the dead sockets' place`, async () => {
    const { pid } = running ?? fixture.daemon
    const all = treeOf(pid)
    for (const one of whom(all)) signal(one.pid, 'SIGKILL')
    const left = () => all.filter((one) => isAlive(one.pid))
    await until('the rest to end', () => left().length === 0, { show: () => picture(left()) })
    assert.equal((await acceptctl('control.sock', ['server', 'ping'])).code, 69)
    running = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'])
    assert.equal((await acceptctl('control.sock', ['server', 'ping'])).code, 0)
    const talk = await login(0, running.port('mail'))
    assert.match((await transact(talk, `after ${what} was killed`)).at(-1) ?? '', /^250 /)
    assert.match(await talk.say('QUIT'), /^221 /)
  })

/** sched(7). */
const SCHED_OTHER = 0
const SCHED_IDLE = 5

interface Scheduling {
  readonly sentence: string
  readonly start: Start
  readonly policy: number
  readonly says: boolean
}

const SCHEDULINGS: readonly Scheduling[] = [
  { sentence: 'takes SCHED_BATCH', start: {}, policy: SCHED_BATCH, says: false },
  { sentence: 'says so where there is no chrt', start: { path: '/nowhere' }, policy: SCHED_OTHER, says: true },
  {
    sentence: 'keeps a policy that was chosen',
    start: { under: ['/usr/bin/chrt', '-i', '0'] },
    policy: SCHED_IDLE,
    says: false,
  },
]
for (const { sentence, start, policy, says } of SCHEDULINGS)
  void it(`acceptd ${sentence}, its children with it, and serves`, async () => {
    await (running ?? fixture.daemon).stop()
    running = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'], start)
    const all = treeOf(running.pid)
    assert.ok(all.length >= 3, picture(all))
    // The first, which passes signals on, sleeps.
    for (const one of all.slice(1)) assert.equal(schedulingOf(one).policy, policy, picture([one]))
    assert.equal(/ not-batch message=.*chrt/.test(running.log()), says, running.log())
    const talk = await login(0, running.port('mail'))
    assert.match((await transact(talk, sentence)).at(-1) ?? '', /^250 /)
    assert.match(await talk.say('QUIT'), /^221 /)
  })
