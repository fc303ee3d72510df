// Message bodies on their way from client to backend, past the codec: DATA to its final dot, BDAT by its count.

import { type BareLineEnd, type BodyFault, type BodyState, bodyStart, scanBody } from '../protocol/end-of-data.ts'
import type { LineEndSearch } from '../protocol/line-ends.ts'

export interface BodyWay {
  /** To the backend; more pieces of the same read follow where there are several. */
  readonly write: (pieces: readonly Uint8Array[]) => void
  /** The backend must never see an end of this message: its input is cut off. */
  readonly cut: () => void
  /** What belonged to the message, for those who look on. */
  readonly show: ((bytes: Uint8Array) => void) | undefined
  /** The body has gone by; `rest` was read behind it. */
  readonly ended: (rest: Uint8Array, fault: BodyFault) => void
}

export class BodyCarrier {
  /** The message is refused: nothing more goes to the backend. */
  isCut = false

  private state: BodyState = bodyStart
  /** Octets of a BDAT chunk still to come; undefined in DATA. */
  private octets: number | undefined
  private discard = false
  private readonly bare: BareLineEnd
  private readonly search: LineEndSearch
  private readonly way: BodyWay

  constructor(bare: BareLineEnd, search: LineEndSearch, way: BodyWay) {
    this.bare = bare
    this.search = search
    this.way = way
  }

  /** A new message, or chunk of one; `discard`: the backend was not told of it. */
  begin(octets: number | undefined, discard: boolean): void {
    this.state = bodyStart
    this.octets = octets
    this.discard = discard
  }

  /** One read. */
  carry(bytes: Uint8Array): void {
    if (this.octets === undefined) this.carryLines(bytes)
    else this.carryOctets(bytes, this.octets)
  }

  private carryLines(bytes: Uint8Array): void {
    const scanned = scanBody(this.state, bytes, this.bare, this.search)
    this.state = scanned.state
    this.way.show?.(bytes.subarray(0, scanned.end ?? bytes.length))
    if (!this.isCut && scanned.out.length > 0) this.way.write(scanned.out)
    if (scanned.fault !== 'none' && !this.isCut) {
      // Nothing is queued without an end of data; the client's own final dot is waited for.
      this.isCut = true
      this.way.cut()
    }
    if (scanned.end !== undefined) this.way.ended(bytes.subarray(scanned.end), scanned.fault)
  }

  private carryOctets(bytes: Uint8Array, left: number): void {
    const taken = Math.min(left, bytes.length)
    this.octets = left - taken
    this.way.show?.(bytes.subarray(0, taken))
    if (!this.discard && taken > 0) this.way.write([bytes.subarray(0, taken)])
    if (taken === left) this.way.ended(bytes.subarray(taken), 'none')
  }
}
