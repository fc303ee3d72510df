// What the control plane, the runtime and src/fleet agree on: the hosts that share limits and orders, and what one asks of the others.

import type { Answer } from './daemon.ts'
import type { WireError } from './failure.ts'

/**
 * joining: not yet in sync; together: the engine answers in time; slow: not in time; away: it cannot be reached; wrong: it answers with errors.
 * In all but together each host limits by itself, by what it heard last.
 */
export type EngineState = 'joining' | 'together' | 'slow' | 'away' | 'wrong'

export interface FleetHost {
  readonly name: string
  /** It has been heard of lately. */
  readonly here: boolean
  /** When it was last heard of. */
  readonly heard: number
  readonly version: string
  readonly generation: number
  readonly sha256: string
  /** Of the files that hosts can have in common: all but me and fleet. */
  readonly common: string
}

export interface FleetState {
  /** Of this host. */
  readonly name: string
  /** As control/fleet writes it. */
  readonly engine: string
  /** Hosts that have to have prepared a reload. */
  readonly quorum: 'all' | 'majority' | number
  /** Seconds. */
  readonly deadline: number
  readonly state: EngineState
  readonly since: number
  /** Why it is not together; a sentence without a full stop. */
  readonly message: string | undefined
  /** Of the last answer. */
  readonly milliseconds: number
  /** This one included. */
  readonly hosts: readonly FleetHost[]
  /** Subjects of limits that are shared now. */
  readonly shared: number
  /** Times that it was not together any more. */
  readonly losses: number
}

export interface HostAnswer {
  readonly host: string
  readonly result?: unknown
  readonly error?: WireError
}

export interface FleetAnswers {
  /** Of the other hosts. */
  readonly answers: readonly HostAnswer[]
  /** Other hosts that have not answered in time. */
  readonly silent: readonly string[]
}

/** What a host does for another one. */
export type FleetHandler = (method: string, params: unknown) => Promise<Omit<HostAnswer, 'host'>>

export interface FleetControl {
  /** Undefined: there is no control/fleet. */
  state(): FleetState | undefined
  /**
   * Has every other host do it, and waits for their answers as long as control/fleet says; what is `kept` under a name is done later by
   * those that are away. Fails with `timeout` where the engine is away, and then nobody does anything.
   */
  ask(question: {
    readonly method: string
    readonly params: unknown
    readonly kept?: { readonly name: string; readonly ends: number | undefined }
  }): Answer<FleetAnswers>
  /** Joins the fleet: from now on other hosts are heard. */
  serve(handler: FleetHandler): void
}
