// What follows a reply on the same connection: events and traces, as notifications, in queues that never grow.
//
//   event ─> Stream.push ─> written at once, or queued while the reader is behind, or counted in `dropped`
//
// The queue of a client is bounded in bytes over all its streams, so that one who never reads costs a quarter of a megabyte.
import { shown } from './octets.ts'
import type { Level } from './row.ts'

export const QUEUE_BYTES = 256 * 1024
export const STREAMS_PER_CLIENT = 8

/** What a transport gives: a line goes out; false means that the reader is behind until `drained`. */
type Write = (line: string) => boolean

export type StreamParams = Readonly<Record<string, unknown>>

/** Parameters of an event as JSON. */
export type EventText = string

export interface Stream {
  readonly id: string
  push(text: EventText): void
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
  /** Events lost so far. */
  readonly dropped: number
}

/** The transport's side of a client. */
export interface ClientHandle extends Client {
  /** Writes the reply, if there is one; then what the streams that it announces already have. False: the reader is behind. */
  reply(line: string | undefined): boolean
  drained(): void
  closed(): void
}

interface Open {
  readonly onEnd: () => void
  seq: number
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

/** `idle` is called whenever the last stream has ended and all of it is written. */
export function createClient(
  level: Level,
  transport: 'lines' | 'http',
  write: Write,
  idle: () => void,
  onLost: (events: number) => void,
): ClientHandle {
  const streams = new Map<string, Open>()
  let queue: { readonly id: string; readonly line: string }[] = []
  let queuedBytes = 0
  let behind = false
  /** Something did not fit: until the queue has been written, nothing is even looked at. */
  let full = false
  let dropped = 0

  const drop = (open: Open): void => {
    open.dropped++
    dropped++
    onLost(1)
  }

  const emit = (id: string, open: Open, text: EventText): void => {
    open.seq++
    if (full) {
      drop(open)
      return
    }
    const line = lineOf(id, open.seq, text, open.dropped)
    if (open.announced && !behind && queue.length === 0) {
      open.dropped = 0
      behind = !write(line)
    } else if (queuedBytes + line.length <= QUEUE_BYTES) {
      open.dropped = 0
      queue.push({ id, line })
      queuedBytes += line.length
    } else {
      full = true
      drop(open)
    }
  }

  const flush = (): void => {
    let sent = 0
    for (const { line } of queue) {
      if (behind) break
      behind = !write(line)
      queuedBytes -= line.length
      sent++
    }
    queue = queue.slice(sent)
    if (behind || queue.length > 0) return
    full = false
    // Whoever lost events hears of it now, not with an event that may never come.
    for (const [id, open] of streams)
      if (open.dropped > 0)
        emit(id, open, eventText({ at: new Date().toISOString(), topic: 'events', name: 'dropped' }))
    if (streams.size === 0) idle()
  }

  const end = (id: string, last?: EventText): void => {
    const open = streams.get(id)
    if (!open) return
    if (last) emit(id, open, last)
    streams.delete(id)
    open.onEnd()
    if (streams.size === 0 && queue.length === 0) idle()
  }

  return {
    level,
    transport,
    open(onEnd) {
      if (streams.size >= STREAMS_PER_CLIENT) return undefined
      const id = `e${++lastId}`
      const open: Open = { onEnd, seq: 0, dropped: 0, announced: false }
      streams.set(id, open)
      return { id, push: (text) => streams.has(id) && emit(id, open, text), end: (last) => end(id, last) }
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
      return dropped
    },
    reply(line) {
      if (line !== undefined && !write(line)) behind = true
      for (const open of streams.values()) open.announced = true
      flush()
      return !behind
    },
    drained() {
      behind = false
      flush()
    },
    closed() {
      queue = []
      queuedBytes = 0
      for (const id of streams.keys()) end(id)
    },
  }
}
