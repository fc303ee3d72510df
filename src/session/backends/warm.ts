// Warm logins: idle backends kept with their streams, still running as their users, for a later login of the same user.
//
// A parked backend is taken over if and only if (a) user and password match an acceptance by a run of the chain not older than the
// chain's `warm` seconds, and (b) chain and environment are the same byte for byte. Any byte or end of file while parked discards it.

import { createHmac, randomBytes } from 'node:crypto'
import type { Backend, BackendListener } from '../../edge/backend.ts'
import { monotonic } from '../../edge/clock.ts'
import { bytesOf, wipe } from '../../protocol/bytes.ts'
import type { Accepted } from '../../protocol/helper.ts'
import { noReply, replyCode, takeReplies } from '../../protocol/replies.ts'
import type { BackendSource, Login, Opened, Refused } from './backends.ts'

/** Well below half of what a backend waits for a command: Postfix 300 s, qmail-smtpd 1200 s. */
const LONGEST_PARKED_SECONDS = 60
const MOST_USES = 100
const PROBE_MILLISECONDS = 5000

/**
 * Where fewer logins than this, of 1, are of users who have logged in shortly before, those who come for the first time are not parked:
 * keeping a process that nobody comes for costs a tenth of a cold login, a warm one saves two thirds.
 */
const WORTH_PARKING = 1 / 8
/** How many logins the share is taken over, the latest weighing most. */
const LOGINS_REMEMBERED = 64

/** What may wait for a later login: a session's backend at its end. */
export interface Idle {
  readonly backend: Backend
  readonly accepted: Accepted
  readonly user: string
  readonly chain: string
  /** The backend's own greeting, said again to the rules at each take-over. */
  readonly greeting: string
  readonly ticket: string
}

export interface WarmBackends {
  /** Logins of a chain that is warm for so many seconds. `counted` hears whether a parked backend serves. */
  readonly source: (seconds: number, counted: (taken: boolean) => void) => BackendSource
  readonly park: (idle: Idle) => boolean
  readonly drop: (matches: (parked: { readonly user: string; readonly chain: string }) => boolean) => void
  readonly sweep: (now: number) => void
  readonly clear: () => void
  /** Descriptors are short: the one that has waited longest goes. */
  readonly dropOldest: () => void
  readonly size: () => number
  readonly counts: () => Readonly<Record<string, number>>
}

/** `cold` runs the chain. */
export function createWarmBackends(cold: BackendSource): WarmBackends {
  const known = createAcceptances()
  const parked = createParkingPlace()
  let secret = randomBytes(32)

  function open(login: Login, seconds: number, counted: (taken: boolean) => void, done: Done): () => void {
    const key = keyOf(secret, login)
    let gaveUp = false
    let giveUp = () => {
      gaveUp = true
      done({ is: 'timeout' })
    }
    const runChain = () => {
      counted(false)
      giveUp = cold.open(login, (outcome) => {
        if ('backend' in outcome) {
          known.add(key, seconds)
          done({ ...outcome, ticket: key })
          return
        }
        // An earlier acceptance of these credentials no longer holds.
        if (isRefusal(outcome)) {
          known.remove(key)
          parked.dropKey(key)
        }
        done(outcome)
      })
    }
    // Without an EHLO of its own it would be served under the name that the last client gave.
    const one = login.helo !== '' && known.holds(key, seconds) ? parked.take(key) : undefined
    if (one === undefined) {
      runChain()
      return () => giveUp()
    }
    const before = secret
    probe(one.backend, login.helo, (answered, introduced) => {
      // A backend discarded meanwhile, by a reload or a stop, is not used again.
      const alive = answered && secret === before && !gaveUp
      if (!alive) {
        one.backend.discard()
        if (gaveUp) wipe(login.credentials)
        else runChain()
        return
      }
      wipe(login.credentials)
      known.again(key)
      counted(true)
      done({ backend: one.backend, accepted: one.accepted, said: bytesOf(one.greeting), introduced, ticket: key })
    })
    return () => giveUp()
  }

  return {
    source: (seconds, counted) => ({ open: (login, done) => open(login, seconds, counted, done) }),
    park: (idle) => {
      // A key that is not known any more was made before the last reload, or nobody could log in with it without running the chain.
      if (!known.isWorthParking(idle.ticket) || idle.backend.uses >= MOST_USES || idle.backend.isOver) return false
      parked.add(idle)
      return true
    },
    drop: parked.drop,
    sweep: (now) => {
      parked.dropBefore(now - LONGEST_PARKED_SECONDS * 1000)
      known.forgetBefore(now - LONGEST_PARKED_SECONDS * 1000)
    },
    clear: () => {
      parked.drop(() => true)
      known.clear()
      // What runs now and ends later finds no key either.
      secret = randomBytes(32)
    },
    dropOldest: parked.dropOldest,
    size: parked.size,
    counts: parked.counts,
  }
}

type Done = (outcome: Opened | Refused) => void

const keyOf = (secret: Uint8Array, { credentials, chain, environment }: Login): string =>
  createHmac('sha256', secret)
    .update(credentials)
    .update(`\0${chain}\0${environment.join('\0')}`)
    .digest('base64')

/** The password, or the user, is wrong. */
const isRefusal = (status: Refused): boolean =>
  status.is === 'root' || (status.is === 'exit' && (status.code === 1 || status.code === 2))

// ---- what the chain has accepted

interface Acceptance {
  /** When it did, by the monotonic clock. A warm match never renews it. */
  readonly at: number
  /** It has been seen again since. */
  again: boolean
}

function createAcceptances() {
  /** By key, the oldest first. */
  const byKey = new Map<string, Acceptance>()
  /** The share of logins whose user had logged in shortly before. */
  let comingAgain = 1
  const count = (again: boolean) => {
    comingAgain += ((again ? 1 : 0) - comingAgain) / LOGINS_REMEMBERED
  }
  const holds = (key: string, seconds: number): boolean => {
    const last = byKey.get(key)
    return last !== undefined && monotonic() - last.at <= seconds * 1000
  }
  return {
    holds,
    add: (key: string, seconds: number) => {
      const again = holds(key, seconds)
      // Delete before re-inserting, so that Map order stays oldest first.
      byKey.delete(key)
      byKey.set(key, { at: monotonic(), again })
      count(again)
    },
    again: (key: string) => {
      const last = byKey.get(key)
      if (last !== undefined) last.again = true
      count(true)
    },
    isWorthParking: (key: string): boolean => {
      const last = byKey.get(key)
      return last !== undefined && (last.again || comingAgain >= WORTH_PARKING)
    },
    remove: (key: string) => void byKey.delete(key),
    forgetBefore: (time: number) => {
      for (const [key, { at }] of byKey) {
        if (at >= time) return
        byKey.delete(key)
      }
    },
    clear: () => byKey.clear(),
  }
}

// ---- the backends that wait

/** Anything that it says or does discards it. */
class Parked implements BackendListener {
  readonly idle: Idle
  readonly since = monotonic()
  private readonly discard: (one: Parked) => void

  constructor(idle: Idle, discard: (one: Parked) => void) {
    this.idle = idle
    this.discard = discard
  }

  fromBackend(): void {
    this.discard(this)
  }
  backendEnded(): void {
    this.discard(this)
  }
  backendDrained(): void {}
}

function createParkingPlace() {
  const byTicket = new Map<string, Parked[]>()
  let count = 0

  /** A copy: discarding changes the lists. */
  const everyone = (): Parked[] => Array.from(byTicket.values()).flat()

  function remove(one: Parked): void {
    const rest = byTicket.get(one.idle.ticket)
    const at = rest?.indexOf(one) ?? -1
    if (rest === undefined || at < 0) return
    rest.splice(at, 1)
    count -= 1
    if (rest.length === 0) byTicket.delete(one.idle.ticket)
  }

  function discard(one: Parked): void {
    remove(one)
    one.idle.backend.discard()
  }

  return {
    add: (idle: Idle) => {
      const one = new Parked(idle, discard)
      idle.backend.uses += 1
      idle.backend.handTo(one)
      idle.backend.stream.resume()
      const others = byTicket.get(idle.ticket)
      if (others === undefined) byTicket.set(idle.ticket, [one])
      else others.push(one)
      count += 1
    },
    take: (ticket: string): Idle | undefined => {
      const one = byTicket.get(ticket)?.at(-1)
      if (one !== undefined) remove(one)
      return one?.idle
    },
    drop: (matches: (parked: { readonly user: string; readonly chain: string }) => boolean) => {
      for (const one of everyone()) if (matches(one.idle)) discard(one)
    },
    dropKey: (ticket: string) => {
      for (const one of byTicket.get(ticket)?.slice() ?? []) discard(one)
    },
    dropBefore: (time: number) => {
      for (const one of everyone()) if (one.since < time) discard(one)
    },
    dropOldest: () => {
      const [oldest] = byTicket.values().next().value ?? []
      if (oldest !== undefined) discard(oldest)
    },
    size: () => count,
    counts: () => {
      const counts: Record<string, number> = {}
      for (const { idle } of everyone()) counts[idle.chain] = (counts[idle.chain] ?? 0) + 1
      return counts
    },
  }
}

/** RSET and the client's EHLO in one write; both must be accepted, and nothing more said. */
function probe(backend: Backend, helo: string, done: (alive: boolean, introduced: string) => void): void {
  let wanted = 2
  let introduced = ''
  let replies = noReply
  let over = false
  const settle = (alive: boolean) => {
    if (over) return
    over = true
    clearTimeout(timer)
    done(alive, introduced)
  }
  const timer = setTimeout(() => settle(false), PROBE_MILLISECONDS)
  backend.handTo({
    fromBackend(bytes) {
      const taken = takeReplies(replies, bytes)
      replies = taken.buffer
      if (taken.nonsense !== '') settle(false)
      for (const reply of taken.replies) {
        const code = replyCode(reply)
        wanted -= 1
        introduced = reply
        if (code < 200 || code > 299 || wanted < 0) settle(false)
      }
      if (wanted === 0) settle(replies.text === '')
    },
    backendEnded: () => settle(false),
    backendDrained() {},
  })
  backend.stream.write(`RSET\r\n${helo}`, 'latin1')
}
