// Lines out of reads. A line ends with LF (the CR before it is the line's business); what is not yet a line stays bytes.
import { concat, copyOf, LF, NO_BYTES, textBetween, viewOf } from './bytes.ts'

/** Octets of the longest request after login. */
export const REQUEST_LIMIT = 65_536

type NoLine =
  | { readonly kind: 'more' }
  /** `next` is the offset after the line's LF, or the end of the bytes when its LF has not come (`ended: false`). */
  | { readonly kind: 'too-long'; readonly next: number; readonly ended: boolean }
/** `next` is the offset after the line. */
export type LineEnd = { readonly kind: 'line'; readonly next: number } | NoLine
/** Latin-1 text with its line ending. */
export type Line = { readonly kind: 'line'; readonly text: string; readonly next: number } | NoLine

const MORE: NoLine = { kind: 'more' }

/**
 * The line that begins at `from`. One at a time, because what follows AUTH, DATA or STARTTLS in the same read is
 * for another reader. `limit` is in octets and counts the line ending (RFC 5321 4.5.3.1.4: 512 "including the
 * command word and the <CRLF>").
 */
export function takeLine(bytes: Uint8Array, from: number, limit: number): Line {
  const found = findLine(bytes, from, limit)
  return found.kind === 'line' ? { kind: 'line', text: textBetween(bytes, from, found.next), next: found.next } : found
}

/** The same of a line that may hold a password: it stays octets. */
export function findLine(bytes: Uint8Array, from: number, limit: number): LineEnd {
  const at = viewOf(bytes).indexOf(LF, from)
  if (at < 0) return bytes.length - from < limit ? MORE : { kind: 'too-long', next: bytes.length, ended: false }
  const next = at + 1
  return next - from > limit ? { kind: 'too-long', next, ended: true } : { kind: 'line', next }
}

/** After a line that was too long and has not ended: its end, looked for in the next read. */
export function skipLine(bytes: Uint8Array, from: number): { readonly next: number; readonly ended: boolean } {
  const at = viewOf(bytes).indexOf(LF, from)
  return at < 0 ? { next: bytes.length, ended: false } : { next: at + 1, ended: true }
}

export interface LineBuffer {
  /** A copy of what came since the last LF. */
  readonly rest: Uint8Array
  /** Inside a line that was too long and has been reported. */
  readonly skipping: boolean
}
export const emptyLines: LineBuffer = { rest: NO_BYTES, skipping: false }
const SKIPPING: LineBuffer = { rest: NO_BYTES, skipping: true }

export interface LineText {
  readonly kind: 'line'
  readonly text: string
}
export interface TooLong {
  readonly kind: 'too-long'
}
const TOO_LONG: TooLong = { kind: 'too-long' }

/** One read in, whole lines out, for a stream that is nothing but lines. A line over `limit` octets is reported once and skipped. */
export function takeLines(
  buffer: LineBuffer,
  chunk: Uint8Array,
  limit: number,
): { readonly lines: readonly (LineText | TooLong)[]; readonly buffer: LineBuffer } {
  let from = 0
  if (buffer.skipping) {
    const skipped = skipLine(chunk, 0)
    if (!skipped.ended) return { lines: [], buffer }
    from = skipped.next
  }
  const bytes = buffer.rest.length === 0 ? chunk : concat([buffer.rest, chunk])
  const lines: (LineText | TooLong)[] = []
  for (;;) {
    const taken = takeLine(bytes, from, limit)
    if (taken.kind === 'more') break
    from = taken.next
    if (taken.kind === 'line') lines.push({ kind: 'line', text: taken.text })
    else {
      lines.push(TOO_LONG)
      if (!taken.ended) return { lines, buffer: SKIPPING }
    }
  }
  return {
    lines,
    buffer: from === bytes.length ? emptyLines : { rest: copyOf(bytes.subarray(from)), skipping: false },
  }
}
