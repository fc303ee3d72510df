// One connection to accept-helper for each authentication; after the status line the stream is the backend's.

import { spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { NO_BYTES, textOf, wipe } from '../protocol/bytes.ts'
import {
  encodeHelperRequest,
  type HelperMode,
  type HelperPlace,
  type HelperRequest,
  type HelperStatus,
  LONGEST_STATUS,
  parseStatus,
  WATCH_REQUEST,
} from '../protocol/helper.ts'
import { Backend, type BackendListener } from './backend.ts'
import type { SocketOptions } from './reading.ts'

interface HelperFacts {
  readonly mode: HelperMode
  readonly place: HelperPlace
  /** What its own check said. */
  readonly privileged: boolean
}

/** A helper that is a unit of its own was started by somebody else: it is root's if its socket is. */
export const isPrivileged = ({ mode, place, privileged }: HelperFacts): boolean =>
  mode === 'unit' && 'socket' in place ? statSync(place.socket, { throwIfNoEntry: false })?.uid === 0 : privileged

/** There is a backend if and only if the status is `ok`; `rest` was read after its line. */
export type Answered = (status: HelperStatus, backend: Backend | undefined, rest: Uint8Array) => void

/**
 * Asks the helper for a process. The request, which holds the password, is wiped as soon as the kernel has it.
 * `answered` is called exactly once; it has to hand the backend to somebody. Returns a function that gives up waiting.
 */
export function askHelper(
  place: HelperPlace,
  request: HelperRequest,
  answered: Answered,
  options: SocketOptions | undefined,
): () => void {
  const bytes = encodeHelperRequest(request)
  wipe(request.credentials)
  const asking = new Asking(streamTo(place, options), bytes, answered)
  return () => asking.settle({ is: 'timeout' })
}

/** Hears the stream until it has brought a status line. */
class Asking implements BackendListener {
  private waiting = true
  private line = ''
  private readonly backend: Backend
  private readonly request: Uint8Array
  private readonly answered: Answered

  constructor(stream: Socket, request: Uint8Array, answered: Answered) {
    this.request = request
    this.answered = answered
    this.backend = new Backend(stream, this)
    stream.write(request, () => wipe(request))
  }

  fromBackend(bytes: Uint8Array): void {
    const end = bytes.indexOf(10)
    this.line += textOf(end < 0 ? bytes : bytes.subarray(0, end))
    if (end >= 0) this.settle(parseStatus(this.line), bytes.subarray(end + 1))
    else if (this.line.length > LONGEST_STATUS) this.settle({ is: 'unreachable' })
  }

  backendEnded(): void {
    this.settle({ is: 'unreachable' })
  }

  backendDrained(): void {}

  settle(status: HelperStatus, rest: Uint8Array = NO_BYTES): void {
    if (!this.waiting) return
    this.waiting = false
    const accepted = status.is === 'ok'
    if (!accepted) {
      wipe(this.request)
      this.backend.discard()
    }
    this.answered(status, accepted ? this.backend : undefined, rest)
  }
}

function streamTo(place: HelperPlace, options: SocketOptions | undefined): Socket {
  if ('socket' in place) {
    return connect({ ...options, path: place.socket } as NetConnectOpts)
  }
  const child = spawn(place.program, ['run', '3', ...place.args], { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] })
  const stream = child.stdio[3] as Socket
  // A program that cannot be run ends the stream too; without a listener the error would end the lane.
  child.on('error', () => stream.destroy())
  child.unref()
  return stream
}

export interface HelperWatch {
  readonly connected: () => boolean
  /** Ends an accepted process: TERM to its group, KILL after five seconds. */
  readonly kill: (session: string) => void
  /** Passwords that chains say are verified for a while are checked again. */
  readonly forget: () => void
  readonly stop: () => void
}

/** A connection that stays open for exit statuses, by session; it is made again when the helper comes back. */
export function watchHelper(
  path: string,
  ended: (session: string, pid: number, how: string, code: number) => void,
  changed: (up: boolean) => void = () => undefined,
): HelperWatch {
  let stream: Socket | undefined
  let up = false
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  function open(): void {
    let rest = ''
    stream = connect({ path })
    stream.unref()
    stream.on('connect', () => {
      up = true
      changed(true)
      stream?.write(WATCH_REQUEST)
    })
    stream.on('data', (chunk: Buffer) => {
      const lines = (rest + textOf(chunk)).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const match = /^end (\S+) (\d+) (exit|signal) (\d+)$/.exec(line)
        if (match) ended(match[1] ?? '', Number(match[2]), match[3] ?? '', Number(match[4]))
      }
    })
    stream.on('error', () => undefined)
    stream.on('close', () => {
      if (up && !stopped) changed(false)
      up = false
      if (stopped) return
      timer = setTimeout(open, 500)
      timer.unref()
    })
  }
  open()
  return {
    // One that was deleted keeps this connection, and takes no other.
    connected: () => up && existsSync(path),
    kill: (session) => {
      stream?.write(`kill ${session}\n`)
    },
    forget: () => {
      stream?.write('forget\n')
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
      stream?.destroy()
    },
  }
}
