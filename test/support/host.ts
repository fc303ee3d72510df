// The real runtime with its daemon in the process of the test: lanes in line, helper and backends of ours, clients on real sockets.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { ControlTexts } from '../../src/config/knobs.ts'
import type { Daemon } from '../../src/contract/daemon.ts'
import { DESCRIPTORS_A_LANE } from '../../src/edge/descriptors.ts'
import type { AcceptdChannel, FromAcceptd } from '../../src/edge/succession.ts'
import runLane from '../../src/lane/lane.ts'
import { createDaemon } from '../../src/runtime/daemon.ts'
import type { Threads } from '../../src/runtime/pool.ts'
import { type Runtime, type RuntimeOptions, startRuntime } from '../../src/runtime/runtime.ts'
import { bindAddress } from './binding.ts'
import { controlTexts } from './control.ts'
import { type FakeHelper, fakeHelper, StreamEnd } from './fake-helper.ts'
import { until } from './lane.ts'
import { miniBackend } from './mini-backend.ts'
import { parseTranscripts } from './transcript.ts'

/** In place of acceptd: whatever program is tried is taken to be able to serve. Real upgrades are in test/system. */
function alwaysReady(): AcceptdChannel & { readonly say: (message: FromAcceptd) => void } {
  let hear: (message: FromAcceptd) => void = () => undefined
  return {
    say: (message) => hear(message),
    send: (message) => {
      if ('upgrade' in message) setImmediate(() => hear({ tried: { version: '0.2.0' } }))
    },
    hear: (heard) => {
      hear = heard
    },
  }
}

export const PASSWORD = 'correct horse battery staple'
export const LANES = 2
/** Lanes that can be started later. */
const SPARE_LANES = 4

export interface Host {
  readonly daemon: Daemon
  readonly runtime: Runtime
  readonly helper: FakeHelper
  readonly directory: string
  /** Writes a file of the control directory; undefined removes it. */
  readonly write: (name: string, text: string | undefined) => void
  readonly text: (name: string) => string
  /** Log lines so far. */
  readonly log: () => string
  /** Sends the runtime a message from acceptd. */
  readonly acceptd: (message: FromAcceptd) => void
  /** Subscriptions and traces that listen to the daemon. */
  readonly listening: () => number
  readonly stop: () => Promise<void>
  readonly dial: (lane?: number) => StreamEnd
  /** A client with a session that has received the greeting. */
  readonly greeted: (lane?: number) => Promise<StreamEnd>
  /** A client whose backend serves. */
  readonly login: (user: string, lane?: number) => Promise<StreamEnd>
  readonly say: (client: StreamEnd, text: string, answer: RegExp) => Promise<void>
}

const inline = (started: (descriptors: readonly (readonly number[])[]) => void): Threads => ({
  run: (task, signal) =>
    new Promise((resolve, reject) => {
      started(task.start.descriptors)
      signal.addEventListener('abort', () => reject(new Error('ended')))
      runLane(task).then(resolve, reject)
    }),
  close: async () => undefined,
})

/** How many hosts of the running tests use each directory. */
const users = new Map<string, number>()

/** What differs from the first start of the test's own acceptd. */
export interface Begins extends Partial<Pick<RuntimeOptions, 'restarts' | 'lastGood'>> {
  /** The control directory of an earlier host, with the state that it has kept. */
  readonly directory?: string
  /** What the one listener serves. */
  readonly serving?: string
  /** More files of the control directory. */
  readonly files?: ControlTexts
}

const SUBMISSION = 'smtp submission name=submission'

export async function startHost(
  t: TestContext,
  { directory: earlier, serving = SUBMISSION, files = {}, ...more }: Begins = {},
): Promise<Host> {
  const directory = earlier ?? mkdtempSync(join(tmpdir(), 'acceptd-host-'))
  const [plain] = parseTranscripts('# settings', '')
  if (plain === undefined) throw new Error('no settings')
  const texts = {
    ...controlTexts(plain.settings),
    limits: 'recipients-per-user user recipients 1000/hour\n',
    listeners: `127.0.0.1:0 ${serving}\n`,
    ...files,
  }
  for (const [name, text] of Object.entries(earlier === undefined ? texts : {}))
    writeFileSync(join(directory, name), text)
  const helper = await fakeHelper()
  helper.answering = (asked) =>
    serve(asked, asked.text === 'guest' || asked.text.split(' ').slice(2).join(' ') === PASSWORD)
  // One socket for each descriptor, so that a client can choose its lane.
  const bound = Array.from({ length: DESCRIPTORS_A_LANE * (LANES + SPARE_LANES) }, (_, i) => {
    const one = bindAddress(`127.0.0.${i + 1}`, 0)
    if (one === undefined) throw new Error('no port')
    return one
  })
  const leased = new Set<number>()
  let log = ''
  const acceptd = alwaysReady()
  const started = await startRuntime(
    {
      control: directory,
      run: join(directory, 'test', 'private'),
      helper: { mode: 'unit', place: { socket: helper.path }, privileged: false, root: false, program: '/bin/true' },
      descriptors: [bound.map(({ fd }) => fd)],
      ports: [bound[0]?.port ?? 0],
      lanes: LANES,
      descriptorLimit: 20_000,
      state: join(directory, 'kept'),
      restarts: 0,
      lastGood: false,
      ...more,
    },
    {
      write: (text) => {
        log += text
      },
      dropped: () => 0,
    },
    inline((descriptors) => {
      for (const fd of descriptors.flat()) leased.add(fd)
    }),
    acceptd,
  )
  if (started.isErr()) {
    helper.close()
    for (const one of bound) one.close()
    throw new Error(JSON.stringify(started.error))
  }
  const runtime = started.value
  const clients: StreamEnd[] = []
  let stopped = false
  const end = async () => {
    if (stopped) return
    stopped = true
    for (const one of [...clients, ...helper.backends]) one.socket.destroy()
    await runtime.stop(0)
    // A lane closes what it was given.
    for (const one of bound) if (!leased.has(one.fd)) one.close()
    helper.close()
  }
  users.set(directory, (users.get(directory) ?? 0) + 1)
  t.after(async () => {
    await end()
    const left = (users.get(directory) ?? 0) - 1
    users.set(directory, left)
    if (left === 0) rmSync(directory, { recursive: true, force: true })
  })
  const dial = (lane = 1): StreamEnd => {
    const at = DESCRIPTORS_A_LANE * (lane - 1)
    const port = bound[at]?.port ?? 0
    const client = new StreamEnd(connect({ port, host: `127.0.0.${at + 1}`, allowHalfOpen: true, noDelay: true }))
    clients.push(client)
    return client
  }
  const say: Host['say'] = async (client, text, answer) => {
    const from = client.heard().length
    client.send(text)
    await until(`${answer} to ${text}`, () => answer.test(client.heard().slice(from)))
  }
  const greeted: Host['greeted'] = async (lane) => {
    const client = dial(lane)
    await until('the greeting', () => client.heard().endsWith('\r\n'))
    return client
  }
  let listening = 0
  const counted = (stop: () => void) => {
    listening += 1
    return () => {
      listening -= 1
      stop()
    }
  }
  const daemon = createDaemon(runtime, '0.1.0', () => undefined)
  return {
    daemon: {
      ...daemon,
      events: { ...daemon.events, subscribe: (listener) => counted(daemon.events.subscribe(listener)) },
      sessions: {
        ...daemon.sessions,
        trace: async (of, listener) => counted(await daemon.sessions.trace(of, listener)),
      },
    },
    runtime,
    helper,
    directory,
    write: (name, text) => {
      if (text === undefined) rmSync(join(directory, name), { force: true })
      else writeFileSync(join(directory, name), text, 'latin1')
    },
    text: (name) => readFileSync(join(directory, name), 'latin1'),
    log: () => log,
    acceptd: acceptd.say,
    listening: () => listening,
    stop: end,
    dial,
    greeted,
    async login(user, lane) {
      const client = await greeted(lane)
      const plainText = Buffer.from(`\0${user}\0${PASSWORD}`, 'latin1').toString('base64')
      await say(client, `AUTH PLAIN ${plainText}\r\n`, /^235 /)
      return client
    },
    say,
  }
}

function serve(asked: Parameters<NonNullable<FakeHelper['answering']>>[0], right: boolean): void {
  if (asked.text === 'watch') return
  const end = asked.answer(right ? 'ok 1000 1000 42' : 'exit 1')
  if (!right) return
  const program = miniBackend()
  end.onText = (text) => {
    end.send(program.take(text))
    if (program.commands.includes('QUIT\r\n')) end.close()
  }
  end.send(program.begin())
  end.socket.on('end', () => end.close())
}
