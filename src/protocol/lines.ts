// Lines out of reads. A line ends with LF (the CR before it is the line's business); what is not yet a line stays bytes.
import { concat, copyOf, LF, NO_BYTES, textBetween, viewOf } from './bytes.ts'

/** Octets of the longest request after login. */
export const REQUEST_LIMIT = 65_536

export type Line =
  /** Latin-1 text with its line ending; `next` is the offset behind it. */
  | { readonly kind: 'line'; readonly text: string; readonly next: number }
  | { readonly kind: 'more' }
  /** `next` is the offset behind the line's LF, or the end of the bytes when its LF has not come (`ended: false`). */
  | { readonly kind: 'too-long'; readonly next: number; readonly ended: boolean }

const MORE: Line = { kind: 'more' }

/**
 * The line that begins at `from`. One at a time, because what stands behind AUTH, DATA or STARTTLS in the same read is
 * not for the same reader. `limit` is in octets and counts the line ending (RFC 5321 4.5.3.1.4: 512 "including the
 * command word and the <CRLF>").
 */
export function takeLine(bytes: Uint8Array, from: number, limit: number): Line {
  const at = viewOf(bytes).indexOf(LF, from)
  if (at < 0) return bytes.length - from < limit ? MORE : { kind: 'too-long', next: bytes.length, ended: false }
  const next = at + 1
  if (next - from > limit) return { kind: 'too-long', next, ended: true }
  return { kind: 'line', text: textBetween(bytes, from, next), next }
}

/** After a line that was too long and has not ended: its end, looked for in the next read. */
export function skipLine(bytes: Uint8Array, from: number): { readonly next: number; readonly ended: boolean } {
  const at = viewOf(bytes).indexOf(LF, from)
  return at < 0 ? { next: bytes.length, ended: false } : { next: at + 1, ended: true }
}

export interface LineBuffer {
  /** A copy of what came since the last LF. */
  readonly rest: Uint8Array
  /** Inside a line that was too long and has been told. */
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

/** One read in, whole lines out, for a stream that is nothing but lines. A line over `limit` octets is told once and skipped. */
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
