// The runtime in a process of its own, with lanes that a test can make spin; the test says on IPC what it wants.
import { createHook } from 'node:async_hooks'
import { openSync, readSync } from 'node:fs'
import { BroadcastChannel, isMainThread, threadId } from 'node:worker_threads'
import { diskOf } from '../../src/config/plan.ts'
import { openStderr } from '../../src/edge/log.ts'
import { planFor } from '../../src/runtime/publishing.ts'
import { type Runtime, type RuntimeOptions, startRuntime } from '../../src/runtime/runtime.ts'

export type Order =
  | { readonly do: 'end'; readonly lane: number }
  /** Some lane. */
  | { readonly do: 'spin' }
  | { readonly do: 'publish'; readonly texts: Readonly<Record<string, string>>; readonly all: boolean }
  | { readonly do: 'look' }
  | { readonly do: 'recycle'; readonly place: number }
  | { readonly do: 'pause'; readonly mode: 'hold' | '421' | undefined }
  /** Answers a Longest. */
  | { readonly do: 'longest' }

export interface Look {
  readonly lanes: readonly {
    readonly lane: number
    readonly place: number
    readonly boot: string
    readonly state: string
  }[]
  readonly generation: number
  readonly deaths: readonly number[]
  /** What each lane has: generations with the number of their sessions. */
  readonly uses: readonly (readonly { readonly generation: number; readonly sessions: number }[])[]
  /** Of lanes that do not answer. */
  readonly silent: readonly number[]
}

/** Of any lane since it was last asked: its longest callback, and all of them, in milliseconds of its processor. */
export interface Longest {
  readonly one: number
  readonly all: number
}

interface Said {
  readonly born?: number
  readonly spin?: number
  /** Said by a lane that takes nothing more. */
  readonly spinning?: number
  readonly longest?: 'asked' | Longest
}

const channel = new BroadcastChannel('lanes of a test')
/** Threads that may be lanes. */
const threads: number[] = []
let slowest = 0
/** Of a lane: the processor's time when it was last asked. */
let since = 0
let longest: Longest = { one: 0, all: 0 }
let spins: (answer: null) => void = () => undefined
/** Lanes that have not said what their longest callback was. */
let outstanding = 0
let told: (longest: Longest) => void = () => undefined

// Time on the processor, not on the clock: what others do on the machine is not ours.
const times = openSync('/proc/thread-self/schedstat', 'r')
const line = Buffer.alloc(64)
const onProcessor = () => Number(line.toString('latin1', 0, readSync(times, line, 0, 64, 0)).split(' ')[0]) / 1e6

channel.addEventListener('message', (event) => {
  const { data } = event as unknown as { readonly data: Said }
  if (isMainThread) {
    if (data.born !== undefined) threads.push(data.born)
    if (data.spinning !== undefined) spins(null)
    if (typeof data.longest === 'object') {
      if (data.longest.one > longest.one) longest = data.longest
      outstanding -= 1
      if (outstanding === 0) told(longest)
    }
    return
  }
  if (data.spin === threadId) {
    channel.postMessage({ spinning: threadId })
    for (;;);
  }
  // Other threads than lanes listen on nothing.
  if (data.longest === 'asked' && process.getActiveResourcesInfo().includes('TCPServerWrap')) {
    const now = onProcessor()
    channel.postMessage({ longest: { one: slowest, all: now - since } })
    slowest = 0
    since = now
  }
})
channel.unref()

if (!isMainThread) {
  channel.postMessage({ born: threadId })
  const begun: number[] = []
  createHook({
    before: () => begun.push(onProcessor()),
    after: () => {
      slowest = Math.max(slowest, onProcessor() - (begun.pop() ?? Number.POSITIVE_INFINITY))
    },
  }).enable()
} else if (process.env['ACCEPTD_TEST_RUNTIME'] !== undefined) {
  void main(JSON.parse(process.env['ACCEPTD_TEST_RUNTIME']) as RuntimeOptions)
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
    case 'longest':
      return new Promise((resolve) => {
        longest = { one: 0, all: 0 }
        outstanding = runtime.lanes().filter(({ state }) => state === 'running').length
        told = resolve
        channel.postMessage({ longest: 'asked' })
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
