// Warm logins: idle backends kept with their streams, still running as their users, for a later login of the same user.
//
// A parked backend is taken over if and only if (a) user and password match an acceptance by a run of the chain not older than the
// chain's `warm` seconds, and (b) chain and environment are the same byte for byte. Any byte or end of file while parked discards it.

import { createHmac, randomBytes } from 'node:crypto'
import type { Backend, BackendHearer } from '../../edge/backend.ts'
import { monotonic } from '../../edge/clock.ts'
import { bytesOf, NO_BYTES } from '../../protocol/bytes.ts'
import type { Accepted } from '../../protocol/helper.ts'
import { noReply, replyCode, takeReplies } from '../../protocol/replies.ts'
import type { ClientSession } from '../session.ts'

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

const NOBODY: Accepted = { uid: -1, gid: -1, pid: -1 }

export interface Parking {
  /** Calls back at once or later, with a backend that has answered RSET and the client's EHLO, or without one. */
  take(
    session: ClientSession,
    credentials: Uint8Array,
    environment: string,
    warmSeconds: number,
    done: (backend: Backend | undefined, accepted: Accepted, greeting: Uint8Array) => void,
  ): void
  /** The chain has run for what take() was asked, and accepted. */
  verified(session: ClientSession, warmSeconds: number): void
  /** The chain has run for it, and refused: what was known of these credentials is not true any more. */
  refused(session: ClientSession): void
  /** The session's login came to nothing, or the session is over. */
  forget(session: ClientSession): void
  park(session: ClientSession, backend: Backend, accepted: Accepted, greeting: string): boolean
  drop(matches: (parked: { readonly user: string; readonly chain: string }) => boolean): void
  sweep(now: number): void
  clear(): void
  /** Descriptors are short: the one that has waited longest goes. */
  dropOldest(): void
  size(): number
  counts(): Readonly<Record<string, number>>
}

/** A login that the chain has accepted. */
interface Verified {
  /** When it did. A warm match never renews it. */
  readonly at: number
  /** It has been seen again since. */
  again: boolean
}

/** Anything that it says or does discards it. */
class Parked implements BackendHearer {
  readonly key: string
  readonly user: string
  readonly chain: string
  readonly backend: Backend
  readonly accepted: Accepted
  /** The backend's own greeting, said again to the rules at each take-over. */
  readonly greeting: string
  readonly since = monotonic()
  private readonly discard: (one: Parked) => void

  constructor(
    session: ClientSession,
    backend: Backend,
    accepted: Accepted,
    greeting: string,
    discard: (one: Parked) => void,
  ) {
    this.key = session.warmKey
    this.user = session.user
    this.chain = session.chain
    this.backend = backend
    this.accepted = accepted
    this.greeting = greeting
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

/** RSET and the client's EHLO in one write; both must be accepted, and nothing more said. */
function probe(backend: Backend, helo: string, done: (alive: boolean, introduced: string) => void): void {
  let wanted = 2
  let introduced = ''
  let replies = noReply
  const settle = (alive: boolean) => {
    clearTimeout(timer)
    if (!alive) backend.discard()
    done(alive, introduced)
  }
  const timer = setTimeout(() => settle(false), PROBE_MILLISECONDS)
  backend.handTo({
    fromBackend(bytes) {
      const taken = takeReplies(replies, bytes)
      replies = taken.buffer
      if (taken.nonsense !== '') {
        settle(false)
        return
      }
      for (const reply of taken.replies) {
        const code = replyCode(reply)
        wanted -= 1
        introduced = reply
        if (code < 200 || code > 299 || wanted < 0) {
          settle(false)
          return
        }
      }
      if (wanted === 0) settle(replies.text === '')
    },
    backendEnded: () => settle(false),
    backendDrained() {},
  })
  backend.stream.write(`RSET\r\n${helo}`, 'latin1')
}

export function createParking(): Parking {
  let secret = randomBytes(32)
  /** By key, the oldest first. */
  const verified = new Map<string, Verified>()
  const parked = new Map<string, Parked[]>()
  let count = 0
  /** The share of logins whose user had logged in shortly before. */
  let comingAgain = 1

  const login = (again: boolean) => {
    comingAgain += ((again ? 1 : 0) - comingAgain) / LOGINS_REMEMBERED
  }

  /** A copy: discarding changes the lists. */
  const everyone = (): Parked[] => Array.from(parked.values()).flat()

  function remove(one: Parked): void {
    const rest = parked.get(one.key)
    const at = rest?.indexOf(one) ?? -1
    if (rest === undefined || at < 0) return
    rest.splice(at, 1)
    count -= 1
    if (rest.length === 0) parked.delete(one.key)
  }

  function discard(one: Parked): void {
    remove(one)
    one.backend.discard()
  }

  return {
    take(session, credentials, environment, warmSeconds, done) {
      const key = createHmac('sha256', secret)
        .update(credentials)
        .update(`\0${session.chain}\0${environment}`)
        .digest('base64')
      session.warmKey = key
      const known = verified.get(key)
      const { helo } = session.actors.authup
      // Without an EHLO of its own it would be served under the name that the last client gave.
      const fresh = known !== undefined && monotonic() - known.at <= warmSeconds * 1000
      const one = helo !== '' && fresh ? parked.get(key)?.at(-1) : undefined
      if (one === undefined || known === undefined) {
        done(undefined, NOBODY, NO_BYTES)
        return
      }
      remove(one)
      const before = secret
      probe(one.backend, helo, (answered, introduced) => {
        // What has been cleared meanwhile, by a reload or a stop, serves nobody any more.
        const alive = answered && secret === before
        if (answered && !alive) one.backend.discard()
        if (!alive) {
          done(undefined, NOBODY, NO_BYTES)
          return
        }
        known.again = true
        login(true)
        session.introduced = introduced
        done(one.backend, one.accepted, bytesOf(one.greeting))
      })
    },
    verified(session, warmSeconds) {
      const key = session.warmKey
      if (key === '') return
      const now = monotonic()
      const last = verified.get(key)
      const again = last !== undefined && now - last.at <= warmSeconds * 1000
      // Away first, so that the oldest stay the first ones.
      verified.delete(key)
      verified.set(key, { at: now, again })
      login(again)
    },
    refused(session) {
      const key = session.warmKey
      verified.delete(key)
      for (const one of parked.get(key)?.slice() ?? []) discard(one)
      session.warmKey = ''
    },
    forget(session) {
      session.warmKey = ''
    },
    park(session, backend, accepted, greeting) {
      const known = verified.get(session.warmKey)
      // A key that is not known any more was made before the last reload, or nobody could log in with it without running the chain.
      if (known === undefined || backend.uses >= MOST_USES || backend.isOver) return false
      if (!known.again && comingAgain < WORTH_PARKING) return false
      backend.uses += 1
      const one = new Parked(session, backend, accepted, greeting, discard)
      backend.handTo(one)
      backend.stream.resume()
      const others = parked.get(one.key)
      if (others === undefined) parked.set(one.key, [one])
      else others.push(one)
      count += 1
      return true
    },
    drop(matches) {
      for (const one of everyone()) if (matches(one)) discard(one)
    },
    sweep(now) {
      for (const one of everyone()) {
        if (now - one.since > LONGEST_PARKED_SECONDS * 1000) discard(one)
      }
      for (const [key, { at }] of verified) {
        if (now - at <= LONGEST_PARKED_SECONDS * 1000) break
        verified.delete(key)
      }
    },
    clear() {
      for (const one of everyone()) discard(one)
      verified.clear()
      // What runs now and ends later finds no key either.
      secret = randomBytes(32)
    },
    dropOldest() {
      const [oldest] = parked.values().next().value ?? []
      if (oldest !== undefined) discard(oldest)
    },
    size: () => count,
    counts() {
      const counts: Record<string, number> = {}
      for (const list of parked.values()) for (const one of list) counts[one.chain] = (counts[one.chain] ?? 0) + 1
      return counts
    },
  }
}
