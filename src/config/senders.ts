// control/senders: USER ADDRESS..., which senders a user may give in MAIL. Without the file everybody may give any.

import { err, ok, type Result } from 'neverthrow'
import { lowerCase } from '../protocol/bytes.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import type { Senders } from '../protocol/senders.ts'

export interface SenderLine {
  readonly line: number
  readonly senders: Senders
}

/** By user; `*` is every user without a line. Undefined: senders are not restricted. */
export type SenderRights = ReadonlyMap<string, SenderLine> | undefined

const EVERYBODY = '*'
/** `%` in an address is the user's name. */
const USER = /%/g

const ADDRESS = /^(\*|\*@[^\s@*]+|[^\s@*]+(@[^\s@*]+)?)$/

export function parseSenders(text: string | undefined, file: string): Result<SenderRights, readonly ConfigError[]> {
  if (text === undefined) return ok(undefined)
  const errors: ConfigError[] = []
  const rights = new Map<string, SenderLine>()
  for (const { line, text: raw } of controlLines(text)) {
    const fail = (word: string, problem: string, hint: string) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const [user = '', ...addresses] = raw.trim().split(/[ \t]+/)
    if (addresses.length === 0) fail(user, `\`${user}\` has no address`, `write e.g. ${user} ${user}@example.org`)
    if (rights.has(user)) fail(user, `there are two lines for ${user}`, 'write all addresses of a user on one line')
    for (const address of addresses) {
      if (!ADDRESS.test(address))
        fail(address, `\`${address}\` is not an address`, 'write ann@example.org, *@example.org, %@example.org or *')
    }
    rights.set(user, { line, senders: addresses.map((address) => lowerCase(address)) })
  }
  return errors.length > 0 ? err(errors) : ok(rights)
}

/** What this user may give, with the line that says so; undefined: any. A user without a line may give none but the null sender. */
export function sendersFor(
  rights: SenderRights,
  user: string,
): (Partial<SenderLine> & Pick<SenderLine, 'senders'>) | undefined {
  if (rights === undefined || user === '') return undefined
  const found = rights.get(user) ?? rights.get(EVERYBODY)
  if (found === undefined) return { senders: [] }
  return { line: found.line, senders: found.senders.map((sender) => sender.replace(USER, lowerCase(user))) }
}
