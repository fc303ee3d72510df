// Warm logins: idle backends kept with their streams, still running as their users, for a later login of the same user.
//
// A parked backend is taken over if and only if (a) user and password match an acceptance by a run of the chain not older than the
// chain's `warm` seconds, and (b) chain and environment are the same byte for byte. Any byte or end of file while parked discards it.

import { createHmac, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { bytesOf, NO_BYTES } from '../protocol/bytes.ts'
import type { Accepted } from '../protocol/helper.ts'
import { noReply, REPLY_LIMIT, replyCode, takeReplies } from '../protocol/replies.ts'
import type { ClientSession } from './client-session.ts'

interface Parked {
  readonly key: string
  readonly user: string
  readonly chain: string
  readonly stream: Socket
  readonly accepted: Accepted
  /** The backend's own greeting, said again to the rules at each take-over. */
  readonly greeting: string
  readonly since: number
  readonly uses: number
}

/** Well below half of what a backend waits for a command: Postfix 300 s, qmail-smtpd 1200 s. */
const LONGEST_PARKED_SECONDS = 60
const MOST_USES = 100
const PROBE_MILLISECONDS = 5000

const NOBODY: Accepted = { uid: -1, gid: -1, pid: -1 }

export interface Parking {
  /** Calls back at once or later, with a backend that has answered RSET and the client's EHLO, or without one. */
  take(
    session: ClientSession,
    credentials: Uint8Array,
    environment: string,
    warmSeconds: number,
    done: (stream: Socket | undefined, accepted: Accepted, greeting: Uint8Array) => void,
  ): void
  /** The chain has run for what take() was asked, and accepted. */
  verified(session: ClientSession): void
  /** The chain has run for it, and refused: what was known of these credentials is not true any more. */
  refused(session: ClientSession): void
  /** The session's login came to nothing, or the session is over. */
  forget(session: ClientSession): void
  park(session: ClientSession, stream: Socket, accepted: Accepted, greeting: string): boolean
  drop(matches: (parked: { readonly user: string; readonly chain: string }) => boolean): void
  sweep(now: number): void
  clear(): void
  /** Descriptors are short: the one that has waited longest goes. */
  dropOldest(): void
  size(): number
  counts(): Readonly<Record<string, number>>
}

export function createParking(): Parking {
  let secret = randomBytes(32)
  /** When a run of the chain accepted, by key. A warm match never renews it. */
  const verifiedAt = new Map<string, number>()
  const parked = new Map<string, Parked[]>()
  const uses = new WeakMap<Socket, number>()
  let count = 0

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

  function release(one: Parked): void {
    remove(one)
    one.stream
      .removeAllListeners('data')
      .removeAllListeners('end')
      .removeAllListeners('error')
      .removeAllListeners('close')
    // Without a listener an error would end the lane.
    one.stream.on('error', () => undefined)
  }

  function discard(one: Parked): void {
    release(one)
    one.stream.destroy()
  }

  /** RSET and the client's EHLO in one write; both must be accepted. */
  function probe(one: Parked, helo: string, done: (alive: boolean) => void): void {
    const { stream } = one
    let wanted = 2
    let replies = noReply
    let settled = false
    const settle = (alive: boolean) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      stream
        .removeAllListeners('data')
        .removeAllListeners('end')
        .removeAllListeners('error')
        .removeAllListeners('close')
      stream.on('error', () => undefined)
      if (!alive) stream.destroy()
      done(alive)
    }
    const timer = setTimeout(() => settle(false), PROBE_MILLISECONDS)
    stream.on('data', (bytes: Buffer) => {
      const taken = takeReplies(replies, bytes, REPLY_LIMIT)
      replies = taken.buffer
      for (const reply of taken.replies) {
        const code = replyCode(reply)
        wanted -= 1
        if (code < 200 || code > 299 || wanted < 0) {
          settle(false)
          return
        }
      }
      if (wanted === 0) settle(replies.text === '')
    })
    stream.on('end', () => settle(false))
    stream.on('error', () => settle(false))
    stream.on('close', () => settle(false))
    stream.write(`RSET\r\n${helo}`, 'latin1')
  }

  return {
    take(session, credentials, environment, warmSeconds, done) {
      const key = createHmac('sha256', secret)
        .update(credentials)
        .update(`\0${session.chain}\0${environment}`)
        .digest('base64')
      session.warmKey = key
      const since = verifiedAt.get(key)
      const { helo } = session.actors.authup
      // Without an EHLO of its own it would be served under the name that the last client gave.
      const one =
        helo !== '' && since !== undefined && Date.now() - since <= warmSeconds * 1000
          ? parked.get(key)?.at(-1)
          : undefined
      if (one === undefined) {
        done(undefined, NOBODY, NO_BYTES)
        return
      }
      release(one)
      probe(one, helo, (alive) => {
        if (!alive) {
          done(undefined, NOBODY, NO_BYTES)
          return
        }
        session.introduced = true
        done(one.stream, one.accepted, bytesOf(one.greeting))
      })
    },
    verified(session) {
      if (session.warmKey !== '') verifiedAt.set(session.warmKey, Date.now())
    },
    refused(session) {
      const key = session.warmKey
      verifiedAt.delete(key)
      for (const one of parked.get(key)?.slice() ?? []) discard(one)
      session.warmKey = ''
    },
    forget(session) {
      session.warmKey = ''
    },
    park(session, stream, accepted, greeting) {
      const key = session.warmKey
      const used = (uses.get(stream) ?? 0) + 1
      // A key that is not known any more was made before the last reload, or nobody could log in with it without running the chain.
      if (!verifiedAt.has(key) || used > MOST_USES || stream.destroyed || stream.readableEnded) return false
      uses.set(stream, used)
      const one: Parked = {
        key,
        user: session.user,
        chain: session.chain,
        stream,
        accepted,
        greeting,
        since: Date.now(),
        uses: used,
      }
      stream
        .removeAllListeners('data')
        .removeAllListeners('end')
        .removeAllListeners('error')
        .removeAllListeners('close')
        .removeAllListeners('drain')
      const gone = () => discard(one)
      stream.on('data', gone).on('end', gone).on('error', gone).on('close', gone)
      stream.resume()
      const others = parked.get(key)
      if (others === undefined) parked.set(key, [one])
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
      for (const [key, at] of verifiedAt) if (now - at > LONGEST_PARKED_SECONDS * 1000) verifiedAt.delete(key)
    },
    clear() {
      for (const one of everyone()) discard(one)
      verifiedAt.clear()
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
