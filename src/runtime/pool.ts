// The lanes as the main thread sees them: a never-ending task each, questions and answers.

import { randomBytes } from 'node:crypto'
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { monotonic } from '../edge/clock.ts'
import type { LaneTask } from '../lane/lane.ts'
import type { FromLane, LaneStart, QuestionName, Questions } from '../lane/messages.ts'
import { newUsage, SLOTS, setProbe, setUse, type Usage } from '../lane/usage.ts'
import { decodeMessage, encodeMessage } from '../session/codec.ts'
import type { Heard } from './totals.ts'

export interface LaneHandle {
  readonly lane: number
  readonly place: number
  readonly boot: string
  /** What it has said last of what it counts. */
  readonly heard: Heard
  /** Of the monotonic clock. */
  readonly began: number
  state: 'starting' | 'running' | 'draining' | 'silent' | 'dead'
  generation: number
  /** Resolves when it runs, or has ended before it did. */
  readonly settled: Promise<void>
  /** Resolves when it has ended. */
  readonly gone: Promise<void>
  ask<Q extends QuestionName>(
    question: Q,
    ask: Questions[Q]['ask'],
    withinSeconds?: number,
  ): Promise<Questions[Q]['answer']>
  /** Says what needs no answer. */
  tell<Q extends QuestionName>(question: Q, ask: Questions[Q]['ask']): void
  /** Ends the thread without waiting for its sessions. */
  end(why: string): void
}

export interface PoolEvents {
  /** Something other than an answer. */
  readonly said: (lane: LaneHandle, message: Exclude<FromLane, { a: number } | { failed: number }>) => void
  readonly died: (lane: LaneHandle, why: string) => void
}

export interface Pool {
  readonly start: (start: Omit<LaneStart, 'boot'>) => LaneHandle
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

export function createPool(threads: Threads, events: PoolEvents): Pool {
  const usage = newUsage()
  const taken = new Set<number>()
  return {
    start: (settings) => {
      let slot = 0
      while (taken.has(slot) && slot < SLOTS - 1) slot += 1
      taken.add(slot)
      const lane = new LaneTaskHandle({ ...settings, boot: randomBytes(3).toString('hex') }, usage, slot, events)
      void lane.gone.then(() => taken.delete(slot))
      lane.run(threads)
      return lane
    },
    probing: (listener, port) => setProbe(usage, listener, port),
    close: threads.close,
  }
}

export class LaneSilent extends Error {}

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

class LaneTaskHandle implements LaneHandle {
  readonly lane: number
  readonly place: number
  readonly boot: string
  readonly heard: Heard = { counted: [], hits: [] }
  readonly began = monotonic()
  state: LaneHandle['state'] = 'starting'
  generation: number
  private readonly task: LaneTask
  private readonly near: MessagePort
  private readonly events: PoolEvents
  private readonly controller = new AbortController()
  private readonly waiting = new Map<number, Waiting>()
  private next = 1
  private why = ''
  readonly settled: Promise<void>
  readonly gone: Promise<void>
  private settle: () => void = () => undefined
  private leave: () => void = () => undefined

  constructor(start: LaneStart, usage: Usage, slot: number, events: PoolEvents) {
    const { port1: near, port2: port } = new MessageChannel()
    this.lane = start.lane
    this.place = start.place
    this.boot = start.boot
    this.generation = start.published.generation
    this.task = { start, port, usage, slot }
    this.near = near
    this.events = events
    near.on('message', (bytes: Uint8Array) => this.hear(bytes))
    this.settled = new Promise((resolve) => {
      this.settle = resolve
    })
    this.gone = new Promise((resolve) => {
      this.leave = resolve
    })
  }

  run(threads: Threads): void {
    threads.run(this.task, this.controller.signal).then(
      () => this.ended(''),
      (error: unknown) => this.ended(this.why || (error instanceof Error ? error.message : String(error))),
    )
  }

  ask<Q extends QuestionName>(q: Q, ask: Questions[Q]['ask'], withinSeconds = 5): Promise<Questions[Q]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.state === 'dead') {
        reject(new LaneSilent(`lane ${this.lane} is dead`))
        return
      }
      const n = this.next
      this.next += 1
      const timer = setTimeout(() => {
        this.waiting.delete(n)
        reject(new LaneSilent(`lane ${this.lane} did not answer ${q} within ${withinSeconds} s`))
      }, withinSeconds * 1000)
      this.waiting.set(n, { resolve, reject, timer })
      this.near.postMessage(encodeMessage({ q, n, ask }))
    })
  }

  tell<Q extends QuestionName>(q: Q, ask: Questions[Q]['ask']): void {
    if (this.state !== 'dead') this.near.postMessage(encodeMessage({ q, n: 0, ask }))
  }

  end(why: string): void {
    this.why = why
    this.controller.abort()
  }

  private hear(bytes: Uint8Array): void {
    const message = decodeMessage(bytes) as FromLane
    if (!('a' in message || 'failed' in message)) {
      if ('ready' in message && this.state === 'starting') this.state = 'running'
      if ('ready' in message) this.settle()
      if ('last' in message) Object.assign(this.heard, message.last)
      this.events.said(this, message)
      return
    }
    const n = 'a' in message ? message.a : message.failed
    const asked = this.waiting.get(n)
    if (asked === undefined) return
    this.waiting.delete(n)
    clearTimeout(asked.timer)
    if ('a' in message) asked.resolve(message.answer as never)
    else asked.reject(new Error(message.message))
  }

  private ended(why: string): void {
    if (this.state === 'dead') return
    this.state = 'dead'
    setUse(this.task.usage, this.task.slot, 0, 0, 0)
    // What it said last is still heard.
    for (let last = receiveMessageOnPort(this.near); last !== undefined; last = receiveMessageOnPort(this.near)) {
      this.hear(last.message as Uint8Array)
    }
    this.near.close()
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer)
      reject(new LaneSilent(`lane ${this.lane} ended`))
    }
    this.waiting.clear()
    this.settle()
    this.leave()
    this.events.died(this, why)
  }
}
