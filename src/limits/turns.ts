// Whose turn it is: logins that wait for the helper, and how many it is asked for at the same time.
//
//   known    the user has logged in from this address before        three turns of four, while any waits
//   new      nobody knows anything of it                            three of four of the others
//   suspect  the address has given a wrong password lately          the rest
//
// Among those of a standing the addresses take turns, so that a thousand logins of one delay another by one login. A hash of a password is
// all processor: more of them at the same time take longer each, and a login of somebody else comes after all that were begun before it.
// So no more are begun than take PATIENCE longer than one alone; a checkpassword that waits for a directory service takes no longer
// however many there are, and gets them all. One that hangs does not count after a while, so that other chains go on.

/** In the order of their precedence. */
export const STANDINGS = ['known', 'new', 'suspect'] as const
export type Standing = (typeof STANDINGS)[number]

/** Milliseconds that a login may take longer for those that are under way with it. */
const PATIENCE = 100
/** So many are begun in any case. */
const LEAST = 4
const FIRST = 8
const MOST = 4096
/** Milliseconds after which it is measured again what a login alone takes. */
const MEASURED = 30_000
/** The newest answers weigh one in so many. */
const WEIGHT = 8

interface Line<T> {
  readonly logins: Map<string, T[]>
  /** Addresses, the next one first; some have nothing left. */
  readonly order: string[]
}

export interface Turns<T> {
  readonly lines: Readonly<Record<Standing, Line<T>>>
  waiting: number
  /** Begun and not ended. */
  running: number
  /** Of those, the ones that have run for so long that they burn no processor. */
  stalled: number
  /** So many may run beside the stalled ones. */
  most: number
  taken: number
  /** Milliseconds that a login alone takes, by kind. */
  readonly alone: Map<string, number>
  measured: number
  /** Few are begun, to see what one alone takes; `since` when they were few. */
  measuring: boolean
  since: number
  /** How much longer they take. */
  longer: number
}

export const newTurns = <T>(): Turns<T> => ({
  lines: { known: newLine(), new: newLine(), suspect: newLine() },
  waiting: 0,
  running: 0,
  stalled: 0,
  most: FIRST,
  taken: 0,
  alone: new Map(),
  measured: 0,
  measuring: false,
  since: 0,
  longer: 0,
})

const newLine = <T>(): Line<T> => ({ logins: new Map(), order: [] })

/** Behind the others of its address. */
export function queue<T>(turns: Turns<T>, standing: Standing, address: string, login: T): void {
  const { logins, order } = turns.lines[standing]
  const before = logins.get(address)
  turns.waiting += 1
  if (before !== undefined) {
    before.push(login)
    return
  }
  logins.set(address, [login])
  order.push(address)
}

/** It does not wait any longer; false: it did not. */
export function leave<T>(turns: Turns<T>, standing: Standing, address: string, login: T): boolean {
  const { logins, order } = turns.lines[standing]
  const own = logins.get(address) ?? []
  const at = own.indexOf(login)
  if (at < 0) return false
  own.splice(at, 1)
  turns.waiting -= 1
  if (own.length > 0) return true
  logins.delete(address)
  order.splice(order.indexOf(address), 1)
  return true
}

/** The next to begin: it runs from now on. `most`: no more than so many run, the stalled ones included; `may`: whether one of this standing may begin now. */
export function next<T>(turns: Turns<T>, most: number, may: (standing: Standing) => boolean): T | undefined {
  if (turns.waiting === 0 || turns.running >= most) return undefined
  if (turns.running - turns.stalled >= (turns.measuring ? LEAST : turns.most)) return undefined
  const turn = turns.taken + 1
  const first = turn % 16 === 0 ? 2 : turn % 4 === 0 ? 1 : 0
  for (let i = 0; i < STANDINGS.length; i += 1) {
    const standing = STANDINGS[(first + i) % STANDINGS.length] as Standing
    if (turns.lines[standing].order.length === 0 || !may(standing)) continue
    turns.taken = turn
    turns.waiting -= 1
    turns.running += 1
    return takeFirst(turns.lines[standing])
  }
  return undefined
}

function takeFirst<T>({ logins, order }: Line<T>): T | undefined {
  const address = order.shift() ?? ''
  const own = logins.get(address) ?? []
  const login = own.shift()
  if (own.length > 0) order.push(address)
  else logins.delete(address)
  return login
}

/** The one that gives way where too many wait: the last of the address that has most of them, of the lowest standing. */
export function crowdedOut<T>(turns: Turns<T>): T | undefined {
  for (const standing of STANDINGS.toReversed()) {
    let longest: { address: string; own: readonly T[] } | undefined
    for (const [address, own] of turns.lines[standing].logins)
      if (longest === undefined || own.length > longest.own.length) longest = { address, own }
    const last = longest?.own.at(-1)
    if (longest === undefined || last === undefined) continue
    leave(turns, standing, longest.address, last)
    return last
  }
  return undefined
}

/** One more that runs is stalled, or (-1) one of them ends. */
export function stalled<T>(turns: Turns<T>, n: 1 | -1): void {
  turns.stalled += n
}

/** One that ran has ended, in no time that says anything. */
export function over<T>(turns: Turns<T>): void {
  turns.running -= 1
}

/** One that ran has been answered. `kind`: those of the same take the same time alone; times in milliseconds. */
export function answered<T>(turns: Turns<T>, kind: string, began: number, now: number): void {
  turns.running -= 1
  if (now - turns.measured > MEASURED) {
    turns.measured = now
    turns.measuring = turns.waiting > 0
    turns.since = Number.POSITIVE_INFINITY
  }
  if (turns.measuring) {
    if (turns.running - turns.stalled < LEAST) turns.since = Math.min(turns.since, now)
    if (began < turns.since) return
    turns.measuring = false
    turns.alone.clear()
  }
  const took = now - began
  const alone = Math.min(turns.alone.get(kind) ?? took, took)
  turns.alone.set(kind, alone)
  turns.longer += (took - alone - turns.longer) / WEIGHT
  if (turns.longer > PATIENCE) turns.most = Math.max(LEAST, turns.most * (1 - 1 / 16))
  else if (turns.waiting > 0) turns.most = Math.min(MOST, turns.most + 1 / 4)
}
