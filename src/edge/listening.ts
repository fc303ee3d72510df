// A listening descriptor of a lane. Every lane listens on descriptors of its own for the same socket; the kernel shares the clients out.

import { createServer, type Socket } from 'node:net'

export type ClientSocket = Socket

export interface Listening {
  /** Closes the descriptor; clients go to the other descriptors of the socket, or wait in its backlog. */
  readonly close: () => void
}

/** Node's default of 511 loses connections in a burst; the kernel cuts this down to net.core.somaxconn. */
const BACKLOG = 16_384

/**
 * What may wait in a stream before its sender is held. With Node's 16 KB each read of 64 KB would hold the sender and let it go again,
 * and a message of 20 MB would take twice the time.
 */
export const STREAM_OCTETS = 262_144

export function listenOn(fd: number, accept: (socket: Socket) => void, failed: (error: Error) => void): Listening {
  const server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: STREAM_OCTETS }, accept)
  server.on('error', failed)
  // Only the positional backlog works together with a descriptor on Node 20.
  server.listen({ fd }, BACKLOG)
  return { close: () => void server.close() }
}
