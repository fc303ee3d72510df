// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Session, SessionDetail } from './records.ts'
import type { Count, DryRun, Fleet, Id, Name, Protocol, Reason, Seconds, SessionState, Time, UserGlob } from './words.ts'

/** Lists the open sessions, in pages. */
export interface SessionListParams {
  /** The session with this id. */
  readonly id?: Id | undefined
  /** Users that match this glob (* and ?; \* and \? are the characters themselves). */
  readonly user?: UserGlob | undefined
  /** Clients at this address or in this CIDR block. */
  readonly ip?: string | undefined
  /** Sessions of this protocol. */
  readonly protocol?: Protocol | undefined
  /** Sessions in this state. */
  readonly state?: SessionState | undefined
  /** Sessions accepted by this listener. */
  readonly listener?: Name | undefined
  /** Sessions in this lane. */
  readonly lane?: Count | undefined
  /** Sessions accepted at least so many seconds ago. */
  readonly olderThan?: Seconds | undefined
  /** Sessions that use this rule generation. */
  readonly generation?: Count | undefined
  /** Sessions with TLS (true) or without (false). */
  readonly tls?: boolean | undefined
  /** Only these members; id always comes. */
  readonly fields?: readonly ('id' | 'protocol' | 'state' | 'listener' | 'lane' | 'generation' | 'ip' | 'port' | 'proxy' | 'tls' | 'helo' | 'user' | 'started' | 'idle' | 'login' | 'backend' | 'messages' | 'recipients' | 'bytesIn' | 'bytesOut' | 'lastVerb')[] | undefined
  /** The order; sessions of equal value come in the order of their ids. Default "started". */
  readonly sort?: 'started' | 'idle' | 'user' | 'ip' | 'bytesIn' | 'bytesOut' | 'messages' | 'id' | undefined
  /** Reverse the order. Default false. */
  readonly descending?: boolean | undefined
  /** Sessions on a page. Default 100. */
  readonly limit?: number | undefined
  /** `next` of the previous page. */
  readonly cursor?: string | undefined
  /** Those of every host of the fleet; an id then begins with the name of its host. Default false. */
  readonly fleet?: Fleet | undefined
}

export interface SessionListResult {
  readonly sessions: readonly Session[]
  /** The total number of matches. */
  readonly matched: Count
  /** Cursor of the next page; absent on the last one. */
  readonly next?: string | undefined
  /** Lanes that did not answer in time; their part is missing. */
  readonly silentLanes: readonly Count[]
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
}

/** Shows everything about one session: its last 50 verbs with their replies, and its actors. */
export interface SessionGetParams {
  /** The session. */
  readonly id: Id
}

export type SessionGetResult = SessionDetail

/** Ends the sessions that match: with 421 at the next boundary, or now. */
export interface SessionKillParams {
  /** The session with this id. */
  readonly id?: Id | undefined
  /** Users that match this glob (* and ?; \* and \? are the characters themselves). */
  readonly user?: UserGlob | undefined
  /** Clients at this address or in this CIDR block. */
  readonly ip?: string | undefined
  /** Sessions of this protocol. */
  readonly protocol?: Protocol | undefined
  /** Sessions in this state. */
  readonly state?: SessionState | undefined
  /** Sessions accepted by this listener. */
  readonly listener?: Name | undefined
  /** Sessions in this lane. */
  readonly lane?: Count | undefined
  /** Sessions accepted at least so many seconds ago. */
  readonly olderThan?: Seconds | undefined
  /** Sessions that use this rule generation. */
  readonly generation?: Count | undefined
  /** Sessions with TLS (true) or without (false). */
  readonly tls?: boolean | undefined
  /** Required to end every session, without a filter. Default false. */
  readonly all?: boolean | undefined
  /** graceful: 421 at the next boundary; now: immediately. Default "graceful". */
  readonly mode?: 'graceful' | 'now' | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** On every host of the fleet; an id may begin with the name of a host: mx1/1.2f. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface SessionKillResult {
  /** On this host. */
  readonly matched: Count
  readonly killed: Count
  readonly ids: readonly Id[]
  /** Lanes that did not answer in time; their part is missing. */
  readonly silentLanes: readonly Count[]
  /** With fleet: the other hosts that have answered. */
  readonly hosts?: readonly ({
    readonly host: string
    readonly matched?: Count | undefined
    readonly killed?: Count | undefined
    /** Why it was not done there. */
    readonly error?: string | undefined
  })[] | undefined
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
  readonly dryRun: boolean
}

/** Streams the verbs and replies of the sessions that match, running ones and those to come, without credentials and bodies. */
export interface SessionTraceParams {
  /** The session with this id. */
  readonly id?: Id | undefined
  /** Users that match this glob (* and ?; \* and \? are the characters themselves). */
  readonly user?: UserGlob | undefined
  /** Clients at this address or in this CIDR block. */
  readonly ip?: string | undefined
  /** Sessions of this protocol. */
  readonly protocol?: Protocol | undefined
  /** Sessions in this state. */
  readonly state?: SessionState | undefined
  /** Sessions accepted by this listener. */
  readonly listener?: Name | undefined
  /** Sessions in this lane. */
  readonly lane?: Count | undefined
  /** Sessions accepted at least so many seconds ago. */
  readonly olderThan?: Seconds | undefined
  /** Sessions that use this rule generation. */
  readonly generation?: Count | undefined
  /** Sessions with TLS (true) or without (false). */
  readonly tls?: boolean | undefined
  /** Only sessions that are accepted from now on. Default false. */
  readonly onlyNew?: boolean | undefined
  /** Only the first session that says something; it ends with it. Default false. */
  readonly onlyOne?: boolean | undefined
  /** Only verbs and codes, as the client says and hears them. Default false. */
  readonly terse?: boolean | undefined
  /** Seconds after which it ends. Default 60. */
  readonly ttl?: number | undefined
  /** Lines after which it ends. Default 1000. */
  readonly lines?: number | undefined
}

export interface SessionTraceResult {
  readonly subscription: string
  readonly ends: Time
  /** Sessions that match already. */
  readonly matched: Count
}
