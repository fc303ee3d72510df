// A message that comes in chunks (RFC 3030), written as a client writes it in DATA: every dot that begins a line doubled (RFC 5321 section
// 4.5.2), a line ending at the end if it has none, and the final dot. What a line ending is that is not CR LF, end-of-data.ts decides, as
// for every client; here a line begins where a client that counts strictly says so. Kept over reads and over chunks.

import { allocate, CR, DOT, LF, NO_BYTES, viewOf } from './bytes.ts'

/** What the octets so far end with. */
export type ChunksState = 'line-start' | 'text' | 'cr'

export const chunksStart: ChunksState = 'line-start'

export interface Stuffed {
  readonly state: ChunksState
  /** The octets themselves where nothing had to be added. */
  readonly out: Uint8Array
}

const LINE_DOT = Uint8Array.of(CR, LF, DOT)

/** A read of a chunk. */
export function stuffDots(before: ChunksState, bytes: Uint8Array): Stuffed {
  if (bytes.length === 0) return { state: before, out: bytes }
  const dots = dotsThatBeginLines(before, bytes)
  return { state: after(before, bytes), out: dots.length === 0 ? bytes : doubled(bytes, dots) }
}

function dotsThatBeginLines(before: ChunksState, bytes: Uint8Array): readonly number[] {
  const dots: number[] = []
  if (before === 'line-start' && bytes[0] === DOT) dots.push(0)
  if (before === 'cr' && bytes[0] === LF && bytes[1] === DOT) dots.push(1)
  const view = viewOf(bytes)
  for (let at = view.indexOf(LINE_DOT); at >= 0; at = view.indexOf(LINE_DOT, at + LINE_DOT.length)) dots.push(at + 2)
  return dots
}

function doubled(bytes: Uint8Array, dots: readonly number[]): Uint8Array {
  const out = allocate(bytes.length + dots.length)
  let from = 0
  let size = 0
  for (const dot of dots) {
    out.set(bytes.subarray(from, dot + 1), size)
    size += dot + 1 - from
    from = dot
  }
  out.set(bytes.subarray(from), size)
  return out
}

function after(before: ChunksState, bytes: Uint8Array): ChunksState {
  const last = bytes[bytes.length - 1]
  if (last === CR) return 'cr'
  const cr = bytes.length === 1 ? before === 'cr' : bytes[bytes.length - 2] === CR
  return last === LF && cr ? 'line-start' : 'text'
}

const END = Uint8Array.of(DOT, CR, LF)
const LINE_END = Uint8Array.of(CR, LF)

/** What follows the last chunk: first what ends its last line, then the final dot. */
export const endOfChunks = (state: ChunksState): readonly [Uint8Array, Uint8Array] => [
  state === 'line-start' ? NO_BYTES : LINE_END,
  END,
]
