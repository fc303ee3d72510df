// The client of a classic program: two inherited descriptors, replaced by two others once TLS is on.

import { fstatSync, readSync } from 'node:fs'
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { setBlocking } from '../edge/internals.ts'
import { bytesOf, concat, copyOf, LF, NO_BYTES } from '../protocol/bytes.ts'
import { writeAll } from './process.ts'

export interface ClientEvents {
  readonly input: (bytes: Uint8Array) => void
  /** The client has closed its side, or cannot be read or written any more. */
  readonly ended: () => void
  /** What was written is taken; only after `write` has answered false. */
  readonly drained: () => void
}

/**
 * `lines`: never a byte beyond the end of a line is taken from the descriptor, so that a child inherits what follows. One byte
 * a read is what that costs, some 3 µs each: a login is a hundred bytes.
 */
export type Reading = 'lines' | 'stream'

const READ_OCTETS = 65_536
/** A line without an end is handed over in pieces of this size, so that its reader can refuse it. */
const PIECE = 4096
/** Milliseconds of silence after which a client whose message was refused is taken to have sent all of it. */
const LINGER = 5000

interface Source {
  pause(): void
  resume(): void
}

export class Client {
  private reading: Reading
  private paused = true
  private source: Source | undefined
  private sink: Socket | undefined
  private readonly events: ClientEvents
  private outFd: number
  private line: number[] = []
  private readonly one = Buffer.alloc(1)
  private buffer: Buffer = this.one
  private closed = false
  private discarding: { count: number } | undefined
  private lingering: { readonly timer: NodeJS.Timeout; readonly done: () => void } | undefined
  /** Replies of one turn: those before TLS leave only when nothing else is left to discard. */
  private unsaid: Uint8Array[] = []

  constructor(inFd: number, outFd: number, reading: Reading, events: ClientEvents) {
    this.reading = reading
    this.events = events
    this.outFd = outFd
    this.sink = this.openSink(outFd)
    this.source = this.openSource(inFd)
  }

  /** From now on whole reads are handed over. */
  streamed(): void {
    this.reading = 'stream'
    if (this.line.length > 0) this.handOver()
  }

  pause(): void {
    this.paused = true
    this.source?.pause()
  }

  resume(): void {
    if (this.closed || !this.paused) return
    this.paused = false
    this.source?.resume()
  }

  // ---- reading

  private openSource(fd: number): Source {
    if (!isStream(fd)) return this.openFile(fd)
    const onread: OnReadOpts = {
      buffer: () => this.readBuffer(),
      callback: (length, bytes) => this.took(bytes.subarray(0, length)),
    }
    // Node's types know onread only beside connect().
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      allowHalfOpen: true,
      onread,
    }
    const socket = new Socket(options)
    socket.on('end', () => this.end())
    socket.on('error', () => this.end())
    socket.pause()
    return socket
  }

  private readBuffer(): Buffer {
    if (this.reading === 'lines') return this.one
    if (this.buffer.length < READ_OCTETS) this.buffer = Buffer.allocUnsafeSlow(READ_OCTETS)
    return this.buffer
  }

  /** A file or a terminal: for trials by hand. */
  private openFile(fd: number): Source {
    let on = false
    const turn = (): void => {
      if (!on || this.closed) return
      let length = 0
      try {
        length = readSync(fd, this.one, 0, 1, null)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') {
          setTimeout(turn, 20)
          return
        }
      }
      if (length === 0) this.end()
      else this.took(this.one)
      setImmediate(turn)
    }
    return {
      pause: () => {
        on = false
      },
      resume: () => {
        on = true
        setImmediate(turn)
      },
    }
  }

  /** One read; false: no more for now. */
  private took(bytes: Uint8Array): boolean {
    if (this.discarding !== undefined) {
      this.discarding.count += bytes.length
      this.lingering?.timer.refresh()
      return true
    }
    if (this.reading === 'stream') {
      this.events.input(copyOf(bytes))
      return !this.paused
    }
    const byte = bytes[0] as number
    this.line.push(byte)
    if (byte === LF || this.line.length >= PIECE) this.handOver()
    return !this.paused
  }

  private handOver(): void {
    const bytes = Uint8Array.from(this.line)
    this.line.fill(0)
    this.line = []
    this.events.input(bytes)
    bytes.fill(0)
  }

  private end(): void {
    if (this.closed) return
    this.closed = true
    this.source?.pause()
    this.events.ended()
    this.lingering?.done()
  }

  // ---- writing

  private openSink(fd: number): Socket | undefined {
    if (!isStream(fd)) return undefined
    const sink = new Socket({ fd, readable: false, writable: true })
    sink.on('error', () => this.end())
    sink.on('drain', () => this.events.drained())
    // Nobody waits for a client that takes nothing any more.
    sink.on('close', () => this.events.drained())
    return sink
  }

  /** Kept until `flush`. */
  say(text: string): void {
    if (text !== '') this.unsaid.push(bytesOf(text))
  }

  flush(): boolean {
    if (this.unsaid.length === 0) return true
    const bytes = concat(this.unsaid)
    this.unsaid = []
    return this.write(bytes)
  }

  /** False: wait for `drained`. Every byte is written, however slowly the client takes them. */
  write(bytes: Uint8Array): boolean {
    if (this.sink !== undefined) return this.sink.destroyed || this.sink.write(bytes)
    if (!writeAll(this.outFd, bytes)) this.end()
    return true
  }

  get crowded(): boolean {
    return this.sink?.writableNeedDrain ?? false
  }

  /** Calls back once everything said is in the kernel, or cannot be. */
  whenWritten(done: () => void): void {
    this.flush()
    const { sink } = this
    if (sink === undefined || sink.destroyed || sink.writableLength === 0) done()
    else sink.write(NO_BYTES, () => done())
  }

  /**
   * Calls back once everything said is in the kernel and a client that is in the middle of a message has closed, or sends no more:
   * unread octets at our exit would have the reply thrown away by a reset.
   */
  whenHeard(done: () => void): void {
    this.whenWritten(() => {
      if (this.closed) {
        done()
        return
      }
      this.lingering = { timer: setTimeout(done, LINGER), done }
      this.discarding = { count: 0 }
      this.source?.resume()
    })
  }

  // ---- TLS

  /** Takes away what the client has sent already and tells how much that was: RFC 3207 section 4.2, RFC 2595 section 4. */
  discardPlaintext(done: (octets: number) => void): void {
    const discarding = { count: this.line.length }
    this.line = []
    this.paused = true
    this.discarding = discarding
    // We may be inside a read, whose end stops the reading.
    setImmediate(() => this.source?.resume())
    const turn = (before: number): void => {
      if (discarding.count > before && discarding.count < READ_OCTETS && !this.closed) {
        // Once this turn of the event loop is over the kernel is asked; in the next but one its answer is here for sure.
        setImmediate(() => setImmediate(() => setImmediate(turn, discarding.count)))
        return
      }
      this.source?.pause()
      this.discarding = undefined
      done(discarding.count)
    }
    turn(-1)
  }

  /** In the open files, which other processes may share; nothing can be read here while they block. */
  setBlocking(on: boolean): void {
    setBlocking(this.source, on)
    setBlocking(this.sink, on)
  }

  /** The decrypted descriptors take the place of the plain ones. */
  replace(inFd: number, outFd: number): void {
    this.source?.pause()
    this.line = []
    this.outFd = outFd
    this.sink = this.openSink(outFd)
    this.source = this.openSource(inFd)
    this.paused = true
  }

  get gone(): boolean {
    return this.closed
  }
}

function isStream(fd: number): boolean {
  try {
    const status = fstatSync(fd)
    return status.isSocket() || status.isFIFO()
  } catch {
    return false
  }
}
