// A log that cannot be written: mail goes on, dead processes are replaced, signals are obeyed, and what was lost is counted.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { loggedIn } from './conversation.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { runtimeOf, signal, supervisorOf, treeOf, until } from './processes.ts'
import { makeRecorder } from './recorder.ts'

let fixture: Fixture
let running: Daemon | undefined
before(async () => {
  fixture = await makeFixture({
    control: { lanes: '1\n', loglevel: 'debug\n' },
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
  })
  await fixture.daemon.stop()
})
after(async () => {
  await running?.stop()
  await fixture.end()
})

const attempt = (action: () => number): number => {
  try {
    return action()
  } catch {
    return 0
  }
}

/** A pipe whose writing end blocks. */
function pipe(): { readonly reader: number; readonly writer: number } {
  const path = join(fixture.claim.dir, 'pipe')
  assert.equal(spawnSync('mkfifo', [path]).status, 0)
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  rmSync(path)
  return { reader, writer }
}

function fill(fd: number): void {
  const again = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  const line = Buffer.from(`${'x'.repeat(99)}\n`)
  while (attempt(() => writeSync(again, line)) === line.length);
  closeSync(again)
}

const bytes = Buffer.alloc(65_536)
const take = (fd: number): string =>
  bytes.toString(
    'latin1',
    0,
    attempt(() => readSync(fd, bytes)),
  )

const session = () => loggedIn(running?.port('mail') ?? 0, fixture.people[0].name, fixture.people[0].password)

/** Everything that a daemon has to do beside serving, each with lines in the log. */
async function assertLives(stderr: number): Promise<void> {
  const daemon = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'], { stderr })
  running = daemon
  for (let n = 0; n < 20; n += 1) {
    const talk = await session()
    assert.match(await talk.say('QUIT'), /^221 /)
  }
  const child = (name: string) =>
    treeOf(daemon.pid).find((one) => one.ppid === supervisorOf(daemon.pid)?.pid && one.comm === name)?.pid
  const helper = child('accept-helper') ?? 0
  signal(helper, 'SIGKILL')
  await until('another helper', () => (child('accept-helper') ?? helper) !== helper)
  await until('a login', () =>
    session().then(
      () => true,
      () => false,
    ),
  )
  const killed = runtimeOf(daemon.pid)?.pid ?? 0
  signal(killed, 'SIGKILL')
  await until('another runtime', () => (runtimeOf(daemon.pid)?.pid ?? killed) !== killed)
  await until('a session', () =>
    session().then(
      () => true,
      () => false,
    ),
  )
}

async function assertStops(): Promise<void> {
  const talk = await session()
  const stopping = running?.stop('SIGTERM')
  assert.match(await talk.rest(), /^421 /)
  await stopping
  running = undefined
}

void describe('acceptd whose log', () => {
  void it('is on a full disk', async () => {
    const full = openSync('/dev/full', 'w')
    await assertLives(full)
    const stats = JSON.stringify(await running?.call('server.stats'))
    assert.match(stats, /"acceptd_log_lines_lost_total","labels":\{\},"value":[1-9]/)
    await assertStops()
    closeSync(full)
  })

  void it('nobody reads any more', async () => {
    const { reader, writer } = pipe()
    closeSync(reader)
    await assertLives(writer)
    await assertStops()
    closeSync(writer)
  })

  void it('is a pipe whose reader has stopped, and goes on', async () => {
    const { reader, writer } = pipe()
    fill(writer)
    await assertLives(writer)
    let text = ''
    await until('both to tell', () => {
      text += take(reader)
      // The supervisor lost the start, the runtime its sessions.
      return [...text.matchAll(/^\S+Z warn log-lines-lost lines=([1-9]\d*)$/gm)].length >= 2
    })
    await session()
    await until('a line', () => {
      text += take(reader)
      return / info login-accepted session=/.test(text)
    })
    fill(writer)
    await assertStops()
    closeSync(reader)
    closeSync(writer)
  })
})
