// What the classic programs share as processes: their name, their lines on stderr, their end.

import { writeSync } from 'node:fs'
import { bytesOf } from '../protocol/bytes.ts'

/** The name a script was called by: an alias says its own name. */
export const calledAs = (): string => (process.argv[1] ?? '').split('/').pop() ?? ''

/** One line on stderr in one write, so that lines of several processes do not mix. `line` is latin1. */
export const tell = (line: string): void => writeAll(2, `${line}\n`)

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
