// A row of the bench: a load and the sides it goes to.
import type { LimitName } from './limits.ts'
import type { Load } from './loadgen.ts'
import type { PeerName } from './peers/all.ts'
import type { Reading } from './readings.ts'
import type { Setup } from './side.ts'

export interface Point {
  readonly clients: number
  readonly x?: number
  readonly load?: Load
  readonly setup?: Partial<Setup>
  /** In `--quick` too / in `--full` only. */
  readonly when?: 'quick' | 'full'
  /** Too much for the baseline: ours alone. */
  readonly oursAlone?: boolean
}

export interface Row {
  readonly row: string
  readonly sentence: string
  /** The classic chain, acceptd itself set up otherwise, or a peer by its name. */
  readonly against: 'chain' | 'acceptd, cold' | PeerName
  /** Of all sides, and of one. */
  readonly setup?: Partial<Setup>
  readonly ours: Partial<Setup>
  readonly baseline?: Partial<Setup>
  /** The least that a server can do for this load is measured in the same turns. */
  readonly limit?: LimitName
  readonly load: Load
  readonly points: readonly Point[]
  readonly readings: readonly Reading[]
  /** Takes each user once only, so that no login can be a warm one. */
  readonly freshUsers?: boolean
  readonly full?: boolean
  /** Why it cannot run here. */
  readonly absent?: () => string | undefined
}
