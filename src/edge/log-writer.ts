// Where log lines go: perhaps a file on a full disk, a pipe whose reader has stopped or is gone, a terminal that was halted.
//
// A line that cannot be written now is counted and dropped; when writing works again, one line says how many there were. No write
// throws, waits or ends anything.

import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import net from 'node:net'

export interface LogWriter {
  /** Whole lines, latin1. */
  readonly write: (text: string) => void
  /** Lines that were dropped, since the start. */
  readonly dropped: () => number
}

/** What a pipe takes whole or not at all: PIPE_BUF of pipe(7). */
const WHOLE = 4096
const RETRY_MILLISECONDS = 1000
const LINE_END = 10

/** `told` is the line that says how many were lost. */
export function openLog(fd: number, told: (lines: number) => string): LogWriter {
  const to = withoutWaiting(fd)
  /** What follows the first octets of a line that was taken in part. */
  let rest: Uint8Array = Buffer.alloc(0)
  let untold = 0
  let all = 0
  let retrying = false

  /** Octets that were taken, which may be none. */
  function give(bytes: Uint8Array): number {
    try {
      to.ready()
      return writeSync(to.fd, bytes)
    } catch {
      return 0
    }
  }

  /** Gives it piece by piece, and says how much was taken. */
  function giveLines(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; ) {
      const end = endOfPiece(bytes, at)
      at += give(bytes.subarray(at, end))
      if (at < end) return at
    }
    return bytes.length
  }

  /** False: nothing can be written now. */
  function catchUp(): boolean {
    if (rest.length > 0) rest = rest.subarray(give(rest))
    if (rest.length > 0) return false
    if (untold === 0) return true
    const line = Buffer.from(told(untold), 'latin1')
    const taken = give(line)
    if (taken === 0) return false
    rest = line.subarray(taken)
    untold = 0
    return rest.length === 0
  }

  function drop(lines: number): void {
    untold += lines
    all += lines
    if (retrying) return
    retrying = true
    setTimeout(() => {
      retrying = false
      if (!catchUp()) drop(0)
    }, RETRY_MILLISECONDS).unref()
  }

  return {
    dropped: () => all,
    write(text) {
      const bytes = Buffer.from(text, 'latin1')
      const taken = catchUp() ? giveLines(bytes) : 0
      if (taken === bytes.length) return
      const isCut = taken > 0 && bytes[taken - 1] !== LINE_END
      const next = isCut ? endOfLine(bytes, taken) : taken
      if (isCut) rest = bytes.subarray(taken, next)
      drop(countLines(bytes.subarray(next)))
    },
  }
}

const endOfLine = (bytes: Uint8Array, from: number): number => {
  const end = bytes.indexOf(LINE_END, from)
  return end < 0 ? bytes.length : end + 1
}

/** As many lines as a pipe takes whole, or one that is longer. */
function endOfPiece(bytes: Uint8Array, from: number): number {
  if (bytes.length - from <= WHOLE) return bytes.length
  const last = bytes.lastIndexOf(LINE_END, from + WHOLE - 1)
  return last < from ? endOfLine(bytes, from) : last + 1
}

function countLines(bytes: Uint8Array): number {
  let lines = 0
  for (const byte of bytes) if (byte === LINE_END) lines += 1
  return lines
}

interface Unwaiting {
  readonly fd: number
  /** Before each write: others who have the descriptor may have it wait again, as libuv does for every child that inherits it. */
  readonly ready: () => void
}

/**
 * A descriptor for the same place whose writes do not wait. O_NONBLOCK belongs to the open file, which the shell or the logger that
 * started us may share: so a pipe or a terminal is opened once more. One that may not be opened, as root's pipe by another account, or
 * a socket, is made so itself. Files do not know O_NONBLOCK.
 */
function withoutWaiting(fd: number): Unwaiting {
  const stays = { fd, ready: () => undefined }
  try {
    const stat = fstatSync(fd)
    if (stat.isFIFO() || stat.isCharacterDevice()) {
      const again = openAgain(fd)
      if (again !== undefined) return { fd: again, ready: () => undefined }
    }
    return stat.isFIFO() || stat.isSocket() ? { fd, ready: unblock(fd) } : stays
  } catch {
    return stays
  }
}

function openAgain(fd: number): number | undefined {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch {
    return undefined
  }
}

/** Node has no fcntl(2); a handle of libuv can do it. It is kept, since the end of the net.Socket would close the descriptor. */
function unblock(fd: number): () => void {
  const socket = new net.Socket({ fd, readable: false, writable: true }) as net.Socket & {
    readonly _handle: { setBlocking(on: boolean): void }
  }
  return () => socket._handle.setBlocking(false)
}
