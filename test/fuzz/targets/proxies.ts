// What is claimed about a client: PROXY headers, XCLIENT, addresses.
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import fc from 'fast-check'
import { bytesOf } from '../../../src/protocol/bytes.ts'
import { isIp, parseNetwork } from '../../../src/protocol/ip.ts'
import { parseProxyHeader } from '../../../src/protocol/proxy.ts'
import { parseForwarded, parseProxied, proxyLine } from '../../../src/protocol/xclient.ts'
import { anyOctets, octets, pure } from '../target.ts'

const IPV4 = fc.ipV4()
const IPV6 = fc.ipV6().filter((ip) => isIP(ip) === 6)
const PORT = fc.nat({ max: 65_535 })
/** One way to write an address, for comparing. */
const canonical = (ip: string): string => new URL(isIP(ip) === 6 ? `http://[${ip}]/` : `http://${ip}/`).hostname

const PROXY_WORDS = [
  'PROXY ',
  'TCP4 ',
  'TCP6 ',
  'UNKNOWN',
  '192.0.2.7 ',
  '::1 ',
  '0 ',
  '65535',
  '65536',
  '\r\n',
  '\r',
  ' ',
]
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'
const PROXY_OCTETS = [
  SIGNATURE,
  '\x21\x11',
  '\x21\x21',
  '\x20\0',
  '\0\x0c',
  '\0\x24',
  '\0\x0f',
  '\x20\0\x08',
  '\x01\0\0\0\0',
  '\x03\0\x04',
]
const two = (value: number): string => String.fromCharCode(value >> 8, value & 255)
const tlv = fc.tuple(fc.constantFrom(1, 2, 3, 4, 0x20, 0x21, 0x22, 0x23, 0x30), anyOctets(12))
const binary = fc
  .record({
    command: fc.constantFrom(0x20, 0x21, 0x22),
    family: fc.constantFrom(0, 0x11, 0x21, 0x12, 0x31),
    body: anyOctets(40),
    tlvs: fc.array(tlv, { maxLength: 4 }),
    odd: fc.integer({ min: -3, max: 3 }),
  })
  .map(({ command, family, body, tlvs, odd }) => {
    const rest = body + tlvs.map(([type, value]) => String.fromCharCode(type) + two(value.length) + value).join('')
    return SIGNATURE + String.fromCharCode(command, family) + two(Math.max(0, rest.length + (odd === 3 ? 1 : 0))) + rest
  })

const PROXY_LIMIT = 200
const proxy = pure(
  'proxy',
  'a PROXY header is decided once, at the same octet in whatever reads it comes, and what it says is printable',
  fc.oneof(octets(PROXY_WORDS, 12), octets(PROXY_OCTETS, 8), binary),
  (text) => {
    const bytes = bytesOf(text)
    const whole = parseProxyHeader(bytes, PROXY_LIMIT)
    let decided: string | undefined
    for (let size = 0; size <= bytes.length; size += 1) {
      const parsed = parseProxyHeader(bytes.subarray(0, size), PROXY_LIMIT)
      if (decided !== undefined) assert.equal(parsed.kind, decided)
      if (parsed.kind === 'more') assert.ok(size < PROXY_LIMIT)
      else decided = parsed.kind
      if (parsed.kind === 'header') {
        assert.ok(parsed.next <= size)
        assert.deepEqual(parsed, whole)
      }
    }
    if (whole.kind !== 'header') return
    const { client, tls, authority } = whole.header
    for (const end of [client?.peer, client?.local])
      if (end !== undefined) assert.ok(isIP(end.ip) !== 0 && end.port >= 0 && end.port <= 65_535)
    for (const said of [authority, tls?.version, tls?.cipher, tls?.clientName])
      assert.match(said ?? '', /^[ -~\x80-\xff]*$/)
  },
)

const proxyWritten = pure(
  'proxy-written',
  'a PROXY header that another writer has made means what it wrote',
  fc.record({
    four: fc.boolean(),
    ips4: fc.tuple(IPV4, IPV4),
    ips6: fc.tuple(IPV6, IPV6),
    ports: fc.tuple(PORT, PORT),
    old: fc.boolean(),
    name: fc.string({ maxLength: 30 }),
  }),
  ({ four, ips4, ips6, ports, old, name }) => {
    const plain = (ip: string): string => canonical(ip).replace(/^\[|\]$/g, '')
    const [peer, local] = (four ? ips4 : ips6).map(plain) as [string, string]
    const after = 'EHLO me\r\n'
    const octetsOf = (ip: string): string => {
      if (isIP(ip) === 4) return String.fromCharCode(...ip.split('.').map(Number))
      const [head = '', tail] = canonical(ip).slice(1, -1).split('::')
      const groups = (part: string) =>
        part
          .split(':')
          .filter((group) => group !== '')
          .map((group) => Number.parseInt(group, 16))
      const [front, back] = [groups(head), groups(tail ?? '')]
      return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back].map(two).join('')
    }
    const addresses = octetsOf(peer) + octetsOf(local) + ports.map(two).join('')
    const extra = `\x02${two(name.length)}${name}`
    const header = old
      ? `PROXY TCP${four ? 4 : 6} ${peer} ${local} ${ports[0]} ${ports[1]}\r\n`
      : `${SIGNATURE}\x21${four ? '\x11' : '\x21'}${two(addresses.length + extra.length)}${addresses}${extra}`
    const parsed = parseProxyHeader(bytesOf(header + after), 4096)
    assert.ok(parsed.kind === 'header', JSON.stringify(parsed))
    assert.equal(parsed.next, header.length)
    const { client, authority } = parsed.header
    assert.equal(authority, old ? '' : name)
    assert.deepEqual([client?.peer.port, client?.local.port], ports)
    assert.deepEqual(
      [client?.peer.ip, client?.local.ip].map((ip) => canonical(ip ?? '')),
      [peer, local].map(canonical),
    )
  },
)

const XCLIENT = [
  'NAME=',
  'ADDR=',
  'PORT=',
  'PROTO=',
  'HELO=',
  'LOGIN=',
  'DESTADDR=',
  'DESTPORT=',
  ' ',
  '  ',
  '192.0.2.7',
  'IPV6:::1',
  '[UNAVAILABLE]',
  '25',
  '65536',
  '+20',
  '+0A',
  '+',
  'mx.example',
  '-',
  '.',
]
const xclient = pure(
  'xclient',
  'XCLIENT tells addresses, ports and names, or nothing',
  octets(XCLIENT, 12),
  (argument) => {
    const told = parseProxied(argument)
    if (told === undefined) return
    for (const ip of [told.ip, told.localIp]) assert.ok(ip === undefined || isIP(ip) !== 0)
    for (const port of [told.port, told.localPort]) assert.ok(port === undefined || (port >= 0 && port <= 65_535))
    assert.match(told.name ?? 'a', /^[\w.-]{1,255}$/)
  },
)

const OFFER = ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT', 'x', '']
const xclientWritten = pure(
  'xclient-written',
  'the XCLIENT that we send is one line of at most 512 octets, and we read in it what we wrote',
  fc.record({
    offer: fc.array(fc.constantFrom(...OFFER), { maxLength: 10 }),
    ip: fc.oneof(IPV4, IPV6),
    port: PORT,
    name: octets(['mx', '.', '-', 'a'], 6),
    helo: octets([' ', '\r\n', '=', '+', 'x'.repeat(200)], 4),
    login: octets(['ann', '@', '\0', ' '], 6),
    local: IPV4,
  }),
  ({ offer, ip, port, name, helo, login, local }) => {
    const ehlo = `250-mx\r\n250-XCLIENT ${offer.join(' ')}\r\n250 SIZE\r\n`
    const line = proxyLine('XCLIENT', ehlo, {
      ip,
      port,
      name,
      helo,
      proto: 'ESMTP',
      login,
      local: { ip: local, port: 587 },
      ident: '',
      source: 'REMOTE',
    })
    assert.match(line, /^(XCLIENT( [A-Z]+=[!-~]+)+\r\n)?$/)
    assert.ok(line.length <= 512)
    const told = parseProxied(line.slice('XCLIENT '.length).trimEnd())
    // A name that cannot be a host's is not accepted; the DNS gives nobody such a name.
    if (/ NAME=(?!\[UNAVAILABLE\])/.test(line) && !/^[\w-]{1,63}(\.[\w-]{1,63})*\.?$/.test(name)) return
    if (/ ADDR=/.test(line)) assert.equal(canonical(told?.ip ?? ''), canonical(ip))
    if (/ PORT=/.test(line)) assert.equal(told?.port, port)
    if (/ DESTADDR=/.test(line)) assert.equal(told?.localIp, local)
  },
)

const XFORWARD = [
  'NAME=',
  'ADDR=',
  'PORT=',
  'PROTO=',
  'HELO=',
  'IDENT=',
  'SOURCE=',
  ' ',
  '192.0.2.7',
  'IPV6:::1',
  'LOCAL',
  '25',
]
const ALL = '250-mx\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n250 SIZE\r\n'
const xforward = pure(
  'xforward',
  'XFORWARD tells facts, or nothing; said again, they are the same or left out',
  octets([...XFORWARD, '[UNAVAILABLE]', '[TEMPUNAVAIL]', 'mx.example', '+0A', '+20', '+5B', 'x'.repeat(300), '='], 12),
  (argument) => {
    const told = parseForwarded(argument)
    if (told === undefined) return
    assert.ok(told.ip === '' || isIP(told.ip) !== 0)
    assert.ok(told.port >= 0 && told.port <= 65_535)
    assert.match(told.name, /^[\w.-]{0,255}$/)
    const line = proxyLine('XFORWARD', ALL, told)
    assert.match(line, /^(XFORWARD( [A-Z]+=[!-~]+)+\r\n)?$/)
    assert.ok(line.length <= 512)
    const again = parseForwarded(line.slice('XFORWARD '.length).trimEnd())
    assert.ok(again !== undefined, line)
    if (told.ip !== '') assert.equal(canonical(again.ip), canonical(told.ip))
    for (const fact of ['port', 'name', 'helo', 'proto', 'ident', 'source'] as const)
      assert.ok(again[fact] === told[fact] || again[fact] === '' || again[fact] === 0, `${fact} ${line}`)
  },
)

const IP = [
  '1',
  '255',
  '256',
  '0',
  '00',
  '.',
  ':',
  '::',
  'ffff',
  'FFFF',
  '0:0',
  '1.2.3.4',
  '::ffff:',
  '/',
  '32',
  '128',
  '129',
  '%eth0',
  'g',
  '-1',
]
const ip = pure(
  'ip',
  'what is an address is one to Node, too; a network has no more bits than its address',
  octets(IP, 10),
  (text) => {
    if (!text.includes('%')) assert.equal(isIp(text), isIP(text))
    const network = parseNetwork(text)
    if (network !== undefined) assert.ok(network.bits >= 0 && network.bits <= network.octets.length * 8)
  },
)

export const proxyTargets = [proxy, proxyWritten, xclient, xclientWritten, xforward, ip]
