// Where the sockets of a lane read, and how what they read is written on.
//
// All of them read into one buffer: what a read delivered is used up before the next one begins. Node's own way takes 64 KB of new
// memory for each read, whose collection costs more than the read of a request. What goes on to another socket is copied out of it.
//
// A socket that brings much, as in a large message, gets a room of its own, from which it is written without a copy; if the kernel does
// not take all of it at once, the next read goes into another room. There are few: who finds none free goes on with the common buffer.

import type { Socket } from 'node:net'
import { makeReadRooms, READ_OCTETS } from '../protocol/line-ends.ts'

const common = Buffer.allocUnsafeSlow(READ_OCTETS)
/** A read of as many octets and more is worth a room. */
const MANY_OCTETS = READ_OCTETS / 2

/**
 * What may wait in a stream before its sender is held. With Node's 16 KB each read of 64 KB would hold the sender and let it go again,
 * and a message of 20 MB would take twice the time.
 */
const STREAM_OCTETS = 262_144

class Room {
  /** It reads here; undefined: nobody does. */
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

let rooms: readonly Room[] | undefined

function allRooms(): readonly Room[] {
  rooms ??= makeReadRooms().map((bytes) => new Room(bytes))
  return rooms
}

/** For tests: a room that does not come back would only make large messages slower. */
export function freeRooms(): number {
  return allRooms().filter(({ isFree }) => isFree).length
}

/** The room that `data` is being emitted from; undefined: the common buffer. */
let here: Room | undefined
/** Something of what is being emitted was written on; and the kernel left some of it for later. */
let writtenOn = false
let leftOver = false
/** Where the socket whose `data` was emitted reads next; undefined: where it did. A new socket is given the common buffer. */
let next: Buffer | undefined = common

function readInto(socket: Socket, octets: number, buffer: Uint8Array): void {
  const room = buffer === common ? undefined : rooms?.find(({ bytes }) => bytes === buffer)
  here = room
  writtenOn = false
  leftOver = false
  try {
    socket.emit('data', buffer.subarray(0, octets))
  } finally {
    here = undefined
  }
  const bringsMuch = octets >= MANY_OCTETS && writtenOn
  const stays = bringsMuch ? room !== undefined && !leftOver : room === undefined
  next = stays ? undefined : move(socket, room, bringsMuch)
}

/** From one room to a free one, or to the common buffer. */
function move(socket: Socket, from: Room | undefined, toRoom: boolean): Buffer {
  if (from !== undefined) from.reader = undefined
  if (!toRoom) return common
  const to = allRooms().find(({ isFree }) => isFree)
  if (to === undefined) return common
  to.reader = socket
  return to.bytes
}

/** Of every socket in a lane, but for a helper that is run for each login: it emits `data` with a view of what was read, which is gone when the listener returns. */
export const socketOptions = {
  allowHalfOpen: true,
  highWaterMark: STREAM_OCTETS,
  onread: {
    /** Node asks for it at the start, and behind each `callback`. */
    buffer(): Uint8Array {
      const given = next
      next = common
      return given as Uint8Array
    },
    callback(this: Socket, octets: number, buffer: Uint8Array): boolean {
      readInto(this, octets, buffer)
      return true
    },
  },
  // What node:net sets itself; that costs less where the members are there.
  emitClose: false,
  autoDestroy: true,
  decodeStrings: false,
} as const

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

let spare: Buffer | undefined

/** Writes what came of a read; answers what `socket.write` does. */
export function writeOn(socket: Socket, bytes: Uint8Array): boolean {
  writtenOn = true
  if (bytes.buffer === common.buffer) return writeCopy(socket, bytes)
  if (bytes.buffer !== here?.bytes.buffer) return socket.write(bytes)
  here.writes += 1
  const goOn = socket.write(bytes, here.written)
  if (socket.writableLength > 0) leftOver = true
  return goOn
}

/** The kernel may leave some of it to a later write. */
function writeCopy(socket: Socket, bytes: Uint8Array): boolean {
  // What has to wait anyway takes no more memory than it has octets: senders are held by their octets.
  if (socket.writableLength > 0) return socket.write(Buffer.from(bytes))
  const memory = spare ?? Buffer.allocUnsafeSlow(READ_OCTETS)
  spare = undefined
  memory.set(bytes)
  const goOn = socket.write(memory.subarray(0, bytes.length))
  // With nothing left waiting the kernel has its own copy by now.
  if (socket.writableLength === 0) spare = memory
  return goOn
}
