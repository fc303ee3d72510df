// The wall clock is set while acceptd runs, forward and back; libfaketime does it. Nothing may be decided by it.
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Conversation, converse, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { until } from './processes.ts'
import { makeRecorder } from './recorder.ts'
import { writePasswordFile } from './users.ts'

const HOUR = 3600
const WARM_SECONDS = 3

let fixture: Fixture
let clock: string
let passwords: string

const setClock = (seconds: number): void => writeFileSync(clock, `${seconds < 0 ? '' : '+'}${seconds}\n`)

function library(): string {
  const path = readdirSync('/usr/lib', { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
    .map(({ name }) => join('/usr/lib', name, 'faketime'))
    .find((folder) => readdirSync(join(folder, '..')).includes('faketime'))
  if (path === undefined) throw new Error('no libfaketime')
  return join(path, 'libfaketimeMT.so.1')
}

before(async () => {
  fixture = await makeFixture({
    control: { timeoutsmtpd: '600\n', lanes: '1\n' },
    chains: async ({ claim, people }) => {
      passwords = join(claim.dir, 'passwords')
      await writePasswordFile(passwords, people)
      const { chain } = await makeRecorder(claim.dir, people)
      return [{ ...chain, name: 'warm', checkpassword: ['builtin', passwords], warm: WARM_SECONDS }]
    },
    start: ({ claim }) => {
      clock = join(claim.dir, 'clock')
      setClock(0)
      const settings = {
        LD_PRELOAD: library(),
        FAKETIME_TIMESTAMP_FILE: clock,
        FAKETIME_NO_CACHE: '1',
        DONT_FAKE_MONOTONIC: '1',
      }
      return { under: ['/usr/bin/env', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)] }
    },
  })
})
after(() => fixture.end())
afterEach(() => setClock(0))

const login = (): Promise<Conversation> => {
  const [{ name, password }] = fixture.people
  return loggedIn(fixture.daemon.port('warm'), name, password)
}

async function daemonsHour(): Promise<number> {
  const answer = await fixture.daemon.call('server.ping')
  const now = typeof answer === 'object' && answer !== null && 'now' in answer ? String(answer.now) : ''
  return Math.round((Date.parse(now) - Date.now()) / 1000 / HOUR)
}

/** By the daemon's own monotonic clock. */
const uptime = async (): Promise<number> =>
  Number(
    /^acceptd_uptime_seconds ([\d.]+)$/m.exec(
      JSON.stringify(await fixture.daemon.call('server.metrics')).replaceAll('\\n', '\n'),
    )?.[1],
  )

async function pass(seconds: number): Promise<void> {
  const end = (await uptime()) + seconds
  await until(`${seconds} seconds`, async () => (await uptime()) >= end, { every: 100 })
}

async function step(seconds: number): Promise<void> {
  setClock(seconds)
  await until('the daemon to have the other time', async () => (await daemonsHour()) === seconds / HOUR)
  // One turn of the lane's clock, and another.
  await pass(2.5)
}

/** Ends, and leaves its backend parked. */
async function park(talk: Conversation): Promise<void> {
  assert.match(await talk.say('QUIT'), /^221 /)
  await talk.rest()
}

/** How many logins were served by a parked backend. */
async function warmLogins(): Promise<number> {
  const stats = JSON.stringify(await fixture.daemon.call('server.stats'))
  return Number(/"acceptd_warm_logins_total","labels":\{"outcome":"taken"\},"value":(\d+)/.exec(stats)?.[1] ?? 0)
}

void describe('the clock set forward by an hour', () => {
  void it('cuts no idle session, before login or after, and makes none look older', async () => {
    const [talk, greeted] = [await login(), await converse(fixture.daemon.port('warm'))]
    await greeted.reply()
    await step(HOUR)
    assert.match(await greeted.say('NOOP'), /^250 /)
    greeted.cut()
    assert.match(await talk.say('NOOP'), /^250 /)
    const old = await fixture.daemon.call('session.list', { olderThan: 600 })
    assert.match(JSON.stringify(old), /"matched":0/)
    await park(talk)
    assert.doesNotMatch(fixture.daemon.log(), / timeout |why=timeout/)
  })
})

void describe('the clock set back by an hour', () => {
  void it('extends no warm login, and so admits nobody whose account is gone', async () => {
    const [{ name, password }, ...others] = fixture.people
    const already = await warmLogins()
    await park(await login())
    await park(await login())
    const warm = await warmLogins()
    assert.ok(warm > already)
    await step(-HOUR)
    await writePasswordFile(passwords, others)
    await pass(WARM_SECONDS)
    await assert.rejects(loggedIn(fixture.daemon.port('warm'), name, password), / 535 /)
    assert.equal(await warmLogins(), warm)
  })
})
