// The runtime in its own process, with lanes that a test can make spin; the test gives orders over IPC.
import { createHook } from 'node:async_hooks'
import { Socket } from 'node:net'
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'
import { diskOf } from '../../src/config/plan.ts'
import { openStderr } from '../../src/edge/log.ts'
import { planFor } from '../../src/runtime/publishing.ts'
import { type Runtime, type RuntimeOptions, startRuntime } from '../../src/runtime/runtime.ts'

export type Order =
  | { readonly do: 'end'; readonly lane: number }
  /** Any one lane. */
  | { readonly do: 'spin' }
  | { readonly do: 'publish'; readonly texts: Readonly<Record<string, string>>; readonly all: boolean }
  | { readonly do: 'look' }
  | { readonly do: 'recycle'; readonly place: number }
  | { readonly do: 'pause'; readonly mode: 'hold' | '421' | undefined }
  /** Answers a Busiest. */
  | { readonly do: 'busiest' }

export interface Look {
  readonly lanes: readonly {
    readonly lane: number
    readonly place: number
    readonly boot: string
    readonly state: string
  }[]
  readonly generation: number
  readonly deaths: readonly number[]
  /** Each lane's generations with the number of their sessions. */
  readonly uses: readonly (readonly { readonly generation: number; readonly sessions: number }[])[]
  /** The lanes that do not answer. */
  readonly silent: readonly number[]
}

/** Of all lanes since they were last asked: the most sockets that one callback has written to, and how often any callback has written. */
export interface Busiest {
  readonly one: number
  readonly all: number
}

interface Said {
  readonly born?: number
  readonly spin?: number
  /** Sent by a lane that accepts nothing more. */
  readonly spinning?: number
  readonly busiest?: 'asked' | Busiest
}

const channel = new BroadcastChannel('lanes of a test')
/** Threads that may be lanes. */
const threads: number[] = []
let busiest: Busiest = { one: 0, all: 0 }
let spins: (answer: null) => void = () => undefined
/** Lanes that have not reported their busiest callback. */
let outstanding = 0
let told: (busiest: Busiest) => void = () => undefined

channel.addEventListener('message', (event) => {
  const { data } = event as unknown as { readonly data: Said }
  if (isMainThread) {
    if (data.born !== undefined) threads.push(data.born)
    if (data.spinning !== undefined) spins(null)
    if (typeof data.busiest === 'object') {
      busiest = { one: Math.max(busiest.one, data.busiest.one), all: busiest.all + data.busiest.all }
      outstanding -= 1
      if (outstanding === 0) told(busiest)
    }
    return
  }
  if (data.spin === threadId) {
    channel.postMessage({ spinning: threadId })
    for (;;);
  }
  // Threads other than lanes do not listen.
  if (data.busiest === 'asked' && process.getActiveResourcesInfo().includes('TCPServerWrap')) {
    channel.postMessage({ busiest })
    busiest = { one: 0, all: 0 }
  }
})
channel.unref()

if (!isMainThread) {
  channel.postMessage({ born: threadId })
  countWrites()
} else if (process.env['ACCEPTD_TEST_RUNTIME'] !== undefined) {
  void main(JSON.parse(process.env['ACCEPTD_TEST_RUNTIME']) as RuntimeOptions)
}

/** In this thread. A callback that is called within another one counts for itself. */
function countWrites(): void {
  const begun: Set<Socket>[] = []
  createHook({ before: () => begun.push(new Set()), after: () => void begun.pop() }).enable()
  const write = Reflect.get(Socket.prototype, 'write') as (...given: unknown[]) => boolean
  Reflect.set(Socket.prototype, 'write', function (this: Socket, ...given: unknown[]) {
    const written = begun.at(-1)
    written?.add(this)
    busiest = { one: Math.max(busiest.one, written?.size ?? 0), all: busiest.all + 1 }
    return Reflect.apply(write, this, given)
  })
}

async function main(options: RuntimeOptions): Promise<void> {
  const started = await startRuntime(options, openStderr())
  if (started.isErr()) throw new Error(JSON.stringify(started.error))
  const runtime = started.value
  process.on('message', ({ n, order }: { n: number; order?: Order }) => {
    if (order === undefined) return
    void obey(runtime, order).then((answer) => process.send?.({ n, answer }))
  })
  process.on('disconnect', () => process.exit(0))
  process.send?.({ n: 0, answer: 'ready' })
}

async function obey(runtime: Runtime, order: Order): Promise<unknown> {
  switch (order.do) {
    case 'end':
      runtime
        .lanes()
        .find((lane) => lane.lane === order.lane)
        ?.end('the test')
      return null
    case 'spin':
      return new Promise((resolve) => {
        spins = resolve
        channel.postMessage({ spin: threads[0] })
      })
    case 'publish': {
      const how = { all: order.all, by: 'control', reason: undefined } as const
      const prepared = await runtime.prepare(planFor(runtime.publishing, diskOf(order.texts)), how)
      const done = await prepared.asyncMap(({ publish }) => publish())
      return done.isOk() ? { generation: done.value.after.generation } : { error: done.error }
    }
    case 'recycle': {
      const serving = runtime.lanes().filter(({ state }) => state !== 'draining')
      const lane = serving.find(({ place }) => place === order.place)?.lane ?? 0
      return typeof (await runtime.recycle(lane)) === 'object'
    }
    case 'pause':
      await runtime.pause(0, order.mode)
      return null
    case 'busiest':
      return new Promise((resolve) => {
        busiest = { one: 0, all: 0 }
        outstanding = runtime.lanes().filter(({ state }) => state === 'running').length
        told = resolve
        channel.postMessage({ busiest: 'asked' })
      })
    case 'look': {
      const { answers, silent } = await runtime.askAll('generations', null)
      const look: Look = {
        lanes: runtime.lanes().map(({ lane, place, boot, state }) => ({ lane, place, boot, state })),
        generation: runtime.current().generation,
        deaths: Array.from({ length: runtime.options.lanes }, (_none, i) => runtime.deaths(i + 1)),
        uses: answers.map(({ uses }) => uses.map(({ generation, sessions }) => ({ generation, sessions }))),
        silent,
      }
      return look
    }
  }
}
