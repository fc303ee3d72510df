// What a change of the configuration would do: start, check, diff, dry run, reload, rollback and HUP all ask here, so that they agree.
//
//   current (loaded)  +  disk  +  only   ->   what would be published, or every error, or what needs a restart; and warnings

import { err, ok, type Result } from 'neverthrow'
import { knowsCiphers } from '../edge/tls.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { loadTls } from './certificates.ts'
import { type Config, compileConfig } from './config.ts'
import { readFleetSecrets } from './fleet.ts'
import { changedFiles, type Disk, hashOf } from './generations.ts'
import { type ControlTexts, filesIn, knobOf, trouble } from './knobs.ts'
import { unknownFile, warningsOf } from './warnings.ts'

/** What is loaded; there is nothing at the start. */
export interface Loaded {
  readonly texts: ControlTexts
  readonly config: Config
}

/** Findings beyond this are counted only: a file with 100,000 bad lines has one cause. */
const MOST_FINDINGS = 100

/** The first findings, and how many there are in all. */
export interface Findings {
  readonly list: readonly ConfigError[]
  readonly count: number
}

export type Verdict =
  | { readonly do: 'publish'; readonly config: Config }
  /** What is loaded says the same. */
  | { readonly do: 'nothing'; readonly config: Config }
  | { readonly do: 'refuse'; readonly errors: Findings }
  /** These files cannot be taken as they are by what runs, and nothing is taken of the others. */
  | { readonly do: 'restart'; readonly files: readonly string[] }
  /** `only` names what is no control file. */
  | { readonly do: 'unknown'; readonly file: string }

export interface Plan {
  readonly verdict: Verdict
  /** What would be published. */
  readonly texts: ControlTexts
  readonly sha256: string
  /** Files whose content the change would change. */
  readonly changed: readonly string[]
  /** What is wanted, files that need a restart included; it differs from `texts` in those alone. */
  readonly wanted: ControlTexts
  /** Files that differ from what is loaded and that only a restart reads. */
  readonly needsRestart: readonly string[]
  readonly warnings: Findings
}

const findings = (all: readonly ConfigError[]): Findings => ({ list: all.slice(0, MOST_FINDINGS), count: all.length })

/** accept-helper does not trust acceptd, so it follows the file itself. */
const HELPER_IS_AHEAD = trouble(
  'chains',
  1,
  1,
  'accept-helper has run these chains since the file was written; a reload is for acceptd itself',
  'see acceptd-chains(5)',
)

/** The plan for a former generation: all but its chains, since accept-helper goes on with those on disk. */
export function planBack(current: Loaded, former: ControlTexts): Plan {
  const texts = chosen(former, current.texts, (name) => name === 'chains')
  // What the former files do not change is not read again: a broken certificate must not hold a rollback.
  const planned = plan(current, diskOf(texts), changedFiles(current.texts, texts))
  if (former['chains'] === current.texts['chains']) return planned
  const problem = 'chains stays as it is, since accept-helper runs the file on disk'
  const kept = trouble('chains', 1, 1, problem, 'write the former file, then reload')
  return { ...planned, warnings: findings([kept, ...planned.warnings.list]) }
}

/** `only`: files to take from the disk; left out, all. */
export function plan(current: Loaded | undefined, disk: Disk, only?: readonly string[]): Plan {
  const isWanted = (name: string) => only === undefined || only.includes(name)
  const wanted = chosen(current?.texts ?? {}, disk.texts, isWanted)
  const texts =
    current === undefined
      ? wanted
      : chosen(current.texts, wanted, (name) => isWanted(name) && knobOf(name)?.changes === 'reload')
  const { verdict, compiled } = judge(current, disk, only, wanted, texts)
  const left = changedFiles(texts, wanted)
  const chains = verdict.do === 'restart' ? verdict.files : []
  return {
    verdict,
    texts,
    sha256: hashOf(texts),
    changed: changedFiles(current?.texts ?? {}, texts),
    wanted,
    needsRestart: filesIn(texts, wanted).filter((name) => left.includes(name) || chains.includes(name)),
    warnings: findings([
      ...warningsOf(wanted, compiled?.rules, only === undefined ? disk.unknown : []),
      ...(current !== undefined && changedFiles(current.texts, wanted).includes('chains') ? [HELPER_IS_AHEAD] : []),
    ]),
  }
}

export interface Start extends Loaded {
  readonly sha256: string
  readonly warnings: Findings
}

/** A kept generation's files as if they lay on the disk. */
export const diskOf = (texts: ControlTexts): Disk => ({ texts, errors: [], unknown: [] })

/** With nothing loaded the disk is taken whole, or refused. */
export function planStart(disk: Disk): Result<Start, Findings> {
  const { verdict, texts, sha256, warnings } = plan(undefined, disk)
  if (verdict.do === 'publish') return ok({ texts, config: verdict.config, sha256, warnings })
  return err(verdict.do === 'refuse' ? verdict.errors : findings([]))
}

function judge(
  current: Loaded | undefined,
  disk: Disk,
  only: readonly string[] | undefined,
  wanted: ControlTexts,
  texts: ControlTexts,
): { readonly verdict: Verdict; readonly compiled?: Config } {
  const unknown = only?.find((name) => knobOf(name) === undefined)
  if (unknown !== undefined) return { verdict: { do: 'unknown', file: unknown } }
  const unread = disk.errors.filter(({ file }) => only === undefined || only.includes(file.replace('control/', '')))
  const whole = compileConfig(wanted)
  // That a file which cannot be read is not there would be said of it twice, and falsely.
  const said = new Set(unread.map(({ file }) => file))
  const wrong = whole.isErr() ? whole.error.filter(({ file }) => !said.has(file)) : unusable(whole.value, only)
  const errors = [...unread, ...wrong]
  if (errors.length > 0 || whole.isErr()) return { verdict: { do: 'refuse', errors: findings(errors) } }
  const compiled = whole.value
  if (current === undefined) return { verdict: { do: 'publish', config: compiled }, compiled }
  const left = changedFiles(texts, wanted)
  const taken = left.length === 0 ? whole : compileConfig(texts)
  // The files are good together; those that a reload takes do not fit what is loaded of the others.
  if (taken.isErr()) return { verdict: { do: 'restart', files: left }, compiled }
  if (bound(current.config) !== bound(taken.value))
    return { verdict: { do: 'restart', files: ['chains', ...left] }, compiled }
  const changes = changedFiles(current.texts, texts).length > 0
  return { verdict: { do: changes ? 'publish' : 'nothing', config: taken.value }, compiled }
}

/** What OpenSSL does not take. The files that control/tls names are read with it, if it is among those to take. */
function unusable(config: Config, only: readonly string[] | undefined): readonly ConfigError[] {
  const errors: ConfigError[] = []
  if (only?.includes('tls') ?? true) loadTls(config, Date.now()).mapErr((all) => errors.push(...all))
  if (only?.includes('fleet') ?? true) readFleetSecrets(config.fleet).mapErr((all) => errors.push(...all))
  if (!knowsCiphers(config.tlsCiphers))
    errors.push(trouble('tlsciphers', 1, 1, 'OpenSSL knows none of these ciphers', 'see openssl-ciphers(1)'))
  return errors
}

/** That files need a restart, said as an error of each. */
export const restartErrors = (files: readonly string[]): Findings =>
  findings(
    files.map((name) =>
      trouble(
        name,
        1,
        1,
        name === 'chains'
          ? 'account, group and socket cannot change while acceptd runs'
          : 'cannot change while acceptd runs, and what else has changed needs it',
        'restart acceptd',
      ),
    ),
  )

/** What acceptd was started with and cannot change: who it is, and where its helper listens. */
const bound = ({ chains: { account, group, socket } }: Config): string => JSON.stringify([account, group, socket])

/** Of each knob the text on one side or the other. */
function chosen(before: ControlTexts, after: ControlTexts, takes: (name: string) => boolean): ControlTexts {
  const texts: Record<string, string> = {}
  for (const name of filesIn(before, after)) {
    const text = (takes(name) ? after : before)[name]
    if (text !== undefined) texts[name] = text
  }
  return texts
}

/** The disk with the caller's texts in place of the files of the same names. */
export function withTexts(disk: Disk, given: ControlTexts): Disk {
  const names = Object.keys(given)
  return {
    texts: { ...disk.texts, ...given },
    errors: [
      ...disk.errors.filter(({ file }) => !names.includes(file.replace('control/', ''))),
      ...names.filter((name) => knobOf(name) === undefined).map(unknownFile),
    ],
    unknown: disk.unknown,
  }
}
