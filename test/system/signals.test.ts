// Signals that come while acceptd starts: none is lost, and none ends what it was not meant to end.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { endAll, isAlive, signal, treeOf, until } from './processes.ts'
import { makeRecorder } from './recorder.ts'

const ROUNDS = 5
/** As /proc/PID/status has them. */
const HUP = 1n
const PIPE = 1n << 12n

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    control: { lanes: '2\n' },
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
  })
  await fixture.daemon.stop()
})
after(() => fixture.end())

interface Starting {
  readonly pid: number
  readonly port: number
  readonly log: () => string
  readonly ended: Promise<readonly [number | null, NodeJS.Signals | null]>
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Does not wait for anything. */
async function start(): Promise<Starting> {
  const port = await freePort()
  fixture.place.write('listeners', `127.0.0.1:${port} smtp mail\n`)
  const child = spawn(
    join(fixture.place.programs, 'acceptd'),
    ['--control', fixture.place.control, '--run', fixture.place.run],
    {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    },
  )
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  return { pid: child.pid ?? 0, port, log: () => log, ended }
}

/** Its first process catches HUP from the beginning; TERM, too, once there is a child to pass it on to, and PIPE is ignored. */
function reached(pid: number, field: 'SigBlk' | 'SigIgn', signals: bigint): boolean {
  const found = new RegExp(`^${field}:\\t(\\w+)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return (BigInt(`0x${found ?? '0'}`) & signals) !== 0n
}

/** The first session that anybody has. */
const firstClient = ({ port, log }: Starting): Promise<Conversation> =>
  until(
    'a greeting',
    async () => {
      const talk = await converse(port)
      return talk.reply().then(
        () => talk,
        () => undefined,
      )
    },
    { every: 1, show: log },
  )

async function stop(one: Starting): Promise<void> {
  const all = treeOf(one.pid)
  signal(one.pid, 'SIGTERM')
  assert.deepEqual(await one.ended, [0, null], one.log())
  await endAll(all.filter(({ pid }) => isAlive(pid)))
}

void describe('HUP while acceptd starts', () => {
  void it('as often as it can be sent ends nothing, and it serves', async () => {
    for (let n = 0; n < ROUNDS; n += 1) {
      const one = await start()
      await until('its first steps', () => reached(one.pid, 'SigBlk', HUP), { every: 1, show: one.log })
      const storm = setInterval(() => signal(one.pid, 'SIGHUP'), 1)
      const talk = await firstClient(one)
      await until('the end of the start', () => / info started /.test(one.log()), { show: one.log })
      clearInterval(storm)
      assert.match(await talk.say('NOOP'), /^250 /)
      const [{ name, password }] = fixture.people
      await loggedIn(one.port, name, password)
      assert.doesNotMatch(one.log(), / child-ended | error /)
      await stop(one)
    }
  })
})

void describe('TERM while acceptd starts', () => {
  void it('after the first login has its session notified, and ends with 0', async () => {
    const [{ name, password }] = fixture.people
    for (let n = 0; n < ROUNDS; n += 1) {
      const one = await start()
      const talk = await firstClient(one)
      await talk.say('EHLO client.example')
      talk.send(`AUTH PLAIN ${plain(name, password)}\r\n`)
      // The helper may not be there yet.
      const answer = await talk.reply()
      assert.match(answer, /^(?:235|454) /)
      signal(one.pid, 'SIGTERM')
      assert.match(await talk.rest(), /^421 /, one.log())
      assert.deepEqual(await one.ended, [0, null], one.log())
    }
  })

  void it('at any moment from its second step on ends it with 0', async () => {
    for (let n = 0; n < 2 * ROUNDS; n += 1) {
      const one = await start()
      await until('its second step', () => reached(one.pid, 'SigIgn', PIPE), { every: 1, show: one.log })
      // Nothing shows where it is but the time since its second step, a little more of it each round.
      setTimeout(() => signal(one.pid, 'SIGTERM'), 25 * n)
      assert.deepEqual(await one.ended, [0, null], one.log())
    }
  })
})
