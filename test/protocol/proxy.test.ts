// The PROXY header, by itself and against another reader and writer of it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  Command,
  INETProtocol,
  IPv4Address,
  IPv4ProxyAddress,
  IPv6Address,
  IPv6ProxyAddress,
  Peer,
  TransportProtocol,
  V1ProxyProtocol,
  V2ProxyProtocol,
} from 'proxy-protocol-js'
import { bytesOf, concat } from '../../src/protocol/bytes.ts'
import { type ProxyParse, parseProxyHeader } from '../../src/protocol/proxy.ts'

const LIMIT = 4096
const parse = (bytes: Uint8Array): ProxyParse => parseProxyHeader(bytes, LIMIT)
const SIGNATURE = '\r\n\r\n\0\r\nQUIT\n'

function clientOf(parsed: ProxyParse) {
  assert.equal(parsed.kind, 'header', JSON.stringify(parsed))
  assert.ok(parsed.kind === 'header')
  return parsed.header.client
}

const port = fc.nat({ max: 65_535 })
const octets4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
const octets16 = fc.array(fc.oneof(fc.constant(0), fc.nat(255)), { minLength: 16, maxLength: 16 })

/** One way to write the address, for comparing. */
const canonical = (ip: string): string => new URL(`http://[${ip}]/`).hostname

/** A version 2 header by hand: command, family, what follows. */
const binary = (command: number, family: number, payload: Uint8Array): Uint8Array =>
  concat([bytesOf(SIGNATURE), new Uint8Array([command, family, payload.length >> 8, payload.length & 255]), payload])
const tlv = (type: number, value: Uint8Array): Uint8Array =>
  concat([new Uint8Array([type, value.length >> 8, value.length & 255]), value])
const ADDRESSES = new Uint8Array([192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x02, 0x4b])

void describe('a PROXY header', () => {
  void it('of version 1 is read as the other writer wrote it, over IPv4', () => {
    fc.assert(
      fc.property(octets4, octets4, port, port, (from, to, fromPort, toPort) => {
        const [peer, local] = [from.join('.'), to.join('.')]
        const text = new V1ProxyProtocol(INETProtocol.TCP4, new Peer(peer, fromPort), new Peer(local, toPort)).build()
        const client = clientOf(parse(bytesOf(`${text}EHLO me\r\n`)))
        assert.deepEqual(client, { peer: { ip: peer, port: fromPort }, local: { ip: local, port: toPort } })
      }),
    )
  })
  void it('of version 2 is read as the other writer wrote it, over IPv4', () => {
    fc.assert(
      fc.property(octets4, octets4, port, port, (from, to, fromPort, toPort) => {
        const built = new V2ProxyProtocol(
          Command.PROXY,
          TransportProtocol.STREAM,
          new IPv4ProxyAddress(IPv4Address.createFrom(from), fromPort, IPv4Address.createFrom(to), toPort),
        ).build()
        assert.deepEqual(clientOf(parse(built)), {
          peer: { ip: from.join('.'), port: fromPort },
          local: { ip: to.join('.'), port: toPort },
        })
      }),
    )
  })
  void it('of version 2 is read as the other writer wrote it, over IPv6, and addresses are written as RFC 5952 has them', () => {
    fc.assert(
      fc.property(octets16, octets16, port, port, (from, to, fromPort, toPort) => {
        const built = new V2ProxyProtocol(
          Command.PROXY,
          TransportProtocol.STREAM,
          new IPv6ProxyAddress(IPv6Address.createFrom(from), fromPort, IPv6Address.createFrom(to), toPort),
        ).build()
        const client = clientOf(parse(built))
        const groups = Array.from({ length: 8 }, (_, i) =>
          (((from[2 * i] ?? 0) << 8) | (from[2 * i + 1] ?? 0)).toString(16),
        ).join(':')
        const ip = client?.peer.ip ?? ''
        assert.equal(canonical(ip), canonical(groups))
        if (!ip.startsWith('::ffff:')) assert.equal(`[${ip}]`, canonical(groups))
        assert.equal(client?.peer.port, fromPort)
        assert.equal(client?.local.port, toPort)
      }),
    )
  })
  void it('is asked for more of until it is whole, wherever the reads are cut', () => {
    const whole = [
      bytesOf('PROXY TCP4 192.0.2.7 198.51.100.1 40000 587\r\n'),
      bytesOf('PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n'),
      bytesOf('PROXY UNKNOWN whatever follows\r\n'),
      binary(0x21, 0x11, ADDRESSES),
      binary(0x21, 0x11, concat([ADDRESSES, tlv(2, bytesOf('mx.example'))])),
      binary(0x20, 0x00, new Uint8Array(0)),
    ]
    for (const bytes of whole) {
      for (let cut = 0; cut < bytes.length; cut += 1) assert.equal(parse(bytes.subarray(0, cut)).kind, 'more')
      const parsed = parse(concat([bytes, bytesOf('EHLO')]))
      assert.ok(parsed.kind === 'header')
      assert.equal(parsed.next, bytes.length)
    }
  })
  for (const [what, text] of [
    ['a client that speaks first', 'EHLO me\r\n'],
    ['TLS', '\x16\x03\x01'],
    ['a word that begins alike', 'PROXIMA'],
    ['a lower-case word', 'proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n'],
    ['a port too many', 'PROXY TCP4 192.0.2.7 198.51.100.1 65536 587\r\n'],
    ['a port that wraps', 'PROXY TCP4 192.0.2.7 198.51.100.1 4294967883 587\r\n'],
    ['a port with a zero in front', 'PROXY TCP4 192.0.2.7 198.51.100.1 0587 587\r\n'],
    ['two blanks', 'PROXY TCP4  192.0.2.7 198.51.100.1 40000 587\r\n'],
    ['a word too many', 'PROXY TCP4 192.0.2.7 198.51.100.1 40000 587 x\r\n'],
    ['the wrong family', 'PROXY TCP6 192.0.2.7 198.51.100.1 40000 587\r\n'],
    ['no address', 'PROXY TCP4 192.0.2.256 198.51.100.1 40000 587\r\n'],
    ['no family', 'PROXY\r\n\r\n'],
    ['a family that is none', 'PROXY TCP5 one two 40000 587\r\n'],
    ['addresses for a family', 'PROXY 192.0.2.7 TCP4 TCP4 40000 587\r\n'],
    ['a bare LF', `PROXY TCP4 192.0.2.7 198.51.100.1 40000 587\n${' '.repeat(100)}\r\n`],
    ['108 octets', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`],
    ['107 octets without an end', `PROXY UNKNOWN ${'x'.repeat(93)}`],
    ['a signature that goes wrong', '\r\n\r\n\0\r\nQUIX'],
    ['version 1 in binary', `${SIGNATURE}\x11\x11\0\x0c`],
    ['command 2', `${SIGNATURE}\x22\x11\0\x0c`],
    ['too few octets for its addresses', `${SIGNATURE}\x21\x11\0\x04\x01\x02\x03\x04`],
    ['more octets than are taken', `${SIGNATURE}\x21\x11\xff\xff`],
  ] as const) {
    void it(`is not ${what}`, () => {
      assert.equal(parse(bytesOf(text)).kind, 'bad', JSON.stringify(parse(bytesOf(text))))
    })
  }
  void it('of 107 octets is one', () => {
    assert.equal(parse(bytesOf(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`)).kind, 'header')
  })
  void it('LOCAL, UNKNOWN, UNSPEC and a Unix socket describe no client', () => {
    for (const bytes of [
      binary(0x20, 0x11, ADDRESSES),
      bytesOf('PROXY UNKNOWN\r\n'),
      binary(0x21, 0x00, new Uint8Array(0)),
      binary(0x21, 0x31, new Uint8Array(216)),
    ]) {
      assert.equal(clientOf(parse(bytes)), undefined)
    }
  })
  void it('brings TLS version, cipher, host and the name of a verified certificate', () => {
    const ssl = (flags: number, verify: number) =>
      tlv(
        0x20,
        concat([
          new Uint8Array([flags, 0, 0, 0, verify]),
          tlv(0x21, bytesOf('TLSv1.3')),
          tlv(0x22, bytesOf('ann')),
          tlv(0x23, bytesOf('TLS_AES_256_GCM_SHA384')),
        ]),
      )
    const tlsOf = (...more: Uint8Array[]) => {
      const parsed = parse(binary(0x21, 0x11, concat([ADDRESSES, tlv(2, bytesOf('mx.example')), ...more])))
      assert.ok(parsed.kind === 'header')
      assert.equal(parsed.header.authority, 'mx.example')
      return parsed.header.tls
    }
    const cipher = 'TLS_AES_256_GCM_SHA384'
    assert.deepEqual(tlsOf(ssl(7, 0)), { version: 'TLSv1.3', cipher, clientName: 'ann' })
    assert.deepEqual(tlsOf(ssl(7, 1)), { version: 'TLSv1.3', cipher, clientName: '' })
    assert.deepEqual(tlsOf(ssl(1, 0)), { version: 'TLSv1.3', cipher, clientName: '' })
    assert.equal(tlsOf(ssl(0, 0)), undefined)
    assert.equal(tlsOf(), undefined)
  })
  void it('with TLVs that do not fit, or a wrong checksum, is bad; with the right one it is good', () => {
    const bad = (...more: Uint8Array[]) =>
      assert.equal(parse(binary(0x21, 0x11, concat([ADDRESSES, ...more]))).kind, 'bad')
    bad(new Uint8Array([2]))
    bad(new Uint8Array([2, 0, 9, 1]))
    bad(tlv(0x20, new Uint8Array([1, 0, 0])))
    bad(tlv(0x20, new Uint8Array([1, 0, 0, 0, 0, 0x21, 0, 9])))
    bad(tlv(3, new Uint8Array([1, 2, 3, 4])))
    bad(tlv(3, new Uint8Array([1, 2, 3])))
    // Of the header with a checksum of zero, computed by another implementation of CRC-32C.
    const header = binary(0x21, 0x11, concat([ADDRESSES, tlv(3, new Uint8Array(4))]))
    const sum = crc32c(header)
    header.set([sum >>> 24, (sum >>> 16) & 255, (sum >>> 8) & 255, sum & 255], header.length - 4)
    assert.equal(parse(header).kind, 'header')
  })
  void it('of any octets gets a verdict, and is never read past its end', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom('', SIGNATURE, `${SIGNATURE}\x21\x11`, 'PROXY TCP4 '),
        (bytes, before) => {
          const parsed = parse(concat([bytesOf(before), bytes]))
          if (parsed.kind === 'header') assert.ok(parsed.next <= before.length + bytes.length)
        },
      ),
      { numRuns: 3000 },
    )
  })
})

/** By table, where the parser goes bit by bit. "123456789" gives 0xe3069283 (RFC 3720 appendix B.4). */
function crc32c(bytes: Uint8Array): number {
  const table = Array.from({ length: 256 }, (_, i) => {
    let value = i
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
    return value >>> 0
  })
  let crc = 0xffffffff
  for (const octet of bytes) crc = (crc >>> 8) ^ (table[(crc ^ octet) & 255] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

void it('the checksum of these tests is CRC-32C', () => {
  assert.equal(crc32c(bytesOf('123456789')), 0xe3069283)
})
