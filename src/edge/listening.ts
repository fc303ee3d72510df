// A listening descriptor of a lane. Every lane listens on descriptors of its own for the same socket; the kernel shares the clients out.

import net, { type Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { socketOptions } from './reading.ts'

export type ClientSocket = Socket

export interface Listening {
  /** Closes the descriptor; clients go to the other descriptors of the socket, or wait in its backlog. */
  readonly close: () => void
}

/** Node's default of 511 loses connections in a burst; the kernel cuts this down to net.core.somaxconn. */
const BACKLOG = 16_384

interface Handle {
  setNoDelay(on: boolean): void
  onconnection: (status: number, client: Handle | undefined) => void
  listen(backlog: number): number
  close(): void
}

/** What net.Server is made of. That makes its sockets itself, without a way to say into which memory they read. */
const internals = net as unknown as {
  _createServerHandle(address: null, port: 0, family: -1, fd: number): Handle | number
  Socket: new (options: object) => Socket
}

export function listenOn(fd: number, accept: (socket: Socket) => void, failed: (error: Error) => void): Listening {
  const handle = internals._createServerHandle(null, 0, -1, fd)
  const status = typeof handle === 'number' ? handle : handle.listen(BACKLOG)
  if (typeof handle === 'number' || status !== 0) {
    if (typeof handle !== 'number') handle.close()
    failed(new Error(`listen on descriptor ${fd}: ${getSystemErrorName(status)}`))
    return { close: () => undefined }
  }
  handle.onconnection = (problem, client) => {
    if (client === undefined) {
      failed(new Error(`accept on descriptor ${fd}: ${getSystemErrorName(problem)}`))
      return
    }
    client.setNoDelay(true)
    accept(new internals.Socket({ ...socketOptions, handle: client }))
  }
  return { close: () => handle.close() }
}
