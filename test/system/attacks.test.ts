// What a host does to acceptd that wants to get in, or to keep others out: it guesses, or connects in crowds and says nothing. Those who have
// a right to log in do so all the time. How long they waited is printed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { within } from '../support/until.ts'
import { converse, loggedIn, plain } from './conversation.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { TOP } from './machine.ts'
import { cpuSeconds, memory, runtimeOf, treeOf } from './processes.ts'
import { makeRecorder } from './recorder.ts'
import type { TestUser } from './users.ts'

const SHIPPED = readFileSync(join(TOP, 'control/limits'), 'utf8')
/** How many files acceptd may open here. */
const FILES = Math.min(
  65_536,
  Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]),
)

let fixture: Fixture
let daemon: Daemon
before(async () => {
  fixture = await makeFixture({
    // /etc/shadow: the hash of the distribution, which is expensive.
    chains: async ({ claim, people }) => [
      { ...(await makeRecorder(claim.dir, people)).chain, checkpassword: ['builtin'] },
    ],
  })
  await fixture.daemon.stop()
})
afterEach(() => daemon.stop())
after(() => fixture.end())

async function start(limits: string, files = FILES): Promise<number> {
  fixture.place.write('limits', limits)
  const under = ['/bin/sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh']
  daemon = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'], { under })
  return daemon.port('mail')
}

/** Milliseconds of a login that succeeds. */
async function login(port: number, { name, password }: TestUser, from: string): Promise<number> {
  const began = performance.now()
  const talk = await loggedIn(port, name, password, 60_000, from)
  const took = performance.now() - began
  await talk.say('QUIT')
  talk.cut()
  return took
}

const figures = (times: readonly number[]): string => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(0)
  return `${times.length}, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`
}

const [GUESSES, A_SECOND, NETWORKS, HOSTS] = [5000, 200, 5, 10] as const
const TICK = 50

void describe('5,000 wrong passwords from 50 addresses, 200 a second', () => {
  void it('are delayed, then refused; users log in meanwhile, from the same networks too', async (t) => {
    const port = await start(SHIPPED)
    const [regular, mover, neighbour] = fixture.people
    const outcomes = new Map<string, number>()
    const answered = () => [...outcomes.values()].reduce((sum, n) => sum + n, 0)
    const guess = async (n: number): Promise<void> => {
      const talk = await converse(port, 120_000, `127.9.${n % NETWORKS}.${1 + (Math.floor(n / NETWORKS) % HOSTS)}`)
      const greeting = await talk.reply().catch(() => 'lost')
      const attempt = `AUTH PLAIN ${plain(regular.name, `guess ${n}`)}`
      const answer = greeting.startsWith('220') ? await talk.say(attempt).catch(() => 'lost') : ''
      const what = `${greeting.slice(0, 4).trim()} ${answer.slice(0, 4).trim()}`.trim()
      outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
      talk.cut()
    }
    const users = [
      { who: 'known, one address of the same /24', user: regular, from: () => '127.9.0.200' },
      {
        who: 'never seen, addresses of the same /24s',
        user: neighbour,
        from: (n: number) => `127.9.${n % 5}.${100 + n}`,
      },
      { who: 'never seen, addresses elsewhere', user: mover, from: (n: number) => `127.77.${n}.1` },
    ].map((one) => ({ ...one, times: [] as number[] }))
    const run = async ({ user, from, times }: (typeof users)[number], n: number): Promise<void> => {
      times.push(await login(port, user, from(n)))
    }
    await login(port, regular, '127.9.0.200')
    const runtime = runtimeOf(daemon.pid)?.pid ?? 0
    const helper = treeOf(daemon.pid).filter(({ comm }) => comm === 'accept-helper')
    const spent = () => [
      cpuSeconds(runtime),
      helper.reduce((sum, { pid }) => sum + cpuSeconds(pid, { ended: true }), 0),
    ]
    const [began, cpu] = [performance.now(), spent()]
    const all: Promise<void>[] = []
    await new Promise<void>((resolve) => {
      let [sent, ticks] = [0, 0]
      const ticker = setInterval(() => {
        for (let i = 0; i < (A_SECOND * TICK) / 1000; i += 1) all.push(guess(sent++))
        ticks += 1
        if (ticks % 10 === 0) for (const user of users) all.push(run(user, ticks / 10))
        if (sent < GUESSES) return
        clearInterval(ticker)
        resolve()
      }, TICK)
    })
    await Promise.all(all)
    const seconds = (performance.now() - began) / 1000
    const [ofRuntime = 0, ofHelper = 0] = spent().map((now, i) => now - (cpu[i] ?? 0))
    t.diagnostic(`answers: ${JSON.stringify(Object.fromEntries(outcomes))} in ${seconds.toFixed(1)} s`)
    t.diagnostic(
      `processor time: runtime ${ofRuntime.toFixed(1)} s, helper with what it started ${ofHelper.toFixed(1)} s`,
    )
    for (const { who, times } of users) t.diagnostic(`${who}: ${figures(times)}`)

    assert.equal(answered(), GUESSES)
    const { penalties } = (await daemon.call('penalty.list')) as { penalties: readonly { subject: string }[] }
    const addresses = new Set(penalties.map(({ subject }) => subject).filter((subject) => subject.startsWith('127.9.')))
    assert.equal(addresses.size, NETWORKS * HOSTS)
    // guesses-per-address: 30/hour.
    assert.ok((outcomes.get('220 535') ?? 0) <= 30 * NETWORKS * HOSTS, JSON.stringify([...outcomes]))
    const banned = await converse(port, 60_000, '127.9.0.1')
    assert.match(await banned.reply(), /^421 .*#limit guesses-per-address/)
    for (const { who, times } of users) assert.equal(times.length, GUESSES / A_SECOND / 0.5, who)
  })
})

const CROWD = 20_000
/** Processes that hold the clients: this one may not open so many files. */
const CROWDS = 2

/** This many clients from one address that say nothing; returns the greetings, by code. */
async function crowd(port: number): Promise<{ greetings: Readonly<Record<string, number>>; end: () => Promise<void> }> {
  const program = join(TOP, 'test/system/crowd.py')
  const children = Array.from({ length: CROWDS }, () =>
    spawn('python3', [program, `${port}`, '127.0.0.66', `${CROWD / CROWDS}`], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  const ended = Promise.all(children.map((child) => once(child, 'exit')))
  const lines = await within(
    `${CROWD} greetings`,
    Promise.all(children.map(({ stdout }) => once(stdout.setEncoding('latin1'), 'data'))),
    180_000,
  )
  const greetings: Record<string, number> = {}
  for (const [line] of lines)
    for (const [code, n] of Object.entries(JSON.parse(String(line)) as Record<string, number>))
      greetings[code] = (greetings[code] ?? 0) + n
  return {
    greetings,
    end: async () => {
      for (const { stdin } of children) stdin.end()
      await ended
    },
  }
}

void describe('20,000 clients from one address that say nothing', () => {
  const CASES = [
    { what: 'with as many files as there may be', limits: '', files: FILES },
    { what: 'with files for a third of them', limits: '', files: 8192 },
    { what: 'with the limits that ship', limits: SHIPPED, files: FILES },
  ] as const
  for (const { what, limits, files } of CASES)
    void it(`keep nobody out, ${what}`, async (t) => {
      const port = await start(limits, files)
      const [user] = fixture.people
      const alone = [await login(port, user, '127.0.0.5')]
      const runtime = runtimeOf(daemon.pid)?.pid ?? 0
      const idle = memory(runtime).rss
      const { greetings, end } = await crowd(port)
      const full = memory(runtime).rss
      const times: number[] = []
      for (let n = 0; n < 20; n += 1) times.push(await login(port, user, `127.0.1.${1 + n}`))
      t.diagnostic(`greetings ${JSON.stringify(greetings)}; memory ${idle} to ${full} kB`)
      t.diagnostic(`a login before ${figures(alone)}; beside them ${figures(times)}`)
      await end()
      const { 220: taken = 0, 421: refused = 0 } = greetings
      assert.equal(taken + refused, CROWD)
      assert.equal(limits === SHIPPED, taken === 50)
    })
})
