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
export const say = (text: string): void => writeAll(1, text)

function writeAll(fd: number, text: string): void {
  const bytes = bytesOf(text)
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
    }
  }
}

/** Tells and exits; for what is wrong before anything has begun. */
export function die(line: string, code: number): never {
  tell(line)
  process.exit(code)
}
