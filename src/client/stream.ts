// Notifications as an async iterator. Events go on over a restart of the runtime: after a reconnection the stream asks for what came after the last.
//
//   connect ─> subscribe ─> notifications ─> queue ─> next()
//      ^                        │ the connection ends
//      └── wait, since = seq <──┘

import { Connection, isRecord, ownError, thrown } from './connection.ts'
import { AcceptdError } from './errors.ts'
import type { Cancel, Stream } from './options.ts'

type Rec = Readonly<Record<string, unknown>>

export interface StreamOrder {
  readonly path: string
  readonly method: string
  readonly params: Rec
  /** Seconds for an answer. */
  readonly timeout: number
  /** Whether its notifications are numbered, and can be asked for again. */
  readonly resumes: boolean
  readonly patience: number
}

/** More wait for the reader: the connection is not read until half of them are taken. What acceptd loses meanwhile comes as `dropped`. */
const MOST_QUEUED = 1000
const SHORTEST_WAIT = 50
const LONGEST_WAIT = 1000

interface Reader<T> {
  readonly done: (result: IteratorResult<T, undefined>) => void
  readonly fail: (error: Error) => void
}

export class Notifications<T, Reply> implements Stream<T, Reply> {
  readonly ready: Promise<Reply>
  private readonly order: StreamOrder
  private queue: T[] = []
  private readers: Reader<T>[] = []
  private connection: Connection | undefined
  private over = false
  private error: Error | undefined
  /** Of the last event that was heard. */
  private since: unknown
  private stopWaiting: () => void = () => undefined
  private readonly forget: () => void

  constructor(order: StreamOrder, signal: Cancel | undefined, ended: () => void) {
    this.order = order
    this.since = order.params['since']
    const aborted = () => this.end(thrown(signal?.reason))
    signal?.addEventListener('abort', aborted)
    this.forget = () => {
      signal?.removeEventListener('abort', aborted)
      ended()
    }
    this.ready = this.begin()
    // The reader hears of it from next().
    this.ready.catch((error: unknown) => this.end(thrown(error)))
    if (signal?.aborted) aborted()
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const value = this.queue.shift()
    if (value !== undefined) {
      if (this.queue.length === MOST_QUEUED / 2) this.connection?.resume()
      return Promise.resolve({ value, done: false })
    }
    const { error } = this
    if (error !== undefined) {
      this.error = undefined
      return Promise.reject(error)
    }
    if (this.over) return Promise.resolve({ value: undefined, done: true })
    return new Promise((done, fail) => this.readers.push({ done, fail }))
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.queue = []
    this.error = undefined
    this.end(undefined)
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The first time an error is reported, not waited out. */
  private async begin(): Promise<Reply> {
    const { connection, reply } = await this.subscribe()
    void this.follow(connection)
    return reply as Reply
  }

  private async subscribe(): Promise<{ readonly connection: Connection; readonly reply: unknown }> {
    const { path, method, params, timeout, resumes } = this.order
    const connection = await Connection.open(path)
    if (this.over) connection.close()
    this.connection = connection
    const early: Rec[] = []
    connection.onNotice = (notice) => void early.push(notice)
    try {
      const again = this.since === undefined ? {} : { since: this.since }
      const reply = await connection.request(method, { ...params, ...again }, timeout)
      if (resumes && isRecord(reply)) this.since ??= reply['seq']
      for (const notice of early) this.hear(notice)
      connection.onNotice = (notice) => this.hear(notice)
      return { connection, reply }
    } catch (error) {
      connection.close()
      throw error
    }
  }

  private async follow(first: Connection): Promise<void> {
    let connection: Connection | undefined = first
    while (connection !== undefined) {
      await connection.closed
      if (this.over) return
      if (!this.order.resumes) {
        this.end(ownError('closed', 'acceptd closed the connection'))
        return
      }
      connection = await this.reach()
    }
  }

  /** Subscribes again, as soon as somebody answers. */
  private async reach(): Promise<Connection | undefined> {
    const until = performance.now() + this.order.patience * 1000
    for (let wait = SHORTEST_WAIT; !this.over; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      await this.pause(wait)
      if (this.over) return undefined
      try {
        return (await this.subscribe()).connection
      } catch (error) {
        const passes = error instanceof AcceptdError && (error.retryable || error.failure === 'closed')
        if (!passes || performance.now() > until) this.end(thrown(error))
      }
    }
    return undefined
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.stopWaiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  private hear(notice: Rec): void {
    if (this.over) return
    if (this.order.resumes) this.since = notice['seq'] ?? this.since
    const reader = this.readers.shift()
    const value = notice as T
    if (reader !== undefined) reader.done({ value, done: false })
    else {
      this.queue.push(value)
      if (this.queue.length === MOST_QUEUED) this.connection?.pause()
    }
    if (notice['topic'] === 'trace' && notice['name'] === 'ended') this.end(undefined)
  }

  /** Once; readers that wait hear of it now, later ones when they have read what is queued. */
  private end(error: Error | undefined): void {
    if (this.over) return
    this.over = true
    this.error = error
    this.stopWaiting()
    this.connection?.close()
    this.forget()
    const { readers } = this
    this.readers = []
    for (const [i, { done, fail }] of readers.entries()) {
      if (error !== undefined && i === 0) {
        this.error = undefined
        fail(error)
      } else done({ value: undefined, done: true })
    }
  }
}
