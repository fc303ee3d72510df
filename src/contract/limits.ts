// What the control plane and the runtime say to each other of control/limits. Times are milliseconds since 1970.

import type { Answer, Soon } from './daemon.ts'

export interface LimitsControl {
  list(): Soon<readonly LimitState[]>
  /** Another rate for a line of control/limits; undefined: its own again. Answers the rate in force. Fails with `not-found`, `invalid-params`. */
  set(name: string, rate: string | undefined): Answer<string>
  /** Forgets what a line has counted of one subject, or of all; answers of how many. */
  clear(name: string, subject: string | undefined): Answer<number>
  /** The lines that count a client. */
  evaluate(who: LimitQuestion): Soon<readonly LimitAnswer[]>
  penalties(): Soon<readonly PenaltyState[]>
  /** Ends the penalties of one subject, or all; answers how many. */
  forgive(subject: string | undefined): Answer<number>
}

export interface LimitState {
  readonly name: string
  readonly line: number
  /** The line as written. */
  readonly text: string
  /** In force: that of the line, or one that was set for a time. */
  readonly rate: string
  readonly set: boolean
  /** Subjects that are counted now. */
  readonly subjects: number
  readonly refused: number
  /** The subject that has most of what it may have. */
  readonly nearest?: LimitUse
}

export interface LimitUse {
  readonly subject: string
  readonly used: number
  /** Left out for a delay. */
  readonly most?: number
}

export interface LimitAnswer extends LimitUse {
  readonly name: string
  readonly line: number
  readonly rate: string
  readonly text: string
  /** One more would be refused. */
  readonly full: boolean
}

export interface PenaltyState {
  readonly limit: string
  readonly scope: string
  readonly subject: string
  /** Answers to wrong passwords are delayed, or all is refused. */
  readonly kind: 'delay' | 'ban'
  /** Of the last ten minutes, for a delay. */
  readonly failures?: number
  /** Seconds that the next wrong password waits at least. */
  readonly delay?: number
  /** Of a ban. */
  readonly ends?: number
}

export interface LimitQuestion {
  readonly ip: string
  readonly user: string
  readonly listener: string
}
