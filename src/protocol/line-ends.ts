// What a message has besides clean lines: bare CR, bare LF, and dots at the start of a line. Nearly all of it has none of them.
import { bytesOfBase64, CR, DOT, LF } from './bytes.ts'
import { lineEndsModule } from './line-ends-wasm.ts'

/** Octets that a read delivers at most. A large message takes a fifth more time with half of it, and with twice as much. */
export const READ_OCTETS = 131_072
/** Fewer are not worth a copy into the module's memory. */
const FEW_OCTETS = 64
/** Where a read begins in that memory: behind the octet that stands before it. */
const PLACE = 16

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

/**
 * A search of one read, to be used before the next one is made, and only forwards: the read is copied once, however many dots begin
 * its lines.
 * It tells the offset of the first octet at or behind `from` that is a bare LF, stands behind a bare CR, or is a dot at the start of a
 * line; the length of the read if there is none. `atStart`: a line starts at `from`; else nothing is known of the octet before.
 */
export function oddities(read: Uint8Array): (from: number, atStart: boolean) => number {
  if (read.length >= FEW_OCTETS && read.length <= READ_OCTETS) search ??= prepare()
  if (search === undefined || search === 'none' || read.length < FEW_OCTETS || read.length > READ_OCTETS)
    return (from, atStart) => findSlowly(read, from, atStart)
  const { memory, find } = search
  memory.set(read, PLACE)
  const end = PLACE + read.length
  return (from, atStart) => {
    const at = PLACE + from
    memory[at - 1] = atStart ? LF : 0
    return find(at, end) - PLACE
  }
}

export function findSlowly(read: Uint8Array, from: number, atStart: boolean): number {
  let before = atStart ? LF : 0
  for (let at = from; at < read.length; at++) {
    const now = read[at] ?? 0
    if ((now === LF) !== (before === CR) || (now === DOT && before === LF)) return at
    before = now
  }
  return read.length
}
