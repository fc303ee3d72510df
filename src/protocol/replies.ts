// SMTP replies as values: the whole text of one reply, latin1, with the line endings it came with.
import { LF, textOf, viewOf } from './bytes.ts'

/** Octets of one whole reply, all lines; RFC 5321 4.5.3.1.5 asks for 512 a line. */
export const REPLY_LIMIT = 65_536

export interface ReplyBuffer {
  /** What came of the reply that is not complete. */
  readonly text: string
  /** Where the line in it begins that has not been looked at. */
  readonly line: number
}
export const noReply: ReplyBuffer = { text: '', line: 0 }

const NONE: readonly string[] = []

/** One read of a backend in, whole replies out. After `tooLong` the stream cannot be followed any more. */
export function takeReplies(
  buffer: ReplyBuffer,
  chunk: Uint8Array,
  limit: number = REPLY_LIMIT,
): { readonly replies: readonly string[]; readonly buffer: ReplyBuffer; readonly tooLong: boolean } {
  const text = buffer.text + textOf(chunk)
  // The text is put together only when a line ends, so that a reply written byte by byte does not cost its square.
  if (viewOf(chunk).indexOf(LF) < 0) {
    if (text.length > limit) return { replies: NONE, buffer: noReply, tooLong: true }
    return { replies: NONE, buffer: chunk.length === 0 ? buffer : { text, line: buffer.line }, tooLong: false }
  }
  const replies: string[] = []
  let start = 0
  let line = buffer.line
  for (;;) {
    const next = text.indexOf('\n', line) + 1
    if (next === 0) break
    if (endsReply(text, line, next)) {
      if (next - start > limit) return { replies, buffer: noReply, tooLong: true }
      replies.push(text.slice(start, next))
      start = next
    }
    line = next
  }
  if (text.length - start > limit) return { replies, buffer: noReply, tooLong: true }
  if (start === text.length) return { replies, buffer: noReply, tooLong: false }
  return { replies, buffer: { text: text.slice(start), line: line - start }, tooLong: false }
}

/**
 * The last line of a reply has a space behind the code, or nothing: RFC 5321 4.2, Reply-code [ SP textstring ] CRLF. A line without
 * a code belongs to the reply that follows it, as in acceptutils: a backend's stray warning does not shift every later reply to the
 * wrong request. acceptutils also waited for more behind a bare `250`, for ever.
 */
function endsReply(text: string, from: number, next: number): boolean {
  const size = next - from
  if (size < 4) return false
  if (text.charCodeAt(from + 3) === 32) return true
  const bare = size === 4 || (size === 5 && text.charCodeAt(from + 3) === 13)
  return bare && isDigit(text, from) && isDigit(text, from + 1) && isDigit(text, from + 2)
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 48 && code <= 57
}

/** The three digits that a reply begins with, or 0. */
export function replyCode(reply: string): number {
  if (!isDigit(reply, 0) || !isDigit(reply, 1) || !isDigit(reply, 2)) return 0
  return Number(reply.slice(0, 3))
}

/** One reply of these lines, with or without their ending, whatever stands behind their codes. */
export function joinReply(lines: readonly string[]): string {
  return markLines(lines.map((line) => (line.endsWith('\n') ? line : `${line}\r\n`)).join(''))
}

/**
 * Continuation marks put right: the fourth octet is `-` on every line but the last, and a space there. A code without text gets its
 * mark too (RFC 5321 4.2: a reply is a code, SP, text and CRLF); a line of fewer octets has no place for one and stays.
 */
export function markLines(text: string): string {
  let out = ''
  let kept = 0
  let from = 0
  while (from < text.length) {
    const end = text.indexOf('\n', from)
    const next = end < 0 ? text.length : end + 1
    const stop = end < 0 ? next : end > from && text.charCodeAt(end - 1) === 13 ? end - 1 : end
    const mark = next === text.length ? ' ' : '-'
    if (stop - from === 3) {
      out += text.slice(kept, stop) + mark
      kept = stop
    } else if (stop - from > 3 && text[from + 3] !== mark) {
      out += text.slice(kept, from + 3) + mark
      kept = from + 4
    }
    from = next
  }
  return kept === 0 ? text : out + text.slice(kept)
}
