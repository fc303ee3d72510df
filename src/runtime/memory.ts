// What this runtime was told and the next one has to know, as one value: generations, blocks, pauses, levels, overrides. store.ts keeps it.

import type { ControlTexts } from '../config/knobs.ts'
import { CHANGED_BY, type ChangedBy } from '../contract/configuration.ts'
import type { KeptOverride, LogLevel, PauseMode } from '../contract/daemon.ts'
import { isLogComponent, type LogComponent } from '../contract/log.ts'
import { sha256Of } from '../edge/control-files.ts'
import type { Content, Left } from '../edge/store.ts'
import { bytesOf } from '../protocol/bytes.ts'

/** A generation without what is compiled of it. */
export interface KeptGeneration {
  readonly generation: number
  readonly sha256: string
  readonly texts: ControlTexts
  readonly published: number
  readonly by: ChangedBy
  readonly reason: string | undefined
  readonly rules: number
}

export interface Block {
  readonly since: number
  readonly reason: string | undefined
}

export interface Memory {
  /** The oldest first; the last one is in force. */
  readonly generations: readonly KeptGeneration[]
  readonly blocks: ReadonlyMap<string, Block>
  /** By the listener's name. */
  readonly pauses: ReadonlyMap<string, PauseMode>
  /** In place of what control/loglevel says. */
  readonly levels: ReadonlyMap<LogComponent, LogLevel>
  readonly draining: boolean
  readonly overrides: readonly KeptOverride[]
  /** Lanes that died, by place. */
  readonly deaths: ReadonlyMap<number, number>
  /** Of the orders of a fleet, the time of the latest that was carried out or can be missed; 0: none. */
  readonly seen: number
}

export const NOTHING_KEPT: Memory = {
  generations: [],
  blocks: new Map(),
  pauses: new Map(),
  levels: new Map(),
  draining: false,
  overrides: [],
  deaths: new Map(),
  seen: 0,
}

/** Of the text. A greater one belongs to a later acceptd. */
const VERSION = 1

interface StoredText {
  readonly version: number
  readonly generations: readonly (Omit<KeptGeneration, 'texts' | 'reason'> & {
    readonly reason?: string
    readonly files: Readonly<Record<string, string>>
  })[]
  readonly blocks: readonly { readonly user: string; readonly since: number; readonly reason?: string }[]
  readonly pauses: readonly { readonly listener: string; readonly mode: PauseMode }[]
  /** As the first releases had it: of all. */
  readonly level?: LogLevel
  readonly levels?: readonly (readonly [component: string, level: LogLevel])[]
  readonly draining: boolean
  readonly overrides: readonly KeptOverride[]
  readonly deaths: readonly (readonly [place: number, deaths: number])[]
  readonly seen?: number
}

/** By the texts of a generation, which never change. */
const hashes = new WeakMap<ControlTexts, ReadonlyMap<string, string>>()

/** The sha256 of each file, by its name. */
function hashesOf(texts: ControlTexts): ReadonlyMap<string, string> {
  const known = hashes.get(texts)
  if (known !== undefined) return known
  const made = new Map(Object.entries(texts).map(([name, text]) => [name, sha256Of(bytesOf(text))]))
  hashes.set(texts, made)
  return made
}

export function contentOf(memory: Memory): Content {
  const files = new Map<string, string>()
  const generations = memory.generations.map(({ texts, reason, ...generation }) => {
    const names = hashesOf(texts)
    for (const [name, sha256] of names) files.set(sha256, texts[name] ?? '')
    return { ...generation, ...given({ reason }), files: Object.fromEntries(names) }
  })
  const stored: StoredText = {
    version: VERSION,
    generations,
    blocks: [...memory.blocks].map(([user, { since, reason }]) => ({ user, since, ...given({ reason }) })),
    pauses: [...memory.pauses].map(([listener, mode]) => ({ listener, mode })),
    levels: [...memory.levels],
    draining: memory.draining,
    overrides: memory.overrides,
    deaths: [...memory.deaths],
    seen: memory.seen,
  }
  return { text: `${JSON.stringify(stored, undefined, 1)}\n`, files }
}

/** Without the members that are undefined. */
const given = <T extends object>(members: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as never

export interface Recalled {
  readonly memory: Memory
  /** What could not be taken as it was found: a sentence without a full stop. */
  readonly troubles: readonly string[]
}

/** What an earlier runtime kept. What cannot be read is put aside, never an obstacle. */
export function recall(left: Left): Recalled {
  try {
    const text = left.read()
    if (text === undefined) return { memory: NOTHING_KEPT, troubles: [] }
    return read(text, left.file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return {
      memory: NOTHING_KEPT,
      troubles: [`${left.directory}: what was kept there is not taken: ${why}${asideOf(left)}`],
    }
  }
}

function asideOf(left: Left): string {
  try {
    return `; it is now ${left.putAside()}`
  } catch {
    return ''
  }
}

function read(text: string, file: Left['file']): Recalled {
  const { version, ...rest } = JSON.parse(text) as StoredText
  if (version !== VERSION) throw new Error(`version ${version} is not ${VERSION}`)
  const troubles: string[] = []
  const generations = rest.generations.flatMap(({ files, reason, ...generation }): KeptGeneration[] => {
    const texts = textsOf(files, file)
    if (texts === undefined) troubles.push(`the files of generation ${generation.generation} are not whole`)
    return texts === undefined ? [] : [{ ...numbered(generation), reason: optional(reason, isText), texts }]
  })
  const memory: Memory = {
    generations,
    blocks: new Map(
      rest.blocks.map(({ user, since, reason }) => [
        the(user, isText),
        { since: the(since, isNumber), reason: optional(reason, isText) },
      ]),
    ),
    pauses: new Map(rest.pauses.map(({ listener, mode }) => [the(listener, isText), the(mode, isMode)])),
    levels: new Map(
      (rest.levels ?? (rest.level === undefined ? [] : [['acceptd', rest.level] as const])).map(
        ([component, level]) => [the(component, isComponent), the(level, isLevel)],
      ),
    ),
    draining: the(rest.draining, isBoolean),
    overrides: rest.overrides.map(overrideOf),
    deaths: new Map(rest.deaths.map(([place, deaths]) => [the(place, isNumber), the(deaths, isNumber)])),
    seen: optional(rest.seen, isNumber) ?? 0,
  }
  return { memory, troubles }
}

const overrideOf = ({ id, method, subject, reason, since, ends, before, value }: KeptOverride): KeptOverride => ({
  id: the(id, isText),
  method: the(method, isText),
  subject: the(subject, isText),
  ...given({ reason: optional(reason, isText), before: optional(before, isText), value: optional(value, isText) }),
  since: the(since, isNumber),
  ends: the(ends, isNumber),
})

const numbered = ({ generation, sha256, published, by, rules }: Omit<KeptGeneration, 'texts' | 'reason'>) => ({
  generation: the(generation, isNumber),
  sha256: the(sha256, isText),
  published: the(published, isNumber),
  by: the(by, isChanger),
  rules: the(rules, isNumber),
})

/** Undefined if one of them is not there, or no longer what it was. */
function textsOf(files: Readonly<Record<string, string>>, file: Left['file']): ControlTexts | undefined {
  const texts: Record<string, string> = {}
  for (const [name, sha256] of Object.entries(files)) {
    const text = /^[0-9a-f]{64}$/.test(sha256) ? file(sha256) : undefined
    if (text === undefined) return undefined
    texts[name] = text
  }
  return texts
}

type Check<T> = (value: unknown) => value is T

function the<T>(value: unknown, is: Check<T>): T {
  if (!is(value)) throw new Error(`${JSON.stringify(value)} does not belong there`)
  return value
}

const optional = <T>(value: unknown, is: Check<T>): T | undefined => (value === undefined ? undefined : the(value, is))

const isText = (value: unknown): value is string => typeof value === 'string'
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean'
const isNumber = (value: unknown): value is number => Number.isSafeInteger(value)
const oneOf =
  <T extends string>(...words: readonly T[]): Check<T> =>
  (value): value is T =>
    words.some((word) => word === value)
const isMode = oneOf<PauseMode>('421', 'hold')
const isComponent = (value: unknown): value is LogComponent => isText(value) && isLogComponent(value)
const isLevel = oneOf<LogLevel>('error', 'warn', 'info', 'debug')
const isChanger = oneOf<ChangedBy>(...CHANGED_BY)
