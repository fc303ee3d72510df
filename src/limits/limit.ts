// A line of control/limits as a value: who is counted together, what is counted, and how much of it there may be.

import { type Network, networkHolds, plainIp } from '../protocol/ip.ts'

export const SCOPES = ['address', 'network', 'user', 'user+address', 'listener', 'all'] as const
export type Scope = (typeof SCOPES)[number]

export const WHATS = [
  'sessions',
  'before-login',
  'logins',
  'failed-logins',
  'messages',
  'recipients',
  'octets',
] as const
export type What = (typeof WHATS)[number]

/** Seconds. */
export const UNITS = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const
export type Unit = keyof typeof UNITS

export type Rate =
  /** So many at the same time. */
  | { readonly kind: 'at-once'; readonly most: number }
  /** So many within any so many seconds; `ban`: seconds of refusal after one too many, or 0. */
  | { readonly kind: 'window'; readonly most: number; readonly seconds: number; readonly ban: number }
  /** The answer to a wrong password comes later each time: after 2, 4, 8 seconds, and no later than this. */
  | { readonly kind: 'delay'; readonly longest: number }
  | { readonly kind: 'off' }

/** The one subject that a line of its own is for. */
export type Only =
  | { readonly text: string; readonly network: Network }
  /** A user in small letters, or a listener. */
  | { readonly text: string; readonly network: undefined }

export interface Limit {
  readonly name: string
  readonly line: number
  readonly text: string
  readonly scope: Scope
  readonly only: Only | undefined
  readonly what: What
  readonly rate: Rate
}

export interface Limits {
  readonly limits: readonly Limit[]
  /** Clients that are counted by user only. */
  readonly trusted: readonly Network[]
}

export const NO_LIMITS: Limits = { limits: [], trusted: [] }

/** Who does something. Before login there is no user. */
export interface Who {
  readonly ip: string
  readonly listener: string
  readonly user: string
}

/** Bits of an address that tell clients apart: an IPv6 client has a whole /64. */
const ADDRESS_BITS = { 4: 32, 16: 64 } as const
const NETWORK_BITS = { 4: 24, 16: 48 } as const

/** `192.0.2.7`, `192.0.2.0/24`, `2001:db8:0:1::/64`; what is no address stays as it is. */
function prefixOf(
  ip: string,
  octets: readonly number[] | undefined,
  lengths: typeof ADDRESS_BITS | typeof NETWORK_BITS,
) {
  if (octets === undefined) return ip
  if (octets.length === 4) {
    const kept = lengths[4] / 8
    return kept === 4 ? octets.join('.') : `${octets.slice(0, kept).join('.')}.0/24`
  }
  const groups: string[] = []
  for (let i = 0; i < lengths[16] / 8; i += 2)
    groups.push((((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0)).toString(16))
  return `${groups.join(':')}::/${lengths[16]}`
}

/** One client: an IPv4 address, or the /64 of an IPv6 one. */
export const clientAddress = (ip: string): string => prefixOf(ip, plainIp(ip), ADDRESS_BITS)

/** Users are counted without regard to case. */
export const foldUser = (user: string): string => user.toLowerCase()

/** Whom a line counts this client as; undefined: the line is not about it. */
export function subjectOf({ scope, only }: Limit, who: Who): string | undefined {
  if (only?.network !== undefined) {
    const octets = plainIp(who.ip)
    if (octets === undefined || !networkHolds(only.network, octets)) return undefined
    // A network with a line of its own is counted as one, an address by itself.
    return scope === 'network' ? only.text : subjectIn(scope, who)
  }
  const subject = subjectIn(scope, who)
  if (only === undefined) return subject
  const own = scope === 'listener' ? who.listener : foldUser(who.user)
  return own === only.text ? subject : undefined
}

function subjectIn(scope: Scope, { ip, listener, user }: Who): string | undefined {
  switch (scope) {
    case 'address':
      return clientAddress(ip)
    case 'network':
      return prefixOf(ip, plainIp(ip), NETWORK_BITS)
    case 'user':
      return user === '' ? undefined : foldUser(user)
    case 'user+address':
      return user === '' ? undefined : `${foldUser(user)} ${clientAddress(ip)}`
    case 'listener':
      return listener
    case 'all':
      return 'all'
  }
}

export interface Applied {
  readonly limit: Limit
  readonly subject: string
}

/** The lines that count this of this client; a line of its own takes the place of the general ones of its scope and kind. */
export function appliedTo({ limits, trusted }: Limits, what: What, who: Who): readonly Applied[] {
  const lines = linesOf(limits, what)
  if (lines.length === 0) return lines as readonly never[]
  const isTrusted = trusted.length > 0 && trusts(trusted, who.ip)
  const general: Applied[] = []
  const own: Applied[] = []
  for (const limit of lines) {
    if (isTrusted && limit.scope !== 'user') continue
    const subject = subjectOf(limit, who)
    if (subject === undefined) continue
    if (limit.only === undefined) general.push({ limit, subject })
    else own.push({ limit, subject })
  }
  const left =
    own.length === 0 ? general : [...own, ...general.filter(({ limit }) => !own.some((one) => replaces(one, limit)))]
  return left.filter(({ limit }) => limit.rate.kind !== 'off')
}

const linesByWhat = new WeakMap<readonly Limit[], ReadonlyMap<What, readonly Limit[]>>()

function linesOf(limits: readonly Limit[], what: What): readonly Limit[] {
  let lines = linesByWhat.get(limits)
  if (lines === undefined) {
    lines = new Map(WHATS.map((each) => [each, limits.filter((limit) => limit.what === each)]))
    linesByWhat.set(limits, lines)
  }
  return lines.get(what) ?? []
}

const replaces = ({ limit: own }: Applied, limit: Limit): boolean =>
  own.scope === limit.scope &&
  (own.rate.kind === 'off' || (own.rate.kind === 'delay') === (limit.rate.kind === 'delay'))

export function trusts(trusted: readonly Network[], ip: string): boolean {
  const octets = plainIp(ip)
  return octets !== undefined && trusted.some((network) => networkHolds(network, octets))
}

/** Whether any line counts this of anybody: nothing is asked about what no line counts. */
export const counts = ({ limits }: Limits, ...whats: readonly What[]): boolean =>
  limits.some(({ what, rate }) => whats.includes(what) && rate.kind !== 'off')

/** What no line limits, and the lines that say off: `octets, sessions (few)`. */
export const limitsOff = ({ limits }: Limits): readonly string[] => [
  ...WHATS.filter((what) => !counts({ limits, trusted: [] }, what)),
  ...limits.flatMap(({ name, what, only, rate }) =>
    rate.kind === 'off' ? [`${what} (${only === undefined ? name : `${name}, for ${only.text}`})`] : [],
  ),
]

/** `120/hour`, `40`, `delay=15`, `20/hour ban=1800`, `off`. */
export function rateText(rate: Rate): string {
  switch (rate.kind) {
    case 'at-once':
      return String(rate.most)
    case 'window': {
      const [unit] = Object.entries(UNITS).find(([, seconds]) => seconds === rate.seconds) ?? ['second']
      return `${rate.most}/${unit}${rate.ban > 0 ? ` ban=${rate.ban}` : ''}`
    }
    case 'delay':
      return `delay=${rate.longest}`
    case 'off':
      return 'off'
  }
}

/** `20`, `120/hour`, `off`, `delay=15`, without a ban; undefined: it is none of them. */
export function parseRate(text: string): Rate | undefined {
  if (text === 'off') return { kind: 'off' }
  const delay = /^delay=(\d{1,3})$/.exec(text)?.[1]
  if (delay !== undefined) return Number(delay) >= 2 ? { kind: 'delay', longest: Number(delay) } : undefined
  const [, number = '', unit] = /^([1-9]\d{0,11})(?:\/(second|minute|hour|day))?$/.exec(text) ?? []
  if (number === '') return undefined
  const most = Number(number)
  return unit === undefined ? { kind: 'at-once', most } : { kind: 'window', most, seconds: UNITS[unit as Unit], ban: 0 }
}
