// What the classic programs share as processes: their name, their lines on stderr, their end.

import { writeSync } from 'node:fs'
import { type LogWriter, openLog } from '../edge/log-writer.ts'
import { bytesOf } from '../protocol/bytes.ts'

/** The name a script was called by: an alias says its own name. */
export const calledAs = (): string => (process.argv[1] ?? '').split('/').pop() ?? ''

let log: LogWriter | undefined

/** One line on stderr in one write, so that lines of several processes do not mix. */
export function tell(line: string): void {
  log ??= openLog(2, (lines) => `${calledAs()}: ${lines} log lines could not be written\n`)
  log.write(`${line}\n`)
}

/** To a client that is not listened to yet. */
export const say = (text: string): void => void writeAll(1, bytesOf(text))

/** Milliseconds: between tries at a descriptor that takes nothing, and until that is given up. */
const PAUSE = 20
const PATIENCE = 60_000
const cell = new Int32Array(new SharedArrayBuffer(4))

/** False: it cannot be written, or is not taken. It sleeps meanwhile: for what no event tells of. */
export function writeAll(fd: number, bytes: Uint8Array): boolean {
  for (let at = 0, waited = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
      waited = 0
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || waited >= PATIENCE) return false
      Atomics.wait(cell, 0, 0, PAUSE)
      waited += PAUSE
    }
  }
  return true
}

/** Tells and exits; for what is wrong before anything has begun. */
export function die(line: string, code: number): never {
  tell(line)
  process.exit(code)
}
