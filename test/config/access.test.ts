// control/access has the syntax and the order of tcprules(5), and networks besides.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { accessFor, parseAccess } from '../../src/config/access.ts'

const RULES = `# the office, then the world
192.0.2.7:deny
192.0.2.:allow,ACCEPTD_SITE="office",TCPREMOTEINFO=/a b/
192.0.2.128/25:deny
10.1.0-15.:allow,ACCEPTD_SITE="lab"
10.2.3.4-6:deny
[2001:db8::/32]:deny
[2001:db8:1::/48]:allow
172.16.:deny
:allow,ACCEPTD_SITE=""
`

const verdict = (text: string, ip: string, host = '', info = ''): string => {
  const rule = accessFor(parseAccess(text, 'control/access')._unsafeUnwrap(), ip, host, info)
  return rule === undefined
    ? 'no rule'
    : `${rule.line} ${rule.allow ? 'allow' : 'deny'} ${rule.variables.join(' ')}`.trim()
}

void describe('control/access', () => {
  for (const [ip, wanted] of [
    ['192.0.2.7', '2 deny'],
    ['192.0.2.70', '3 allow ACCEPTD_SITE=office TCPREMOTEINFO=a b'],
    ['192.0.2.200', '4 deny'],
    ['::ffff:192.0.2.7', '2 deny'],
    ['10.1.15.9', '5 allow ACCEPTD_SITE=lab'],
    ['10.1.16.9', '10 allow ACCEPTD_SITE='],
    ['10.2.3.6', '6 deny'],
    ['10.2.3.7', '10 allow ACCEPTD_SITE='],
    ['2001:db8:2::1', '7 deny'],
    ['2001:db8:1::1', '8 allow'],
    ['2001:db9::1', '10 allow ACCEPTD_SITE='],
    ['172.16.1.1', '9 deny'],
  ] as const) {
    void it(`answers ${ip} with line ${wanted}`, () => {
      assert.equal(verdict(RULES, ip), wanted)
    })
  }
  for (const [ip, host, wanted] of [
    ['192.0.2.7', 'client.example.org', '1 deny'],
    ['192.0.2.8', 'Client.Example.ORG', '2 allow'],
    ['192.0.2.8', 'other.example.org', '3 deny'],
    ['192.0.2.8', 'a.deep.example.org', '4 allow'],
    ['192.0.2.8', 'example.org', '5 allow'],
    ['192.0.2.8', '', '6 deny'],
    ['2001:db8::1', 'client.example.org', '2 allow'],
  ] as const)
    void it(`answers ${ip} named ${host || 'nothing'} with line ${wanted}`, () => {
      const rules =
        '192.0.2.7:deny\n=client.example.org:allow\n=.example.org:deny\n=.Deep.example.org:allow\n=:allow\n:deny\n'
      assert.equal(verdict(rules, ip, host), wanted)
    })
  for (const [ip, host, info, wanted] of [
    ['192.0.2.7', 'client.example.org', 'ann', '1 allow'],
    ['192.0.2.8', 'Client.example.org', 'ann', '2 deny'],
    ['192.0.2.7', 'client.example.org', 'Ann', '4 allow'],
    ['192.0.2.7', '', '', '4 allow'],
    ['192.0.2.8', 'client.example.org', 'joe', '5 deny'],
    ['2001:db8:0::1', '', 'ann', '3 allow'],
    ['::ffff:192.0.2.7', '', 'ann', '1 allow'],
    ['192.0.2.9', '', 'a@b', '6 allow'],
    ['192.0.2.9', '', 'ann', '7 deny'],
  ] as const)
    void it(`answers ${ip} named ${host || 'nothing'} of user ${info || 'unknown'} with line ${wanted}`, () => {
      const rules =
        'ann@192.0.2.7:allow\nann@=client.Example.org:deny\nann@[2001:db8::1]:allow\n192.0.2.7:allow\n=client.example.org:deny\n' +
        'a@b@192.0.2.9:allow\n:deny\n'
      assert.equal(verdict(rules, ip, host, info), wanted)
    })
  void it('lets in whom no rule names', () => {
    assert.equal(verdict('192.0.2.7:deny\n', '192.0.2.8'), 'no rule')
    assert.equal(verdict('', '192.0.2.8'), 'no rule')
  })
  void it('takes the first of two lines for one address, as tcprules does', () => {
    assert.equal(verdict('192.0.2.7:allow\n192.0.2.7:deny\n', '192.0.2.7'), '1 allow')
  })
  for (const [text, wanted] of [
    ['192.0.2.7', '1:1 `192.0.2.7` begins neither with allow nor with deny'],
    ['192.0.2.7:permit', '1:11 `permit` begins neither with allow nor with deny'],
    ['192.0.2.7:allowed', '1:11 `allowed` begins neither with allow nor with deny'],
    ['192.0.2.300:deny', '1:1 `192.0.2.300` is no address that can be looked up'],
    ['192.0.2:deny', '1:1 `192.0.2` is no address that can be looked up'],
    ['192.0.2.9-3:deny', '1:1 `192.0.2.9-3` is no address that can be looked up'],
    ['192.0.2.0-300:deny', '1:1 `192.0.2.0-300` is no address that can be looked up'],
    ['=.example..org:deny', '1:1 `=.example..org` is no address that can be looked up'],
    ['@192.0.2.7:deny', '1:1 `@192.0.2.7` is no user that can be looked up'],
    ['ann@192.0.2.:deny', '1:1 `ann@192.0.2.` is no user that can be looked up'],
    ['ann@=.example.org:deny', '1:1 `ann@=.example.org` is no user that can be looked up'],
    ['192.0.2.0/33:deny', '1:1 `192.0.2.0/33` is no address that can be looked up'],
    ['[2001:db8::/129]:deny', '1:1 `[2001:db8::/129]` is no address that can be looked up'],
    [':allow,ACCEPTD_SITE', '1:7 `,ACCEPTD_SITE` is not ,NAME="VALUE"'],
    [':allow,ACCEPTD_SITE="x', '1:7 `,ACCEPTD_SITE="x` is not ,NAME="VALUE"'],
    [':allow,RELAYCLIENT=""', '1:8 RELAYCLIENT cannot be set here'],
    [':allow,LD_PRELOAD="/x"', '1:8 LD_PRELOAD cannot be set here'],
  ] as const) {
    void it(`does not take ${text}`, () => {
      const errors = parseAccess(`${text}\n`, 'control/access')._unsafeUnwrapErr()
      assert.deepEqual(
        errors.map(({ line, column, problem }) => `${line}:${column} ${problem}`),
        [wanted],
      )
    })
  }
})
