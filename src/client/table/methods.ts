// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { Event, TraceLine } from './events.ts'
import type { RpcDiscoverParams, RpcDiscoverResult } from './rpc.ts'
import type { ServerDrainParams, ServerDrainResult, ServerHealthParams, ServerHealthResult, ServerInfoParams, ServerInfoResult, ServerMetricsParams, ServerMetricsResult, ServerPingParams, ServerPingResult, ServerStatsParams, ServerStatsResult, ServerStopParams, ServerStopResult, ServerUndrainParams, ServerUndrainResult, ServerUpgradeParams, ServerUpgradeResult, ServerWhoamiParams, ServerWhoamiResult } from './server.ts'
import type { ListenerListParams, ListenerListResult, ListenerPauseParams, ListenerPauseResult, ListenerResumeParams, ListenerResumeResult } from './listener.ts'
import type { ConfigCheckParams, ConfigCheckResult, ConfigDiffParams, ConfigDiffResult, ConfigExplainParams, ConfigExplainResult, ConfigGetParams, ConfigGetResult, ConfigHistoryParams, ConfigHistoryResult, ConfigReloadParams, ConfigReloadResult, ConfigRollbackParams, ConfigRollbackResult, ConfigStatusParams, ConfigStatusResult } from './config.ts'
import type { RulesEvalParams, RulesEvalResult, RulesListParams, RulesListResult } from './rules.ts'
import type { SessionGetParams, SessionGetResult, SessionKillParams, SessionKillResult, SessionListParams, SessionListResult, SessionTraceParams, SessionTraceResult } from './session.ts'
import type { TlsListParams, TlsListResult, TlsReloadParams, TlsReloadResult } from './tls.ts'
import type { AccessEvalParams, AccessEvalResult } from './access.ts'
import type { SendersEvalParams, SendersEvalResult } from './senders.ts'
import type { CertusersEvalParams, CertusersEvalResult } from './certusers.ts'
import type { LimitClearParams, LimitClearResult, LimitEvalParams, LimitEvalResult, LimitListParams, LimitListResult, LimitSetParams, LimitSetResult } from './limit.ts'
import type { PenaltyClearParams, PenaltyClearResult, PenaltyListParams, PenaltyListResult } from './penalty.ts'
import type { UserBlockParams, UserBlockResult, UserListParams, UserListResult, UserUnblockParams, UserUnblockResult } from './user.ts'
import type { AuthTestParams, AuthTestResult } from './auth.ts'
import type { LaneListParams, LaneListResult, LaneRecycleParams, LaneRecycleResult } from './lane.ts'
import type { BackendListParams, BackendListResult, BackendProbeParams, BackendProbeResult } from './backend.ts'
import type { LogErrorsParams, LogErrorsResult, LogGetParams, LogGetResult, LogSetParams, LogSetResult } from './log.ts'
import type { EventSubscribeParams, EventSubscribeResult } from './event.ts'
import type { OpCancelParams, OpCancelResult, OpListParams, OpListResult } from './op.ts'

/** What a call takes and gives. */
export interface Methods {
  /** Describes every method as an OpenRPC document. */
  'rpc.discover': { readonly params: RpcDiscoverParams; readonly result: RpcDiscoverResult }
  /** Describes the running server: version, process, listeners, lanes, helper, and the published configuration. */
  'server.info': { readonly params: ServerInfoParams; readonly result: ServerInfoResult }
  /** Replies immediately. */
  'server.ping': { readonly params: ServerPingParams; readonly result: ServerPingResult }
  /** Shows what this connection may do. */
  'server.whoami': { readonly params: ServerWhoamiParams; readonly result: ServerWhoamiResult }
  /** Shows every counter and gauge, and percentiles of login, helper, first reply and lane lag, in total and per lane. */
  'server.stats': { readonly params: ServerStatsParams; readonly result: ServerStatsResult }
  /** Shows the same as text for Prometheus, like `GET /metrics`. */
  'server.metrics': { readonly params: ServerMetricsParams; readonly result: ServerMetricsResult }
  /** Checks helper, listeners, programs, certificates, descriptors, lanes and control files; `state` is the worst of them. */
  'server.health': { readonly params: ServerHealthParams; readonly result: ServerHealthResult }
  /** Accepts no new sessions and lets the running ones finish, until server.undrain. */
  'server.drain': { readonly params: ServerDrainParams; readonly result: ServerDrainResult }
  /** Accepts new sessions again. */
  'server.undrain': { readonly params: ServerUndrainParams; readonly result: ServerUndrainResult }
  /** Starts a runtime of the installed program on the same sockets; once it serves, the one before finishes its sessions. If it does not, nothing has changed. */
  'server.upgrade': { readonly params: ServerUpgradeParams; readonly result: ServerUpgradeResult }
  /** Stops acceptd: sessions receive 421 at their next boundary and are cut after `grace` seconds. */
  'server.stop': { readonly params: ServerStopParams; readonly result: ServerStopResult }
  /** Lists the bound addresses, with what each serves and has accepted. */
  'listener.list': { readonly params: ListenerListParams; readonly result: ListenerListResult }
  /** Accepts no new sessions on a listener: clients receive 421, or stay in the backlog; the descriptor stays open. */
  'listener.pause': { readonly params: ListenerPauseParams; readonly result: ListenerPauseResult }
  /** Ends a pause. */
  'listener.resume': { readonly params: ListenerResumeParams; readonly result: ListenerResumeResult }
  /** Shows the knobs in force, each with the source of its value, without secrets. */
  'config.get': { readonly params: ConfigGetParams; readonly result: ConfigGetResult }
  /** Shows what is published, since when and why, what differs on disk, and the last errors. */
  'config.status': { readonly params: ConfigStatusParams; readonly result: ConfigStatusResult }
  /** Reads and compiles the control files, or the given texts, and reports every error; changes nothing. */
  'config.check': { readonly params: ConfigCheckParams; readonly result: ConfigCheckResult }
  /** Shows line by line what a reload of the control files, or of the given texts, would change. */
  'config.diff': { readonly params: ConfigDiffParams; readonly result: ConfigDiffResult }
  /** Reads the control files again and publishes them to all lanes together; an error leaves everything as it was. */
  'config.reload': { readonly params: ConfigReloadParams; readonly result: ConfigReloadResult }
  /** Lists the kept generations, newest first. */
  'config.history': { readonly params: ConfigHistoryParams; readonly result: ConfigHistoryResult }
  /** Publishes a kept generation again, under a new number. */
  'config.rollback': { readonly params: ConfigRollbackParams; readonly result: ConfigRollbackResult }
  /** Says what a control file or one of its lines does, since when, how often it did, and who uses it. */
  'config.explain': { readonly params: ConfigExplainParams; readonly result: ConfigExplainResult }
  /** Lists the rules of a generation, with how often each matched and when it last did. */
  'rules.list': { readonly params: RulesListParams; readonly result: RulesListResult }
  /** Applies the rules to a request and a reply and explains every step, without side effects. */
  'rules.eval': { readonly params: RulesEvalParams; readonly result: RulesEvalResult }
  /** Lists the open sessions, in pages. */
  'session.list': { readonly params: SessionListParams; readonly result: SessionListResult }
  /** Shows everything about one session: its last 50 verbs with their replies, and its actors. */
  'session.get': { readonly params: SessionGetParams; readonly result: SessionGetResult }
  /** Ends the sessions that match: with 421 at the next boundary, or now. */
  'session.kill': { readonly params: SessionKillParams; readonly result: SessionKillResult }
  /** Lists the certificates in use, and counts handshakes by version and cipher, and failed ones by reason. */
  'tls.list': { readonly params: TlsListParams; readonly result: TlsListResult }
  /** Reads the files of control/tls again; an error leaves every certificate as it was loaded. */
  'tls.reload': { readonly params: TlsReloadParams; readonly result: TlsReloadResult }
  /** Tells whether a client of this address may connect, and which rule of control/access says so. */
  'access.eval': { readonly params: AccessEvalParams; readonly result: AccessEvalResult }
  /** Tells which senders a user may give, and which line of control/senders says so. */
  'senders.eval': { readonly params: SendersEvalParams; readonly result: SendersEvalResult }
  /** Tells whom a client certificate stands for, and which lines of control/certusers say so. */
  'certusers.eval': { readonly params: CertusersEvalParams; readonly result: CertusersEvalResult }
  /** Lists the lines of control/limits, how full they are, and who is nearest to each. */
  'limit.list': { readonly params: LimitListParams; readonly result: LimitListResult }
  /** Tells which lines of control/limits count a client, and how much of each it has. */
  'limit.eval': { readonly params: LimitEvalParams; readonly result: LimitEvalResult }
  /** Gives a line of control/limits another rate for a time. */
  'limit.set': { readonly params: LimitSetParams; readonly result: LimitSetResult }
  /** Forgets what a line of control/limits has counted, and ends what limit.set has set. */
  'limit.clear': { readonly params: LimitClearParams; readonly result: LimitClearResult }
  /** Lists who is delayed or refused for wrong passwords, and until when. */
  'penalty.list': { readonly params: PenaltyListParams; readonly result: PenaltyListResult }
  /** Ends the delays and bans of a subject, or of all. */
  'penalty.clear': { readonly params: PenaltyClearParams; readonly result: PenaltyClearResult }
  /** Lists users who have sessions or are blocked. */
  'user.list': { readonly params: UserListParams; readonly result: UserListResult }
  /** Refuses further logins of a user and ends their sessions immediately. */
  'user.block': { readonly params: UserBlockParams; readonly result: UserBlockResult }
  /** Lets a blocked user log in again. */
  'user.unblock': { readonly params: UserUnblockParams; readonly result: UserUnblockResult }
  /** Runs the real login chain up to the start of the backend and reports how it ended. */
  'auth.test': { readonly params: AuthTestParams; readonly result: AuthTestResult }
  /** Lists the worker threads with their sessions, memory, lag and deaths. */
  'lane.list': { readonly params: LaneListParams; readonly result: LaneListResult }
  /** Replaces a lane, or all one after the other: a new one accepts sessions, the old one finishes its own. */
  'lane.recycle': { readonly params: LaneRecycleParams; readonly result: LaneRecycleResult }
  /** Lists the chains that a login can run. */
  'backend.list': { readonly params: BackendListParams; readonly result: BackendListResult }
  /** Runs a backend and says what control/smtpcapabilities must change to offer what it does. */
  'backend.probe': { readonly params: BackendProbeParams; readonly result: BackendProbeResult }
  /** Shows the log level of each component. */
  'log.get': { readonly params: LogGetParams; readonly result: LogGetResult }
  /** Changes the log level of a component, permanently or for a limited time. */
  'log.set': { readonly params: LogSetParams; readonly result: LogSetResult }
  /** Shows the last 1000 warnings and errors, also of runtimes that have died, the oldest first, whatever the log level. */
  'log.errors': { readonly params: LogErrorsParams; readonly result: LogErrorsResult }
  /** Lists the changes that are in force for a limited time. */
  'op.list': { readonly params: OpListParams; readonly result: OpListResult }
  /** Ends one of them now. */
  'op.cancel': { readonly params: OpCancelParams; readonly result: OpCancelResult }
}
export type MethodName = keyof Methods

/** Those whose reply is followed by notifications, and what these are. */
export interface Streams {
  /** Streams the verbs and replies of the sessions that match, running ones and those to come, without credentials and bodies. */
  'session.trace': { readonly params: SessionTraceParams; readonly result: SessionTraceResult; readonly item: TraceLine }
  /** Streams events as notifications named `event`, numbered; a reader that is too slow misses some and learns how many. */
  'event.subscribe': { readonly params: EventSubscribeParams; readonly result: EventSubscribeResult; readonly item: Event }
}
export type StreamName = keyof Streams

/** The errors that acceptd answers, and their codes. */
export const FAILURES = {
  /** The line is not JSON. */
  'parse-error': -32700,
  /** The JSON is not a request of JSON-RPC 2.0. */
  'invalid-request': -32600,
  /** There is no such method. */
  'method-not-found': -32601,
  /** The parameters do not fit; nothing happened. */
  'invalid-params': -32602,
  /** A bug of acceptd; the log has the stack. */
  'internal-error': -32603,
  /** This socket may not ask that. */
  permission: -32001,
  /** What the parameters name does not exist. */
  'not-found': -32002,
  /** Another change is under way, or too much is asked at once. */
  busy: -32003,
  /** The configuration is no longer the one in ifSha256. */
  conflict: -32004,
  /** Not possible now, e.g. while stopping. */
  'wrong-state': -32005,
  /** A lane or the helper did not answer in time. */
  timeout: -32006,
  /** Only a restart of acceptd takes these files (data.needsRestart); nothing changed. */
  'needs-restart': -32008,
  /** Errors in control files; nothing changed; data.errors has each with file, line and column. */
  'config-invalid': -32010,
  /** A lane refused the generation; all went back. */
  'lane-refused': -32011,
  /** A file could not be read or written. */
  io: -32012,
  /** The helper cannot be reached. */
  'helper-unavailable': -32013,
} as const
export type FailureName = keyof typeof FAILURES
