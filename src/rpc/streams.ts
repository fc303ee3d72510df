// What follows a reply on the same connection: events and traces, as notifications, in queues that never grow.
//
//   event ─> Stream.push ─> written immediately, or queued until the reader has caught up, or counted in `dropped`
//
// The queue of a client is bounded in bytes over all its streams, so that one who never reads costs a quarter of a megabyte.
import { shown } from './octets.ts'
import type { Level } from './row.ts'

export const QUEUE_BYTES = 256 * 1024
export const STREAMS_PER_CLIENT = 8

/** What a transport gives: a line goes out; false means that the reader is slow until `drained`. */
type Write = (line: string) => boolean

export type StreamParams = Readonly<Record<string, unknown>>

/** Parameters of an event as JSON. */
export type EventText = string

export interface Stream {
  readonly id: string
  /** `seq`: its number, where it has one of its own; else the stream counts. */
  push(text: EventText, seq?: number): void
  /** Events that cannot be shown any more. */
  lose(events: number): void
  /** Whether the reader keeps up. */
  room(): boolean
  /** Removes it; `last` is still sent if the reader keeps up. */
  end(last?: EventText): void
}

export interface Client {
  readonly level: Level
  readonly transport: 'lines' | 'http'
  /** Begins a stream; undefined if the client has too many. `onEnd` runs once, however it ends. */
  open(onEnd: () => void): Stream | undefined
  has(id: string): boolean
  /** Ends a stream of this client by its id; false if it has none such. */
  endStream(id: string): boolean
  readonly streams: number
  /** It has hung up. */
  readonly isGone: boolean
  /** Events lost so far. */
  readonly dropped: number
}

/** The transport's side of a client. */
export interface ClientHandle extends Client {
  /** Writes the reply, if there is one; then what the streams that it announces already have. False: the reader is slow. */
  reply(line: string | undefined): boolean
  drained(): void
  closed(): void
}

interface Open {
  readonly id: string
  readonly onEnd: () => void
  seq: number
  /** Its events have numbers of their own. */
  numbered: boolean
  dropped: number
  /** False until the reply that announces it is written. */
  announced: boolean
}

let lastId = 0

/** Made once for all who hear it; `params` has a member at least. */
export function eventText(params: StreamParams): EventText {
  return JSON.stringify(shown(params))
}

function lineOf(id: string, seq: number, text: EventText, lost: number): string {
  const dropped = lost > 0 ? `"dropped":${lost},` : ''
  return `{"jsonrpc":"2.0","method":"event","params":{"subscription":"${id}","seq":${seq},${dropped}${text.slice(1)}}`
}

/** What waits for the reader of one client, over all its streams. */
interface Outbox {
  readonly write: Write
  readonly onLost: (events: number) => void
  queue: string[]
  queuedBytes: number
  /** The reader does not keep up: nothing is written until it has caught up. */
  behind: boolean
  /** Something did not fit: until the queue has been written, nothing is even looked at. */
  full: boolean
  /** Events lost so far. */
  dropped: number
}

const newOutbox = (write: Write, onLost: (events: number) => void): Outbox => ({
  write,
  onLost,
  queue: [],
  queuedBytes: 0,
  behind: false,
  full: false,
  dropped: 0,
})

/** Numbers an event that has no number, and writes, queues or drops it. */
function emit(outbox: Outbox, stream: Open, text: EventText, seq?: number): void {
  stream.numbered ||= seq !== undefined
  stream.seq = seq ?? stream.seq + (stream.numbered ? 0 : 1)
  if (outbox.full) {
    drop(outbox, stream, 1)
    return
  }
  const line = lineOf(stream.id, stream.seq, text, stream.dropped)
  if (stream.announced && !outbox.behind && outbox.queue.length === 0) {
    stream.dropped = 0
    outbox.behind = !outbox.write(line)
  } else if (outbox.queuedBytes + line.length <= QUEUE_BYTES) {
    stream.dropped = 0
    outbox.queue.push(line)
    outbox.queuedBytes += line.length
  } else {
    outbox.full = true
    drop(outbox, stream, 1)
  }
}

function drop(outbox: Outbox, stream: Open, events: number): void {
  stream.dropped += events
  outbox.dropped += events
  outbox.onLost(events)
}

/** Writes what waits; true if all of it is written. */
function flush(outbox: Outbox): boolean {
  let sent = 0
  for (const line of outbox.queue) {
    if (outbox.behind) break
    outbox.behind = !outbox.write(line)
    outbox.queuedBytes -= line.length
    sent++
  }
  outbox.queue = outbox.queue.slice(sent)
  if (outbox.behind || outbox.queue.length > 0) return false
  outbox.full = false
  return true
}

/** Tells who lost events so now, not with an event that may never come. */
function tellLosses(outbox: Outbox, streams: Iterable<Open>): void {
  for (const stream of streams) {
    if (stream.dropped === 0) continue
    emit(outbox, stream, eventText({ at: new Date().toISOString(), topic: 'events', name: 'dropped' }))
  }
}

/** `idle` is called whenever the last stream has ended and all of it is written. */
export function createClient(
  level: Level,
  transport: 'lines' | 'http',
  write: Write,
  idle: () => void,
  onLost: (events: number) => void,
): ClientHandle {
  let gone = false
  const streams = new Map<string, Open>()
  const outbox = newOutbox(write, onLost)

  const flushAll = (): void => {
    if (!flush(outbox)) return
    tellLosses(outbox, streams.values())
    if (streams.size === 0) idle()
  }
  const end = (id: string, last?: EventText): void => {
    const stream = streams.get(id)
    if (!stream) return
    if (last) emit(outbox, stream, last)
    streams.delete(id)
    stream.onEnd()
    if (streams.size === 0 && outbox.queue.length === 0) idle()
  }

  return {
    level,
    transport,
    open(onEnd) {
      if (streams.size >= STREAMS_PER_CLIENT) return undefined
      const id = `e${++lastId}`
      const stream: Open = { id, onEnd, seq: 0, numbered: false, dropped: 0, announced: false }
      streams.set(id, stream)
      return {
        id,
        push: (text, seq) => streams.has(id) && emit(outbox, stream, text, seq),
        lose: (events) => drop(outbox, stream, events),
        room: () => !outbox.full && outbox.queuedBytes < QUEUE_BYTES / 2,
        end: (last) => end(id, last),
      }
    },
    has: (id) => streams.has(id),
    endStream(id) {
      const known = streams.has(id)
      end(id)
      return known
    },
    get streams() {
      return streams.size
    },
    get dropped() {
      return outbox.dropped
    },
    reply(line) {
      if (line !== undefined && !write(line)) outbox.behind = true
      for (const stream of streams.values()) stream.announced = true
      flushAll()
      return !outbox.behind
    },
    drained() {
      outbox.behind = false
      flushAll()
    },
    get isGone() {
      return gone
    },
    closed() {
      gone = true
      outbox.queue = []
      outbox.queuedBytes = 0
      for (const id of streams.keys()) end(id)
    },
  }
}
