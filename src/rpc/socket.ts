// The control sockets: Unix stream sockets on which a client speaks lines of JSON (line-connection.ts) or HTTP/1.1 (http.ts).

import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import type { Socket } from 'node:net'
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'
import type { Context } from './context.ts'
import { createDispatch, refusal } from './dispatch.ts'
import { createHttp } from './http.ts'
import { finish, serveLines } from './line-connection.ts'
import { attempt, bindAt, type Listening, type SocketPath } from './socket-path.ts'

const CLIENTS = 64
/** A deleted socket is back within a second. */
const LOOK_MILLISECONDS = 300

export interface SocketOptions extends SocketPath {
  readonly maxClients?: number
}

/** Binds a control socket; a live one of another process is left alone (`busy`), a dead one replaced, a deleted one made again. */
export async function listenSocket(context: Context, options: SocketOptions): Promise<Result<Listening, RpcFailure>> {
  const { path, level } = options
  const dispatch = createDispatch(context)
  const http = createHttp(context, level, dispatch)
  const host = { context, level, dispatch, http }
  const sockets = new Set<Socket>()
  const accept = (socket: Socket): void => {
    socket.on('error', () => socket.destroy())
    if (sockets.size >= (options.maxClients ?? CLIENTS)) {
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
    sockets.add(socket)
    context.clients(level, 1)
    socket.on('close', () => {
      sockets.delete(socket)
      context.clients(level, -1)
    })
    serveLines(socket, host)
  }
  const bind = () => bindAt(options, accept, (error) => context.daemon.bug(path, error))
  const first = await bind()
  if (first.isErr()) return err(first.error)
  let bound = first.value

  let binding = false
  const restore = async (): Promise<void> => {
    if (binding || existsSync(path)) return
    binding = true
    const again = await bind()
    binding = false
    if (again.isErr()) return
    // Its connections go on.
    bound.server.close()
    bound = again.value
  }
  const watch = setInterval(() => void restore(), LOOK_MILLISECONDS).unref()

  return ok({
    address: path,
    async close() {
      clearInterval(watch)
      attempt(path, () => {
        if (lstatSync(path).ino === bound.inode) unlinkSync(path)
      })
      for (const socket of sockets) socket.end()
      const closed = new Promise<void>((resolve) => bound.server.close(() => resolve()))
      // A client that does not read does not delay the end.
      const late = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, 200)
      await closed
      clearTimeout(late)
      http.close()
    },
  })
}
