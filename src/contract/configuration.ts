// The configuration as the control plane sees it: knobs, files, generations, and what a change of it would do or has done.

import type { ConfigError } from '../protocol/errors.ts'
import type { SessionFilter } from './pages.ts'

export interface Knob {
  readonly name: string
  /** Left out for a secret. */
  readonly value?: string
  readonly secret: boolean
  /** A file of lines of their own syntax: its text is for control.sock only. */
  readonly table: boolean
  readonly source:
    | { readonly from: 'file'; readonly file: string; readonly line: number }
    | { readonly from: 'default' }
  /** Whether a reload changes it, or only a restart of acceptd. */
  readonly changes: 'reload' | 'restart'
}

/** fleet: another host has published it while this one was away. */
export const CHANGED_BY = ['start', 'signal', 'file', 'control', 'fleet'] as const
export type ChangedBy = (typeof CHANGED_BY)[number]

export interface Generation {
  readonly generation: number
  readonly sha256: string
  readonly published: number
  readonly by: ChangedBy
  readonly reason?: string
  readonly rules: number
  readonly sessions: number
}

export interface ConfigStatus {
  readonly current: Generation
  readonly files: readonly FileState[]
  readonly lastError?: {
    readonly at: number
    readonly by: ChangedBy
    /** At most a hundred, of `errorCount`. */
    readonly errors: readonly ConfigError[]
    readonly errorCount: number
  }
  /** Every generation that a session uses, the current one included. */
  readonly generations: readonly Generation[]
}

export interface FileState {
  readonly name: string
  /** Left out when there is no such file now / was none when it was read. */
  readonly diskSha256?: string
  readonly loadedSha256?: string
}

export const EXPLAINED = [
  'knob',
  'value',
  'rule',
  'listener',
  'chain',
  'limit',
  'access',
  'sender',
  'certificate',
  'comment',
] as const

/** What a control file, or one of its lines, means. */
export interface Meaning {
  readonly kind: (typeof EXPLAINED)[number]
  /** The line as it is written; of a knob the value in force, if it is a single one. */
  readonly text?: string
  /** Of a listener, a chain, a limit. */
  readonly name?: string
  /** Sentences. */
  readonly does: readonly string[]
  /** The sessions that it is about, where not all are. */
  readonly filter?: SessionFilter
  /** What of the configuration names it: `listener submission`. */
  readonly usedBy?: readonly string[]
}

/** The same, with who uses it. */
export interface Explanation extends Meaning {
  readonly file: string
  readonly line?: number
  /** The first of the generations without a gap up to the published one that say the same there. */
  readonly since: { readonly generation: number; readonly published: number }
  /** The file on disk differs from the one that is explained. */
  readonly drift: boolean
  readonly needsRestart: boolean
  /**
   * Of a rule: replies that it matched; of a limit: what it refused; of a listener: sessions that it accepted; of an access line: clients
   * that it decided on; of a line of senders: MAIL commands that it judged; of certusers: certificates that it fitted.
   */
  readonly hits?: number
  readonly lastHit?: number
  /** Generations that say the same there, with their sessions. */
  readonly uses: readonly { readonly generation: number; readonly sessions: number }[]
  /** Sessions that it is about. */
  readonly sessions: number
}

export interface CheckReport {
  /** At most a hundred, of `errorCount`. */
  readonly errors: readonly ConfigError[]
  readonly errorCount: number
  /** At most a hundred, of `warningCount`. */
  readonly warnings: readonly ConfigError[]
  readonly warningCount: number
  /** Files that a reload would leave as they are loaded. */
  readonly needsRestart: readonly string[]
  /** Of what would be published. */
  readonly sha256: string
}

export interface FileDifference {
  readonly name: string
  /** Left out where there is no such file on that side. */
  readonly loaded?: string
  readonly wanted?: string
  /** A reload leaves it as it is. */
  readonly needsRestart: boolean
}

export type Apply = 'new-sessions' | 'next-transaction'

export type ChangeRequest = {
  readonly apply: Apply
  readonly by: ChangedBy
  readonly reason?: string
  /** Answers what would be done. */
  readonly dryRun: boolean
} & (
  | {
      readonly from: 'disk'
      /** Files to read again; left out, all. */
      readonly only?: readonly string[]
    }
  | {
      readonly from: 'history'
      /** Left out: the last one that says something else than the current one. */
      readonly generation?: number
    }
)

export interface Published {
  readonly generation: number
  readonly previous: number
  readonly sha256: string
  /** Nothing was published, since it would have said the same. */
  readonly unchanged: boolean
  /** Names of the files whose content differs from the previous generation's. */
  readonly changed: readonly string[]
  /** Files that differ and that only a restart of acceptd reads. */
  readonly needsRestart: readonly string[]
  /** At most a hundred. */
  readonly warnings: readonly ConfigError[]
  readonly rules: number
  readonly lanes: number
  readonly olderSessions: number
  readonly milliseconds: number
}

/** Every lane is ready for it, and none has it. */
export interface PreparedPublication {
  /** Of the files that hosts of a fleet can have in common. */
  readonly common: string
  readonly sha256: string
  readonly publish: () => Promise<Published>
  readonly forget: () => void
}
