// IP addresses as text, without node:net: what is one, which family, and whether a network holds it.

/** 4, 6, or 0 for what is no address (RFC 4291 section 2.2 for IPv6, without a zone). */
export function isIp(text: string): 0 | 4 | 6 {
  const parsed = parseIp(text)
  return parsed === undefined ? 0 : parsed.length === 4 ? 4 : 6
}

/** Four or sixteen octets; undefined for what is no address. */
export function parseIp(text: string): readonly number[] | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined
  return parts.map(Number)
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, i) => groupsOf(half, i === halves.length - 1))
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined
  const given = head.length + (tail?.length ?? 0)
  if (halves.length === 1) return given === 16 ? head : undefined
  return given <= 14 ? [...head, ...Array<number>(16 - given).fill(0), ...(tail ?? [])] : undefined
}

/** Octets of groups between colons; the last group may be an IPv4 address. */
function groupsOf(text: string, last: boolean): readonly number[] | undefined {
  if (text === '') return []
  const octets: number[] = []
  const groups = text.split(':')
  for (const [i, group] of groups.entries()) {
    if (last && i === groups.length - 1 && group.includes('.')) {
      const v4 = parseIpv4(group)
      if (v4 === undefined) return undefined
      octets.push(...v4)
    } else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16)
      octets.push(value >> 8, value & 255)
    } else return undefined
  }
  return octets
}

/** Octets of an address as a socket tells it: without its zone, and IPv4 where a dual-stack socket says ::ffff:a.b.c.d. */
export function plainIp(text: string): readonly number[] | undefined {
  // A client's address is looked at many times in a row: by access rules, limits and variables.
  if (last.text === text) return last.octets
  const octets = parseIp(text.replace(/%.*$/, ''))
  last = { text, octets: octets !== undefined && isMapped(octets) ? octets.slice(12) : octets }
  return last.octets
}

let last: { readonly text: string; readonly octets: readonly number[] | undefined } = { text: '', octets: undefined }

/** As EHLO takes an address (RFC 5321 section 4.1.3): `[192.0.2.1]`, `[IPv6:2001:db8::1]`; empty for what is no address. */
export function addressLiteral(text: string): string {
  const octets = plainIp(text)
  if (octets === undefined) return ''
  return octets.length === 4 ? `[${octets.join('.')}]` : `[IPv6:${text.replace(/%.*$/, '')}]`
}

const isMapped = (octets: readonly number[]): boolean =>
  octets.length === 16 && octets.every((octet, i) => i >= 12 || octet === (i < 10 ? 0 : 255))

export interface Network {
  readonly octets: readonly number[]
  /** Leading bits that must be the same. */
  readonly bits: number
}

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', length] = text.split('/')
  const octets = parseIp(address)
  if (octets === undefined || text.split('/').length > 2) return undefined
  const most = octets.length * 8
  if (length === undefined) return parseNetwork(`${address}/${most}`)
  if (!/^(0|[1-9]\d{0,2})$/.test(length) || Number(length) > most) return undefined
  const bits = Number(length)
  return isMapped(octets) && bits >= 96 ? { octets: octets.slice(12), bits: bits - 96 } : { octets, bits }
}

/** Whether one of the networks holds the address of a socket. */
export function isInside(networks: readonly Network[], ip: string): boolean {
  const octets = networks.length === 0 ? undefined : plainIp(ip)
  return octets !== undefined && networks.some((network) => networkHolds(network, octets))
}

/** Addresses of the other family are in no network: ::/0 does not hold IPv4. */
export function networkHolds(network: Network, octets: readonly number[]): boolean {
  if (network.octets.length !== octets.length) return false
  for (let bit = 0; bit < network.bits; bit += 8) {
    const left = Math.min(8, network.bits - bit)
    const mask = (0xff << (8 - left)) & 0xff
    if ((((network.octets[bit / 8] ?? 0) ^ (octets[bit / 8] ?? 0)) & mask) !== 0) return false
  }
  return true
}
