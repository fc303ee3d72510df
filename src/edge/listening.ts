// A listening descriptor of a lane. Every lane listens on descriptors of its own for the same socket; the kernel shares the clients out.

import { createServer, type Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { listenHandle, onlyPublic, socketOf, stopAccepting } from './internals.ts'
import type { Reading, SocketOptions } from './reading.ts'

export type ClientSocket = Socket

export interface Listening {
  /** Takes no more clients; they wait in the backlog, or go to other descriptors of the socket. */
  readonly hold: () => void
  readonly resume: () => void
  /** Closes the descriptor. */
  readonly close: () => void
}

/** Node's default of 511 loses connections in a burst; the kernel cuts this down to net.core.somaxconn. */
const BACKLOG = 16_384
/** Clients that a held server without handles keeps waiting. */
const MOST_WAITING = 1024

type Accept = (socket: Socket) => void
type Failed = (error: Error) => void

const NOT_LISTENING: Listening = { hold: () => undefined, resume: () => undefined, close: () => undefined }

/** `held`: clients wait until it is resumed. */
export const listenOn = (fd: number, accept: Accept, failed: Failed, reading: Reading, held = false): Listening =>
  (onlyPublic() === undefined ? byHandle : byServer)(fd, accept, failed, reading.socketOptions, held)

/** The sockets read into the memory of reading.ts. */
function byHandle(fd: number, accept: Accept, failed: Failed, options: SocketOptions, held: boolean): Listening {
  const handle = listenHandle(fd)
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
    accept(socketOf(client, options))
  }
  const hold = (): void => stopAccepting(handle)
  if (held) hold()
  return { hold, resume: () => void handle.listen(BACKLOG), close: () => handle.close() }
}

/** The sockets read into memory of their own, and a held server accepts its clients but does not serve them yet. */
function byServer(fd: number, accept: Accept, failed: Failed, options: SocketOptions, held: boolean): Listening {
  const { allowHalfOpen, highWaterMark } = options
  let waiting: Socket[] | undefined = held ? [] : undefined
  const server = createServer({ allowHalfOpen, highWaterMark, noDelay: true }, (socket) => {
    if (waiting === undefined) accept(socket)
    else if (waiting.length < MOST_WAITING) waiting.push(socket.on('error', () => undefined))
    else socket.destroy()
  })
  server.on('error', (error) => failed(new Error(`listen on descriptor ${fd}: ${error.message}`)))
  // With a descriptor only the backlog by position counts on Node 20.
  server.listen({ fd }, BACKLOG)
  const hold = (): void => {
    waiting ??= []
  }
  const resume = (): void => {
    const clients = waiting ?? []
    waiting = undefined
    for (const socket of clients) if (!socket.destroyed) accept(socket)
  }
  return {
    hold,
    resume,
    close: () => {
      server.close()
      for (const socket of waiting ?? []) socket.destroy()
    },
  }
}
