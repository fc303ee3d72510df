// A lane as the main thread sees it: questions and answers, whatever carries them.

import type { FromLane, QuestionName, Questions, ToLane } from '../lane/messages.ts'
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
  /** Resolves when it has ended, with why if nobody has told it to. */
  readonly gone: Promise<string>
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

/** What a message port of a lane takes: octets, or what threads can share. */
export const posted = (message: ToLane): Uint8Array | ToLane =>
  message.q === 'prepare' ? message : encodeMessage(message)

export interface PoolEvents {
  /** Something other than an answer. */
  readonly said: (lane: LaneHandle, message: Exclude<FromLane, { a: number } | { failed: number }>) => void
  readonly died: (lane: LaneHandle, why: string) => void
}

export class LaneSilent extends Error {}

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

export type LaneFacts = Pick<LaneHandle, 'lane' | 'place' | 'boot' | 'generation' | 'began' | 'heard' | 'state'>

/** Question numbers are unique to this process: after an upgrade, the answer to one may reach another runtime. */
const FIRST_QUESTION = process.pid * 1_000_000 + 1

export abstract class LaneTalk implements LaneHandle {
  readonly lane: number
  readonly place: number
  readonly boot: string
  readonly heard: Heard
  readonly began: number
  state: LaneHandle['state']
  generation: number
  readonly settled: Promise<void>
  readonly gone: Promise<string>
  protected readonly events: PoolEvents
  private readonly waiting = new Map<number, Waiting>()
  private next = FIRST_QUESTION
  private settle: () => void = () => undefined
  private leave: (why: string) => void = () => undefined

  constructor({ lane, place, boot, generation, began, heard, state }: LaneFacts, events: PoolEvents) {
    this.lane = lane
    this.place = place
    this.boot = boot
    this.generation = generation
    this.began = began
    this.heard = heard
    this.state = state
    this.events = events
    this.settled = new Promise((resolve) => {
      this.settle = resolve
    })
    this.gone = new Promise((resolve) => {
      this.leave = resolve
    })
    if (state !== 'starting') this.settle()
  }

  /** Hands a message to the lane. */
  abstract post(message: ToLane): void

  abstract end(why: string): void

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
      this.post({ q, n, ask } as ToLane)
    })
  }

  tell<Q extends QuestionName>(q: Q, ask: Questions[Q]['ask']): void {
    if (this.state !== 'dead') this.post({ q, n: 0, ask } as ToLane)
  }

  hear(bytes: Uint8Array): void {
    const message = decodeMessage(bytes) as FromLane
    if (this.answered(message) || 'a' in message || 'failed' in message) return
    if ('ready' in message && this.state === 'starting') this.state = 'running'
    if ('ready' in message) this.settle()
    if ('last' in message) Object.assign(this.heard, message.last)
    this.events.said(this, message)
  }

  /** It was an answer to a question of ours. */
  protected answered(message: FromLane): boolean {
    if (!('a' in message || 'failed' in message)) return false
    const n = 'a' in message ? message.a : message.failed
    const asked = this.waiting.get(n)
    if (asked === undefined) return false
    this.waiting.delete(n)
    clearTimeout(asked.timer)
    if ('a' in message) asked.resolve(message.answer as never)
    else asked.reject(new Error(message.message))
    return true
  }

  /** It has ended. */
  over(why: string): void {
    if (this.state === 'dead') return
    this.state = 'dead'
    for (const { reject, timer } of this.waiting.values()) {
      clearTimeout(timer)
      reject(new LaneSilent(`lane ${this.lane} ended`))
    }
    this.waiting.clear()
    this.settle()
    this.leave(why)
    this.events.died(this, why)
  }
}
