// control/listeners: ADDRESS:PORT PROTOCOL CHAIN, then options, each a row of OPTIONS

import { err, ok, type Result } from 'neverthrow'
import { controlLines } from '../protocol/control-lines.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { isIp, type Network, parseNetwork } from '../protocol/ip.ts'
import type { ChainConfig, ChainsFile } from './chains.ts'
import { ACCESS_FILE } from './knobs.ts'
import { TLS_MODES, type TlsMode } from './tls.ts'

export interface ListenerConfig {
  readonly name: string
  readonly line: number
  /** Without the brackets of IPv6. */
  readonly address: string
  readonly port: number
  readonly protocol: 'smtp' | 'pop3'
  readonly chain: string
  readonly guest: string | undefined
  /** PEM file of those who sign client certificates; undefined: no client is asked for one. */
  readonly clients: string | undefined
  /** The chain of clients that log in by their certificate. */
  readonly external: string | undefined
  /** Wrong passwords a session may send. */
  readonly tries: number
  readonly tls: TlsMode
  /** Peers that send a PROXY header, and must. */
  readonly proxies: readonly Network[]
  /** Peers that may say XCLIENT and XFORWARD. */
  readonly xclients: readonly Network[]
  /** The control file that takes the place of control/access. */
  readonly access: string | undefined
}

/** What the other control files say, as far as a listener needs it. */
export interface OtherFiles {
  /** Undefined where control/chains does not parse. */
  readonly chains: ChainsFile | undefined
  /** There is a certificate in control/tls. */
  readonly certified: boolean
}

type Fail = (word: string, problem: string, hint: string) => void

export function parseListeners(
  text: string | undefined,
  file: string,
  others: OtherFiles,
): Result<readonly ListenerConfig[], readonly ConfigError[]> {
  const errors: ConfigError[] = []
  const listeners: ListenerConfig[] = []
  const rows = controlLines(text ?? '')
  for (const { line, text: raw } of rows) {
    const fail: Fail = (word, problem, hint) =>
      errors.push({ file, line, column: Math.max(raw.indexOf(word), 0) + 1, problem, hint })
    const [where = '', protocol = '', chain = '', ...options] = raw.trim().split(/[ \t]+/)
    const place = placeOf(where, fail)
    const speaks = protocol === 'smtp' || protocol === 'pop3'
    if (!speaks) fail(protocol, `\`${protocol}\` is not a protocol`, 'write smtp or pop3')
    if (chain === '') fail(where, 'the chain is missing', 'write ADDRESS:PORT PROTOCOL CHAIN')
    else checkChain(others.chains, chain, 'auth', fail)
    if (!speaks) continue
    const chosen = optionsOf(options, protocol, others, fail)
    const tls = chosen.tls ?? usualTls(place, others.certified)
    if (place.known && tls !== 'off' && !others.certified)
      fail(where, 'this listener has TLS, and there is no certificate', 'name one in control/tls, or add tls=off')
    const name = chosen.name ?? freeName(`${protocol}:${place.port}`, listeners)
    checkClients(raw, tls, chosen, fail)
    if (listeners.some((other) => other.name === name))
      fail(where, `there are two listeners named ${name}`, 'add name=NAME to one')
    listeners.push({
      name,
      line,
      address: place.address,
      port: place.port,
      protocol,
      chain,
      guest: chosen.guest,
      clients: chosen.clients,
      external: chosen.external,
      tries: chosen.tries ?? (protocol === 'pop3' ? 1 : 5),
      tls,
      proxies: chosen.proxies ?? [],
      xclients: chosen.xclients ?? [],
      access: chosen.access,
    })
  }
  if (listeners.length === 0 && errors.length === 0) {
    const problem = text === undefined ? 'there is no such file' : 'there is no listener'
    errors.push({ file, line: 1, column: 1, problem, hint: 'write e.g. 0.0.0.0:587 smtp submission' })
  }
  return errors.length > 0 ? err(errors) : ok(listeners)
}

interface Place {
  readonly address: string
  readonly port: number
  /** False: it is none, which has been said. */
  readonly known: boolean
}

function placeOf(where: string, fail: Fail): Place {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d{1,5})$/.exec(where)
  const address = match?.[1] ?? match?.[2] ?? ''
  const port = Number(match?.[3] ?? -1)
  const known = isIp(address) === (match?.[1] === undefined ? 4 : 6) && port >= 0 && port <= 65_535
  if (!known) fail(where, `\`${where}\` is not ADDRESS:PORT`, 'write e.g. 127.0.0.1:587 or [::]:587')
  return { address, port, known }
}

/** A certificate comes in TLS, and only from who is asked for one. */
function checkClients(raw: string, tls: TlsMode, { clients, external }: Chosen, fail: Fail): void {
  const word = (option: string) => raw.split(/[ \t]+/).find((each) => each.startsWith(`${option}=`)) ?? ''
  if (clients !== undefined && tls === 'off')
    fail(word('clients'), 'a listener without TLS sees no certificate', 'name one for the server in control/tls')
  if (external !== undefined && clients === undefined)
    fail(
      word('external'),
      'no client is asked for a certificate',
      'add clients=FILE, the PEM file of those who sign them',
    )
}

function checkChain(chains: ChainsFile | undefined, name: string, kind: ChainConfig['kind'], fail: Fail): void {
  if (chains === undefined) return
  const found = chains.chains.find((each) => each.name === name)
  const names = chains.chains.filter((each) => each.kind === kind).map((each) => each.name)
  if (found === undefined)
    fail(name, `there is no chain \`${name}\` in control/chains`, `name one of ${names.join(', ')}`)
  else if (found.kind !== kind) {
    const choice = names.join(', ') || 'there is none'
    fail(name, `the chain ${name} is of kind ${found.kind}`, `name one of kind ${kind}: ${choice}`)
  }
}

// ---- options

type Chosen = {
  -readonly [K in
    | 'tries'
    | 'guest'
    | 'clients'
    | 'external'
    | 'name'
    | 'tls'
    | 'proxies'
    | 'xclients'
    | 'access']?: ListenerConfig[K]
}

interface OptionRow {
  readonly usage: string
  readonly only?: ListenerConfig['protocol']
  /** Undefined: it is not understood. */
  readonly parse: (value: string) => Chosen | undefined
}

function networksOf(value: string): readonly Network[] | undefined {
  const networks = value.split(',').map((word) => parseNetwork(word))
  return networks.every((network) => network !== undefined) ? networks : undefined
}

const OPTIONS: Readonly<Record<string, OptionRow>> = {
  tls: {
    usage: 'tls=implicit, require, offer or off',
    parse: (value) => {
      const tls = TLS_MODES.find((mode) => mode === value)
      return tls === undefined ? undefined : { tls }
    },
  },
  proxy: {
    usage: 'proxy=NETWORK[,NETWORK]',
    parse: (value) => {
      const proxies = networksOf(value)
      return proxies && { proxies }
    },
  },
  xclient: {
    usage: 'xclient=NETWORK[,NETWORK] (smtp only)',
    only: 'smtp',
    parse: (value) => {
      const xclients = networksOf(value)
      return xclients && { xclients }
    },
  },
  access: {
    usage: 'access=access-NAME',
    parse: (access) => (ACCESS_FILE.test(access) ? { access } : undefined),
  },
  tries: {
    usage: 'tries=1..99',
    parse: (value) => (/^[1-9]\d?$/.test(value) ? { tries: Number(value) } : undefined),
  },
  guest: { usage: 'guest=CHAIN (smtp only)', only: 'smtp', parse: (guest) => ({ guest }) },
  clients: {
    usage: 'clients=FILE (of certificates)',
    parse: (clients) => (clients.startsWith('/') ? { clients } : undefined),
  },
  external: {
    usage: 'external=CHAIN (of kind certificate)',
    parse: (external) => (external === '' ? undefined : { external }),
  },
  name: {
    usage: 'name=NAME',
    parse: (name) => (/^[A-Za-z0-9._:-]{1,64}$/.test(name) ? { name } : undefined),
  },
}

const USAGE = Object.values(OPTIONS).map(({ usage }) => usage)

function optionsOf(
  words: readonly string[],
  protocol: ListenerConfig['protocol'],
  others: OtherFiles,
  fail: Fail,
): Chosen {
  const chosen: Chosen = {}
  for (const word of words) {
    const [key = '', value = ''] = word.split(/=(.*)/)
    const row = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined
    const parsed = row === undefined || (row.only ?? protocol) !== protocol ? undefined : row.parse(value)
    if (parsed === undefined) fail(word, `\`${word}\` is not an option`, `write ${USAGE.join('; ')}`)
    else if (parsed.guest !== undefined) checkChain(others.chains, parsed.guest, 'guest', fail)
    else if (parsed.external !== undefined) checkChain(others.chains, parsed.external, 'certificate', fail)
    Object.assign(chosen, parsed)
  }
  return chosen
}

/** Ports of submissions and pop3s (RFC 8314 sections 3.3 and 3.2). */
const IMPLICIT_PORTS: readonly number[] = [465, 995]

/** Without tls=: a password crosses a network only in TLS. */
function usualTls({ address, port }: Place, certified: boolean): TlsMode {
  const loopback = address.startsWith('127.') || address === '::1'
  if (loopback && !certified) return 'off'
  if (IMPLICIT_PORTS.includes(port)) return 'implicit'
  return loopback ? 'offer' : 'require'
}

/** Without name=, a listener is called by protocol and port, the second one on the same port with -2 after it. */
function freeName(wanted: string, listeners: readonly ListenerConfig[]): string {
  const taken = (name: string) => listeners.some((other) => other.name === name)
  let name = wanted
  for (let n = 2; taken(name); n += 1) name = `${wanted}-${n}`
  return name
}
