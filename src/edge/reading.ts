// All sockets of a lane read into one buffer: what a read delivered is used up before the next one begins. Node's own way takes 64 KB
// of new memory for each read, whose collection costs more than the read of a request.

import type { Socket } from 'node:net'
import { READ_OCTETS } from '../protocol/line-ends.ts'

const room = Buffer.allocUnsafeSlow(READ_OCTETS)

/**
 * What may wait in a stream before its sender is held. With Node's 16 KB each read of 64 KB would hold the sender and let it go again,
 * and a message of 20 MB would take twice the time.
 */
const STREAM_OCTETS = 262_144

/** Of every socket in a lane, but for a helper that is run for each login: it emits `data` with a view of the lane's buffer, which is gone when the listener returns. */
export const socketOptions = {
  allowHalfOpen: true,
  highWaterMark: STREAM_OCTETS,
  onread: {
    buffer: room,
    callback(this: Socket, octets: number): boolean {
      this.emit('data', room.subarray(0, octets))
      return true
    },
  },
  // What node:net sets itself; that costs less where the members are there.
  emitClose: false,
  autoDestroy: true,
  decodeStrings: false,
} as const

let spare: Buffer | undefined

/** Writes what came of a read. It is copied, since the kernel may leave some of it to a later write; so is `socket.write`'s answer. */
export function writeOn(socket: Socket, bytes: Uint8Array): boolean {
  if (bytes.buffer !== room.buffer) return socket.write(bytes)
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
