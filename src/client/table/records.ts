// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { ChangedBy, Count, Id, Name, PauseMode, Protocol, Seconds, SessionState, Sha256, Time } from './words.ts'

export interface SessionIdentity {
  readonly id: Id
  readonly protocol: Protocol
  readonly state: SessionState
  readonly listener: string
  readonly lane: Count
  readonly generation: Count
  readonly ip: string
  readonly port: Count
  readonly tls?: {
    readonly version: string
    readonly cipher: string
    readonly name?: string | undefined
    readonly client?: string | undefined
  } | undefined
  readonly user?: string | undefined
  readonly started: Time
}

export interface Sample {
  readonly name: string
  readonly labels: {
    readonly [name: string]: string
  }
  readonly value: number
}

export interface Latency {
  readonly name: string
  readonly labels: {
    readonly [name: string]: string
  }
  readonly count: Count
  readonly sum: Seconds
  readonly p50: Seconds
  readonly p95: Seconds
  readonly p99: Seconds
}

export interface HealthCheck {
  readonly name: string
  readonly state: 'ok' | 'warning' | 'failed'
  readonly detail: string
  readonly value?: number | undefined
  readonly limit?: number | undefined
}

export interface Listener {
  readonly name: Name
  readonly address: string
  readonly port: Count
  readonly protocol: Protocol
  readonly tls: 'none' | 'starttls' | 'implicit'
  readonly chain: string
  /** How clients may log in, in TLS where that is required; EXTERNAL: with a certificate. */
  readonly mechanisms: readonly string[]
  readonly paused?: PauseMode | undefined
  readonly accepted: Count
  readonly refused: Count
}

export interface Knob {
  readonly name: string
  readonly value?: string | undefined
  readonly secret: boolean
  /** A file of lines; status.sock does not show what it says. */
  readonly table: boolean
  readonly source: {
    readonly from: 'file'
    readonly file: string
    readonly line: Count
  } | {
    readonly from: 'default'
  }
  /** Whether a change needs a restart of acceptd. */
  readonly needsRestart: boolean
}

export interface ConfigError {
  readonly file: string
  readonly line: Count
  readonly column: Count
  readonly message: string
  readonly hint: string
}

export interface Generation {
  readonly generation: Count
  readonly sha256: Sha256
  readonly published: Time
  readonly by: ChangedBy
  readonly reason?: string | undefined
  readonly rules: Count
  readonly sessions: Count
}

export interface FleetHost {
  readonly name: string
  /** It has been heard of in the last seconds. */
  readonly here: boolean
  readonly heard: Time
  readonly version: string
  readonly generation: Count
  readonly sha256: Sha256
  /** Of all files but me and fleet, which hosts cannot have in common. */
  readonly common: Sha256
}

export interface FileDifference {
  readonly file: string
  readonly state: 'changed' | 'added' | 'removed'
  /** A reload leaves it as it is; only a restart of acceptd reads it. */
  readonly needsRestart: boolean
  readonly lines: readonly ({
    readonly op: '+' | '-'
    readonly line: Count
    readonly text?: string | undefined
  })[]
}

export interface Publication {
  readonly generation: Count
  readonly previous: Count
  readonly sha256: Sha256
  /** Nothing was published, since nothing differs. */
  readonly unchanged: boolean
  /** Files whose content differs from the previous generation. */
  readonly changed: readonly string[]
  /** Files that differ and that only a restart of acceptd reads. */
  readonly needsRestart: readonly string[]
  readonly warnings: readonly ConfigError[]
  readonly rules: Count
  /** Lanes that acknowledged it. */
  readonly lanes: Count
  /** Sessions that continue with an older generation. */
  readonly olderSessions: Count
  readonly milliseconds: number
  readonly dryRun: boolean
}

export interface Rule {
  readonly line: Count
  readonly text?: string | undefined
  readonly event: string
  readonly hits: Count
  readonly lastHit?: Time | undefined
}

export interface RuleFields {
  readonly request?: string | undefined
  readonly reply?: string | undefined
  readonly exitcode?: number | undefined
}

export interface RuleStep {
  readonly rule?: string | undefined
  readonly line: Count
  readonly matched: boolean
  readonly before: RuleFields
  readonly after: RuleFields
}

export interface Session {
  readonly id: Id
  readonly protocol?: Protocol | undefined
  readonly state?: SessionState | undefined
  readonly listener?: string | undefined
  readonly lane?: Count | undefined
  readonly generation?: Count | undefined
  readonly ip?: string | undefined
  readonly port?: Count | undefined
  readonly proxy?: string | undefined
  readonly tls?: {
    readonly version: string
    readonly cipher: string
    readonly name?: string | undefined
    readonly client?: string | undefined
  } | undefined
  readonly helo?: string | undefined
  readonly user?: string | undefined
  readonly started?: Time | undefined
  readonly idle?: Seconds | undefined
  readonly login?: {
    readonly at: Time
    readonly mechanism: string
  } | undefined
  readonly backend?: {
    readonly chain: string
    readonly pid: Count
    readonly uid: Count
    readonly gid: Count
  } | undefined
  readonly messages?: Count | undefined
  readonly recipients?: Count | undefined
  readonly bytesIn?: Count | undefined
  readonly bytesOut?: Count | undefined
  readonly lastVerb?: string | undefined
}

export interface SessionDetail {
  readonly id: Id
  readonly protocol: Protocol
  readonly state: SessionState
  readonly listener: string
  readonly lane: Count
  readonly generation: Count
  readonly ip: string
  readonly port: Count
  readonly proxy?: string | undefined
  readonly tls?: {
    readonly version: string
    readonly cipher: string
    readonly name?: string | undefined
    readonly client?: string | undefined
  } | undefined
  readonly helo?: string | undefined
  readonly user?: string | undefined
  readonly started: Time
  readonly idle: Seconds
  readonly login?: {
    readonly at: Time
    readonly mechanism: string
  } | undefined
  readonly backend?: {
    readonly chain: string
    readonly pid: Count
    readonly uid: Count
    readonly gid: Count
  } | undefined
  readonly messages: Count
  readonly recipients: Count
  readonly bytesIn: Count
  readonly bytesOut: Count
  readonly lastVerb?: string | undefined
  readonly verbs: readonly ({
    readonly at: Time
    readonly verb: string
    readonly code?: string | undefined
  })[]
  readonly actors: readonly {
    readonly name: string
    readonly at: string
    readonly waiting: Count
  }[]
}

export interface Certificate {
  /** In control/tls. */
  readonly names: readonly string[]
  readonly issuer: string
  readonly expires: Time
  /** SHA-256 of the certificate. */
  readonly fingerprint: Sha256
  readonly loaded: Time
  readonly keyType: string
  readonly begins: Time
  readonly subject: string
  /** In the certificate. */
  readonly hosts: readonly string[]
  /** The file. */
  readonly certificate?: string | undefined
  /** Of control/tls. */
  readonly line: Count
}

export interface LimitLine {
  readonly name: string
  readonly line: Count
  readonly text?: string | undefined
  readonly rate: string
  /** By limit.set. */
  readonly set: boolean
  /** Those that are counted now. */
  readonly subjects: Count
  readonly refused: Count
  /** The subject that has most. */
  readonly nearest?: {
    readonly subject: string
    readonly used: Count
    readonly most?: Count | undefined
  } | undefined
}

export interface LimitUse {
  readonly name: string
  readonly line: Count
  readonly text?: string | undefined
  readonly rate: string
  readonly subject: string
  readonly used: Count
  readonly most?: Count | undefined
  /** One more would be refused. */
  readonly full: boolean
}

export interface Penalty {
  readonly limit: string
  readonly scope: string
  readonly subject: string
  readonly kind: 'delay' | 'ban'
  /** In the last ten minutes. */
  readonly failures?: Count | undefined
  /** Seconds that the next wrong password waits for its answer. */
  readonly delay?: number | undefined
  readonly ends?: Time | undefined
}

export interface User {
  readonly user: string
  readonly sessions: Count
  readonly messages: Count
  readonly blocked?: {
    readonly since: Time
    readonly reason?: string | undefined
  } | undefined
}

export interface Lane {
  readonly lane: Count
  /** Lanes of one place replace each other; metrics are by place. */
  readonly place: Count
  readonly state: 'starting' | 'running' | 'draining' | 'silent'
  readonly sessions: Count
  readonly generation: Count
  readonly started: Time
  readonly memoryBytes: Count
  readonly lagSeconds: Seconds
  readonly deaths: Count
}

export interface Backend {
  readonly chain: string
  readonly kind: 'auth' | 'certificate' | 'guest' | 'probe'
  readonly argv?: readonly string[] | undefined
  readonly sessions: Count
  readonly parked: Count
}

export interface LogError {
  readonly at: Time
  readonly level: 'error' | 'warn'
  readonly event: string
  /** As in the line of the log; on status.sock without what may quote control/ or give a reason. */
  readonly fields: {
    readonly [name: string]: unknown
  }
}

export interface Operation {
  readonly id: string
  readonly method: string
  /** What it is about: a listener, a user, a component, a subscription. */
  readonly subject: string
  readonly reason?: string | undefined
  readonly since: Time
  readonly ends: Time
}
