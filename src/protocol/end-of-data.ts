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
//   LF .        a dot after a bare LF or CR is in the middle of a line for us, at the start of one for the backend: it is stuffed, `..`
//   CR LF . LF  a lone dot closed by a bare LF or CR is no end for us; once closed by CR LF it would be one for the backend: `..`
//   CR LF . CR  at the end of a read it is not known yet whether this CR is bare: it waits, because a CR that has left cannot be stuffed
// Every other CR leaves immediately: if it turns out bare, the LF that mends it can still follow.
//
// Backends also differ in what they see of a line. For one that keeps lines as C strings (msmtpd) nothing follows a NUL, and one may
// trim white space, or take eight bits for seven. Two more places follow, with either setting:
//   CR LF . NUL   a dot that begins a line, with anything but a printable octet after it, is stuffed, `..`; spaces wait for what comes
//                 after them. A client that stuffs its dots sends no such line.
//   NUL ... . CR  in a line with a NUL, a dot with CR, LF or NUL after it is refused: where such a line is longer than the backend's
//                 buffer, any octet of it may begin a line for the backend, so that no octet could be added safely
import { allocate, CR, DOT, LF, NUL } from './bytes.ts'
import type { LineEndSearch } from './line-ends.ts'

/** What becomes of a bare CR or LF: made CR LF, or the backend gets nothing from it on. */
export type BareLineEnd = 'fix' | 'refuse'

/** Why a message is refused; `none`: it is not, so far. */
export type BodyFault = 'none' | 'bare-line-end' | 'dot-after-nul' | 'from-refused'

/** A place in the table below, the fault once the message has had one, and how many spaces wait. */
export type BodyState = number

const START = 0 // at the start of a line: of the message, or after a real CR LF
const TEXT = 1 // inside a line
const AFTER_CR = 2 // after a CR that has left
const AFTER_DOT = 3 // after the dot that began a line
const AFTER_DOT_CR = 4 // and after a CR, which waits
const MENDED = 5 // at the start of a line made from a bare CR or LF
const NUL_LINE = 6 // inside a line that has had a NUL
const NUL_DOT = 7 // and after a dot, which waits
const DOT_SPACES = 8 // after the dot that began a line and spaces, which wait
const PLACE = 15
const BARE_REFUSED = 16
const DOT_REFUSED = 32
const REFUSED = BARE_REFUSED | DOT_REFUSED
const SPACES_SHIFT = 6
/** So many may wait; with more the dot is stuffed whatever comes. */
const MOST_SPACES = 1000
const SPACE = 32

export const bodyStart: BodyState = START

export interface ScannedBody {
  readonly state: BodyState
  /** For the backend: views of the read where nothing had to be changed. */
  readonly out: readonly Uint8Array[]
  /** Offset in the read of the first byte after the final dot line; undefined: the message goes on. */
  readonly end: number | undefined
  /** In this read or before; the backend gets nothing more. */
  readonly fault: BodyFault
}

const NOTHING: readonly Uint8Array[] = []

/** One read of a message. The caller does not call again for the same message once `end` is given. */
export function scanBody(state: BodyState, chunk: Uint8Array, bare: BareLineEnd, search: LineEndSearch): ScannedBody {
  let place = state & PLACE
  const size = chunk.length
  if (size === 0) return done(state, NOTHING, undefined)
  if ((state & REFUSED) !== 0) return findEnd(state & REFUSED, place, chunk, 0, NOTHING)

  // Places where the first byte decides about one that came before.
  let at = 0
  const first = chunk[0] ?? 0
  if (place >= NUL_LINE) return mend(place, chunk, 0, bare, state >> SPACES_SHIFT)
  if (place === AFTER_DOT_CR) {
    if (first === LF) return done(START, [Uint8Array.of(CR, LF)], 1)
    return foundBare(place, chunk, 0, bare)
  }
  if (place === AFTER_DOT) {
    if (first === LF) return foundBare(place, chunk, 0, bare)
    if (first === CR) {
      if (size === 1) return done(AFTER_DOT_CR, NOTHING, undefined)
      return chunk[1] === LF ? done(START, [chunk.subarray(0, 2)], 2) : foundBare(place, chunk, 0, bare)
    }
    if (!isPrintable(first)) return mend(place, chunk, 0, bare)
    place = TEXT
  } else if (place === AFTER_CR) {
    if (first !== LF) return foundBare(place, chunk, 0, bare)
    place = START
    at = 1
  } else if (place === MENDED) {
    if (first === DOT) return mend(place, chunk, 0, bare)
    place = TEXT
  }

  const next = search.findings(chunk, place === START)
  while (at < size) {
    const odd = next(at)
    if (odd === size) break
    if (odd > at && chunk[odd - 1] === CR) return foundBare(TEXT, chunk, odd - 1, bare)
    if (chunk[odd] === LF) return foundBare(TEXT, chunk, odd, bare)
    if (chunk[odd] === NUL) return mend(TEXT, chunk, odd, bare)
    // A dot that begins a line.
    if (odd + 1 === size) return done(AFTER_DOT, [chunk], undefined)
    const second = chunk[odd + 1] ?? 0
    if (second === CR) {
      if (odd + 2 === size) return done(AFTER_DOT_CR, [chunk.subarray(0, size - 1)], undefined)
      if (chunk[odd + 2] === LF) {
        const end = odd + 3
        return done(START, [end === size ? chunk : chunk.subarray(0, end)], end)
      }
      return foundBare(START, chunk, odd, bare)
    }
    if (second === LF) return foundBare(START, chunk, odd, bare)
    if (!isPrintable(second)) return mend(START, chunk, odd, bare)
    at = odd + 1
  }
  // Clean to the end: where the next read goes on is seen from the last octet.
  if (at < size) place = chunk[size - 1] === CR ? AFTER_CR : chunk[size - 1] === LF ? START : TEXT
  return done(place, [chunk], undefined)
}

function done(state: BodyState, out: readonly Uint8Array[], end: number | undefined): ScannedBody {
  const fault = (state & BARE_REFUSED) !== 0 ? 'bare-line-end' : (state & DOT_REFUSED) !== 0 ? 'dot-after-nul' : 'none'
  return { state, out, end, fault }
}

/** Neither white space nor a control, also for what takes eight bits for seven. */
const isPrintable = (byte: number): boolean => (byte & 127) > SPACE && (byte & 127) < 127

const cleanUpTo = (chunk: Uint8Array, at: number): readonly Uint8Array[] =>
  at === 0 ? NOTHING : [chunk.subarray(0, at)]

/** A bare CR or LF, or a dot before one: the clean bytes end before `at`, where `place` is what holds there. */
function foundBare(place: number, chunk: Uint8Array, at: number, bare: BareLineEnd): ScannedBody {
  if (bare === 'refuse') return findEnd(BARE_REFUSED, place, chunk, at, cleanUpTo(chunk, at))
  return mend(place, chunk, at, bare)
}

/** The byte shows a CR or LF to be bare: itself, or the CR before it. */
const showsBare = (place: number, byte: number): boolean =>
  (byte === LF) !== (place === AFTER_CR || place === AFTER_DOT_CR)

/** The rest of a read, byte by byte into new memory. Two bytes can become four (LF . is CR LF . .), and a CR or a dot may be waiting. */
function mend(from: number, chunk: Uint8Array, start: number, bare: BareLineEnd, waiting = 0): ScannedBody {
  const clean = cleanUpTo(chunk, start)
  const out = allocate(2 * (chunk.length - start) + 4 + waiting)
  let size = 0
  let place = from
  let spaces = waiting
  for (let at = start; at < chunk.length; at++) {
    const byte = chunk[at] ?? 0
    if (bare === 'refuse' && showsBare(place, byte)) {
      return findEnd(BARE_REFUSED, place, chunk, at, [...clean, out.subarray(0, size)])
    }
    if (place === AFTER_CR && byte !== LF) {
      out[size++] = LF
      place = MENDED
    } else if (place === AFTER_DOT_CR) {
      if (byte === LF) {
        out[size++] = CR
        out[size++] = LF
        return done(START, [...clean, out.subarray(0, size)], at + 1)
      }
      out[size++] = DOT
      out[size++] = CR
      out[size++] = LF
      place = MENDED
    } else if (place === NUL_DOT) {
      if (byte === CR || byte === LF || byte === NUL)
        return findEnd(DOT_REFUSED, TEXT, chunk, at, [...clean, out.subarray(0, size)])
      out[size++] = DOT
      place = NUL_LINE
    } else if ((place === AFTER_DOT || place === DOT_SPACES) && byte === SPACE && spaces < MOST_SPACES) {
      spaces++
      place = DOT_SPACES
      continue
    } else if (place === DOT_SPACES || (place === AFTER_DOT && byte !== CR)) {
      if (!isPrintable(byte)) out[size++] = DOT
      out.fill(SPACE, size, size + spaces)
      size += spaces
      spaces = 0
      place = TEXT
    }
    if (byte === LF) {
      if (place === AFTER_CR) {
        out[size++] = LF
        place = START
        continue
      }
      out[size++] = CR
      out[size++] = LF
      place = MENDED
    } else if (byte === CR) {
      if (place === AFTER_DOT) place = AFTER_DOT_CR
      else {
        out[size++] = CR
        place = AFTER_CR
      }
    } else if (place === NUL_LINE || byte === NUL) {
      place = NUL_LINE
      if (byte === DOT) place = NUL_DOT
      else out[size++] = byte
    } else if (byte === DOT && place === START) {
      out[size++] = DOT
      place = AFTER_DOT
    } else {
      if (byte === DOT && place === MENDED) out[size++] = DOT
      out[size++] = byte
      place = TEXT
      for (let run = chunk[at + 1]; run !== undefined && run !== CR && run !== LF && run !== NUL; run = chunk[at + 1]) {
        out[size++] = run
        at++
      }
    }
  }
  return done(place | (spaces << SPACES_SHIFT), [...clean, out.subarray(0, size)], undefined)
}

/** After a refusal only the client's own CR LF . CR LF is looked for: the 421 has to come where the client waits for a reply. */
function findEnd(
  fault: number,
  from: number,
  chunk: Uint8Array,
  start: number,
  out: readonly Uint8Array[],
): ScannedBody {
  let place = from === MENDED || from >= NUL_LINE ? TEXT : from
  for (let at = start; at < chunk.length; at++) {
    const byte = chunk[at] ?? 0
    if (byte === LF) {
      if (place === AFTER_DOT_CR) return done(START | fault, out, at + 1)
      place = place === AFTER_CR ? START : TEXT
    } else if (byte === CR) place = place === AFTER_DOT ? AFTER_DOT_CR : AFTER_CR
    else place = byte === DOT && place === START ? AFTER_DOT : TEXT
  }
  return done(place | fault, out, undefined)
}
