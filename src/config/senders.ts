// control/senders: USER ADDRESS..., which senders a user may give in MAIL. Without the file everybody may give any.
//
//   ann ann@example.org *@lists.example.org
//   cdb:/etc/acceptd/senders.cdb          users who have no line here: the same lines, compiled
//   * %@example.org

import { err, ok, type Result } from 'neverthrow'
import { lookUp } from '../edge/cdb.ts'
import { lowerCase } from '../protocol/bytes.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { NoAnswer, Senders } from '../protocol/senders.ts'
import { lineKey } from './knobs.ts'

export interface SenderLine {
  readonly line: number
  /** See lineKey. */
  readonly key: string
  readonly senders: Senders
}

export interface CompiledSenders {
  readonly line: number
  /** See lineKey. */
  readonly key: string
  readonly file: string
}

export interface SenderTable {
  /** `*` is every user who is in neither. */
  readonly byUser: ReadonlyMap<string, SenderLine>
  readonly compiled: CompiledSenders | undefined
}

/** Undefined: senders are not restricted. */
export type SenderRights = SenderTable | undefined

const EVERYBODY = '*'
/** `%` in an address is the user's name. */
const USER = /%/g

const ADDRESS = /^(\*|\*@[^\s@*]+|[^\s@*]+(@[^\s@*]+)?)$/
const COMPILED = /^cdb:(.*)$/

export function parseSenders(text: string | undefined, file: string): Result<SenderRights, readonly ConfigError[]> {
  if (text === undefined) return ok(undefined)
  const errors: ConfigError[] = []
  const byUser = new Map<string, SenderLine>()
  let compiled: CompiledSenders | undefined
  for (const { line, text: raw } of controlLines(text)) {
    const fail = (word: string, problem: string, hint: string) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const [user = '', ...addresses] = raw.trim().split(/[ \t]+/)
    const named = addresses.length === 0 ? COMPILED.exec(user)?.[1] : undefined
    if (named !== undefined) {
      if (!named.startsWith('/')) fail(user, `\`${named}\` is not an absolute path`, 'write the whole path of a cdb')
      if (compiled !== undefined) fail(user, 'there are two lines that name a cdb', 'write all users into one')
      compiled = { line, key: lineKey(file, raw), file: named }
      continue
    }
    if (addresses.length === 0) fail(user, `\`${user}\` has no address`, `write e.g. ${user} ${user}@example.org`)
    if (byUser.has(user)) fail(user, `there are two lines for ${user}`, 'write all addresses of a user on one line')
    for (const address of addresses) {
      if (!ADDRESS.test(address))
        fail(address, `\`${address}\` is not an address`, 'write ann@example.org, *@example.org, %@example.org or *')
    }
    byUser.set(user, { line, key: lineKey(file, raw), senders: addresses.map((address) => lowerCase(address)) })
  }
  return errors.length > 0 ? err(errors) : ok({ byUser, compiled })
}

interface Found {
  /** Undefined: no line says it. */
  readonly line: number | undefined
  readonly key?: string
  readonly senders: Senders | NoAnswer
}

/** What this user may give; undefined: any. A user who is nowhere may give none but the null sender. */
export function sendersFor(rights: SenderRights, user: string): Found | undefined {
  if (rights === undefined || user === '') return undefined
  const { byUser, compiled } = rights
  const own = byUser.get(user)
  if (own !== undefined) return { ...own, senders: withName(own.senders, user) }
  const everybody = byUser.get(EVERYBODY)
  if (compiled !== undefined) {
    // The user's own record counts before the line of everybody, and that before everybody's record.
    const data = lookUp(compiled.file, everybody === undefined ? [user, EVERYBODY] : [user])
    if (data.isErr())
      return { line: compiled.line, key: compiled.key, senders: { unknown: `${compiled.file}: ${data.error}` } }
    if (data.value !== undefined) {
      const senders = lowerCase(data.value)
        .split(/[ \t\r\n]+/)
        .filter((address) => address !== '')
      return { line: compiled.line, key: compiled.key, senders: withName(senders, user) }
    }
  }
  if (everybody === undefined) return { line: undefined, senders: [] }
  return { ...everybody, senders: withName(everybody.senders, user) }
}

const withName = (senders: Senders, user: string): Senders =>
  senders.map((sender) => sender.replace(USER, () => lowerCase(user)))
