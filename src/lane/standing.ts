// What is known of those who want to log in, in memory that all lanes share: which users have logged in from where, and which addresses
// have given a wrong password lately. Logins wait for the helper in that order. A password is never known here.

import { systemSecond } from '../edge/clock.ts'
import { clientAddress, foldUser } from '../limits/limit.ts'
import type { Standing } from '../limits/turns.ts'
import { keyedNumbers } from '../session/password-hash.ts'
import type { Lane } from './state.ts'
import { MOST_KNOWN, MOST_SUSPECTS, STANDING, type Usage } from './usage.ts'

interface Table {
  /** Place in the memory of its first number. */
  readonly at: number
  readonly most: number
}

const KNOWN: Table = { at: STANDING, most: MOST_KNOWN }
const SUSPECTS: Table = { at: STANDING + 2 * MOST_KNOWN, most: MOST_SUSPECTS }
/** As long as a delay looks back. */
const SUSPECT_SECONDS = 600

/** Places that a key can have; each holds the key's second number and when it was noted last. */
const WAYS = 4

const placesOf = ({ at, most }: Table, which: number): number => at + 2 * WAYS * ((which >>> 0) % (most / WAYS))

/** When it was noted last: a second of the system's clock. */
function noted(usage: Usage, table: Table, [which, key]: readonly [number, number]): number | undefined {
  const first = placesOf(table, which)
  for (let at = first; at < first + 2 * WAYS; at += 2)
    if (usage[at] === key && (usage[at + 1] ?? 0) > 0) return usage[at + 1]
  return undefined
}

/** Takes the place that was noted longest ago. Another lane may do so at the same time: then one of the two is not known. */
function note(usage: Usage, table: Table, [which, key]: readonly [number, number], second: number): void {
  const first = placesOf(table, which)
  let place = first
  for (let at = first; at < first + 2 * WAYS; at += 2) {
    if (usage[at] === key) {
      place = at
      break
    }
    if ((usage[at + 1] ?? 0) < (usage[place + 1] ?? 0)) place = at
  }
  usage[place] = key
  usage[place + 1] = Math.max(1, second)
}

/** What a login is known as, before and after it. */
export interface Acquaintance {
  readonly address: string
  readonly standing: Standing
  readonly accepted: () => void
  readonly wrong: () => void
}

/** `user`: empty, nobody logs in. */
export function acquaintance({ usage, secret }: Lane, user: string, ip: string): Acquaintance {
  const address = clientAddress(ip)
  const here = keyedNumbers(secret, 'address', address)
  const pair = keyedNumbers(secret, 'user', foldUser(user), address)
  const { second } = systemSecond()
  const suspected = noted(usage, SUSPECTS, here)
  const isSuspect = suspected !== undefined && second - suspected < SUSPECT_SECONDS
  const isKnown = user !== '' && noted(usage, KNOWN, pair) !== undefined
  return {
    address,
    standing: isKnown ? 'known' : isSuspect ? 'suspect' : 'new',
    accepted: () => note(usage, KNOWN, pair, systemSecond().second),
    wrong: () => note(usage, SUSPECTS, here, systemSecond().second),
  }
}
