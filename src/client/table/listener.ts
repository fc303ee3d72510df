// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Listener } from './records.ts'
import type { DryRun, Fleet, Name, PauseMode, Reason, Time } from './words.ts'

/** Lists the bound addresses, with what each serves and has accepted. */
export interface ListenerListParams {}

export interface ListenerListResult {
  readonly listeners: readonly Listener[]
}

/** Accepts no new sessions on a listener: clients receive 421, or stay in the backlog; the descriptor stays open. */
export interface ListenerPauseParams {
  /** Its name. */
  readonly listener: Name
  /** 421: accept, reply 421 4.3.2 and close; hold: leave clients in the backlog. Default "421". */
  readonly mode?: PauseMode | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Seconds after which it ends by itself; op.list shows it until then. */
  readonly ttl?: number | undefined
  /** The listener of this name on every host of the fleet. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ListenerPauseResult {
  readonly listener: Listener
  /** When it ends by itself. */
  readonly ends?: Time | undefined
  /** With fleet: the other hosts that have answered. */
  readonly hosts?: readonly ({
    readonly host: string
    /** Why it was not done there. */
    readonly error?: string | undefined
  })[] | undefined
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
  readonly dryRun: boolean
}

/** Ends a pause. */
export interface ListenerResumeParams {
  /** Its name. */
  readonly listener: Name
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** The listener of this name on every host of the fleet. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ListenerResumeResult {
  readonly listener: Listener
  /** With fleet: the other hosts that have answered. */
  readonly hosts?: readonly ({
    readonly host: string
    /** Why it was not done there. */
    readonly error?: string | undefined
  })[] | undefined
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
  readonly dryRun: boolean
}
