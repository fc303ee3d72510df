// control/chains, the daemon's view of it: names, kinds, and what the helper does not need to know. The helper parses it for itself.

import { err, ok, type Result } from 'neverthrow'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { CHECKED_MECHANISMS, type CheckedMechanism, CREDENTIALS_LIMIT } from '../protocol/sasl.ts'

export interface ChainConfig {
  readonly name: string
  readonly line: number
  /** certificate: TLS has shown who the client is; probe: a guest's that no listener serves; backend.probe runs it. */
  readonly kind: 'auth' | 'certificate' | 'guest' | 'probe'
  /** The program that serves after login, with its arguments. */
  readonly backend: readonly string[]
  readonly checkpassword: readonly string[]
  /** Fixed variables, NAME=VALUE. */
  readonly variables: readonly string[]
  /** Octets that checkpassword reads: user, password and timestamp, each with a NUL. */
  readonly credentials: number
  /** What its checkpassword can check; undefined: plain passwords, as ever. */
  readonly mechanisms: readonly CheckedMechanism[] | undefined
  /** Seconds a verified password may open a parked backend; 0: never. */
  readonly warm: number
  /** Seconds for which the helper need not hash a verified password again; 0: it always does. */
  readonly verified: number
}

export interface ChainsFile {
  /** User name or number: who runs acceptd and may use the helper. */
  readonly account: string
  readonly group: string
  readonly socket: string
  /** Processes of sessions at the same time. */
  readonly maxProcesses: number
  readonly attemptsPerSecond: number
  readonly chains: readonly ChainConfig[]
}

/** Words of the first part: the value that holds without them, and the largest number where it is one; the smallest is 1. */
const TOP: Readonly<Record<string, { readonly without: string; readonly most?: number }>> = {
  account: { without: 'acceptd' },
  group: { without: '' },
  socket: { without: '/run/acceptd-helper/helper.sock' },
  'min-uid': { without: '1', most: 0xfffffffe },
  'max-processes': { without: '4000', most: 1_000_000 },
  'attempts-per-second': { without: '1000', most: 1_000_000 },
  'login-timeout': { without: '30', most: 3600 },
}

const IN_CHAIN = ['kind', 'checkpassword', 'mechanisms', 'credentials', 'set', 'backend', 'warm', 'verified']

const LIMITS = {
  bytes: 1 << 20,
  chains: 64,
  words: 64,
  variables: 64,
  warm: 60,
  verified: 3600,
  credentials: 16_384,
  socket: 100,
}

const NEW_CHAIN = {
  kind: 'auth',
  backend: [],
  checkpassword: [],
  variables: [],
  credentials: CREDENTIALS_LIMIT,
  mechanisms: undefined,
  warm: 0,
  verified: 0,
} as const

type Draft = { -readonly [K in keyof ChainConfig]: ChainConfig[K] }
/** What is wrong with a line, and what to do about it. */
type Trouble = readonly [problem: string, hint: string] | undefined

const isNumber = (text: string | undefined, least: number, most: number): boolean =>
  text !== undefined && /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most

/** A user or group by an invalid number; anything else is a name. */
const tooLarge = (id: string): boolean => /^\d+$/.test(id) && Number(id) > 0xfffffffe

const isRoot = (name: string | undefined): boolean => name === 'root' || /^0+$/.test(name ?? '')

function topTrouble(word: string, values: readonly string[]): Trouble {
  const row = Object.hasOwn(TOP, word) ? TOP[word] : undefined
  const value = values[0] ?? ''
  if (row === undefined) return [`\`${word}\` is not known here`, `write one of ${Object.keys(TOP).join(', ')}, chain`]
  if (values.length !== 1) return [`${word} has one value`, `write e.g. ${word} ${row.without || 'acceptd'}`]
  if (row.most !== undefined && !isNumber(value, 1, row.most))
    return [`${word} is not a number from 1 to ${row.most}`, `write e.g. ${word} ${row.without}`]
  if ((word === 'account' || word === 'group') && tooLarge(value))
    return [`there is no ${word} ${value}`, 'write a name, or its number']
  if (word === 'account' && isRoot(value)) return ['the account cannot be root', 'write e.g. account acceptd']
  if (word === 'socket' && (!/^\/.*[^/]$/.test(value) || value.length > LIMITS.socket))
    return [`the socket is not an absolute path of at most ${LIMITS.socket} bytes`, `write e.g. socket ${row.without}`]
  return undefined
}

function programTrouble(chain: Draft, word: 'checkpassword' | 'backend', values: readonly string[]): Trouble {
  const [program = '', ...more] = values
  if (word === 'checkpassword' && program === 'builtin') {
    if (more.length > 1 || (more.length === 1 && !more[0]?.startsWith('/')))
      return ['builtin takes one absolute path at most', 'write e.g. checkpassword builtin /etc/acceptd/passwords']
  } else if (!program.startsWith('/')) {
    return [`the ${word} is not an absolute path`, `write e.g. ${word} /usr/local/bin/program`]
  }
  return chain[word].length > 0 ? [`a second ${word} in this chain`, 'leave one of them out'] : undefined
}

function takeMechanisms(chain: Draft, values: readonly string[]): Trouble {
  const known = values.flatMap((word) => CHECKED_MECHANISMS.find((name) => name === word.toUpperCase()) ?? [])
  chain.mechanisms = known
  if (known.length === values.length && values.length > 0) return undefined
  const wrong = values.find((word) => !CHECKED_MECHANISMS.some((name) => name === word.toUpperCase())) ?? ''
  return [`\`${wrong}\` is not a mechanism`, `write some of ${CHECKED_MECHANISMS.join(', ')}`]
}

/** Takes a line of a chain into the draft. */
function takeLine(chain: Draft, word: string, values: readonly string[]): Trouble {
  const first = values[0] ?? ''
  switch (word) {
    case 'kind':
      if ((first === 'auth' || first === 'certificate') && values.length === 1) chain.kind = first
      else if ((first === 'guest' || first === 'probe') && values.length === 3 && !values.some(tooLarge))
        chain.kind = first
      else
        return ['the kind is not known', 'write kind auth, kind certificate, kind guest UID GID or kind probe UID GID']
      if (values.slice(1).some(isRoot)) return [`a ${first} cannot be root`, `write kind ${first} UID GID`]
      return undefined
    case 'set': {
      const name = /^[A-Za-z_][A-Za-z0-9_]*=/.exec(first)?.[0]
      if (values.length !== 1 || name === undefined) return ['not a variable', 'write e.g. set RELAYCLIENT=']
      if (chain.variables.some((other) => other.startsWith(name)))
        return [`${name.slice(0, -1)} is set twice`, 'leave one of them out']
      if (chain.variables.length === LIMITS.variables)
        return [`more than ${LIMITS.variables} variables`, 'set fewer variables']
      chain.variables = [...chain.variables, first]
      return undefined
    }
    case 'mechanisms':
      return takeMechanisms(chain, values)
    case 'credentials':
      if (values.length !== 1 || !isNumber(first, CREDENTIALS_LIMIT, LIMITS.credentials))
        return [
          `credentials is not a number of octets from ${CREDENTIALS_LIMIT} to ${LIMITS.credentials}`,
          'write how much the checkpassword reads, e.g. credentials 8192',
        ]
      chain.credentials = Number(first)
      return undefined
    case 'warm':
    case 'verified':
      if (values.length !== 1 || !isNumber(first, 0, LIMITS[word]))
        return [`${word} is not a number of seconds from 0 to ${LIMITS[word]}`, `write e.g. ${word} 60`]
      chain[word] = Number(first)
      return undefined
    case 'backend':
    case 'checkpassword': {
      const trouble = programTrouble(chain, word, values)
      chain[word] = values.length > 0 ? values : ['']
      return trouble
    }
    default:
      return [`\`${word}\` is not known in a chain`, `write one of ${IN_CHAIN.join(', ')}`]
  }
}

function chainTrouble(chains: readonly Draft[], values: readonly string[]): Trouble {
  const name = values[0] ?? ''
  if (values.length !== 1 || !/^[A-Za-z0-9._-]{1,64}$/.test(name))
    return ['a chain has one name', 'write e.g. chain submission']
  if (chains.some((other) => other.name === name))
    return [`there are two chains ${name}`, 'give one of them another name']
  return chains.length === LIMITS.chains ? [`more than ${LIMITS.chains} chains`, 'leave some of them out'] : undefined
}

function wholeTrouble(chain: ChainConfig): Trouble {
  if (chain.backend.length === 0)
    return [`the chain ${chain.name} has no backend`, 'add a line backend /path/of/program']
  const checks = chain.kind === 'auth' || chain.kind === 'certificate'
  if (checks && chain.checkpassword.length === 0)
    return [
      `the chain ${chain.name} has no checkpassword`,
      'add a line checkpassword builtin, or checkpassword /path/of/program',
    ]
  if (!checks && chain.checkpassword.length > 0)
    return [`the chain ${chain.name} has no password to check`, 'leave its checkpassword out']
  if (chain.verified > 0 && chain.checkpassword[0] !== 'builtin')
    return [
      `the helper verifies no password for the chain ${chain.name}`,
      'write checkpassword builtin, or leave verified out',
    ]
  return undefined
}

/** The same files as native/chains.c: test/native/chains.json holds both to it. */
export function parseChains(text: string | undefined, file: string): Result<ChainsFile, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const fail = (line: number, column: number, trouble: Trouble) => {
    if (trouble !== undefined) errors.push({ file, line, column, problem: trouble[0], hint: trouble[1] })
  }
  const top: Record<string, string> = Object.fromEntries(Object.entries(TOP).map(([word, row]) => [word, row.without]))
  const chains: Draft[] = []
  if (text === undefined) fail(1, 1, ['there is no such file', 'see acceptd-chains(5) for an example'])
  else if (text.length > LIMITS.bytes || text.includes('\0'))
    fail(1, 1, ['it is not a text of at most a megabyte', 'see acceptd-chains(5) for an example'])
  else {
    for (const { line, text: raw } of controlLines(text)) {
      const [word, ...values] = raw.split(/[ \t\r]+/).filter((each) => each !== '')
      if (word === undefined || word.startsWith('#')) continue
      const column = raw.indexOf(word) + 1
      const chain = chains.at(-1)
      if (values.length >= LIMITS.words) fail(line, column, [`more than ${LIMITS.words} words`, 'use fewer words'])
      else if (word === 'chain') {
        fail(line, column, chainTrouble(chains, values))
        const name = values[0] ?? ''
        chains.push({ ...NEW_CHAIN, name, line })
      } else if (chain === undefined) {
        fail(line, column, topTrouble(word, values))
        top[word] = values[0] ?? ''
      } else fail(line, column, takeLine(chain, word, values))
    }
    for (const chain of chains) fail(chain.line, 1, wholeTrouble(chain))
    if (chains.length === 0) fail(1, 1, ['there is no chain', 'add a line chain NAME'])
  }
  if (errors.length > 0) return err(errors)
  return ok({
    account: top.account as string,
    group: top.group as string,
    socket: top.socket as string,
    maxProcesses: Number(top['max-processes']),
    attemptsPerSecond: Number(top['attempts-per-second']),
    chains,
  })
}
