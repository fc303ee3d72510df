// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { User } from './records.ts'
import type { Count, DryRun, Reason, Time, UserGlob, UserName } from './words.ts'

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
  readonly dryRun: boolean
}

/** Lets a blocked user log in again. */
export interface UserUnblockParams {
  /** The user, exactly. */
  readonly user: UserName
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface UserUnblockResult {
  readonly user: string
  readonly blocked: boolean
  readonly dryRun: boolean
}
