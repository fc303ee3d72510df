// The From field of a message on its way (RFC 5322 section 3.6.2), as the backend reads it: dots are taken off, lines unfolded.
//
//   octets that go to the backend ──> watchHeader ──> goes on, or forged: somebody else's address, or what may be read as one
//
// Only From is kept, and no more of it than FIELD_OCTETS.

import { allows, type Senders } from './senders.ts'

export interface HeaderState {
  /** dot: a line begins; start: it does, and its dot is off; from: in a From field; other: in any other line; over: the body has begun. */
  readonly at: 'dot' | 'start' | 'name' | 'from' | 'other' | 'over' | 'forged'
  /** What has come of a name that may be From, or of the field itself. */
  readonly text: string
  /** The line before belonged to a From field, which may go on. */
  readonly open: boolean
}

export const headerStart: HeaderState = { at: 'dot', text: '', open: false }

const FIELD_OCTETS = 16_384
const [TAB, LF, CR, SPACE, DOT, COLON] = [9, 10, 13, 32, 46, 58]

/** A read of the message, with CR LF for every line end and dots stuffed. `forged` is for good. */
export function watchHeader(before: HeaderState, bytes: Uint8Array, senders: Senders): HeaderState {
  if (before.at === 'over' || before.at === 'forged') return before
  let { at, text, open } = before
  const forged: HeaderState = { at: 'forged', text: '', open: false }
  for (const octet of bytes) {
    if (at === 'dot') {
      at = 'start'
      // RFC 5321 section 4.5.2.
      if (octet === DOT) continue
    }
    if (at === 'start') {
      // A CR is followed by its LF, which ends an empty line: the header is over.
      const goesOn = octet === SPACE || octet === TAB
      if (open && !goesOn) {
        if (!mayBeFrom(text, senders)) return forged
        open = false
      }
      if (octet === CR || octet === LF) return { at: 'over', text: '', open: false }
      if (!goesOn) text = ''
      at = goesOn ? (open ? 'from' : 'other') : 'name'
    }
    if (octet === LF) {
      open = at === 'from'
      at = 'dot'
      continue
    }
    if (at === 'other') continue
    text += String.fromCharCode(octet)
    if (text.length > FIELD_OCTETS) return forged
    if (at === 'name') {
      at = nameOf(text)
      if (at === 'from') text = ''
    }
  }
  return { at, text, open }
}

const FROM = 'from'

/** A backend may take eight bits for seven, and blanks before the colon. */
function nameOf(text: string): 'name' | 'from' | 'other' {
  const last = text.charCodeAt(text.length - 1) & 127
  if (text.length <= FROM.length) return (last | 32) === FROM.charCodeAt(text.length - 1) ? 'name' : 'other'
  return last === COLON ? 'from' : last === SPACE || last === TAB ? 'name' : 'other'
}

const mayBeFrom = (field: string, senders: Senders): boolean =>
  senders.includes('*') || (addressesIn(field)?.every((address) => allows(senders, address)) ?? false)

const ADDRESS = '[^\\s<>()"\\\\,;:@[\\]]+@[^\\s<>()"\\\\,;:@[\\]]+'
/** A display name has no sign that could make another address of it; a quoted string in it has become a quote. */
const MAILBOX = new RegExp(`^(?:[^<>()\\\\,;:@[\\]]*<\\s*(${ADDRESS})\\s*>|(${ADDRESS}))$`)

/** The addresses of a mailbox-list; undefined for what may be read in more ways than one: a group, a route, a quoted or empty address. */
export function addressesIn(field: string): readonly string[] | undefined {
  const plain = withoutQuotes(field)
  const found = plain?.split(',').map((mailbox) => MAILBOX.exec(mailbox.trim()))
  const addresses = found?.map((match) => match?.[1] ?? match?.[2])
  return addresses?.every((address) => address !== undefined) ? addresses : undefined
}

/** Comments are blanks, and quoted strings quotes; undefined: one of them does not end. */
function withoutQuotes(field: string): string | undefined {
  let plain = ''
  let depth = 0
  let quoted = false
  for (let at = 0; at < field.length; at += 1) {
    const letter = field[at] as string
    if ((quoted || depth > 0) && letter === '\\') at += 1
    else if (quoted) quoted = letter !== '"'
    else if (letter === '(') {
      depth += 1
      plain += ' '
    } else if (letter === ')') depth -= 1
    else if (depth === 0) {
      quoted = letter === '"'
      plain += letter
    }
    if (depth < 0) return undefined
  }
  return quoted || depth > 0 ? undefined : plain
}
