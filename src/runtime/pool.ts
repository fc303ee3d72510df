// The lanes of this process: a never-ending task each.

import { randomBytes } from 'node:crypto'
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { monotonic } from '../edge/clock.ts'
import type { LaneTask } from '../lane/lane.ts'
import type { FromLane, LaneStart, ToLane } from '../lane/messages.ts'
import { newUsage, SLOTS, setProbe, setUse } from '../lane/usage.ts'
import type { Room } from '../limits/room.ts'
import { decodeMessage } from '../session/codec.ts'
import { type LaneHandle, LaneTalk, type PoolEvents, posted } from './lane-talk.ts'

/** A lane of this process. */
export interface OwnLane extends LaneHandle {
  /** Hands a message of another main thread to it. */
  readonly postBytes: (bytes: Uint8Array) => void
  /** What it says is for another main thread from now on; undefined: for this one again. */
  readonly hear: (bytes: Uint8Array) => void
  readonly speakTo: (elsewhere: ((bytes: Uint8Array) => void) | undefined) => void
}

export interface Pool {
  readonly start: (start: Omit<LaneStart, 'boot'>) => OwnLane
  readonly probing: (listener: number, port: number) => void
  readonly close: () => Promise<void>
}

/** Where lanes run. The promise of a task is settled when its lane has ended; the signal ends it. */
export interface Threads {
  readonly run: (task: LaneTask, signal: AbortSignal) => Promise<void>
  readonly close: () => Promise<void>
}

/** A lane's heap in megabytes; Buffers are not counted by it, the lane bounds its own bytes in flight. */
const LANE_HEAP_MB = 2048

export function workerThreads(lanes: number): Threads {
  const pool = new Piscina<LaneTask, void>({
    filename: new URL('../lane/lane.js', import.meta.url).href,
    // Twice as many threads as lanes: a replacement starts while the one that it replaces drains.
    minThreads: lanes,
    maxThreads: lanes * 2,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: LANE_HEAP_MB },
  })
  // The death of a lane's thread is heard by its task; without a listener the pool's own event would end the process.
  pool.on('error', () => undefined)
  return {
    run: (task, signal) => pool.run(task, { transferList: [task.port], signal }),
    close: () => pool.destroy(),
  }
}

export function createPool(threads: Threads, events: PoolEvents, room: Room): Pool {
  const usage = newUsage()
  const taken = new Set<number>()
  return {
    start: (settings) => {
      let slot = 0
      while (taken.has(slot) && slot < SLOTS - 1) slot += 1
      taken.add(slot)
      const lane = new LaneTaskHandle(
        { ...settings, boot: randomBytes(3).toString('hex') },
        { usage, room },
        slot,
        events,
      )
      void lane.gone.then(() => taken.delete(slot))
      lane.run(threads)
      return lane
    },
    probing: (listener, port) => setProbe(usage, listener, port),
    close: threads.close,
  }
}

type Shared = Pick<LaneTask, 'usage' | 'room'>

class LaneTaskHandle extends LaneTalk implements OwnLane {
  private readonly task: LaneTask
  private readonly near: MessagePort
  private readonly controller = new AbortController()
  private why = ''
  /** Where what it says goes now: another main thread serves. */
  private elsewhere: ((bytes: Uint8Array) => void) | undefined

  constructor(start: LaneStart, shared: Shared, slot: number, events: PoolEvents) {
    const { lane, place, boot, published } = start
    const heard = { counted: [], hits: [] }
    super({ lane, place, boot, generation: published.generation, began: monotonic(), heard, state: 'starting' }, events)
    const { port1: near, port2: port } = new MessageChannel()
    this.task = { start, port, ...shared, slot }
    this.near = near
    near.on('message', (bytes: Uint8Array) => this.take(bytes))
  }

  run(threads: Threads): void {
    threads.run(this.task, this.controller.signal).then(
      () => this.ended(''),
      (error: unknown) => this.ended(this.why || (error instanceof Error ? error.message : String(error))),
    )
  }

  post(message: ToLane): void {
    this.near.postMessage(posted(message))
  }

  postBytes(bytes: Uint8Array): void {
    this.near.postMessage(bytes)
  }

  end(why: string): void {
    this.why = why
    this.controller.abort()
  }

  speakTo(elsewhere: ((bytes: Uint8Array) => void) | undefined): void {
    this.elsewhere = elsewhere
  }

  private take(bytes: Uint8Array): void {
    if (this.elsewhere === undefined) this.hear(bytes)
    else if (!this.answered(decodeMessage(bytes) as FromLane)) this.elsewhere(bytes)
  }

  private ended(why: string): void {
    setUse(this.task.usage, this.task.slot, 0, 0, 0)
    // What it said last is still heard.
    for (let last = receiveMessageOnPort(this.near); last !== undefined; last = receiveMessageOnPort(this.near)) {
      this.take(last.message as Uint8Array)
    }
    this.near.close()
    this.over(why)
  }
}
