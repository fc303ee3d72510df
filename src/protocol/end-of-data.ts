// Where a message ends (RFC 5321 4.1.1.4, 4.5.2), kept over reads, so that front and backend can never disagree about it.
//
// RFC 5321 2.3.8: "SMTP client implementations MUST NOT transmit these characters [CR, LF] except when they are intended as line
// terminators and then MUST, as indicated above, transmit them only as a <CRLF> sequence." RFC 5321 4.1.1.4: the end is <CRLF>.<CRLF>,
// and "the first <CRLF> of this terminating sequence is also the <CRLF> that ends the final line of the data"; for an empty message that
// is the one of the DATA command, so the message starts at a line start.
//
// Backends differ in what else they take for a line end. So what they get has no bare CR and no bare LF at all: each is made CR LF ('fix'),
// or nothing is sent from the first one on ('refuse'). That alone would move the hole: CR LF made from a bare LF makes a line start where
// the client, counting strictly, had none. Three places follow, and each is answered by adding a dot, never by taking one away:
//   LF .        a dot behind a bare LF or CR is in the middle of a line for us, at the start of one for the backend: it is stuffed, `..`
//   CR LF . LF  a lone dot closed by a bare LF or CR is no end for us; once closed by CR LF it would be one for the backend: `..`
//   CR LF . CR  at the end of a read it is not known yet whether this CR is bare: it waits, because a CR that has left cannot be stuffed
// Every other CR leaves at once: if it turns out bare, the LF that mends it can still follow.
import { CR, DOT, LF, roomFor } from './bytes.ts'
import { oddities } from './line-ends.ts'

/** What becomes of a bare CR or LF: made CR LF, or the backend gets nothing from it on. */
export type BareLineEnd = 'fix' | 'refuse'

/** A place in the table below, plus BARE_SEEN once the message has had a bare CR or LF. */
export type BodyState = number

const START = 0 // at the start of a line: of the message, or behind a real CR LF
const TEXT = 1 // inside a line
const AFTER_CR = 2 // behind a CR that has left
const AFTER_DOT = 3 // behind the dot that began a line
const AFTER_DOT_CR = 4 // and behind a CR, which waits
const MENDED = 5 // at the start of a line made from a bare CR or LF
const PLACE = 7
const BARE_SEEN = 8

export const bodyStart: BodyState = START

export interface ScannedBody {
  readonly state: BodyState
  /** For the backend: views of the read where nothing had to be changed. */
  readonly out: readonly Uint8Array[]
  /** Offset in the read of the first byte behind the final dot line; undefined: the message goes on. */
  readonly end: number | undefined
  /** This message has had a bare CR or LF, in this read or before. */
  readonly bareSeen: boolean
}

const NOTHING: readonly Uint8Array[] = []

/** One read of a message. The caller does not call again for the same message once `end` is given. */
export function scanBody(state: BodyState, chunk: Uint8Array, bare: BareLineEnd): ScannedBody {
  let place = state & PLACE
  const seen = state & BARE_SEEN
  const size = chunk.length
  if (size === 0) return done(state, NOTHING, undefined)
  if (seen !== 0 && bare === 'refuse') return findEnd(place, chunk, 0, NOTHING)

  // Places where the first byte decides about one that came before.
  let at = 0
  const first = chunk[0]
  if (place === AFTER_DOT_CR) {
    if (first === LF) return done(START | seen, [Uint8Array.of(CR, LF)], 1)
    return found(place, chunk, 0, bare)
  }
  if (place === AFTER_DOT) {
    if (first === LF) return found(place, chunk, 0, bare)
    if (first === CR) {
      if (size === 1) return done(AFTER_DOT_CR | seen, NOTHING, undefined)
      return chunk[1] === LF ? done(START | seen, [chunk.subarray(0, 2)], 2) : found(place, chunk, 0, bare)
    }
    place = TEXT
  } else if (place === AFTER_CR) {
    if (first !== LF) return found(place, chunk, 0, bare)
    place = START
    at = 1
  } else if (place === MENDED) {
    if (first === DOT) return found(place, chunk, 0, bare)
    place = TEXT
  }

  const next = oddities(chunk, place === START)
  while (at < size) {
    const odd = next(at)
    if (odd === size) break
    if (odd > at && chunk[odd - 1] === CR) return found(TEXT, chunk, odd - 1, bare)
    if (chunk[odd] === LF) return found(TEXT, chunk, odd, bare)
    // A dot that begins a line.
    if (odd + 1 === size) return done(AFTER_DOT | seen, [chunk], undefined)
    const second = chunk[odd + 1]
    if (second === CR) {
      if (odd + 2 === size) return done(AFTER_DOT_CR | seen, [chunk.subarray(0, size - 1)], undefined)
      if (chunk[odd + 2] === LF) {
        const end = odd + 3
        return done(START | seen, [end === size ? chunk : chunk.subarray(0, end)], end)
      }
      return found(START, chunk, odd, bare)
    }
    if (second === LF) return found(START, chunk, odd, bare)
    at = odd + 1
  }
  // Clean to the end: where the next read goes on is seen from the last octet.
  if (at < size) place = chunk[size - 1] === CR ? AFTER_CR : chunk[size - 1] === LF ? START : TEXT
  return done(place | seen, [chunk], undefined)
}

function done(state: BodyState, out: readonly Uint8Array[], end: number | undefined): ScannedBody {
  return { state, out, end, bareSeen: (state & BARE_SEEN) !== 0 }
}

/** The clean bytes end before `at`, where `place` is what holds there. */
function found(place: number, chunk: Uint8Array, at: number, bare: BareLineEnd): ScannedBody {
  const clean = at === 0 ? NOTHING : [chunk.subarray(0, at)]
  return bare === 'refuse' ? findEnd(place, chunk, at, clean) : mend(place, chunk, at, clean)
}

/** The rest of a read, byte by byte into new memory. Two bytes can become four (LF . is CR LF . .), and a CR may be waiting. */
function mend(from: number, chunk: Uint8Array, start: number, clean: readonly Uint8Array[]): ScannedBody {
  const room = roomFor(2 * (chunk.length - start) + 4)
  let size = 0
  let place = from
  for (let at = start; at < chunk.length; at++) {
    const byte = chunk[at] ?? 0
    if (place === AFTER_CR && byte !== LF) {
      room[size++] = LF
      place = MENDED
    } else if (place === AFTER_DOT_CR) {
      if (byte === LF) {
        room[size++] = CR
        room[size++] = LF
        return done(START | BARE_SEEN, [...clean, room.subarray(0, size)], at + 1)
      }
      room[size++] = DOT
      room[size++] = CR
      room[size++] = LF
      place = MENDED
    }
    if (byte === LF) {
      if (place === AFTER_CR) {
        room[size++] = LF
        place = START
        continue
      }
      if (place === AFTER_DOT) room[size++] = DOT
      room[size++] = CR
      room[size++] = LF
      place = MENDED
    } else if (byte === CR) {
      if (place === AFTER_DOT) place = AFTER_DOT_CR
      else {
        room[size++] = CR
        place = AFTER_CR
      }
    } else if (byte === DOT && place === START) {
      room[size++] = DOT
      place = AFTER_DOT
    } else {
      if (byte === DOT && place === MENDED) room[size++] = DOT
      room[size++] = byte
      place = TEXT
      for (let run = chunk[at + 1]; run !== undefined && run !== CR && run !== LF; run = chunk[at + 1]) {
        room[size++] = run
        at++
      }
    }
  }
  return done(place | BARE_SEEN, [...clean, room.subarray(0, size)], undefined)
}

/** After a refusal only the client's own CR LF . CR LF is looked for: the 421 has to come where the client waits for a reply. */
function findEnd(from: number, chunk: Uint8Array, start: number, clean: readonly Uint8Array[]): ScannedBody {
  let place = from === MENDED ? TEXT : from
  for (let at = start; at < chunk.length; at++) {
    const byte = chunk[at] ?? 0
    if (byte === LF) {
      if (place === AFTER_DOT_CR) return done(START | BARE_SEEN, clean, at + 1)
      place = place === AFTER_CR ? START : TEXT
    } else if (byte === CR) place = place === AFTER_DOT ? AFTER_DOT_CR : AFTER_CR
    else place = byte === DOT && place === START ? AFTER_DOT : TEXT
  }
  return done(place | BARE_SEEN, clean, undefined)
}
