// control/chains, the daemon's view of it: names, kinds, and what the helper does not need to know. The helper parses it for itself.

import { err, ok, type Result } from 'neverthrow'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'

export interface ChainConfig {
  readonly name: string
  readonly line: number
  readonly kind: 'auth' | 'guest'
  /** The program that serves after login, with its arguments. */
  readonly backend: readonly string[]
  readonly checkpassword: readonly string[]
  /** Fixed variables, NAME=VALUE. */
  readonly variables: readonly string[]
  /** Seconds a verified password may open a parked backend; 0: never. */
  readonly warm: number
}

export interface ChainsFile {
  /** User name or number: who runs acceptd and may use the helper. */
  readonly account: string
  readonly group: string
  readonly socket: string
  /** Processes of sessions at once. */
  readonly maxProcesses: number
  readonly chains: readonly ChainConfig[]
}

/** Words of the first part, with the value that holds without them. */
const TOP: Readonly<Record<string, string>> = {
  account: 'acceptd',
  group: '',
  socket: '/run/acceptd-helper/helper.sock',
  'min-uid': '1',
  'max-processes': '4000',
  'attempts-per-second': '1000',
  'login-timeout': '30',
}

/** The bounds of the helper, which reads the same numbers: what it reads otherwise must not seem right here. */
const NUMBERS: Readonly<Record<string, number>> = {
  'min-uid': 0xff_ff_ff_fe,
  'max-processes': 1_000_000,
  'attempts-per-second': 1_000_000,
  'login-timeout': 3600,
}
/** A user or group by its number; anything else is a name. */
const tooLarge = (id: string): boolean => /^\d+$/.test(id) && Number(id) > 0xff_ff_ff_fe

const IN_CHAIN = ['kind', 'checkpassword', 'set', 'backend', 'warm']

type Draft = { -readonly [K in keyof ChainConfig]: ChainConfig[K] }

export function parseChains(text: string | undefined, file: string): Result<ChainsFile, readonly ConfigError[]> {
  if (text === undefined) {
    return err([
      { file, line: 1, column: 1, problem: 'there is no such file', hint: 'see acceptd-chains(5) for an example' },
    ])
  }
  const errors: ConfigError[] = []
  const top: Record<string, string> = { ...TOP }
  const chains: Draft[] = []
  for (const { line, text: raw } of controlLines(text)) {
    const column = raw.length - raw.trimStart().length + 1
    const [word = '', ...values] = raw.trim().split(/[ \t]+/)
    const fail = (problem: string, hint: string) => errors.push({ file, line, column, problem, hint })
    if (word.startsWith('#')) continue
    const chain = chains.at(-1)
    if (word === 'chain') {
      const name = values[0] ?? ''
      if (values.length !== 1 || !/^[A-Za-z0-9._-]{1,64}$/.test(name))
        fail('a chain has one name', 'write e.g. chain submission')
      else if (chains.some((other) => other.name === name))
        fail(`there are two chains ${name}`, 'give one of them another name')
      chains.push({ name, line, kind: 'auth', backend: [], checkpassword: [], variables: [], warm: 0 })
    } else if (chain === undefined) {
      if (!Object.hasOwn(TOP, word))
        fail(`\`${word}\` is not known here`, `write one of ${Object.keys(TOP).join(', ')}, chain`)
      else if (values.length !== 1) fail(`${word} has one value`, `write e.g. ${word} ${TOP[word] || 'acceptd'}`)
      else {
        const [value = ''] = values
        const most = NUMBERS[word]
        if (most !== undefined && !(/^\d{1,10}$/.test(value) && Number(value) >= 1 && Number(value) <= most))
          fail(`${word} is not a number from 1 to ${most}`, `write e.g. ${word} ${TOP[word]}`)
        else if (tooLarge(value)) fail(`there is no ${word} ${value}`, 'write a name, or its number')
        top[word] = value
      }
    } else if (!IN_CHAIN.includes(word)) {
      fail(`\`${word}\` is not known in a chain`, `write one of ${IN_CHAIN.join(', ')}`)
    } else if (word === 'kind') {
      if (values[0] === 'auth' && values.length === 1) chain.kind = 'auth'
      else if (values[0] === 'guest' && values.length === 3 && !values.some(tooLarge)) chain.kind = 'guest'
      else fail('the kind is neither auth nor guest', 'write kind auth, or kind guest UID GID')
    } else if (word === 'set') {
      if (values.length !== 1 || !/^[A-Za-z_][A-Za-z0-9_]*=/.test(values[0] as string))
        fail('not a variable', 'write e.g. set RELAYCLIENT=')
      else chain.variables = [...chain.variables, values[0] as string]
    } else if (word === 'warm') {
      const seconds = /^\d{1,5}$/.test(values[0] ?? '') ? Number(values[0]) : -1
      if (seconds < 0 || seconds > 60) fail('warm is not a number of seconds from 0 to 60', 'write e.g. warm 60')
      else chain.warm = seconds
    } else {
      const program = values[0] ?? ''
      if (!program.startsWith('/') && !(word === 'checkpassword' && program === 'builtin')) {
        fail(`the ${word} is not an absolute path`, `write e.g. ${word} /usr/local/bin/program`)
      }
      if (word === 'backend') chain.backend = values
      else chain.checkpassword = values
    }
  }
  for (const chain of chains) {
    const fail = (problem: string, hint: string) => errors.push({ file, line: chain.line, column: 1, problem, hint })
    if (chain.backend.length === 0)
      fail(`the chain ${chain.name} has no backend`, 'add a line backend /path/of/program')
    if (chain.kind === 'auth' && chain.checkpassword.length === 0) {
      fail(
        `the chain ${chain.name} has no checkpassword`,
        'add a line checkpassword /path/of/program, or checkpassword builtin',
      )
    }
  }
  if (chains.length === 0)
    errors.push({ file, line: 1, column: 1, problem: 'there is no chain', hint: 'add a line chain NAME' })
  if (errors.length > 0) return err(errors)
  return ok({
    account: top.account as string,
    group: top.group as string,
    socket: top.socket as string,
    maxProcesses: Number(top['max-processes']),
    chains,
  })
}
