// A listening descriptor of a lane. Every lane listens on descriptors of its own for the same socket; the kernel shares the clients out.

import net, { type Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { socketOptions } from './reading.ts'

export type ClientSocket = Socket

export interface Listening {
  /** Leaves clients in the backlog of the socket. */
  readonly hold: () => void
  readonly resume: () => void
  /** Closes the descriptor; clients go to the other descriptors of the socket, or wait in its backlog. */
  readonly close: () => void
}

/** Node's default of 511 loses connections in a burst; the kernel cuts this down to net.core.somaxconn. */
const BACKLOG = 16_384

interface Handle {
  setNoDelay(on: boolean): void
  onconnection: (status: number, client: Handle | undefined) => void
  listen(backlog: number): number
  readStart(): number
  readStop(): number
  close(): void
}

/** What net.Server is made of. That makes its sockets itself, without a way to say into which memory they read. */
const internals = net as unknown as {
  _createServerHandle(address: null, port: 0, family: -1, fd: number): Handle | number
  Socket: new (options: object) => Socket
}

const NOT_LISTENING: Listening = { hold: () => undefined, resume: () => undefined, close: () => undefined }

/** `held`: clients wait in the backlog until it is resumed. */
export function listenOn(
  fd: number,
  accept: (socket: Socket) => void,
  failed: (error: Error) => void,
  held = false,
): Listening {
  const handle = internals._createServerHandle(null, 0, -1, fd)
  const status = typeof handle === 'number' ? handle : handle.listen(BACKLOG)
  if (typeof handle === 'number' || status !== 0) {
    if (typeof handle !== 'number') handle.close()
    failed(new Error(`listen on descriptor ${fd}: ${getSystemErrorName(status)}`))
    return NOT_LISTENING
  }
  handle.onconnection = (problem, client) => {
    if (client === undefined) {
      failed(new Error(`accept on descriptor ${fd}: ${getSystemErrorName(problem)}`))
      return
    }
    client.setNoDelay(true)
    accept(new internals.Socket({ ...socketOptions, handle: client }))
  }
  // libuv has no call to accept no more: that a handle stops reading stops its polling, and listen(2) again begins it.
  const hold = () => {
    handle.readStart()
    handle.readStop()
  }
  if (held) hold()
  return { hold, resume: () => void handle.listen(BACKLOG), close: () => handle.close() }
}
