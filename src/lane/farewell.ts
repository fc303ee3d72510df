// Clients that are turned away: they are told why, and read until they close, so that no reset takes the reply from them.

import type { ClientSocket } from '../edge/listening.ts'

/** One that neither closes nor sends. */
const SILENCE_MILLISECONDS = 5000
/** Of a lane: each has a descriptor that no session counts. The one that has waited longest gives way. */
const MOST = 64

export interface Farewells {
  /** No longer than `longest` seconds, whatever the client goes on to send. */
  readonly say: (socket: ClientSocket, text: string, longest: number) => void
}

export function createFarewells(): Farewells {
  /** The oldest first. */
  const leaving = new Set<ClientSocket>()

  return {
    say(socket, text, longest) {
      const [oldest] = leaving
      if (leaving.size >= MOST) oldest?.destroy()
      leaving.add(socket)
      const late = setTimeout(() => socket.destroy(), longest * 1000).unref()
      const over = () => {
        clearTimeout(late)
        leaving.delete(socket)
        socket.destroy()
      }
      socket.on('error', over)
      socket.on('end', over)
      socket.on('close', over)
      socket.setTimeout(SILENCE_MILLISECONDS, over)
      socket.end(text)
      socket.resume()
    },
  }
}
