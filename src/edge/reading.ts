// All sockets of a lane read into one buffer: what a read delivered is used up before the next one begins. Node's own way takes 64 KB
// of new memory for each read, whose collection costs more than the read of a request.

import type { Socket } from 'node:net'

/** As much as libuv reads at once anyway. */
const READ_OCTETS = 65_536

const room = Buffer.allocUnsafeSlow(READ_OCTETS)

/** For the options of a socket: it emits `data` with a view of the lane's buffer, which is gone when the listener returns. */
export const readTogether = {
  buffer: room,
  callback(this: Socket, octets: number): boolean {
    this.emit('data', room.subarray(0, octets))
    return true
  },
}

let spare: Buffer | undefined

/** Writes what came of a read. It is copied, since the kernel may leave some of it to a later write; so is `socket.write`'s answer. */
export function writeOn(socket: Socket, bytes: Uint8Array): boolean {
  if (bytes.buffer !== room.buffer) return socket.write(bytes)
  const memory = spare ?? Buffer.allocUnsafeSlow(READ_OCTETS)
  spare = undefined
  memory.set(bytes)
  const goOn = socket.write(memory.subarray(0, bytes.length))
  // With nothing left waiting the kernel has its own copy by now.
  if (socket.writableLength === 0) spare = memory
  return goOn
}
