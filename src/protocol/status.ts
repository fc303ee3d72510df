// Replies of our own, with the enhanced status code of RFC 3463. Where EHLO promises ENHANCEDSTATUSCODES it goes before the text
// (RFC 2034), else in brackets at the end, as acceptutils has it:
//
//   const busy = { code: '421', status: '4.3.2', text: 'too many sessions' } satisfies OwnReply
//   replyText(busy, promisesStatus(capabilities))        421 4.3.2 too many sessions     421 too many sessions (#4.3.2)

export interface OwnReply {
  readonly code: string
  /** Its class is the first digit of the code (RFC 2034 section 4). */
  readonly status: string
  readonly text: string
  /** What acceptutils puts in the brackets, if it is another status; empty for none. */
  readonly recorded?: string
}

/** One line with its line ending. A continuation request (3xx), a greeting, and the replies to EHLO and HELO have no status at all. */
export function replyText({ code, status, text, recorded = status }: OwnReply, enhanced: boolean): string {
  if (enhanced) return `${code} ${status} ${text}\r\n`
  return recorded === '' ? `${code} ${text}\r\n` : `${code} ${text} (#${recorded})\r\n`
}

/** `capabilities` are the keywords that EHLO shows, with their parameters. */
export const promisesStatus = (capabilities: readonly string[]): boolean =>
  capabilities.some((line) => PROMISE.test(line))

const PROMISE = /^\s*ENHANCEDSTATUSCODES\s*$/i

const BRACKETS = /^(([245])\d\d[ -])(.*?) ?\(#(\2\.\d{1,3}\.\d{1,3})\)(?=\r?\n?$)/s

/** A reply that a rule has written with its status in brackets, as replyText() writes it for EHLO with the promise. */
export const statusInFront = (reply: string): string => reply.replace(BRACKETS, '$1$4 $3')
