// Message bodies on their way from client to backend, past the codec: DATA to its final dot, BDAT by its count, as it is or as DATA.

import type { Body } from '../actors/effects.ts'
import { type ChunksState, chunksStart, endOfChunks, stuffDots } from '../protocol/chunks.ts'
import {
  type BareLineEnd,
  type BodyFault,
  type BodyState,
  bodyStart,
  type ScannedBody,
  scanBody,
} from '../protocol/end-of-data.ts'
import { type HeaderState, headerStart, watchHeader } from '../protocol/header-from.ts'
import type { LineEndSearch } from '../protocol/line-ends.ts'
import type { Senders } from '../protocol/senders.ts'

export interface BodyWay {
  /** To the backend; more pieces of the same read follow where there are several. */
  readonly write: (pieces: readonly Uint8Array[]) => void
  /** The backend must never see an end of this message: its input is cut off. */
  readonly cut: () => void
  /** What belonged to the message, for those who look on. */
  readonly show: ((bytes: Uint8Array) => void) | undefined
  /** The body has gone by; `rest` was read after it. */
  readonly ended: (rest: Uint8Array, fault: BodyFault) => void
}

export class BodyCarrier {
  /** The message is refused: nothing more goes to the backend. */
  isCut = false

  private state: BodyState = bodyStart
  /** Of a message whose chunks become DATA: what they end with so far. */
  private chunks: ChunksState = chunksStart
  /** Octets of a BDAT chunk still to come; undefined in DATA. */
  private octets: number | undefined
  private as: Body['as'] = 'itself'
  private last = true
  /** Whom the header may name in From, how far it has come, and that it names another. */
  private from: Senders | undefined
  private header: HeaderState = headerStart
  private readonly bare: BareLineEnd
  private readonly search: LineEndSearch
  private readonly way: BodyWay

  constructor(bare: BareLineEnd, search: LineEndSearch, way: BodyWay) {
    this.bare = bare
    this.search = search
    this.way = way
  }

  /** A new message, or chunk of one, and what of it was read already. */
  begin({ octets, as, last, rest, from }: Body): void {
    if (as !== 'data') this.renew()
    this.from = from
    this.octets = octets
    this.as = as
    this.last = last
    if (rest.length > 0 || octets === 0) this.carry(rest)
  }

  /** One read. */
  carry(bytes: Uint8Array): void {
    if (this.octets === undefined) this.carryLines(bytes)
    else this.carryOctets(bytes, this.octets)
  }

  private carryLines(bytes: Uint8Array): void {
    const { end, fault } = this.scan(bytes)
    this.way.show?.(bytes.subarray(0, end ?? bytes.length))
    if (end !== undefined) this.way.ended(bytes.subarray(end), fault)
  }

  private scan(bytes: Uint8Array): ScannedBody {
    const scanned = scanBody(this.state, bytes, this.bare, this.search)
    this.state = scanned.state
    if (!this.isCut && this.from !== undefined)
      for (const piece of scanned.out) this.header = watchHeader(this.header, piece, this.from)
    const fault = this.header.at === 'forged' ? 'from-refused' : scanned.fault
    if (!this.isCut && scanned.out.length > 0 && this.header.at !== 'forged') this.way.write(scanned.out)
    if (fault !== 'none' && !this.isCut) {
      // Nothing is queued without an end of data; the client's own final dot is waited for.
      this.isCut = true
      this.way.cut()
    }
    return { ...scanned, fault }
  }

  private renew(): void {
    this.state = bodyStart
    this.header = headerStart
    this.chunks = chunksStart
  }

  private carryOctets(bytes: Uint8Array, left: number): void {
    const taken = Math.min(left, bytes.length)
    const chunk = bytes.subarray(0, taken)
    const ends = taken === left
    this.octets = left - taken
    this.way.show?.(chunk)
    if (this.as === 'itself' && taken > 0) this.way.write([chunk])
    const fault = this.as === 'data' ? this.carryAsData(chunk, ends && this.last) : 'none'
    if (ends) this.way.ended(bytes.subarray(taken), fault)
  }

  private carryAsData(chunk: Uint8Array, ends: boolean): BodyFault {
    const { state, out } = stuffDots(this.chunks, chunk)
    this.chunks = state
    let { fault } = this.scan(out)
    if (!ends) return fault
    for (const octets of endOfChunks(state)) fault = this.scan(octets).fault
    this.renew()
    return fault
  }
}
