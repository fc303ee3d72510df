// control/limits: NAME SCOPE WHAT RATE, a limit a line. SCOPE=SUBJECT is a line for one subject; `NAME network=NETWORK * off` trusts one.

import { err, ok, type Result } from 'neverthrow'
import {
  foldUser,
  type Limit,
  type Limits,
  type Only,
  parseRate,
  type Rate,
  SCOPES,
  type Scope,
  WHATS,
  type What,
} from '../limits/limit.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { type Network, parseNetwork } from '../protocol/ip.ts'
import { nearestName } from '../protocol/nearest.ts'

const MOST_LINES = 1000
const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/i
const RATES = 'write 20, 100/hour (second, minute, hour, day), delay=15, or off'

/** Says what is wrong with the word in this place of the line. */
type Fail = (place: number, problem: string, hint: string) => undefined

export function parseLimits(text: string, file: string): Result<Limits, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const limits: Limit[] = []
  const trusted: Network[] = []
  const names = new Set<string>()
  for (const { line, text: raw } of controlLines(text)) {
    const words = [...raw.matchAll(/[^ \t]+/g)]
    const fail: Fail = (place, problem, hint) => {
      errors.push({ file, line, column: (words[place]?.index ?? 0) + 1, problem, hint })
    }
    const parsed = parseLine(
      words.map(([word]) => word),
      line,
      raw.trim(),
      fail,
    )
    if (parsed === undefined) continue
    if (names.has(parsed.name)) fail(0, `there are two limits ${parsed.name}`, 'give one of them another name')
    names.add(parsed.name)
    if ('trusts' in parsed) trusted.push(parsed.trusts)
    else limits.push(parsed)
    if (names.size === MOST_LINES + 1) fail(0, `more than ${MOST_LINES} limits`, 'leave some of them out')
  }
  return errors.length > 0 ? err(errors) : ok({ limits, trusted })
}

function parseLine(
  words: readonly string[],
  line: number,
  text: string,
  fail: Fail,
): Limit | { readonly name: string; readonly trusts: Network } | undefined {
  const [name = '', where = '', what = '', rate = '', ...options] = words
  if (words.length < 4)
    return fail(0, 'not NAME SCOPE WHAT RATE', 'write e.g. recipients-per-user user recipients 500/hour')
  if (!NAME.test(name)) return fail(0, `\`${name}\` is no name of a limit`, 'write letters, digits, dots and hyphens')
  const scoped = parseScope(where, fail)
  if (scoped === undefined) return undefined
  const { scope, only } = scoped
  if (what === '*') {
    if (rate !== 'off' || only?.network === undefined || options.length > 0)
      return fail(2, '* is for networks that are trusted', 'write e.g. office network=192.0.2.0/24 * off')
    return { name, trusts: only.network }
  }
  const counted = WHATS.find((each) => each === what)
  if (counted === undefined)
    return fail(2, `\`${what}\` is nothing that is counted${didYouMean(what, WHATS)}`, `write ${WHATS.join(', ')}`)
  const parsed = parseRate(rate)
  if (parsed === undefined) return fail(3, `\`${rate}\` is not a rate`, RATES)
  const trouble = fitTrouble(scope, counted, parsed)
  if (trouble !== undefined) return fail(...trouble)
  const banned = withBan(parsed, counted, options, fail)
  return banned && { name, line, text, scope, only, what: counted, rate: banned }
}

function parseScope(where: string, fail: Fail): { scope: Scope; only: Only | undefined } | undefined {
  const [word = '', subject] = where.split(/=(.*)/s)
  const scope = SCOPES.find((each) => each === word)
  if (scope === undefined)
    return fail(1, `\`${word}\` is no scope${didYouMean(word, SCOPES)}`, `write ${SCOPES.join(', ')}`)
  if (subject === undefined) return { scope, only: undefined }
  if (scope === 'address' || scope === 'network') {
    const network = parseNetwork(subject)
    if (network === undefined)
      return fail(
        1,
        `\`${subject}\` is not an address or a network`,
        'write e.g. 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32',
      )
    return { scope, only: { text: subject, network } }
  }
  if ((scope !== 'user' && scope !== 'listener') || subject === '')
    return fail(
      1,
      `a line of ${scope} is for nobody alone`,
      'write address=, network=, user= or listener= and one of them',
    )
  return { scope, only: { text: scope === 'user' ? foldUser(subject) : subject, network: undefined } }
}

/** What does not go together. */
function fitTrouble(scope: Scope, what: What, rate: Rate): Parameters<Fail> | undefined {
  const byUser = scope === 'user' || scope === 'user+address'
  const atOnce = what === 'sessions' || what === 'before-login'
  if (what === 'before-login' && byUser)
    return [1, 'before login there is no user', 'write address, network, listener or all']
  if (rate.kind === 'at-once' && !atOnce) return [3, `${what} are counted in a time`, `write e.g. ${rate.most}/hour`]
  if (rate.kind === 'window' && what === 'before-login')
    return [3, 'before-login counts sessions at the same time', `write ${rate.most}`]
  if (rate.kind === 'delay' && (what !== 'failed-logins' || (scope !== 'address' && scope !== 'user')))
    return [3, 'a delay is for failed-logins by address or user', 'write e.g. slow address failed-logins delay=15']
  return undefined
}

/** At most a week. */
const LONGEST_BAN = 604_800

function withBan(rate: Rate, what: What, options: readonly string[], fail: Fail): Rate | undefined {
  const [option] = options
  if (option === undefined) return rate
  const ban = /^ban=([1-9]\d{0,5})$/.exec(option)?.[1]
  if (ban === undefined || options.length > 1 || Number(ban) > LONGEST_BAN)
    return fail(
      options.length > 1 ? 5 : 4,
      `\`${options.at(-1)}\` is not an option`,
      `write e.g. ban=1800, seconds up to ${LONGEST_BAN}`,
    )
  if (rate.kind !== 'window' || what !== 'failed-logins')
    return fail(4, 'a ban is for failed-logins in a time', 'write e.g. guesses address failed-logins 20/hour ban=1800')
  return { ...rate, ban: Number(ban) }
}

function didYouMean(word: string, names: readonly string[]): string {
  const best = nearestName(word, names)
  return best === undefined ? '' : `; did you mean ${best}?`
}
