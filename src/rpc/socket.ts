// The control sockets: Unix stream sockets on which a client speaks lines of JSON (line-connection.ts) or HTTP/1.1 (http.ts).

import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import type { Socket } from 'node:net'
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import type { Context } from './context.ts'
import { createDispatch, refusal } from './dispatch.ts'
import { createHttp } from './http.ts'
import { finish, SOCKET_CLOCK, type SocketClock, serveLines } from './line-connection.ts'
import { attempt, bindAt, type Listening, type SocketPath } from './socket-path.ts'

const CLIENTS = 64
/** Beyond those, so that an operator who is locked out can still look, and end what takes the places: each for a short time. */
const RESERVED = 4
const RESERVED_MILLISECONDS = 30_000
/** A client that asks for nothing and follows nothing is closed then, or when its place is wanted. */
const IDLE_MILLISECONDS = 600_000
const GIVES_WAY_MILLISECONDS = 10_000
/** A deleted socket is back within a second. */
const LOOK_MILLISECONDS = 300

export interface SocketOptions extends SocketPath {
  readonly clock?: SocketClock
}

/** Binds a control socket; a live one of another process is left alone (`busy`), a dead one replaced, a deleted one made again. */
export async function listenSocket(context: Context, options: SocketOptions): Promise<Result<Listening, RpcFailure>> {
  const { path, level, clock = SOCKET_CLOCK } = options
  const dispatch = createDispatch(context)
  const http = createHttp(context, level, dispatch)
  const host = { context, level, dispatch, http, clock }
  const sockets = new Map<Socket, () => number>()
  const closeIdle = (milliseconds: number) => {
    for (const [socket, idle] of sockets) if (idle() >= milliseconds) socket.destroy()
  }
  const accept = (socket: Socket): void => {
    socket.on('error', () => socket.destroy())
    if (sockets.size >= CLIENTS) closeIdle(GIVES_WAY_MILLISECONDS)
    if (sockets.size >= CLIENTS + RESERVED) {
      finish(
        socket,
        refusal(null, {
          failure: 'busy',
          reason: 'too-many-clients',
          message: `${sockets.size} clients are connected already`,
        }),
      )
      return
    }
    if (sockets.size >= CLIENTS)
      socket.on(
        'close',
        clock.later(() => socket.destroy(), RESERVED_MILLISECONDS),
      )
    sockets.set(socket, () => 0)
    context.clients(level, 1)
    socket.on('close', () => {
      sockets.delete(socket)
      context.clients(level, -1)
    })
    const connection = serveLines(socket, host)
    sockets.set(socket, () => connection.idleMilliseconds())
  }
  const failed = (error: Error): void => context.daemon.bug(path, error)
  const first = await bindAt(options, accept, failed)
  if (first.isErr()) return err(first.error)
  let bound = first.value

  let binding = false
  const restore = async (isLost: boolean): Promise<void> => {
    if (binding || !isLost) return
    binding = true
    const again = await bindAt({ ...options, replaces: false }, accept, failed)
    binding = false
    if (again.isErr()) return
    // Its connections go on.
    bound.server.close()
    bound = again.value
  }
  const stopWatching = clock.again(() => {
    closeIdle(IDLE_MILLISECONDS)
    void restore(!existsSync(path))
  }, LOOK_MILLISECONDS)

  return ok({
    address: path,
    release: async () => undefined,
    reclaim: () => restore(lstatSync(path, { throwIfNoEntry: false })?.ino !== bound.inode),
    async close() {
      stopWatching()
      attempt(path, () => {
        if (lstatSync(path).ino === bound.inode) unlinkSync(path)
      })
      for (const socket of sockets.keys()) socket.end()
      const closed = new Promise<void>((resolve) => bound.server.close(() => resolve()))
      // A client that does not read does not delay the end.
      const late = setTimeout(() => {
        for (const socket of sockets.keys()) socket.destroy()
      }, 200)
      await closed
      clearTimeout(late)
      http.close()
    },
  })
}
