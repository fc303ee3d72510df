// control/access: who may connect, in the syntax of tcprules(5). The first rule that fits, in the order of tcprules, is the one that
// counts; without one a client may.
//
//   192.0.2.7:deny                      10.1.0-15.:allow,ACCEPTD_SITE="office"
//   192.0.2.0/24:deny                   [2001:db8::/32]:deny
//   =.example.net:deny                 =client.example.org:allow          names, with control/remotehost
//   ann@192.0.2.7:allow                ann@=client.example.org:allow      users by identd, with control/remoteinfo
//   :allow

import { err, ok, type Result } from 'neverthrow'
import { lowerCase } from '../protocol/bytes.ts'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { type Network, networkHolds, parseIp, parseNetwork, plainIp } from '../protocol/ip.ts'
import { lineKey } from './knobs.ts'

export interface AccessRule {
  readonly line: number
  /** The address as it was written. */
  readonly text: string
  /** See lineKey. */
  readonly key: string
  readonly allow: boolean
  /** NAME=VALUE */
  readonly variables: readonly string[]
}

export interface AccessRules {
  /** By address (`192.0.2.7`), by what it begins with (`192.0.2.`), and the empty address. */
  readonly byText: ReadonlyMap<string, AccessRule>
  /** By name (`=client.example.org`), by what it ends with (`=.example.org`), and `=`, any name; in lower case. */
  readonly byName: ReadonlyMap<string, AccessRule>
  /** By USER@ and the octets of an address, or USER@ and a name as above. */
  readonly byUser: ReadonlyMap<string, AccessRule>
  /** The longest first. */
  readonly byNetwork: readonly { readonly network: Network; readonly rule: AccessRule }[]
}

export const NO_ACCESS_RULES: AccessRules = {
  byText: new Map(),
  byName: new Map(),
  byUser: new Map(),
  byNetwork: [],
}

/** The most addresses that a range of tcprules may mean. */
const MOST_IN_RANGE = 256

type Fail = (word: string, problem: string, hint: string) => void

export function parseAccess(text: string, file: string): Result<AccessRules, readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const byText = new Map<string, AccessRule>()
  const byName = new Map<string, AccessRule>()
  const byUser = new Map<string, AccessRule>()
  const byNetwork: { network: Network; rule: AccessRule }[] = []
  for (const { line, text: raw } of controlLines(text)) {
    const fail: Fail = (word, problem, hint) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const [, address = '', instructions = ''] = ADDRESS_AND_REST.exec(raw) ?? [undefined, undefined, raw]
    const rule = ruleOf({ line, text: address, key: lineKey(file, raw) }, instructions, fail)
    if (rule === undefined) continue
    const network = networkOf(address)
    if (address.includes('@')) addFirst(byUser, userOf(address, fail), rule)
    else if (NAME.test(address)) addFirst(byName, lowerCase(address), rule)
    else if (network !== undefined) byNetwork.push({ network, rule })
    else for (const one of addressesOf(address, fail)) addFirst(byText, one, rule)
  }
  byNetwork.sort((a, b) => b.network.bits - a.network.bits)
  return errors.length > 0 ? err(errors) : ok({ byText, byName, byUser, byNetwork })
}

const ADDRESS_AND_REST = /^((?:[^:]*@)?\[[^\]]*\]|[^:]*):(.*)$/s

function addFirst(rules: Map<string, AccessRule>, key: string | undefined, rule: AccessRule): void {
  if (key !== undefined && !rules.has(key)) rules.set(key, rule)
}

function ruleOf(
  place: Pick<AccessRule, 'line' | 'text' | 'key'>,
  instructions: string,
  fail: Fail,
): AccessRule | undefined {
  const [, verdict, rest = ''] = /^(allow|deny)(,.*)?$/s.exec(instructions) ?? []
  if (verdict === undefined) {
    fail(instructions, `\`${instructions}\` begins neither with allow nor with deny`, 'write e.g. 192.0.2.7:deny')
    return undefined
  }
  const variables = variablesOf(rest, fail)
  return variables === undefined ? undefined : { ...place, allow: verdict === 'allow', variables }
}

/** Those that tell a chain of a connection; a chain's own are set in control/chains, where the helper trusts them. */
const SETTABLE = /^(TCP[A-Z0-9]*|ACCEPTD_[A-Z0-9_]+)$/

/** `,NAME="value"` again and again; the first character of a value ends it, too. */
function variablesOf(text: string, fail: Fail): readonly string[] | undefined {
  const variables: string[] = []
  for (let at = 0; at < text.length; ) {
    const [whole, name = '', quote = ''] = /^,([A-Za-z0-9_]+)=(.)/s.exec(text.slice(at)) ?? []
    const from = at + (whole?.length ?? 0)
    const end = whole === undefined ? -1 : text.indexOf(quote, from)
    if (end < 0) {
      fail(text.slice(at), `\`${text.slice(at)}\` is not ,NAME="VALUE"`, 'write e.g. :allow,ACCEPTD_SITE="office"')
      return undefined
    }
    if (!SETTABLE.test(name)) {
      fail(name, `${name} cannot be set here`, `write ACCEPTD_ with a name, or \`set ${name}=\` in control/chains`)
      return undefined
    }
    variables.push(`${name}=${text.slice(from, end)}`)
    at = end + 1
  }
  return variables
}

/** Brackets, and whatever has a length: what tcprules does not know. */
function networkOf(address: string): Network | undefined {
  const inside = /^\[(.*)\]$/.exec(address)?.[1]
  return inside !== undefined || address.includes('/') ? parseNetwork(inside ?? address) : undefined
}

const NAME = /^=(?:\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)?$/

/** tcprules knows no ranges, beginnings and ends after USER@. */
function userOf(address: string, fail: Fail): string | undefined {
  const at = address.lastIndexOf('@')
  const [user, where] = [address.slice(0, at), address.slice(at + 1)]
  const octets = parseIp(where.replace(/^\[(.*:.*)\]$/, '$1'))
  if (user !== '' && octets !== undefined) return userKey(user, octets)
  if (user !== '' && /^=[^.]/.test(where) && NAME.test(where)) return `${user}@${lowerCase(where)}`
  fail(
    address,
    `\`${address}\` is no user that can be looked up`,
    'write ann@192.0.2.7, ann@[2001:db8::1] or ann@=client.example',
  )
  return undefined
}

const userKey = (user: string, octets: readonly number[] | undefined): string => `${user}@${octets?.join('.')}`

/** `10.1.0-15.` is the sixteen of them. */
function addressesOf(address: string, fail: Fail): readonly string[] {
  if (address === '') return ['']
  const [, before = '', from, to, after = ''] = /^([\d.]*?)(\d+)-(\d+)(\.?)$/.exec(address) ?? []
  if (from !== undefined && to !== undefined) {
    const count = Number(to) - Number(from) + 1
    if (count >= 1 && count <= MOST_IN_RANGE && Number(to) <= 255)
      return Array.from({ length: count }, (_, i) => `${before}${Number(from) + i}${after}`)
  } else if (/^(\d{1,3}\.){1,3}$/.test(address) || (plainIp(address)?.length === 4 && /^[\d.]+$/.test(address)))
    return [address]
  fail(
    address,
    `\`${address}\` is no address that can be looked up`,
    'write 192.0.2.7, 192.0.2., 192.0.2.0-15, 192.0.2.0/24, [2001:db8::/32], =client.example or =.example.org',
  )
  return []
}

/**
 * The rule for a peer, in the order of tcprules: its user at its address, its user at its name, its address, its name, the longest network,
 * the longest beginning, the longest end of its name, any name, then the empty address. `host` and `info` are empty where they are not known.
 */
export function accessFor(rules: AccessRules, ip: string, host = '', info = ''): AccessRule | undefined {
  const name = lowerCase(host)
  return (
    byUserOf(rules, ip, name, info) ??
    byAddress(rules, ip, rules.byName.get(`=${name || ' '}`)) ??
    bySuffix(rules, name) ??
    rules.byText.get('')
  )
}

function byUserOf({ byUser }: AccessRules, ip: string, name: string, info: string): AccessRule | undefined {
  if (info === '' || byUser.size === 0) return undefined
  return byUser.get(userKey(info, plainIp(ip))) ?? (name === '' ? undefined : byUser.get(`${info}@=${name}`))
}

function bySuffix({ byName }: AccessRules, name: string): AccessRule | undefined {
  if (name === '') return undefined
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const rule = byName.get(`=${name.slice(dot)}`)
    if (rule !== undefined) return rule
  }
  return byName.get('=')
}

function byAddress(rules: AccessRules, ip: string, named: AccessRule | undefined): AccessRule | undefined {
  const octets = plainIp(ip)
  if (octets === undefined) return named
  const text = octets.length === 4 ? octets.join('.') : ''
  const exact = text === '' ? undefined : rules.byText.get(text)
  if (exact !== undefined || named !== undefined) return exact ?? named
  const inside = rules.byNetwork.find(({ network }) => networkHolds(network, octets))
  if (inside !== undefined) return inside.rule
  for (let end = text.lastIndexOf('.'); end > 0; end = text.lastIndexOf('.', end - 1)) {
    const rule = rules.byText.get(text.slice(0, end + 1))
    if (rule !== undefined) return rule
  }
  return undefined
}
