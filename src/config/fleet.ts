// control/fleet: the hosts that share limits, bans, blocks and reloads, and the Valkey or Redis they share them through. WORD VALUE, a line each.

import { err, ok, type Result } from 'neverthrow'
import { hostName, secretIn } from '../edge/secrets.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { nearestName } from '../protocol/nearest.ts'

/** Hosts that have to have prepared a reload of the fleet: all that are there, more than half of them, or so many. */
export type Quorum = 'all' | 'majority' | number

export interface FleetConfig {
  readonly engine: {
    readonly tls: boolean
    readonly host: string
    readonly port: number
    readonly database: number
    /** As it is written. */
    readonly text: string
  }
  readonly user: string | undefined
  readonly password: { readonly file: string; readonly line: number } | undefined
  /** PEM files of those whose signature makes the engine's certificate good; undefined: those of Node. */
  readonly authority: { readonly file: string; readonly line: number } | undefined
  /** Of this host. */
  readonly name: string
  /** Of keys and channels. */
  readonly prefix: string
  readonly quorum: Quorum
  /** Seconds that the other hosts have to answer in. */
  readonly deadline: number
}

const WORDS = ['engine', 'user', 'password', 'authority', 'name', 'prefix', 'quorum', 'deadline'] as const
type Word = (typeof WORDS)[number]

interface Written {
  readonly value: string
  readonly line: number
  /** Of the value. */
  readonly column: number
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const PATH = /^\/\S*$/

/** What each word takes, and what to write. */
const FORMS: Readonly<Record<Word, readonly [fits: (value: string) => boolean, hint: string]>> = {
  engine: [(value) => engineOf(value) !== undefined, 'write redis://HOST:PORT or rediss://HOST:PORT (with TLS)'],
  user: [(value) => /^\S{1,128}$/.test(value), 'write the name of a user of the engine'],
  password: [
    (value) => PATH.test(value),
    'write the path of a file that holds the password, e.g. /etc/acceptd/fleet.key',
  ],
  authority: [(value) => PATH.test(value), 'write the path of a PEM file'],
  name: [(value) => NAME.test(value), 'write letters, digits, dots and hyphens'],
  prefix: [(value) => NAME.test(value), 'write letters, digits, dots and hyphens'],
  quorum: [(value) => /^(?:all|majority|[1-9]\d{0,2})$/.test(value), 'write all, majority, or a number of hosts'],
  deadline: [(value) => /^(?:[1-9]|[1-5]\d|60)$/.test(value), 'write seconds from 1 to 60'],
}

/** Undefined: there is no such file, and this host is on its own. */
export function parseFleet(
  text: string | undefined,
  file: string,
  here = hostName(),
): Result<FleetConfig | undefined, readonly ConfigError[]> {
  if (text === undefined) return ok(undefined)
  const errors: ConfigError[] = []
  const written = new Map<Word, Written>()
  for (const { line, text: raw } of controlLines(text)) {
    const [, word = '', blank = '', value = ''] = /^\s*(\S+)(\s*)(.*?)\s*$/.exec(raw) ?? []
    const at = raw.length - raw.trimStart().length + 1
    const column = at + word.length + blank.length
    const fail = (place: number, problem: string, hint: string) =>
      errors.push({ file, line, column: place, problem, hint })
    const known = WORDS.find((one) => one === word)
    if (known === undefined) {
      const near = nearestName(word, WORDS)
      fail(
        at,
        `\`${word}\` is not known${near === undefined ? '' : `; did you mean ${near}?`}`,
        `write ${WORDS.join(', ')}`,
      )
      continue
    }
    if (written.has(known)) fail(at, `there are two lines ${known}`, 'take one of them out')
    written.set(known, { value, line, column })
    const [fits, hint] = FORMS[known]
    if (value === '') fail(at, `${known} has no value`, hint)
    else if (known === 'engine' && value.includes('@'))
      fail(column, 'no user and no password belong into the address', 'write them as user NAME and password FILE')
    else if (!fits(value))
      fail(column, `\`${value}\` is not ${known === 'engine' ? 'an address' : `a value of ${known}`}`, hint)
  }
  if (!written.has('engine'))
    errors.push({ file, line: 1, column: 1, problem: 'there is no line engine', hint: FORMS.engine[1] })
  if (!written.has('name') && !NAME.test(here))
    errors.push({
      file,
      line: 1,
      column: 1,
      problem: `\`${here}\`, the name of this host, cannot be its name in the fleet`,
      hint: 'add a line name NAME',
    })
  return errors.length > 0 ? err(errors) : ok(configOf(written, here))
}

function configOf(written: ReadonlyMap<Word, Written>, here: string): FleetConfig {
  const of = (word: Word, fallback: string) => written.get(word)?.value ?? fallback
  const fileOf = (word: Word) => {
    const found = written.get(word)
    return found && { file: found.value, line: found.line }
  }
  const text = of('engine', '')
  const quorum = of('quorum', 'majority')
  return {
    engine: { ...(engineOf(text) as NonNullable<ReturnType<typeof engineOf>>), text },
    user: written.get('user')?.value,
    password: fileOf('password'),
    authority: fileOf('authority'),
    name: of('name', here),
    prefix: of('prefix', 'acceptd'),
    quorum: quorum === 'all' || quorum === 'majority' ? quorum : Number(quorum),
    deadline: Number(of('deadline', '5')),
  }
}

function engineOf(text: string): Omit<FleetConfig['engine'], 'text'> | undefined {
  const [, scheme, six, plain, port = '6379', database = '0'] =
    /^(rediss?):\/\/(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?(?:\/(\d{1,3})?)?$/.exec(text) ?? []
  const host = six ?? plain
  if (host === undefined || Number(port) > 65_535 || Number(port) === 0) return undefined
  return { tls: scheme === 'rediss', host, port: Number(port), database: Number(database) }
}

/** What the files of control/fleet hold. It leaves this process nowhere but to the engine. */
export interface FleetSecrets {
  readonly password: string | undefined
  readonly authority: string | undefined
}

/** Reads the files that control/fleet names. */
export function readFleetSecrets(fleet: FleetConfig | undefined): Result<FleetSecrets, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const read = (named: FleetConfig['password'], isSecret: boolean): string | undefined => {
    if (named === undefined) return undefined
    return secretIn(named.file, isSecret).match(
      (text) => text,
      ({ problem, hint }) => {
        errors.push({ file: 'control/fleet', line: named.line, column: 1, problem: `${named.file} ${problem}`, hint })
        return undefined
      },
    )
  }
  const password = read(fleet?.password, true)?.split('\n')[0]
  const authority = read(fleet?.authority, false)
  if (password === '' && fleet?.password !== undefined)
    errors.push({
      file: 'control/fleet',
      line: fleet.password.line,
      column: 1,
      problem: `${fleet.password.file} is empty`,
      hint: 'write the password into its first line',
    })
  return errors.length > 0 ? err(errors) : ok({ password, authority })
}
