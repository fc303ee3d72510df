// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { User } from './records.ts'
import type { Count, DryRun, Fleet, Reason, Time, UserGlob, UserName } from './words.ts'

/** Lists users who have sessions or are blocked. */
export interface UserListParams {
  /** Only users that match this glob. */
  readonly user?: UserGlob | undefined
  /** Those with most sessions first. Default 1000. */
  readonly limit?: number | undefined
}

export interface UserListResult {
  readonly users: readonly User[]
  readonly matched: Count
  /** Lanes that did not answer in time; their part is missing. */
  readonly silentLanes: readonly Count[]
}

/** Refuses further logins of a user and ends their sessions immediately. */
export interface UserBlockParams {
  /** The user, exactly. */
  readonly user: UserName
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Seconds after which it ends by itself; op.list shows it until then. */
  readonly ttl?: number | undefined
  /** On every host of the fleet (control/fleet), not on this one alone. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface UserBlockResult {
  readonly user: string
  readonly blocked: boolean
  readonly ended: Count
  readonly ids: readonly string[]
  /** When it ends by itself. */
  readonly ends?: Time | undefined
  /** With fleet: the other hosts that have answered. */
  readonly hosts?: readonly ({
    readonly host: string
    readonly ended?: Count | undefined
    /** Why it was not done there. */
    readonly error?: string | undefined
  })[] | undefined
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
  readonly dryRun: boolean
}

/** Lets a blocked user log in again. */
export interface UserUnblockParams {
  /** The user, exactly. */
  readonly user: UserName
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** On every host of the fleet (control/fleet), not on this one alone. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface UserUnblockResult {
  readonly user: string
  readonly blocked: boolean
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
