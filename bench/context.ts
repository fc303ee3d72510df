// What the rows share while they run.

import type { Problem } from './compare.ts'
import type { Figure } from './figures.ts'
import type { Fixture } from './fixture.ts'
import type { LimitName } from './limits.ts'
import type { Side } from './side.ts'

export interface Context {
  readonly fixture: Fixture
  /** Undefined where it cannot run; the row then has the other side alone. */
  readonly ours: Side | undefined
  readonly chain: Side | undefined
  readonly limits: Readonly<Record<LimitName, Side>>
  /** Other mail servers that can run here. */
  readonly peers: readonly Side[]
  readonly extent: 'quick' | 'usual' | 'full'
  readonly runs: number
  /** Measured, after the warm-up. */
  readonly seconds: number
  readonly warmup: number
  /** Of the seconds of load that a server wants before it is measured, at most so many. */
  readonly settling: number
  /** Rows of rows.ts only have these points; undefined: all. */
  readonly clients: number | undefined
  readonly progress: (text: string) => void
}

export interface Outcome {
  readonly figures: readonly Figure[]
  readonly problems: readonly Problem[]
  /** What could not be measured here. */
  readonly notes?: readonly string[]
}
