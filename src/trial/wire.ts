// Descriptors 0 and 1 of a program that serves one client: it blocks, because it has nothing else to do, and starts without streams.

import { readSync, writeSync } from 'node:fs'
import { bytesOf, concat, NO_BYTES } from '../protocol/bytes.ts'
import { type LineText, skipLine, type TooLong, takeLine } from '../protocol/lines.ts'

export class Wire {
  #input: Uint8Array = NO_BYTES
  #output = ''
  readonly #buffer = Buffer.allocUnsafeSlow(65_536)

  /** Kept until the client is waited for, so that pipelined commands are answered in one write (RFC 2920 3.2). */
  say(text: string): void {
    this.#output += text
  }

  flush(): void {
    const text = this.#output
    this.#output = ''
    if (text !== '') this.send(bytesOf(text))
  }

  /** Immediately. */
  send(bytes: Uint8Array): void {
    this.flush()
    for (let at = 0; at < bytes.length; ) at += patiently(() => writeSync(1, bytes, at))
  }

  /** A line without its ending; undefined at the end of the stream. */
  line(limit: number): LineText | TooLong | undefined {
    let skipping = false
    for (;;) {
      if (skipping) {
        const skipped = skipLine(this.#input, 0)
        this.#input = this.#input.subarray(skipped.next)
        if (skipped.ended) return { kind: 'too-long' }
      } else {
        const taken = takeLine(this.#input, 0, limit)
        if (taken.kind !== 'more') this.#input = this.#input.subarray(taken.next)
        if (taken.kind === 'line') return { kind: 'line', text: taken.text.replace(/\r?\n$/, '') }
        if (taken.kind === 'too-long' && taken.ended) return { kind: 'too-long' }
        skipping = taken.kind === 'too-long'
      }
      const more = this.#read()
      if (more === undefined) return undefined
      this.#input = concat([this.#input, more])
    }
  }

  /** Whatever has come; undefined at the end of the stream. */
  bytes(): Uint8Array | undefined {
    const bytes = this.#input
    this.#input = NO_BYTES
    return bytes.length > 0 ? bytes : this.#read()
  }

  /** Puts back what followed a message. */
  unread(bytes: Uint8Array): void {
    this.#input = bytes
  }

  #read(): Uint8Array | undefined {
    this.flush()
    const size = patiently(() => readSync(0, this.#buffer))
    return size === 0 ? undefined : Uint8Array.from(this.#buffer.subarray(0, size))
  }
}

/** Somebody else may have made our descriptors non-blocking. */
function patiently(step: () => number): number {
  for (;;) {
    try {
      return step()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EOF' || code === 'ECONNRESET') return 0
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5)
    }
  }
}
