// Which sessions match, in which order, and where a page begins: pure, the same in a lane and in the merge on the main thread.
import { networkHolds, parseNetwork, plainIp } from '../protocol/ip.ts'
import type { Protocol, SessionIdentity, SessionState, SessionSummary } from './session-view.ts'

export interface SessionFilter {
  readonly id?: string
  /** A glob: `*` and `?`. */
  readonly user?: string
  /** An address or a CIDR block. */
  readonly ip?: string
  readonly protocol?: Protocol
  readonly state?: SessionState
  readonly listener?: string
  readonly lane?: number
  /** Seconds since it was accepted, at least. */
  readonly olderThan?: number
  readonly generation?: number
  readonly tls?: boolean
}

export const SESSION_SORTS = ['started', 'idle', 'user', 'ip', 'bytesIn', 'bytesOut', 'messages', 'id'] as const
export type SessionSort = (typeof SESSION_SORTS)[number]

export interface SessionQuery {
  readonly filter: SessionFilter
  readonly sort: SessionSort
  readonly descending: boolean
  readonly limit: number
  /** The last session of the page before: its value of the sort key, and its id. */
  readonly after?: readonly [key: string | number, id: string]
  /** When the question was asked, so that `olderThan` and `idle` mean the same in every lane. */
  readonly now: number
}

/** `*` is any run of characters, `?` any one, what follows a backslash is itself. Two pointers: never more than length × length steps, whatever the glob. */
export function globMatches(glob: string, text: string): boolean {
  let g = 0
  let t = 0
  let star = -1
  let resume = 0
  while (t < text.length) {
    if (glob[g] === '*') {
      star = g++
      resume = t
    } else if (g < glob.length && (glob[g] === '?' || glob[isEscape(glob, g) ? g + 1 : g] === text[t])) {
      g += isEscape(glob, g) ? 2 : 1
      t++
    } else if (star >= 0) {
      g = star + 1
      t = ++resume
    } else return false
  }
  while (glob[g] === '*') g++
  return g === glob.length
}

const isEscape = (glob: string, at: number): boolean => glob[at] === '\\' && at + 1 < glob.length

/** Whether `ip` (an address or a CIDR block) makes sense, and then what it matches. */
export function addressMatcher(ip: string): ((address: string) => boolean) | undefined {
  const network = parseNetwork(ip)
  if (network === undefined) return undefined
  return (address) => {
    const octets = plainIp(address)
    return octets !== undefined && networkHolds(network, octets)
  }
}

/** The filter as a predicate. An invalid `ip` matches nothing; methods refuse it before. */
export function sessionMatcher(filter: SessionFilter): (session: Partial<SessionIdentity>, now: number) => boolean {
  const { user, olderThan, tls } = filter
  const ip = filter.ip === undefined ? undefined : (addressMatcher(filter.ip) ?? (() => false))
  return (session, now) =>
    (filter.id === undefined || session.id === filter.id) &&
    (user === undefined || (session.user !== undefined && globMatches(user, session.user))) &&
    (ip === undefined || (session.ip !== undefined && ip(session.ip))) &&
    (filter.protocol === undefined || session.protocol === filter.protocol) &&
    (filter.state === undefined || session.state === filter.state) &&
    (filter.listener === undefined || session.listener === filter.listener) &&
    (filter.lane === undefined || session.lane === filter.lane) &&
    (olderThan === undefined || (session.started !== undefined && now - session.started >= olderThan * 1000)) &&
    (filter.generation === undefined || session.generation === filter.generation) &&
    (tls === undefined || (session.tls !== undefined) === tls)
}

function sortKey(session: SessionSummary, sort: SessionSort): string | number {
  switch (sort) {
    case 'idle':
      // The longest idle was active first.
      return -session.idle
    case 'user':
      return session.user ?? ''
    case 'ip':
      return inOrder(session.ip)
    case 'started':
    case 'bytesIn':
    case 'bytesOut':
    case 'messages':
    case 'id':
      return session[sort]
  }
}

/** IPv4 first, each by its octets. */
function inOrder(ip: string): string {
  const octets = plainIp(ip) ?? []
  const digits = octets.map((octet) => octet.toString(16).padStart(2, '0')).join('')
  return `${octets.length === 16 ? 6 : 4}${digits}`
}

function compareKeys(a: readonly [string | number, string], b: readonly [string | number, string]): number {
  if (a[0] !== b[0]) return a[0] < b[0] ? -1 : 1
  if (a[1] !== b[1]) return a[1] < b[1] ? -1 : 1
  return 0
}

/**
 * One page of the sessions that match, and how many match in all. A lane gives this for its own sessions; main gives the
 * concatenation of the lanes' pages to `mergePages`.
 */
export function selectPage(
  sessions: Iterable<SessionSummary>,
  query: SessionQuery,
): { readonly sessions: readonly SessionSummary[]; readonly matched: number } {
  const matches = sessionMatcher(query.filter)
  const kept: SessionSummary[] = []
  let matched = 0
  for (const session of sessions) {
    if (!matches(session, query.now)) continue
    matched++
    kept.push(session)
  }
  return { sessions: mergePages(kept, query), matched }
}

/** Sorts, drops what comes before the page, cuts at the limit. */
export function mergePages(sessions: readonly SessionSummary[], query: SessionQuery): readonly SessionSummary[] {
  const direction = query.descending ? -1 : 1
  const { after } = query
  const keyed = sessions.map((session) => ({ session, key: [sortKey(session, query.sort), session.id] as const }))
  const rest = after === undefined ? keyed : keyed.filter(({ key }) => direction * compareKeys(key, after) > 0)
  rest.sort((a, b) => direction * compareKeys(a.key, b.key))
  return rest.slice(0, query.limit).map(({ session }) => session)
}

/** Where the next page begins, for the caller to hand back unread. */
export function cursorAfter(session: SessionSummary, sort: SessionSort, descending: boolean): string {
  return Buffer.from(JSON.stringify([sort, descending, sortKey(session, sort), session.id])).toString('base64url')
}

/** The `after` of a query; undefined if the cursor is not one of ours or of another order. */
export function afterCursor(
  cursor: string,
  sort: SessionSort,
  descending: boolean,
): readonly [string | number, string] | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
  if (!Array.isArray(value) || value.length !== 4 || value[0] !== sort || value[1] !== descending) return undefined
  const [, , key, id] = value
  if ((typeof key !== 'string' && typeof key !== 'number') || typeof id !== 'string') return undefined
  return [key, id]
}
