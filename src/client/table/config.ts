// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { ConfigError, FileDifference, FleetHost, Generation, Knob, Publication } from './records.ts'
import type { Apply, ChangedBy, Count, DryRun, Fleet, Reason, Sha256, Time } from './words.ts'

/** Shows the knobs in force, each with the source of its value, without secrets. */
export interface ConfigGetParams {
  /** Only knobs that match this glob. */
  readonly name?: string | undefined
}

export interface ConfigGetResult {
  readonly generation: Count
  readonly sha256: Sha256
  readonly knobs: readonly Knob[]
}

/** Shows what is published, since when and why, what differs on disk, and the last errors. */
export interface ConfigStatusParams {
  /** And what every host of the fleet has published. Default false. */
  readonly fleet?: Fleet | undefined
}

export interface ConfigStatusResult {
  readonly generation: Count
  readonly sha256: Sha256
  readonly published: Time
  readonly by: ChangedBy
  readonly reason?: string | undefined
  readonly rules: Count
  readonly sessions: Count
  /** Whether a file on disk differs from what was loaded. */
  readonly drift: boolean
  readonly files: readonly ({
    readonly name: string
    readonly disk?: Sha256 | undefined
    readonly loaded?: Sha256 | undefined
    readonly drift: boolean
  })[]
  readonly lastError?: {
    readonly at: Time
    readonly by: ChangedBy
    readonly errors: readonly ConfigError[]
    readonly errorCount: Count
  } | undefined
  /** Those that a session uses. */
  readonly generations: readonly Generation[]
  /** With fleet: all hosts that are known, this one included. */
  readonly hosts?: readonly FleetHost[] | undefined
}

/** Reads and compiles the control files, or the given texts, and reports every error; changes nothing. */
export interface ConfigCheckParams {
  /** Texts to use instead of the control files of these names; by default those on disk. */
  readonly files?: {
    readonly [name: string]: string
  } | undefined
}

export interface ConfigCheckResult {
  readonly ok: boolean
  /** The first hundred. */
  readonly errors: readonly ConfigError[]
  readonly errorCount: Count
  /** The first hundred. */
  readonly warnings: readonly ConfigError[]
  readonly warningCount: Count
  /** Files that a reload would not change, since they need a restart. */
  readonly needsRestart: readonly string[]
  /** Of what a reload would publish. */
  readonly sha256: Sha256
}

/** Shows line by line what a reload of the control files, or of the given texts, would change. */
export interface ConfigDiffParams {
  /** Texts to use instead of the control files of these names; by default those on disk. */
  readonly files?: {
    readonly [name: string]: string
  } | undefined
}

export interface ConfigDiffResult {
  readonly generation: Count
  readonly sha256: Sha256
  readonly files: readonly FileDifference[]
}

/** Reads the control files again and publishes them to all lanes together; an error leaves everything as it was. */
export interface ConfigReloadParams {
  /** Only these files; by default all. */
  readonly only?: readonly string[] | undefined
  /** Which sessions get it: new ones only, or running ones too, at their next transaction. Default "new-sessions". */
  readonly apply?: Apply | undefined
  /** Only if this is still the sha256 of the published configuration. */
  readonly ifSha256?: Sha256 | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** On every host of the fleet, each from its own disk: all publish it, or none does. Default false. */
  readonly fleet?: Fleet | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export interface ConfigReloadResult {
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
  /** With fleet: the other hosts that have answered. */
  readonly hosts?: readonly ({
    readonly host: string
    readonly generation?: Count | undefined
    readonly sha256?: Sha256 | undefined
    /** Why it was not done there. */
    readonly error?: string | undefined
  })[] | undefined
  /** With fleet: hosts that have not answered; what lasts they do when they are back. */
  readonly silentHosts?: readonly string[] | undefined
}

/** Lists the kept generations, newest first. */
export interface ConfigHistoryParams {}

export interface ConfigHistoryResult {
  readonly generation: Count
  readonly sha256: Sha256
  readonly generations: readonly Generation[]
}

/** Publishes a kept generation again, under a new number. */
export interface ConfigRollbackParams {
  /** A number of config.history; by default the last one that differs from the current one. */
  readonly generation?: Count | undefined
  /** Which sessions get it: new ones only, or running ones too, at their next transaction. Default "new-sessions". */
  readonly apply?: Apply | undefined
  /** Only if this is still the sha256 of the published configuration. */
  readonly ifSha256?: Sha256 | undefined
  /** The reason, for the log and for later queries. */
  readonly reason?: Reason | undefined
  /** Report what would happen and change nothing. Default false. */
  readonly dryRun?: DryRun | undefined
}

export type ConfigRollbackResult = Publication

/** Says what a control file or one of its lines does, since when, how often it did, and who uses it. */
export interface ConfigExplainParams {
  /** A control file, by its name or with its path. */
  readonly file: string
  /** One of its lines; to acceptctl also as FILE:LINE. */
  readonly line?: number | undefined
}

export interface ConfigExplainResult {
  readonly file: string
  readonly line?: Count | undefined
  readonly kind: 'knob' | 'value' | 'rule' | 'listener' | 'chain' | 'limit' | 'access' | 'sender' | 'certificate' | 'comment'
  /** Of a listener, a chain or a limit. */
  readonly name?: string | undefined
  /** As it is written; of a knob the value in force. */
  readonly text?: string | undefined
  /** Sentences; none on status.sock. */
  readonly does: readonly string[]
  /** Since when it says so without a gap. */
  readonly since: {
    readonly generation: Count
    readonly published: Time
  }
  /** Of a rule replies that it matched, of a limit refusals, of a listener sessions accepted, of an access line clients decided on, of a line of senders MAIL commands judged, of certusers certificates that it fitted. */
  readonly hits?: Count | undefined
  readonly lastHit?: Time | undefined
  /** Those that it is about: of the filter, of the chain, else of the generations. */
  readonly sessions: Count
  /** For session.list: the sessions that it is about. */
  readonly filter?: {
    readonly [name: string]: unknown
  } | undefined
  /** What of the configuration names it. */
  readonly usedBy?: readonly string[] | undefined
  /** Generations in use that say the same. */
  readonly uses: readonly {
    readonly generation: Count
    readonly sessions: Count
  }[]
  /** A change of it needs a restart of acceptd. */
  readonly needsRestart: boolean
  /** The file on disk differs from the published one, which is explained. */
  readonly drift: boolean
}
