// What a message has besides clean lines: bare CR, bare LF, NUL, and dots at the start of a line. Nearly all of it has none of them.
import { bytesOfBase64, CR, DOT, LF, NUL } from './bytes.ts'
import { lineEndsModule } from './line-ends-wasm.ts'

/**
 * Octets that a read delivers at most: three times what Linux puts into one buffer of a Unix socket, of which six may wait for the
 * backend by default. So two reads go to it whole; one that goes in part has to wait until three quarters of what waits are taken.
 */
export const READ_OCTETS = 109_632
/** Reads that may stay where they were read until the backend has them. */
const BUFFERS = 8
/** Fewer are not worth a copy into the module's memory. */
const FEW_OCTETS = 64
/** Where the first read buffer begins in that memory, after an octet that takes the place of the one before the read, and how far the next is. */
const FIRST_BUFFER = 64
const NEXT_BUFFER = 131_072

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

/** The search, with memory of its own: one for all sessions of a lane. */
export interface LineEndSearch {
  /** Memory for one read each, in which a search needs no copy of it; none where a host refuses the memory. */
  readonly readBuffers: () => readonly Uint8Array[]
  /**
   * A search of one read, to be used before the next one is made.
   * It tells the offset of the first octet at or after `from` that is a bare LF, follows a bare CR, is a NUL, or a dot at the start
   * of a line; the length of the read if there is none. `atStart`: the read begins with a line; else nothing is known of the octet before.
   */
  readonly findings: (read: Uint8Array, atStart: boolean) => (from: number) => number
}

/** Its memory is made when it is needed first: it reserves gigabytes of addresses, which a host may refuse. */
export function createLineEndSearch(): LineEndSearch {
  let search: Search | 'none' | undefined
  return {
    readBuffers: () => {
      search ??= prepare()
      if (search === 'none') return []
      const { memory } = search
      return Array.from({ length: BUFFERS }, (_, n) => {
        // The first place is where all other reads are copied to.
        const start = FIRST_BUFFER + (n + 1) * NEXT_BUFFER
        return memory.subarray(start, start + READ_OCTETS)
      })
    },
    findings: (read, atStart) => {
      const worth = read.length >= FEW_OCTETS && read.length <= READ_OCTETS
      if (worth) search ??= prepare()
      if (!worth || search === undefined || search === 'none') return (from) => findSlowly(read, from, atStart)
      return findIn(search, read, atStart)
    },
  }
}

function prepare(): Search | 'none' {
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytesOfBase64(lineEndsModule)))
    return { memory: new Uint8Array(exports.memory.buffer), find: exports.find }
  } catch {
    return 'none'
  }
}

function findIn({ memory, find }: Search, read: Uint8Array, atStart: boolean): (from: number) => number {
  let start = FIRST_BUFFER
  // What was read into one of the buffers lies in place.
  if (read.buffer === memory.buffer && read.byteOffset % NEXT_BUFFER === FIRST_BUFFER) start = read.byteOffset
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
