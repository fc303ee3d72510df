// Read buffers of a lane's sockets, and forwarding without copying.
//
// All of them read into one buffer: what a read delivered is used up before the next one begins. Node's own way takes 64 KB of new
// memory for each read, whose collection costs more than the read of a request. What goes on to another socket is copied out of it.
//
// A socket that brings much, as in a large message, gets a buffer of its own, from which it is written without a copy; if the kernel does
// not take all of it, the next read goes into another one. There are few: a socket that finds none free goes on with the common buffer.

import type { Socket } from 'node:net'
import { createLineEndSearch, type LineEndSearch, READ_OCTETS } from '../protocol/line-ends.ts'

/** A read of as many octets and more is worth a buffer of its own. */
const MANY_OCTETS = READ_OCTETS / 2

/**
 * What may wait in a stream before its sender is held. With Node's 16 KB each read of 64 KB would hold the sender and let it go again,
 * and a message of 20 MB would take twice the time.
 */
const STREAM_OCTETS = 262_144

class ReadBuffer {
  /** Who reads from it; undefined: nobody. */
  reader: Socket | undefined
  /** Writes that may still need what is in it. */
  writes = 0
  readonly bytes: Buffer
  readonly written = (): void => {
    this.writes -= 1
  }

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get isFree(): boolean {
    return this.writes === 0 && (this.reader === undefined || this.reader.destroyed)
  }
}

/** Of a socket that reads into a lane's buffers. */
export interface SocketOptions {
  readonly allowHalfOpen: boolean
  readonly highWaterMark: number
  readonly onread: {
    readonly buffer: () => Uint8Array
    readonly callback: (this: Socket, octets: number, buffer: Uint8Array) => boolean
  }
  readonly emitClose: boolean
  readonly autoDestroy: boolean
  readonly decodeStrings: boolean
}

const optionsFor = (reading: Reading): SocketOptions => ({
  allowHalfOpen: true,
  highWaterMark: STREAM_OCTETS,
  onread: {
    buffer: () => reading.nextBuffer(),
    callback(octets, buffer) {
      reading.deliver(this, octets, buffer)
      return true
    },
  },
  // What node:net sets itself; that costs less where the members are there.
  emitClose: false,
  autoDestroy: true,
  decodeStrings: false,
})

/** The memory that a lane's sockets read into, and forwarding from it without copying. One for each lane. */
export class Reading {
  readonly search: LineEndSearch = createLineEndSearch()
  /** A socket with them emits `data` with a view of what was read, which is gone when the listener returns. */
  readonly socketOptions: SocketOptions = optionsFor(this)
  private readonly common = Buffer.allocUnsafeSlow(READ_OCTETS)
  private own: readonly ReadBuffer[] | undefined
  /** The buffer that `data` is being emitted from; undefined: the common one. */
  private here: ReadBuffer | undefined
  /** Something of what is being emitted was written on; and the kernel left some of it for later. */
  private writtenOn = false
  private leftOver = false
  /** Where the socket whose `data` was emitted reads next; undefined: where it did. A new socket is given the common buffer. */
  private next: Buffer | undefined = this.common
  private spare: Buffer | undefined

  /** Where a socket reads next: Node asks for it at the start, and after each read. */
  nextBuffer(): Uint8Array {
    const given = this.next
    this.next = this.common
    return given as Uint8Array
  }

  /** One read has come. */
  deliver(socket: Socket, octets: number, buffer: Uint8Array): void {
    const from = buffer === this.common ? undefined : this.own?.find(({ bytes }) => bytes === buffer)
    this.here = from
    this.writtenOn = false
    this.leftOver = false
    try {
      socket.emit('data', buffer.subarray(0, octets))
    } finally {
      this.here = undefined
    }
    const bringsMuch = octets >= MANY_OCTETS && this.writtenOn
    const stays = bringsMuch ? from !== undefined && !this.leftOver : from === undefined
    this.next = stays ? undefined : this.move(socket, from, bringsMuch)
  }

  /** From one buffer to a free one, or to the common one. */
  private move(socket: Socket, from: ReadBuffer | undefined, toOwn: boolean): Buffer {
    if (from !== undefined) from.reader = undefined
    if (!toOwn) return this.common
    const to = this.buffers().find(({ isFree }) => isFree)
    if (to === undefined) return this.common
    to.reader = socket
    return to.bytes
  }

  private buffers(): readonly ReadBuffer[] {
    this.own ??= this.search.readBuffers().map((bytes) => new ReadBuffer(bytes))
    return this.own
  }

  /** For tests: a buffer that does not come back would only make large messages slower. */
  freeBuffers(): number {
    return this.buffers().filter(({ isFree }) => isFree).length
  }

  /** Writes what came of a read; answers what `socket.write` does. */
  writeOn(socket: Socket, bytes: Uint8Array): boolean {
    this.writtenOn = true
    const { here } = this
    if (bytes.buffer === this.common.buffer) return this.writeCopy(socket, bytes)
    if (here === undefined || bytes.buffer !== here.bytes.buffer) return socket.write(bytes)
    here.writes += 1
    const goOn = socket.write(bytes, here.written)
    if (socket.writableLength > 0) this.leftOver = true
    return goOn
  }

  /** The kernel may leave some of it to a later write. */
  private writeCopy(socket: Socket, bytes: Uint8Array): boolean {
    // What has to wait anyway takes no more memory than it has octets: senders are held by their octets.
    if (socket.writableLength > 0) return socket.write(Buffer.from(bytes))
    const memory = this.spare ?? Buffer.allocUnsafeSlow(READ_OCTETS)
    this.spare = undefined
    memory.set(bytes)
    const goOn = socket.write(memory.subarray(0, bytes.length))
    // With nothing left waiting the kernel has its own copy by now.
    if (socket.writableLength === 0) this.spare = memory
    return goOn
  }
}

interface Sending {
  readonly bytesWritten: number
  readonly writeQueueSize: number
}

/** Octets written to it that the kernel has not taken. Node's own count goes down only with a whole write. */
export function unsentOf(socket: Socket): number {
  const { writableLength } = socket
  const { _handle: handle } = socket as Socket & { readonly _handle?: Sending | null }
  if (writableLength === 0 || !handle) return writableLength
  const waiting = socket.bytesWritten - handle.bytesWritten + handle.writeQueueSize
  return Math.max(0, Math.min(writableLength, waiting))
}
