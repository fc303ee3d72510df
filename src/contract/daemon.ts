// What the methods need of the running daemon, and nothing of how they are asked: no transport, no schemas, no text for the wire.
// The runtime implements it on its main thread.
//
// Times are milliseconds since 1970, durations seconds. Every argument is a plain value that can be sent to a lane.
// What needs no lane is not here: time-limited overrides, dryRun, ifSha256, cursors, event queues, redaction, Prometheus text (rpc/).
import type { Result } from 'neverthrow'
import type { ConfigError } from '../protocol/errors.ts'
import type {
  ChangeRequest,
  CheckReport,
  ConfigStatus,
  Explanation,
  FileDifference,
  Generation,
  Knob,
  PreparedPublication,
  Published,
} from './configuration.ts'
import type { Events } from './events.ts'
import type { FailureName } from './failure.ts'
import type { FleetControl } from './fleet.ts'
import type { LimitsControl } from './limits.ts'
import type { LogControl } from './log.ts'
import type { Sample } from './metrics.ts'
import type { SessionFilter, SessionQuery } from './pages.ts'
import type { BackendProbe } from './probe.ts'
import type { Protocol, SessionDetail, SessionIdentity, SessionSummary } from './session-view.ts'
import type { AccessAnswer, AccessQuestion, SendersAnswer } from './tables.ts'
import type { UpgradeResult } from './upgrade.ts'

/** An expected failure: which row of the error table (failure.ts), and what a program needs to decide what to do. */
export interface RpcFailure {
  readonly failure: FailureName
  /** For people: one sentence without a full stop. */
  readonly message: string
  /** Stable words for programs, e.g. `no-such-session`. */
  readonly reason: string
  /** More for programs, e.g. `{ errors }` for `config-invalid`. Never a secret. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** A value now or later. */
export type Soon<T> = T | PromiseLike<T>
/** A value or an expected failure, later; a ResultAsync is one. */
export type Answer<T> = Soon<Result<T, RpcFailure>>

export interface Daemon {
  readonly server: {
    info(): Soon<ServerInfo>
    /** Everything counted so far; the families and their labels are the table in metrics.ts. */
    measure(): Soon<readonly Sample[]>
    health(): Soon<readonly HealthCheck[]>
    /** Take no new sessions, let the running ones finish. Draining twice is not an error. */
    drain(reason: string | undefined): Answer<{ readonly sessions: number }>
    undrain(): Answer<{ readonly sessions: number }>
    /** Resolves when a runtime of the program on the disk has taken over, or in a dry run when it could. */
    upgrade(how: { readonly dryRun: boolean; readonly reason: string | undefined }): Answer<UpgradeResult>
    /** Resolves before the end so that the reply can be written; the process ends `grace` seconds later at the latest. */
    stop(how: { readonly grace: number; readonly reason: string | undefined }): Answer<{ readonly sessions: number }>
  }
  readonly listeners: {
    list(): Soon<readonly ListenerState[]>
    /** Fails with `not-found`. Pausing again changes the mode. */
    pause(name: string, mode: PauseMode): Answer<ListenerState>
    resume(name: string): Answer<ListenerState>
  }
  readonly config: {
    knobs(): Soon<readonly Knob[]>
    status(): Soon<ConfigStatus>
    /** What would be wrong and what it would do, touching nothing: these texts in place of the files of the same names, the disk for the rest. */
    check(files: Readonly<Record<string, string>> | undefined): Soon<CheckReport>
    /** The files in which the disk, or it with these texts, differs from what is loaded. */
    diff(files: Readonly<Record<string, string>> | undefined): Soon<readonly FileDifference[]>
    /**
     * Plans the change and, unless it is a dry run, publishes it in two phases. `config-invalid` carries every error, `needs-restart` the files,
     * `lane-refused` the lane; `not-found`: an unknown file or generation.
     */
    change(how: ChangeRequest): Answer<Published>
    /** The same but for the last step, which cannot fail; until one of both is done nothing else may change. */
    prepare(how: ChangeRequest): Answer<PreparedPublication>
    /** What the fleet has published while this host was away is taken, if it is on the disk here; else the log says that it is not. */
    follow(common: string): Promise<'same' | 'taken' | 'differs'>
    history(): Soon<readonly Generation[]>
    /** Of the published generation. Fails with `not-found`: an unknown file, or a line that it does not have. */
    explain(file: string, line: number | undefined): Answer<Explanation>
  }
  readonly rules: {
    /** The published generation's, or a kept one's. */
    list(generation: number | undefined): Answer<RuleList>
    evaluate(question: RuleQuestion): Answer<RuleEvaluation>
  }
  readonly sessions: {
    /** In the order of `sort`, at most `limit`, those that follow `after` only. `selectPage` of pages.ts does it for a lane and again for the merge. */
    query(query: SessionQuery): Soon<SessionAnswer>
    get(id: string): Answer<SessionDetail>
    kill(how: {
      readonly filter: SessionFilter
      readonly mode: KillMode
      readonly reason: string | undefined
    }): Soon<{ readonly ids: readonly string[] } & Silent>
    /** Live verbs and replies until the returned function is called; every lane has begun by then. Secrets and bodies are left out. */
    trace(of: TraceRequest, listener: (line: TraceLine) => void): Promise<() => void>
  }
  readonly tls: {
    list(): Soon<TlsState>
    /** Reads the files of control/tls again. `config-invalid` carries every error, and what was loaded stays; a dry run only reads. */
    reload(how: {
      readonly by: 'signal' | 'control'
      readonly reason?: string
      readonly dryRun: boolean
    }): Answer<readonly CertificateState[]>
  }
  readonly access: {
    /** What the published control/access, or the access= file of a listener, says of an address with this name and user. */
    evaluate(client: AccessQuestion): Soon<AccessAnswer>
  }
  readonly limits: LimitsControl
  readonly fleet: FleetControl
  readonly certusers: {
    /** Whom the published control/certusers finds for a name of a certificate. */
    evaluate(name: string): Soon<readonly { readonly user: string; readonly line: number }[]>
  }
  readonly senders: {
    /** What the published control/senders lets a user give; with `sender`, whether it lets them give that. */
    evaluate(user: string, sender: string | undefined): Soon<SendersAnswer>
  }
  readonly users: {
    list(): Soon<{ readonly users: readonly UserState[] } & Silent>
    /** Refuses logins from now on and ends the running sessions. Blocking again changes reason. */
    block(user: string, reason: string | undefined): Answer<{ readonly ended: readonly string[] }>
    /** Fails with `not-found` if the user is not blocked. */
    unblock(user: string): Answer<undefined>
  }
  readonly auth: {
    /** Runs the real chain up to the backend's start. The password is wiped by the caller afterwards. */
    test(how: AuthQuestion): Answer<AuthOutcome>
  }
  readonly lanes: {
    list(): Soon<readonly LaneState[]>
    /** Starts a replacement, and lets the old one finish its sessions; answers when the replacement accepts. All: one after the other. */
    recycle(which: number | 'all', reason: string | undefined): Answer<readonly Recycled[]>
  }
  readonly backends: {
    list(): Soon<readonly BackendState[]>
    /** Runs a chain that needs no login; left out, the first of kind probe. */
    probe(chain: string | undefined): Answer<BackendProbe>
  }
  readonly log: LogControl
  readonly events: Events
  readonly overrides: {
    /** Those of the runtime before, with what is left of their time. */
    kept(): readonly KeptOverride[]
    /** These are in force now. */
    keep(overrides: readonly KeptOverride[]): void
  }
  /** Resolves when all that was changed is on disk, or is known not to get there. */
  saved(): Promise<void>
  /** Another runtime takes over: what is changed here now would be lost. */
  isHanding(): boolean
  /** Our own bugs: a method threw. */
  bug(where: string, error: unknown): void
}

/** Lanes that did not answer in time; what they hold is missing from the result. */
export interface Silent {
  readonly silentLanes: readonly number[]
}

// -- server

export interface ServerInfo {
  readonly version: string
  readonly pid: number
  readonly started: number
  readonly lanes: number
  readonly helper: { readonly mode: 'serve' | 'unit' | 'run'; readonly privileged: boolean }
  readonly generation: number
  readonly sha256: string
  readonly draining: boolean
}

export interface HealthCheck {
  /** `helper`, `listeners`, `programs`, `certificates` if there are any, `descriptors`, `lanes`, `files`, `state`; `fleet` in one; `run`, `sockets`, `upgrade` if something is wrong. */
  readonly name: string
  readonly state: 'ok' | 'warning' | 'failed'
  /** A sentence for people. */
  readonly detail: string
  /** The measured number, if the check is about one: seconds, descriptors, files. */
  readonly value?: number
  readonly limit?: number
}

export type PauseMode = '421' | 'hold'

export interface ListenerState {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly protocol: Protocol
  readonly tls: 'none' | 'starttls' | 'implicit'
  readonly chain: string
  /** How clients may log in; EXTERNAL those with a certificate. */
  readonly mechanisms: readonly string[]
  readonly paused?: PauseMode
  readonly accepted: number
  readonly refused: number
}

/** A change for a limited time, as it is kept on disk. */
export interface KeptOverride {
  readonly id: string
  /** The method that began it. */
  readonly method: string
  /** What it is about: a listener, a user, a component. */
  readonly subject: string
  readonly reason?: string
  /** What comes back when it ends, where that is not plain from the method: a log level. */
  readonly before?: string
  /** What the method has set, where the next runtime has to set it again. */
  readonly value?: string
  readonly since: number
  readonly ends: number
}

// -- rules

export interface RuleList {
  readonly generation: number
  readonly sha256: string
  readonly rules: readonly RuleState[]
}

export interface RuleState {
  readonly line: number
  /** The rule as written. */
  readonly text: string
  readonly event: string
  readonly hits: number
  readonly lastHit?: number
}

export interface RuleQuestion {
  readonly event: string
  readonly request?: string
  readonly reply?: string
  readonly env?: Readonly<Record<string, string>>
  /** One of the two, or the published generation. */
  readonly generation?: number
  readonly text?: string
}

export interface RuleEvaluation {
  readonly request?: string
  readonly reply?: string
  readonly exitcode?: number
  readonly trace: readonly RuleStep[]
}

export interface RuleStep {
  readonly rule: string
  readonly line: number
  readonly matched: boolean
  readonly before: RuleFields
  readonly after: RuleFields
}

export interface RuleFields {
  readonly request?: string
  readonly reply?: string
  readonly exitcode?: number
}

// -- sessions

export type KillMode = 'graceful' | 'now'

export interface SessionAnswer extends Silent {
  readonly sessions: readonly SessionSummary[]
  /** How many match the filter in all, on every page. */
  readonly matched: number
}

export interface TraceRequest {
  readonly filter: SessionFilter
  /** Only sessions accepted from then on. */
  readonly since?: number
}

export interface TraceLine extends SessionIdentity {
  readonly at: number
  /** client: as it came; to-backend: after the rules; backend: as it came; acceptd: as the client gets it. */
  readonly from: 'client' | 'to-backend' | 'backend' | 'acceptd'
  /** The verb, or the reply's code. */
  readonly verb: string
  /** The rest of the line, cut to 500 octets; never that of AUTH, PASS or APOP. */
  readonly text?: string
}

// -- TLS

export interface CertificateState {
  /** In control/tls. */
  readonly line: number
  readonly names: readonly string[]
  /** The host names that it is for by its own word. */
  readonly hosts: readonly string[]
  readonly certificate: string
  readonly subject: string
  readonly issuer: string
  /** Of the key: `ec`, `rsa`, `ed25519`. */
  readonly keyType: string
  readonly begins: number
  readonly expires: number
  /** SHA-256, hexadecimal digits. */
  readonly fingerprint: string
  readonly loaded: number
}

export interface TlsState extends Silent {
  readonly certificates: readonly CertificateState[]
  /** Why what is on the disk is not what is loaded. */
  readonly errors: readonly ConfigError[]
  readonly handshakes: readonly {
    readonly version: string
    readonly cipher: string
    readonly full: number
    readonly resumed: number
  }[]
  readonly failures: Readonly<Record<string, number>>
}

// -- users, login, lanes, backends, log

export interface UserState {
  readonly user: string
  readonly sessions: number
  readonly messages: number
  readonly blocked?: { readonly since: number; readonly reason?: string }
}

export interface AuthQuestion {
  readonly user: string
  readonly password: Uint8Array
  /** A chain's name; left out, the chain of the first listener. */
  readonly chain?: string
  readonly protocol: Protocol
}

export interface AuthOutcome {
  readonly verdict: 'accepted' | 'refused' | 'misused' | 'tempfail' | 'crashed' | 'timeout' | 'blocked'
  readonly chain: string
  readonly uid?: number
  readonly gid?: number
  readonly milliseconds: number
}

export interface Recycled {
  readonly lane: number
  readonly replacement: number
  /** That the old one still had. */
  readonly sessions: number
}

export interface LaneState {
  readonly lane: number
  /** Lanes of one place replace each other. */
  readonly place: number
  readonly state: 'starting' | 'running' | 'draining' | 'silent'
  readonly sessions: number
  readonly generation: number
  readonly started: number
  readonly memoryBytes: number
  /** Event-loop lag, the last second's worst. */
  readonly lagSeconds: number
  readonly deaths: number
}

export interface BackendState {
  readonly chain: string
  readonly kind: 'auth' | 'certificate' | 'guest' | 'probe'
  readonly argv: readonly string[]
  readonly sessions: number
  /** Warm streams waiting for their user. */
  readonly parked: number
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'
