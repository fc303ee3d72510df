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

export interface TakenReplies {
  readonly replies: readonly string[]
  readonly buffer: ReplyBuffer
  /** A line without a code, or the beginning of a reply over the limit: the stream cannot be followed any more. Empty: there is none. */
  readonly nonsense: string
}

const NONE: readonly string[] = []
/** Octets of nonsense that are shown. */
const SHOWN = 200

/** One read of a backend in, whole replies out. */
export function takeReplies(buffer: ReplyBuffer, chunk: Uint8Array, limit: number = REPLY_LIMIT): TakenReplies {
  const text = buffer.text + textOf(chunk)
  // The text is put together only when a line ends, so that a reply written byte by byte does not cost its square.
  if (viewOf(chunk).indexOf(LF) < 0) {
    if (text.length > limit) return { replies: NONE, buffer: noReply, nonsense: text.slice(0, SHOWN) }
    return { replies: NONE, buffer: chunk.length === 0 ? buffer : { text, line: buffer.line }, nonsense: '' }
  }
  const replies: string[] = []
  let start = 0
  let line = buffer.line
  for (;;) {
    const next = text.indexOf('\n', line) + 1
    if (next === 0) break
    if (!hasCode(text, line))
      return { replies, buffer: noReply, nonsense: text.slice(line, Math.min(next, line + SHOWN)) }
    if (endsReply(text, line, next)) {
      if (next - start > limit) break
      replies.push(text.slice(start, next))
      start = next
    }
    line = next
  }
  if (text.length - start > limit) return { replies, buffer: noReply, nonsense: text.slice(start, start + SHOWN) }
  if (start === text.length) return { replies, buffer: noReply, nonsense: '' }
  return { replies, buffer: { text: text.slice(start), line: line - start }, nonsense: '' }
}

/**
 * The last line of a reply has a space after the code, or nothing: RFC 5321 4.2, Reply-code [ SP textstring ] CRLF. Anything else after
 * it continues the reply, as in acceptutils, which also waited forever for more after a bare `250`.
 */
function endsReply(text: string, from: number, next: number): boolean {
  const size = next - from
  const mark = text.charCodeAt(from + 3)
  return mark === 32 || size === 4 || (size === 5 && mark === 13)
}

const hasCode = (text: string, from: number): boolean =>
  isDigit(text, from) && isDigit(text, from + 1) && isDigit(text, from + 2)

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 48 && code <= 57
}

/** The three digits that the last line of a reply begins with, where clients look; or 0. */
export function replyCode(reply: string): number {
  const last = reply.lastIndexOf('\n', reply.length - 2) + 1
  return hasCode(reply, last) ? Number(reply.slice(last, last + 3)) : 0
}

/** A backend's reply with its marks put right; of one line it has none but the last line's. */
export function wellMarked(reply: string): string {
  const end = reply.indexOf('\n')
  return end < 0 || end === reply.length - 1 ? reply : markLines(reply)
}

/** One reply of these lines, with or without their ending, whatever follows their codes. */
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
