// The lanes as the main thread sees them: a piscina pool with one never-ending task a lane, questions and answers, supervision.

import { randomBytes } from 'node:crypto'
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads'
import { Piscina } from 'piscina'
import { monotonic } from '../edge/clock.ts'
import type { LaneTask } from '../lane/lane.ts'
import type { FromLane, LaneStart, QuestionName, Questions } from '../lane/messages.ts'
import { newUsage, setUse, slotOf } from '../lane/usage.ts'
import { decodeMessage, encodeMessage } from '../session/codec.ts'

export interface LaneHandle {
  readonly lane: number
  readonly boot: string
  /** Of the monotonic clock. */
  readonly began: number
  state: 'starting' | 'running' | 'draining' | 'silent' | 'dead'
  generation: number
  ask<Q extends QuestionName>(
    question: Q,
    ask: Questions[Q]['ask'],
    withinSeconds?: number,
  ): Promise<Questions[Q]['answer']>
  /** Ends the thread at once. */
  end(why: string): void
}

export interface PoolEvents {
  /** Something other than an answer. */
  readonly said: (lane: LaneHandle, message: Exclude<FromLane, { a: number } | { failed: number }>) => void
  readonly died: (lane: LaneHandle, why: string) => void
}

export interface Pool {
  readonly start: (start: Omit<LaneStart, 'boot'>) => LaneHandle
  readonly close: () => Promise<void>
}

/** A lane's heap in megabytes; Buffers are not counted by it, the lane bounds its own bytes in flight. */
const LANE_HEAP_MB = 2048

export class LaneSilent extends Error {}

export function createPool(lanes: number, events: PoolEvents): Pool {
  const usage = newUsage()
  let starts = 0

  const pool = new Piscina<LaneTask, void>({
    filename: new URL('../lane/lane.js', import.meta.url).href,
    // One thread more than lanes: a replacement starts while the one that it replaces drains.
    minThreads: lanes,
    maxThreads: lanes * 2,
    concurrentTasksPerWorker: 1,
    idleTimeout: Number.POSITIVE_INFINITY,
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: LANE_HEAP_MB },
  })
  // The death of a lane's thread is heard by its task; without a listener the pool's own event would end the process.
  pool.on('error', () => undefined)

  function start(settings: Omit<LaneStart, 'boot'>): LaneHandle {
    const { port1: near, port2: far } = new MessageChannel()
    const controller = new AbortController()
    const boot = randomBytes(3).toString('hex')
    const slot = slotOf(starts)
    starts += 1
    const waiting = new Map<
      number,
      { resolve: (answer: never) => void; reject: (error: Error) => void; timer: NodeJS.Timeout }
    >()
    let next = 1
    let reason = ''

    const lane: LaneHandle = {
      lane: settings.lane,
      boot,
      began: monotonic(),
      state: 'starting',
      generation: settings.published.generation,
      ask: (q, ask, withinSeconds = 5) =>
        new Promise((resolve, reject) => {
          if (lane.state === 'dead') {
            reject(new LaneSilent(`lane ${lane.lane} is dead`))
            return
          }
          const n = next
          next += 1
          const timer = setTimeout(() => {
            waiting.delete(n)
            reject(new LaneSilent(`lane ${lane.lane} did not answer ${q} within ${withinSeconds} s`))
          }, withinSeconds * 1000)
          waiting.set(n, { resolve, reject, timer })
          near.postMessage(encodeMessage({ q, n, ask }))
        }),
      end: (why) => {
        reason = why
        controller.abort()
      },
    }

    function ended(why: string): void {
      if (lane.state === 'dead') return
      lane.state = 'dead'
      setUse(usage, slot, 0, 0)
      // What it said last is still heard.
      for (let last = receiveMessageOnPort(near); last !== undefined; last = receiveMessageOnPort(near)) {
        heard(last.message as Uint8Array)
      }
      near.close()
      for (const { reject, timer } of waiting.values()) {
        clearTimeout(timer)
        reject(new LaneSilent(`lane ${lane.lane} ended`))
      }
      waiting.clear()
      events.died(lane, why)
    }

    function heard(bytes: Uint8Array): void {
      const message = decodeMessage(bytes) as FromLane
      if ('a' in message || 'failed' in message) {
        const n = 'a' in message ? message.a : message.failed
        const asked = waiting.get(n)
        if (asked === undefined) return
        waiting.delete(n)
        clearTimeout(asked.timer)
        if ('a' in message) asked.resolve(message.answer as never)
        else asked.reject(new Error(message.message))
        return
      }
      if ('ready' in message && lane.state === 'starting') lane.state = 'running'
      events.said(lane, message)
    }
    near.on('message', heard)

    run({ start: { ...settings, boot }, port: far, usage, slot }, controller.signal).then(
      () => ended(''),
      (error: unknown) => ended(reason !== '' ? reason : error instanceof Error ? error.message : String(error)),
    )
    return lane
  }

  const run = (task: LaneTask, signal: AbortSignal): Promise<void> =>
    pool.run(task, { transferList: [task.port], signal })

  return { start, close: () => pool.destroy() }
}
