// Clients that are turned away: they hear why, and are read until they close, so that no reset takes the reply from them.

import type { ClientSocket } from '../edge/listening.ts'
import type { LaneStart } from './messages.ts'

/** One that neither closes nor sends. */
const SILENCE_MILLISECONDS = 5000
/** Each has a descriptor that no session counts: so few of those that all lanes have for sessions. */
const MOST = 64
const SHARE = 1 / 8

export interface Farewells {
  /** No longer than `longest` seconds, whatever the client goes on to send. */
  readonly say: (socket: ClientSocket, text: string, longest: number) => void
}

export function createFarewells({ descriptorsForSessions, lanes }: LaneStart): Farewells {
  const most = Math.max(1, Math.min(MOST, Math.floor((descriptorsForSessions * SHARE) / lanes)))
  /** The oldest first. */
  const leaving = new Set<ClientSocket>()

  return {
    say(socket, text, longest) {
      // The one that has waited longest gives way.
      const [oldest] = leaving
      if (oldest !== undefined && leaving.size >= most) {
        leaving.delete(oldest)
        oldest.destroy()
      }
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
