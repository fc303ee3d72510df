// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { HealthCheck, Latency, Sample } from './records.ts'
import type { Count, DryRun, Protocol, Reason, Seconds, Sha256, Time } from './words.ts'

/** Describes the running server: version, process, listeners, lanes, helper, and the published configuration. */
export interface ServerInfoParams {}

export interface ServerInfoResult {
  readonly name: string
  readonly version: string
  readonly protocol: string
  readonly pid: Count
  readonly started: Time
  readonly uptime: Seconds
  readonly listeners: readonly {
    readonly name: string
    readonly address: string
    readonly port: Count
    readonly protocol: Protocol
  }[]
  readonly lanes: Count
  readonly helper: {
    readonly mode: 'serve' | 'unit' | 'run'
    readonly privileged: boolean
  }
  readonly generation: Count
  readonly sha256: Sha256
  readonly draining: boolean
  readonly level: 'control' | 'status'
}

/** Replies immediately. */
export interface ServerPingParams {}

export interface ServerPingResult {
  readonly pong: true
  readonly now: Time
}

/** Shows what this connection may do. */
export interface ServerWhoamiParams {}

export interface ServerWhoamiResult {
  readonly level: 'control' | 'status'
  readonly transport: 'lines' | 'http'
  readonly streams: Count
}

/** Shows every counter and gauge, and percentiles of login, helper, first reply and lane lag, in total and per lane. */
export interface ServerStatsParams {}

export interface ServerStatsResult {
  readonly now: Time
  readonly counters: readonly Sample[]
  readonly latencies: readonly Latency[]
}

/** Shows the same as text for Prometheus, like `GET /metrics`. */
export interface ServerMetricsParams {}

export interface ServerMetricsResult {
  readonly contentType: string
  readonly text: string
}

/** Checks helper, listeners, programs, certificates, descriptors, lanes and control files; `state` is the worst of them. */
export interface ServerHealthParams {}

export interface ServerHealthResult {
  readonly state: 'ok' | 'warning' | 'failed'
  /** One line, as Nagios and its kin show it. */
  readonly summary: string
  readonly checks: readonly HealthCheck[]
}

/** Accepts no new sessions and lets the running ones finish, until server.undrain. */
export interface ServerDrainParams {
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ServerDrainResult {
  readonly draining: boolean
  /** Still running. */
  readonly sessions: Count
  readonly dryRun: boolean
}

/** Accepts new sessions again. */
export interface ServerUndrainParams {
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ServerUndrainResult {
  readonly draining: boolean
  readonly sessions: Count
  readonly dryRun: boolean
}

/** Starts a runtime of the installed program on the same sockets; once it serves, the one before finishes its sessions. If it does not, nothing has changed. */
export interface ServerUpgradeParams {
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ServerUpgradeResult {
  readonly upgraded: boolean
  readonly version: string
  /** The version before. */
  readonly from: string
  /** Of the runtime that serves. */
  readonly pid: Count
  /** That finish in the runtime before. */
  readonly sessions: Count
  readonly milliseconds: Count
  readonly dryRun: boolean
}

/** Stops acceptd: sessions receive 421 at their next boundary and are cut after `grace` seconds. */
export interface ServerStopParams {
  /** Seconds for running sessions to finish. Default 0. */
  readonly grace?: number | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ServerStopResult {
  readonly stopping: boolean
  readonly sessions: Count
  readonly dryRun: boolean
}
