// server.upgrade and USR2: a new runtime takes over the sockets, the old one finishes its sessions, and no client notices; or it does
// not, and nothing has changed.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { isAlive, runtimeOf, signal, supervisorOf, treeOf, until } from './processes.ts'
import { makeRecorder, type Recorder, transact } from './recorder.ts'
import { run } from './run.ts'

const UPGRADES = 10
const SESSIONS = 1000
const SUBMITTING = 200
/** Milliseconds from one message of a session to its next. */
const PAUSE = 1000

let fixture: Fixture
let recorder: Recorder
before(async () => {
  fixture = await makeFixture({
    globals: { 'attempts-per-second': 100_000 },
    control: { lanes: '2\n', limits: 'guesses address failed-logins 9000/hour\n', metrics: '127.0.0.1:29025\n' },
    certificates: ['mx.acceptd.test'],
    listeners: ['127.0.0.1:0 smtp mail tls=offer', '127.0.0.1:0 smtp mail tls=implicit name=tls'],
    chains: async ({ claim, people }) => {
      recorder = await makeRecorder(claim.dir, people)
      return [recorder.chain]
    },
  })
})
after(() => fixture.end())

const port = (): number => fixture.daemon.port('mail')
const call = (method: string, params: Readonly<Record<string, unknown>> = {}) => fixture.daemon.call(method, params)

const login = (n = 0): Promise<Conversation> => {
  const { name, password } = fixture.people[n % 3] ?? fixture.people[0]
  return loggedIn(port(), name, password, 60_000)
}

interface Upgraded {
  readonly pid: number
  readonly sessions: number
}

const upgrade = async (): Promise<Upgraded> => (await call('server.upgrade')) as Upgraded
const pidOf = async (): Promise<number> => ((await call('server.info')) as { pid: number }).pid

interface Listed {
  readonly id: string
  readonly lane: number
  readonly messages: number
}

const sessions = async (): Promise<readonly Listed[]> =>
  ((await call('session.list', { limit: 1000 })) as { sessions: readonly Listed[] }).sessions

/** Counters by name and labels, as Prometheus sees them. */
async function counters(): Promise<ReadonlyMap<string, number>> {
  const { text } = (await call('server.metrics')) as { text: string }
  const names = new Set([...text.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name))
  return new Map(
    [...text.matchAll(/^(acceptd_[^{ ]+)(\{.*\})? (\S+)$/gm)].flatMap(([, name = '', labels = '', value]) =>
      names.has(name) ? [[`${name}${labels}`, Number(value)] as const] : [],
    ),
  )
}

void it(`${UPGRADES} upgrades under ${SESSIONS} sessions refuse nobody, cut nobody, and lose no message and no count`, async () => {
  const all = await Promise.all(Array.from({ length: SESSIONS }, (_none, n) => login(n)))
  const load = { over: false }
  const acknowledged: string[] = []
  const more = async (messages: number): Promise<void> => {
    const had = acknowledged.length
    await until('more messages', () => load.over || acknowledged.length >= had + messages)
  }
  const submitting = all.slice(0, SUBMITTING).map(async (talk, n) => {
    for (let m = 0; !load.over; m += 1) {
      await transact(talk, `kept ${n} ${m}`)
      acknowledged.push(`kept ${n} ${m}`)
      // A client does not write all the time.
      await sleep(PAUSE)
    }
  })
  const coming = [0, 1].map(async (n) => {
    for (let m = 0; !load.over; m += 1) {
      const talk = await login(n)
      await transact(talk, `new ${n} ${m}`)
      acknowledged.push(`new ${n} ${m}`)
      assert.match(await talk.say('QUIT'), /^221 /)
    }
  })
  const looking = (async () => {
    let last = await counters()
    while (!load.over) {
      const now = await counters()
      for (const [name, value] of last)
        assert.ok((now.get(name) ?? -1) >= value, `${name}: ${value}, then ${now.get(name)}`)
      last = now
      await more(10)
    }
  })()
  const pids = new Set([await pidOf()])
  const working = Promise.all([...submitting, ...coming, looking])
  for (let n = 0; n < UPGRADES; n += 1) {
    const { pid, sessions: left } = await Promise.race([upgrade(), working.then(() => assert.fail('nobody submits'))])
    assert.ok(left >= SESSIONS, String(left))
    pids.add(pid)
    assert.equal(await pidOf(), pid)
    await more(SUBMITTING)
  }
  load.over = true
  await working
  assert.equal(pids.size, UPGRADES + 1)
  // Every one of them is still there, idle or not, and can be seen.
  assert.equal((await sessions()).length, SESSIONS)
  for (const [n, talk] of all.entries()) {
    await transact(talk, `last ${n}`)
    acknowledged.push(`last ${n}`)
  }
  assert.deepEqual([...recorder.taken()].toSorted(), acknowledged.toSorted())
  const counted = await counters()
  assert.equal(counted.get('acceptd_messages_total{protocol="smtp",outcome="accepted"}'), acknowledged.length)
  assert.equal(counted.get('acceptd_upgrades_total{outcome="ok"}'), UPGRADES)
  assert.equal(counted.get('acceptd_sessions_refused_total{listener="smtp:0",reason="too many sessions"}') ?? 0, 0)
  await Promise.all(all.map((talk) => talk.say('QUIT')))
  // Each former runtime ends with its last session.
  await until(
    'the former runtimes to end',
    () =>
      treeOf(supervisorOf(fixture.daemon.pid)?.pid ?? 0).filter(({ argv }) => argv[0]?.endsWith('node') === true)
        .length === 2,
  )
})

void it('sessions of the former runtime are seen, ended and blocked by the new one, which remembers what the old one was told', async () => {
  const [first, second] = fixture.people
  const [killed, blocked, stays] = [await login(0), await login(1), await login(2)]
  const guess = await converse(port())
  await guess.reply()
  await guess.say('EHLO guesser')
  assert.match(await guess.say(`AUTH PLAIN ${plain(first.name, 'wrong')}`), /^535 /)
  guess.cut()
  await call('user.block', { user: second.name, reason: 'before', ttl: 3600 }).then(() => blocked.rest())
  await call('limit.set', { limit: 'guesses', rate: '8000/hour', ttl: 3600 })
  const again = await login(0)
  const { pid } = await upgrade()
  const limit = JSON.stringify(await call('limit.list'))
  assert.match(limit, /"rate":"8000\/hour"/)
  assert.match(limit, /"used":1/)
  assert.match(JSON.stringify(await call('op.list')), /user\.block.*limit\.set|limit\.set.*user\.block/)
  await call('user.unblock', { user: second.name })
  const list = (await call('session.list', { user: first.name })) as { sessions: readonly Listed[] }
  assert.equal(list.sessions.length, 2)
  assert.equal(((await call('session.kill', { user: first.name, mode: 'graceful' })) as { killed: number }).killed, 2)
  assert.match(await killed.rest(), /^421 /)
  assert.match(await again.rest(), /^421 /)
  await call('user.block', { user: fixture.people[2].name })
  await stays.rest()
  await call('user.unblock', { user: fixture.people[2].name })
  assert.equal(await pidOf(), pid)
})

const socketWith = (session?: Buffer): Promise<{ socket: TLSSocket; ticket: Promise<Buffer> }> =>
  new Promise((resolve, reject) => {
    const [certificate] = fixture.certificates
    const socket = tlsConnect({
      port: fixture.daemon.port('tls'),
      host: '127.0.0.1',
      servername: 'mx.acceptd.test',
      ca: readFileSync(certificate?.certificate ?? ''),
      ...(session === undefined ? {} : { session }),
    })
    const ticket = new Promise<Buffer>((got) => socket.once('session', got))
    socket.once('secureConnect', () => resolve({ socket, ticket }))
    socket.once('error', reject)
  })

void it('a session of TLS is resumed by the runtime that has taken over', async () => {
  const { socket, ticket } = await socketWith()
  socket.resume()
  const kept = await ticket
  socket.destroy()
  await upgrade()
  const { socket: resumed } = await socketWith(kept)
  assert.equal(resumed.isSessionReused(), true)
  resumed.destroy()
})

/** Runs with another acceptd.js in place of the installed one. */
async function withProgram(text: string, then: () => Promise<void>): Promise<void> {
  const file = join(fixture.place.programs, 'acceptd.js')
  const program = readFileSync(file)
  writeFileSync(file, text)
  try {
    await then()
  } finally {
    writeFileSync(file, program)
  }
}

const failure = (): Promise<string> =>
  upgrade().then(
    () => 'it has upgraded',
    (error: unknown) => String(error),
  )

const says = (message: string): string =>
  `process.on('message', ${message})\nprocess.send({ ready: { version: '9' } })\n`

for (const [what, text, why] of [
  ['that is no program', 'this is no JavaScript\n', /ended with exit 1 before it served; the log says why/],
  ['that dies before it is ready', 'process.exit(9)\n', /ended with exit 9 before it served/],
  [
    'that dies with the baton in its hand',
    says('(m) => m.baton && process.exit(9)'),
    /ended with exit 9 before it served/,
  ],
  ['that refuses', "process.send({ refused: { message: 'not on a Friday' } })\n", /not on a Friday/],
] as const)
  void it(`a program ${what} is not accepted, and the answer, the log and the health say why`, async () => {
    const [talk, pid] = [await login(), await pidOf()]
    const were = await counters()
    await withProgram(text, async () => {
      assert.match(await failure(), why)
    })
    assert.equal(await pidOf(), pid)
    assert.match(fixture.daemon.log(), / error upgrade-failed message="/)
    assert.match(JSON.stringify(await call('server.health')), /"name":"upgrade","state":"warning"/)
    // What it is told is kept, and new clients are served; the TCP address is used again.
    await call('user.block', { user: 'nobody-such' })
    await call('user.unblock', { user: 'nobody-such' })
    const now = await counters()
    for (const [name, value] of were) assert.ok((now.get(name) ?? -1) >= value, name)
    assert.equal(await fetch('http://127.0.0.1:29025/metrics').then(({ status }) => status), 200)
    await transact(talk, what)
    const other = await login()
    await transact(other, `${what}, and a new session`)
    for (const one of [talk, other]) assert.match(await one.say('QUIT'), /^221 /)
  })

void it('a control directory with an error is not accepted, nor one that needs a restart: acceptctl says where, and exits with 78', async () => {
  const pid = await pidOf()
  const acceptctl = join(fixture.place.programs, 'acceptctl')
  const socket = ['--socket', fixture.daemon.controlSocket]
  for (const [file, text, right, said] of [
    ['timeoutsmtpd', 'soon\n', undefined, /control\/timeoutsmtpd:1:1: /],
    ['lanes', 'some\n', '2\n', /control\/lanes:1:1: /],
  ] as const) {
    fixture.place.write(file, text)
    const ran = await run([acceptctl, ...socket, 'server', 'upgrade'])
    assert.equal(ran.code, 78, ran.transcript)
    assert.match(ran.stderr, said)
    fixture.place.write(file, right ?? '1200\n')
  }
  assert.equal(await pidOf(), pid)
})

void it('a dry run says what would serve and changes nothing; acceptctl shows the progress', async () => {
  const pid = await pidOf()
  const acceptctl = [join(fixture.place.programs, 'acceptctl'), '--socket', fixture.daemon.controlSocket]
  const tried = await run([...acceptctl, 'server', 'upgrade', '--dry-run', '-o', 'json'])
  assert.equal(tried.code, 0, tried.transcript)
  assert.equal((JSON.parse(tried.stdout) as { upgraded: boolean }).upgraded, false)
  assert.equal(await pidOf(), pid)
  const done = await run([...acceptctl, 'server', 'upgrade', '--reason', 'a test', '-o', 'json'])
  assert.equal(done.code, 0, done.transcript)
  assert.match(done.stderr, / op upgrade-begins reason="?a test/)
  assert.notEqual(await pidOf(), pid)
})

void it('there is one upgrade at a time', async () => {
  const both = await Promise.all([upgrade().then(() => 'done', String), upgrade().then(() => 'done', String)])
  assert.ok(both.includes('done'), both.join('\n'))
  for (const one of both) assert.match(one, /^done$|busy|upgraded|reason/)
})

void it('USR2 upgrades, too, and a runtime that dies afterwards is replaced by one that knows the sessions of the former', async () => {
  const talk = await login()
  const pid = await pidOf()
  signal(fixture.daemon.pid, 'SIGUSR2')
  const next = await until('another runtime', async () => {
    const now = await pidOf().catch(() => pid)
    return now === pid ? undefined : now
  })
  signal(next, 'SIGKILL')
  await until('a third one', async () => ![pid, next].includes(await pidOf().catch(() => next)))
  await transact(talk, 'over two runtimes')
  const list = await until('the session to be seen', async () => {
    const found = await sessions()
    return found.length > 0 ? found : undefined
  })
  assert.equal(
    ((await call('session.kill', { id: list[0]?.id ?? '', mode: 'graceful' })) as { killed: number }).killed,
    1,
  )
  assert.match(await talk.rest(), /^421 /)
  await until('the former runtime to end', () => !isAlive(pid))
})

void it('when the time of control/upgradedrain is over, sessions of the former runtime are told', async () => {
  fixture.place.write('upgradedrain', '1\n')
  await call('config.reload')
  const [idle, pid] = [await login(), await pidOf()]
  await upgrade()
  assert.match(await idle.rest(), /^421 /)
  await until('the former runtime to end', () => !isAlive(pid))
  assert.equal(runtimeOf(fixture.daemon.pid)?.pid, await pidOf())
})
