// One connection to accept-helper for each authentication; after the status line the stream is the backend's.

import { spawn } from 'node:child_process'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { NO_BYTES, textOf, wipe } from '../protocol/bytes.ts'
import {
  encodeHelperRequest,
  type HelperPlace,
  type HelperRequest,
  LONGEST_STATUS,
  WATCH_REQUEST,
} from '../protocol/helper.ts'
import { socketOptions } from './reading.ts'

/** `unreachable` and `timeout` are our own words, in the place of a status line. */
export type Answered = (line: string, stream: Socket | undefined, rest: Uint8Array) => void

/**
 * Asks the helper for a process. The request, which holds the password, is wiped as soon as the kernel has it.
 * `answered` is called exactly once. Returns a function that gives up waiting.
 */
export function askHelper(place: HelperPlace, request: HelperRequest, answered: Answered): () => void {
  const bytes = encodeHelperRequest(request)
  wipe(request.credentials)
  let waiting = true
  let line = ''
  const stream = streamTo(place)

  function settle(status: string, rest: Uint8Array, keep: boolean): void {
    if (!waiting) return
    waiting = false
    stream.removeAllListeners('data').removeAllListeners('error').removeAllListeners('end').removeAllListeners('close')
    // Without a listener an error would end the lane.
    stream.on('error', () => undefined)
    if (!keep) stream.destroy()
    answered(status, keep ? stream : undefined, rest)
  }

  stream.write(bytes, () => wipe(bytes))
  stream.on('data', (chunk: Buffer) => {
    const end = chunk.indexOf(10)
    line += textOf(end < 0 ? chunk : chunk.subarray(0, end))
    if (end < 0) {
      if (line.length > LONGEST_STATUS) settle('unreachable', NO_BYTES, false)
      return
    }
    settle(line, chunk.subarray(end + 1), line.startsWith('ok '))
  })
  const lost = () => {
    wipe(bytes)
    settle('unreachable', NO_BYTES, false)
  }
  stream.on('error', lost)
  stream.on('end', lost)
  stream.on('close', lost)
  return () => settle('timeout', NO_BYTES, false)
}

function streamTo(place: HelperPlace): Socket {
  if ('socket' in place) {
    return connect({ ...socketOptions, path: place.socket } as NetConnectOpts)
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
  readonly stop: () => void
}

/** The standing connection: exit statuses by session; it comes back by itself when the helper does. */
export function watchHelper(
  path: string,
  ended: (session: string, pid: number, how: string, code: number) => void,
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
      up = false
      if (stopped) return
      timer = setTimeout(open, 500)
      timer.unref()
    })
  }
  open()
  return {
    connected: () => up,
    kill: (session) => {
      stream?.write(`kill ${session}\n`)
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
      stream?.destroy()
    },
  }
}
