// What a message has besides clean lines: bare CR, bare LF, NUL, and dots at the start of a line. Nearly all of it has none of them.
import { bytesOfBase64, CR, DOT, LF, NUL } from './bytes.ts'
import { lineEndsModule } from './line-ends-wasm.ts'

/**
 * Octets that a read delivers at most: three times what Linux puts into one buffer of a Unix socket, of which six may wait for the
 * backend by default. So two reads go to it whole; one that goes in part has to wait until three quarters of what waits are taken.
 */
export const READ_OCTETS = 109_632
/** Reads that may stay where they were read until the backend has them. */
const ROOMS = 8
/** Fewer are not worth a copy into the module's memory. */
const FEW_OCTETS = 64
/** Where the first room begins in that memory, behind an octet that stands for the one before the read, and how far the next is. */
const FIRST_ROOM = 64
const NEXT_ROOM = 131_072

interface Search {
  readonly memory: Uint8Array
  readonly find: (at: number, to: number) => number
}

/** TypeScript knows WebAssembly only together with all of a browser. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; readonly find: Search['find'] } }
}

let search: Search | 'none' | undefined

/** Made when it is needed first. Its memory reserves gigabytes of addresses, which a host may refuse. */
function prepare(): Search | 'none' {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytesOfBase64(lineEndsModule)))
    return { memory: new Uint8Array(exports.memory.buffer), find: exports.find }
  } catch {
    return 'none'
  }
}

/** Rooms for one read each, in which a search needs no copy of it; none where a host refuses the memory. */
export function makeReadRooms(): readonly Uint8Array[] {
  search ??= prepare()
  if (search === 'none') return []
  const { memory } = search
  return Array.from({ length: ROOMS }, (_, n) => {
    // The first room is where all others are copied to.
    const start = FIRST_ROOM + (n + 1) * NEXT_ROOM
    return memory.subarray(start, start + READ_OCTETS)
  })
}

/**
 * A search of one read, to be used before the next one is made.
 * It tells the offset of the first octet at or behind `from` that is a bare LF, stands behind a bare CR, is a NUL, or a dot at the start
 * of a line; the length of the read if there is none. `atStart`: the read begins with a line; else nothing is known of the octet before.
 */
export function oddities(read: Uint8Array, atStart: boolean): (from: number) => number {
  if (read.length >= FEW_OCTETS && read.length <= READ_OCTETS) search ??= prepare()
  if (search === undefined || search === 'none' || read.length < FEW_OCTETS || read.length > READ_OCTETS)
    return (from) => findSlowly(read, from, atStart)
  const { memory, find } = search
  let start = FIRST_ROOM
  if (read.buffer === memory.buffer && read.byteOffset % NEXT_ROOM === FIRST_ROOM) start = read.byteOffset
  else memory.set(read, start)
  memory[start - 1] = atStart ? LF : 0
  const end = start + read.length
  return (from) => find(start + from, end) - start
}

export function findSlowly(read: Uint8Array, from: number, atStart: boolean): number {
  let before = from > 0 ? (read[from - 1] ?? 0) : atStart ? LF : 0
  for (let at = from; at < read.length; at++) {
    const now = read[at] ?? 0
    if ((now === LF) !== (before === CR) || (now === DOT && before === LF) || now === NUL) return at
    before = now
  }
  return read.length
}
