// Lanes that die, spin or refuse, and generations published meanwhile: a runtime in its own process, with a helper of ours.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ControlTexts } from '../../src/config/knobs.ts'
import { socketOn, supplyDescriptors } from '../../src/edge/descriptors.ts'
import type { Refusal } from '../../src/runtime/publishing.ts'
import type { RuntimeOptions } from '../../src/runtime/runtime.ts'
import { bindAddress } from '../support/binding.ts'
import { controlTexts } from '../support/control.ts'
import { type FakeHelper, fakeHelper, StreamEnd } from '../support/fake-helper.ts'
import { until } from '../support/lane.ts'
import { miniBackend } from '../support/mini-backend.ts'
import type { Busiest, Look, Order } from '../support/runtime-child.ts'
import { parseTranscripts } from '../support/transcript.ts'

interface Runtime {
  readonly port: number
  readonly log: () => string
  readonly tell: (order: Order) => Promise<unknown>
  readonly look: () => Promise<Look>
  readonly dial: () => StreamEnd
  readonly stop: () => Promise<void>
}

const [plain] = parseTranscripts('# settings', '')
const texts = (rules = ''): ControlTexts => {
  assert.ok(plain !== undefined)
  return controlTexts({ ...plain.settings, rules })
}

const CHILD = fileURLToPath(new URL('../support/runtime-child.js', import.meta.url))

/** Of which 2 lanes take 6. */
const DESCRIPTORS = 12

async function startRuntime(
  helper: FakeHelper,
  more: Partial<RuntimeOptions> = {},
  supply: typeof supplyDescriptors = supplyDescriptors,
): Promise<Runtime> {
  const control = mkdtempSync(join(tmpdir(), 'acceptd-control-'))
  for (const [name, text] of Object.entries(texts())) writeFileSync(join(control, name), text)
  const bound = bindAddress('127.0.0.1', 0)
  assert.ok(bound !== undefined)
  const stdio: ('ignore' | 'pipe' | 'ipc' | number)[] = ['ignore', 'ignore', 'pipe', 'ipc']
  const descriptors = Array.from({ length: DESCRIPTORS }, () => stdio.push(bound.fd) - 1)
  const options: RuntimeOptions = {
    control,
    run: control,
    helper: { mode: 'unit', place: { socket: helper.path }, privileged: false, root: false, program: '/bin/true' },
    descriptors: [descriptors],
    ports: [bound.port],
    lanes: 2,
    descriptorLimit: 20_000,
    state: join(control, 'kept'),
    restarts: 0,
    lastGood: false,
    ...more,
  }
  const child: ChildProcess = spawn(process.execPath, ['--import', CHILD, CHILD], {
    stdio,
    env: { ...process.env, NODE_OPTIONS: '', ACCEPTD_TEST_RUNTIME: JSON.stringify(options) },
  })
  supply(child, [socketOn(bound.fd)])
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const waiting = new Map<number, (answer: unknown) => void>()
  let next = 1
  let ready = false
  child.on('message', ({ n, answer }: { n?: number; answer: unknown }) => {
    if (n === undefined) return
    if (n === 0) ready = true
    waiting.get(n)?.(answer)
  })
  const clients: StreamEnd[] = []
  await until('the runtime to start', () => {
    if (child.exitCode !== null) throw new Error(log)
    return ready
  })
  const tell = (order: Order): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(next, resolve)
      child.send({ n: next, order })
      next += 1
    })
  return {
    port: bound.port,
    log: () => log,
    tell,
    look: async () => (await tell({ do: 'look' })) as Look,
    dial: () => {
      const client = new StreamEnd(connect({ port: bound.port, host: '127.0.0.1', noDelay: true }))
      clients.push(client)
      return client
    },
    stop: async () => {
      for (const one of clients) one.socket.destroy()
      child.kill('SIGKILL')
      await until('the runtime to be gone', () => child.signalCode !== null || child.exitCode !== null)
      // A descriptor that it was sent and never took would keep the channel open.
      if (child.connected) child.disconnect()
      bound.close()
      rmSync(control, { recursive: true, force: true })
    },
  }
}

let helper: FakeHelper
let runtime: Runtime

beforeEach(async () => {
  helper = await fakeHelper()
  helper.answering = (asked) => {
    const end = asked.answer('ok 1000 1000 42')
    const program = miniBackend()
    end.onText = (text) => {
      end.send(program.take(text))
      if (program.commands.includes('QUIT\r\n')) end.close()
    }
    end.send(program.begin())
    end.socket.on('end', () => end.close())
  }
})
afterEach(async () => {
  await runtime.stop()
  helper.close()
})

const AUTH = `AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`

async function say(client: StreamEnd, text: string, answer: RegExp): Promise<void> {
  const from = client.heard().length
  client.send(text)
  await until(`${answer} to ${text.trim()}, not ${client.heard().slice(from)}`, () =>
    answer.test(client.heard().slice(from)),
  )
}

async function loggedIn(): Promise<StreamEnd> {
  const client = runtime.dial()
  await say(client, '', /^220 [^\n]*\n/)
  await say(client, AUTH, /^235 [^\n]*\n/)
  return client
}

/** Sessions until every lane has at least as many. */
async function inEveryLane(least = 2): Promise<StreamEnd[]> {
  const clients: StreamEnd[] = []
  for (let n = 0; n < 60; n += 1) {
    clients.push(await loggedIn())
    const { uses } = await runtime.look()
    const counts = uses.map((list) => list.reduce((sum, one) => sum + one.sessions, 0))
    if (counts.length === 2 && counts.every((count) => count >= least)) return clients
  }
  throw new Error('one lane gets nothing')
}

const living = (clients: readonly StreamEnd[]) => clients.filter((client) => !client.closed())

/** All of them answer. */
async function goOn(clients: readonly StreamEnd[]): Promise<void> {
  await Promise.all(clients.map((client) => say(client, 'NOOP\r\n', /^250 NOOP ok\r\n$/)))
}

void describe('a lane', () => {
  void it('that is killed takes its own sessions along, and is replaced; nobody else notices', async () => {
    runtime = await startRuntime(helper)
    const clients = await inEveryLane()
    const before = await runtime.look()
    const count = before.uses[0]?.reduce((sum, one) => sum + one.sessions, 0) ?? 0
    await runtime.tell({ do: 'end', lane: before.lanes[0]?.lane ?? 0 })
    await until('its sessions to end', () => clients.length - living(clients).length === count)
    // New clients are served meanwhile.
    for (let n = 0; n < 5; n += 1) await say(await loggedIn(), 'NOOP\r\n', /^250 /)
    await until('a new lane', async () => {
      const { lanes } = await runtime.look()
      return lanes.length === 2 && lanes.every((lane) => lane.state === 'running')
    })
    await goOn(living(clients))
    const after = await runtime.look()
    assert.deepEqual(after.deaths, [1, 0])
    assert.equal(clients.length - living(clients).length, count)
    assert.match(runtime.log(), / error lane-died lane=1 why="?the test/)
    await inEveryLane(1)
  })

  void it('that spins is ended after missed pings, and replaced', async () => {
    runtime = await startRuntime(helper)
    const clients = await inEveryLane()
    await runtime.tell({ do: 'spin' })
    await until('it to be ended', async () => (await runtime.look()).deaths.includes(1))
    await until('a new lane', async () => (await runtime.look()).lanes.every((lane) => lane.state === 'running'))
    await until('its sessions to end', () => living(clients).length < clients.length)
    await goOn(living(clients))
    await inEveryLane(1)
  })

  void it('never blocks: no callback does the work of more than a few of 200 logins', async () => {
    runtime = await startRuntime(helper)
    await runtime.tell({ do: 'busiest' })
    const clients = Array.from({ length: 200 }, () => runtime.dial())
    await Promise.all(clients.map((client) => say(client, `EHLO me\r\n${AUTH}`, /\r\n235 /)))
    await Promise.all(clients.map((client) => say(client, 'NOOP\r\n', /250 NOOP ok\r\n$/)))
    const { one, all } = (await runtime.tell({ do: 'busiest' })) as Busiest
    // Its client and its backend; or its client and the helper, asked for those whose turn comes when it ends.
    assert.ok(one <= 8, `a callback has written to ${one} sockets`)
    assert.ok(all >= 5 * clients.length, `${all}`)
    for (const client of clients) client.reset()
  })

  void it('that is full answers 421 and never just closes', async () => {
    // With this limit 128 descriptors are left for sessions and backends, and new sessions may take 95 % of them.
    runtime = await startRuntime(helper, { descriptorLimit: 512 })
    const clients = Array.from({ length: 150 }, () => runtime.dial())
    await until('everybody to hear something', () => clients.every((client) => client.heard().endsWith('\r\n')))
    const served = clients.filter((client) => client.heard().startsWith('220 '))
    const refused = clients.filter((client) => client.heard() === '421 too many sessions (#4.3.2)\r\n')
    assert.equal(served.length + refused.length, clients.length)
    assert.ok(served.length <= 128 && served.length >= 115, String(served.length))
    for (const client of served) client.reset()
    await until('room', async () => (await runtime.look()).uses.flat().every((one) => one.sessions === 0))
    await loggedIn()
  })
})

void describe('a listening descriptor', () => {
  const serve = async (clients: number) => {
    for (let n = 0; n < clients; n += 1) {
      const client = await loggedIn()
      await say(client, 'NOOP\r\n', /^250 /)
      client.reset()
    }
  }

  void it('survives pauses: a held listener leaves clients in its backlog, a resumed one takes them', async () => {
    runtime = await startRuntime(helper, {}, () => undefined)
    for (let n = 0; n < 20; n += 1) {
      await runtime.tell({ do: 'pause', mode: 'hold' })
      const waiting = runtime.dial()
      await until('the connection', () => !waiting.socket.connecting)
      assert.equal(waiting.heard(), '')
      await runtime.tell({ do: 'pause', mode: n % 2 === 0 ? undefined : '421' })
      await until('an answer', () => waiting.heard().startsWith(n % 2 === 0 ? '220 ' : '421 paused'))
      waiting.reset()
    }
    await runtime.tell({ do: 'pause', mode: undefined })
    await serve(4)
  })

  void it('is given back by a lane that is recycled or dies, however often', async () => {
    runtime = await startRuntime(helper)
    for (let n = 0; n < 14; n += 1) assert.equal(await runtime.tell({ do: 'recycle', place: 1 + (n % 2) }), true)
    await serve(4)
    for (let n = 1; n <= 4; n += 1) {
      const serving = (await runtime.look()).lanes.find(({ place, state }) => place === 2 && state === 'running')
      await runtime.tell({ do: 'end', lane: serving?.lane ?? 0 })
      await until('another lane', async () => {
        const { deaths, lanes } = await runtime.look()
        return deaths[1] === n && lanes.filter(({ state }) => state === 'running').length === 2
      })
    }
    await inEveryLane(1)
    assert.doesNotMatch(runtime.log(), /listener-failed|descriptors-used-up/)
  })

  void it('that cannot be opened is an error for the caller, and nothing else', async () => {
    runtime = await startRuntime(helper, {}, () => undefined)
    assert.equal(await runtime.tell({ do: 'recycle', place: 1 }), true)
    assert.equal(await runtime.tell({ do: 'recycle', place: 2 }), true)
    assert.equal(await runtime.tell({ do: 'recycle', place: 1 }), false)
    assert.equal(await runtime.tell({ do: 'recycle', place: 2 }), false)
    await inEveryLane(1)
  })
})

void describe('many rules', () => {
  for (const count of [100_000, 200_000])
    void it(`${count} are published while clients are served, and no lane is mistaken for a silent one`, async () => {
      runtime = await startRuntime(helper)
      const clients = await inEveryLane()
      const verbs = ['noop', 'ehlo', 'mail', 'rcpt', 'in_data', 'quit', 'rset', 'vrfy']
      const many = Array.from({ length: count }, (_none, i) => `:${verbs[i % 8]}::25${i}*::250 ${i}\n`).join('')
      const publishing = runtime.tell({ do: 'publish', texts: texts(`${many}:noop::*::250 last\n`), all: true })
      let done = false
      void publishing.finally(() => {
        done = true
      })
      // oxlint-disable-next-line no-unmodified-loop-condition -- modified when it is published
      while (!done) await Promise.all(clients.map((client) => say(client, 'NOOP\r\n', /^250 (NOOP ok|last)\r\n$/)))
      assert.deepEqual(await publishing, { generation: 2 })
      for (const client of clients) await say(client, 'NOOP\r\n', /^250 last\r\n$/)
      assert.deepEqual((await runtime.look()).deaths, [0, 0])
      assert.equal(living(clients).length, clients.length)
    })
})

void describe('a reload', () => {
  void it('during 100 live sessions: nobody loses a byte, old sessions keep the old rules, new ones have the new', async () => {
    runtime = await startRuntime(helper)
    const old = await Promise.all(Array.from({ length: 100 }, loggedIn))
    const half = old.slice(0, 50)
    for (const client of half) client.send('NOO')
    await Promise.all(old.slice(50).map((client) => say(client, 'DATA\r\n', /^354 /)))
    const publishing = runtime.tell({
      do: 'publish',
      texts: texts(':noop::*::250 new rules\n:in_data::*::250 new rules\n'),
      all: false,
    })
    for (const client of old.slice(50)) client.send('half a message')
    assert.deepEqual(await publishing, { generation: 2 })
    await Promise.all(half.map((client) => say(client, 'P\r\n', /^250 NOOP ok\r\n$/)))
    await Promise.all(old.slice(50).map((client) => say(client, '\r\nand the other\r\n.\r\n', /^250 queued 1\r\n$/)))
    for (let n = 0; n < 10; n += 1) await say(await loggedIn(), 'NOOP\r\n', /^250 new rules\r\n$/)
    const { uses, generation } = await runtime.look()
    assert.equal(generation, 2)
    const sum = (of: number) => uses.flat().reduce((all, one) => all + (one.generation === of ? one.sessions : 0), 0)
    assert.deepEqual([sum(1), sum(2)], [100, 10])
    for (const client of old) client.reset()
    await until('the old generation to be forgotten', async () =>
      (await runtime.look()).uses.flat().every((one) => one.generation === 2),
    )
  })

  void it('for running sessions too takes effect at their next request outside a transaction', async () => {
    runtime = await startRuntime(helper)
    const [idle, busy] = [await loggedIn(), await loggedIn()]
    await say(busy, 'MAIL FROM:<a@b>\r\n', /^250 /)
    await runtime.tell({ do: 'publish', texts: texts(':noop::*::250 new rules\n'), all: true })
    await say(idle, 'NOOP\r\n', /^250 new rules\r\n$/)
    await say(busy, 'NOOP\r\n', /^250 NOOP ok\r\n$/)
    await say(busy, 'RSET\r\n', /^250 /)
    await say(busy, 'NOOP\r\n', /^250 new rules\r\n$/)
  })

  void it('of files with errors changes nothing and reports each with file, line and column', async () => {
    runtime = await startRuntime(helper)
    const answer = await runtime.tell({
      do: 'publish',
      texts: { ...texts(':noop:bad\n'), timeoutsmtpd: 'soon\n' },
      all: true,
    })
    const { error } = answer as { error: Refusal }
    assert.ok(error.do === 'refuse')
    const { list } = error.errors
    assert.deepEqual(list.map(({ file }) => file).toSorted(), ['control/fixsmtpio', 'control/timeoutsmtpd'])
    assert.ok(list.every(({ line, column }) => line > 0 && column > 0))
    assert.deepEqual((await runtime.look()).generation, 1)
    await say(await loggedIn(), 'NOOP\r\n', /^250 NOOP ok\r\n$/)
  })

  void it('that one lane does not accept changes nothing in any lane', async () => {
    runtime = await startRuntime(helper)
    const clients = await inEveryLane(1)
    await runtime.tell({ do: 'spin' })
    const answer = await runtime.tell({ do: 'publish', texts: texts(':noop::*::250 new rules\n'), all: true })
    assert.equal((answer as { error?: Refusal }).error?.do, 'lane')
    await until('it to be ended', async () => (await runtime.look()).deaths.includes(1))
    await until('a new lane', async () => (await runtime.look()).lanes.every((lane) => lane.state === 'running'))
    const { generation, uses } = await runtime.look()
    assert.equal(generation, 1)
    assert.ok(uses.flat().every((one) => one.generation === 1))
    await goOn(living(clients))
    for (let n = 0; n < 6; n += 1) await say(await loggedIn(), 'NOOP\r\n', /^250 NOOP ok\r\n$/)
  })

  void it('reaches a lane that is started meanwhile', async () => {
    runtime = await startRuntime(helper)
    for (let n = 2; n < 5; n += 1) {
      const publishing = runtime.tell({ do: 'publish', texts: texts(`:noop::*::250 rules ${n}\n`), all: false })
      await runtime.tell({ do: 'end', lane: 1 })
      const answer = (await publishing) as { generation?: number }
      await until('a new lane', async () => (await runtime.look()).lanes.every((lane) => lane.state === 'running'))
      const { generation, uses } = await runtime.look()
      assert.equal(answer.generation ?? generation, generation)
      // Without sessions a lane has exactly the generation that is published.
      assert.deepEqual(uses, [[{ generation, sessions: 0 }], [{ generation, sessions: 0 }]])
    }
  })
})
