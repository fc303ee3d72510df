// Between the wire and a file (RFC 5321 4.5.2, RFC 1939 section 3): on the wire lines end in CR LF and a dot that begins one is doubled; in
// a file lines end in LF and dots are as they were written.
import { allocate, bytesOf, CR, DOT, LF, textOf } from '../protocol/bytes.ts'

export interface Unstuffed {
  readonly bytes: Uint8Array
  /** The next byte begins a line. */
  readonly lineStart: boolean
}

/** What `scanBody` lets through, where every CR has its LF, as a file keeps it. A message begins with `lineStart`. */
export function unstuff(chunk: Uint8Array, lineStart: boolean): Unstuffed {
  const out = allocate(chunk.length)
  let size = 0
  let first = lineStart
  for (const byte of chunk) {
    if (byte === CR || (first && byte === DOT)) {
      if (byte === DOT) first = false
      continue
    }
    out[size++] = byte
    first = byte === LF
  }
  return { bytes: out.subarray(0, size), lineStart: first }
}

/** Octets of a file as a client gets it, before dots are doubled: RFC 1939 section 11 counts these. */
export function wireSize(file: Uint8Array): number {
  let size = file.length
  let before = 0
  for (const byte of file) {
    if (byte === LF && before !== CR) size += 1
    before = byte
  }
  return size === 0 || before === LF ? size : size + 2
}

/** A file as a POP3 answer carries it, without the last line of one dot; `lines`: only so many of its body (TOP). */
export function stuff(file: Uint8Array, lines: number = Number.POSITIVE_INFINITY): Uint8Array {
  let text = textOf(file)
  if (text !== '' && !text.endsWith('\n')) text += '\n'
  if (lines !== Number.POSITIVE_INFINITY) text = top(text, lines)
  return bytesOf(text.replace(/\r?\n/g, '\r\n').replace(/(^|\n)\./g, '$1..'))
}

/** The header, the empty line after it, and the first lines of the body. */
function top(text: string, lines: number): string {
  const empty = /^\r?\n|\n\r?\n/.exec(text)
  if (empty === null) return text
  let at = empty.index + empty[0].length
  for (let left = lines; left > 0 && at < text.length; left -= 1) at = text.indexOf('\n', at) + 1
  return text.slice(0, at)
}
