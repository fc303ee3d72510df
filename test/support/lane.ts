// A lane of the real runtime on a real socket, in a worker thread, with a helper of ours.

import { once } from 'node:events'
import { connect } from 'node:net'
import { MessageChannel, Worker } from 'node:worker_threads'
import { rulesText } from '../../src/config/config.ts'
import type { ControlTexts } from '../../src/config/knobs.ts'
import type { FromLane, GenerationTexts, LaneStart, QuestionName, Questions, ToLane } from '../../src/lane/messages.ts'
import { newUsage } from '../../src/lane/usage.ts'
import { parseRules } from '../../src/rules/parse.ts'
import { posted } from '../../src/runtime/lane-talk.ts'
import { decodeMessage } from '../../src/session/codec.ts'
import { held } from '../protocol/results.ts'
import { bindAddress } from './binding.ts'
import { controlTexts } from './control.ts'
import { type FakeHelper, fakeHelper, StreamEnd } from './fake-helper.ts'
import { parseTranscripts, type Settings, type World } from './transcript.ts'
import { until } from './until.ts'

export { until } from './until.ts'

export interface Lane {
  readonly port: number
  readonly helper: FakeHelper
  readonly ask: <Q extends QuestionName>(question: Q, ask: Questions[Q]['ask']) => Promise<Questions[Q]['answer']>
  /** Log lines so far. */
  readonly log: () => string
  readonly dial: () => StreamEnd
  /** Moves the clock of all lanes of the tests, which then do whatever is due. */
  readonly advance: (milliseconds: number) => Promise<void>
  readonly stop: () => Promise<void>
}

/** The worker in which lanes run; ended by endWorker. */
let worker: Worker | undefined

export async function endWorker(): Promise<void> {
  await worker?.terminate()
  worker = undefined
}

let lanes = 0

export async function startLane(texts: ControlTexts, more: Partial<LaneStart> = {}): Promise<Lane> {
  worker ??= new Worker(new URL('./lane-worker.js', import.meta.url))
  const helper = await fakeHelper()
  const bound = bindAddress('127.0.0.1', 0)
  if (bound === undefined) throw new Error('no port')
  const { port1: near, port2: far } = new MessageChannel()
  const waiting = new Map<number, { resolve: (answer: never) => void; reject: (error: Error) => void }>()
  let next = 1
  let log = ''
  let ready = false
  let ended = false
  near.on('message', (bytes: Uint8Array) => {
    const message = decodeMessage(bytes) as FromLane
    if ('a' in message) waiting.get(message.a)?.resolve(message.answer as never)
    else if ('failed' in message) waiting.get(message.failed)?.reject(new Error(message.message))
    else if ('log' in message) log += message.log
    else if ('ready' in message) ready = true
  })
  near.on('close', () => {
    ended = true
  })
  lanes += 1
  const start: LaneStart = {
    lane: lanes,
    place: lanes,
    boot: 'test',
    lanes: 1,
    published: generationOf(1, texts),
    descriptors: [[bound.fd]],
    helper: { socket: helper.path },
    descriptorsForSessions: 2000,
    blocked: [],
    secret: new Uint8Array(32),
    refusing: false,
    paused: [],
    probed: [],
    tls: undefined,
    ...more,
  }
  worker.postMessage({ start, port: far, usage: newUsage(), slot: 0 }, [far])
  const clients: StreamEnd[] = []
  const lane: Lane = {
    port: bound.port,
    helper,
    ask: (q, ask) =>
      new Promise((resolve, reject) => {
        waiting.set(next, { resolve, reject })
        near.postMessage(posted({ q, n: next, ask } as ToLane))
        next += 1
      }),
    log: () => log,
    dial: () => {
      const client = new StreamEnd(connect({ port: bound.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }))
      clients.push(client)
      return client
    },
    advance: async (milliseconds) => {
      worker?.postMessage({ advance: milliseconds })
      if (worker !== undefined) await once(worker, 'message')
    },
    stop: async () => {
      for (const one of [...clients, ...helper.backends]) one.socket.destroy()
      if (!ended) void lane.ask('stop', { grace: 0 }).catch(() => undefined)
      await until('the lane to end', () => ended)
      helper.close()
    },
  }
  await until('the lane to be ready', () => ready)
  return lane
}

/** As the main thread gives it to a lane. */
export const generationOf = (generation: number, texts: ControlTexts): GenerationTexts => ({
  generation,
  sha256: '',
  texts,
  rules: held(parseRules(rulesText(texts), 'control/fixsmtpio')),
})

/** `smtp tries=5` and the rest of a transcript's `with:`, as control files. */
export function textsOf(options: string): ControlTexts {
  const [made] = parseTranscripts(`# made up\nwith: ${options}`, '')
  if (made === undefined) throw new Error('no settings')
  return controlTexts(made.settings)
}

/** A lane for one test; its helper accepts every login, and the backend says this. */
export async function acceptingLane(
  t: { readonly after: (f: () => Promise<void>) => void },
  texts: ControlTexts,
  more: Partial<LaneStart> = {},
  greeting = '220 backend\r\n',
): Promise<Lane> {
  const lane = await startLane(texts, more)
  lane.helper.answering = (asked) => asked.answer('ok 1000 1000 42').send(greeting)
  t.after(lane.stop)
  return lane
}

/** AUTH PLAIN of `me`, with the password `secret`. */
export const AUTH = `AUTH PLAIN ${Buffer.from('\0me\0secret').toString('base64')}\r\n`

export const hear = (end: StreamEnd, text: string): Promise<void> =>
  until(`${JSON.stringify(text)} in ${JSON.stringify(end.heard())}`, () => end.heard().includes(text))

/** Waits for a line of its log. */
export const logs = (lane: Lane, pattern: RegExp): Promise<void> =>
  until(String(pattern), () => pattern.test(lane.log()))

/** A transcript's world on a real lane. */
export async function laneWorld(settings: Settings): Promise<World & { readonly lane: Lane }> {
  const lane = await startLane(controlTexts(settings))
  const client = lane.dial()
  /** When the waiting has been long enough. */
  let patience = 0
  return {
    lane,
    client,
    backend: () => lane.helper.backends.at(-1),
    askedOfHelper: () => lane.helper.asked.map((asked) => asked.text),
    answerOfHelper: (line) => {
      lane.helper.asked.at(-1)?.answer(line)
    },
    go: async (wait) => {
      // The lane gets a turn, and so do we.
      await lane.ask('measure', null)
      if (!wait || patience === 0) patience = performance.now() + 5000
      return performance.now() < patience
    },
    time: async (milliseconds) => {
      const accepted = lane.helper.backends.length
      await until('the logins', () => lane.log().split(' login-accepted ').length > accepted)
      await lane.advance(milliseconds)
    },
    shutdown: () => {
      void lane.ask('stop', { grace: 5 })
    },
    end: async () => {
      client.close()
      for (const one of lane.helper.backends) one.close()
      const left = await until('the session to end', () => / session-ended /.test(lane.log()), { timeout: 4000 }).then(
        () => '',
        () => 'the session has not ended',
      )
      await lane.stop()
      return left
    },
  }
}
