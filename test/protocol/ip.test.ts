import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isIp, networkHolds, parseNetwork, plainIp } from '../../src/protocol/ip.ts'

const holds = (network: string, address: string): boolean | undefined => {
  const parsed = parseNetwork(network)
  const octets = plainIp(address)
  return parsed === undefined || octets === undefined ? undefined : networkHolds(parsed, octets)
}

void describe('IP addresses', () => {
  void it('are what node:net takes for one', () => {
    const piece = fc.constantFrom('::', ':', '.', '1', '0', '10', '255', '256', 'ffff', 'g', '1.2.3.4', '01', '')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        assert.equal(isIp(text), isIP(text), text)
      }),
      { numRuns: 5000 },
    )
    fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => assert.equal(isIp(text), isIP(text), text)))
  })
  for (const [network, address, wanted] of [
    ['192.0.2.0/24', '192.0.2.255', true],
    ['192.0.2.0/24', '192.0.3.0', false],
    ['192.0.2.0/25', '192.0.2.128', false],
    ['192.0.2.0/24', '::ffff:192.0.2.1', true],
    ['::ffff:192.0.2.0/120', '192.0.2.1', true],
    ['::ffff:192.0.2.1', '192.0.2.1', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['::/0', '192.0.2.1', false],
    ['::/0', '2001:db8::1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['2001:db8::/33', '2001:db8:7fff::', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1/32', '192.0.2.2', false],
    ['192.0.2.0/33', '192.0.2.1', undefined],
    ['192.0.2/24', '192.0.2.1', undefined],
    ['192.0.2.0/24/1', '192.0.2.1', undefined],
    ['2001:db8::/129', '2001:db8::', undefined],
  ] as const) {
    void it(`${network} ${wanted === undefined ? 'is no network' : wanted ? `holds ${address}` : `does not hold ${address}`}`, () => {
      assert.equal(holds(network, address), wanted)
    })
  }
})
