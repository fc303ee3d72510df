// control/certusers: which user a client certificate stands for, and what a listener that asks for one needs.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { comparedName, parseCertUsers, usersNamed } from '../../src/config/certusers.ts'
import { compileConfig } from '../../src/config/config.ts'
import { mechanismsOf } from '../../src/config/mechanisms.ts'
import { controlTexts } from '../support/control.ts'
import { parseTranscripts } from '../support/transcript.ts'

const FINGERPRINT = 'ab'.repeat(32)
const LINES = `# who is who
ann ann@example.org
bob CN=Bob Example
office Ann@Example.org
% %@staff.example
x-% UID=%
carol sha256=${FINGERPRINT.toUpperCase()}
dora  O=Firm, Inc.
eve emailAddress=eve@example.org
`

const users = (...names: readonly string[]) =>
  usersNamed(parseCertUsers(LINES, 'control/certusers')._unsafeUnwrap(), names).map(({ user }) => user)

void describe('control/certusers', () => {
  for (const [name, wanted] of [
    ['ann@example.org', 'ann office'],
    ['ANN@EXAMPLE.ORG', 'ann office'],
    ['CN=Bob Example', 'bob'],
    ['cn=Bob Example', 'bob'],
    ['CN=bob example', ''],
    ['bob@staff.example', 'bob'],
    ['a.b+c@staff.example', 'a.b+c'],
    ['@staff.example', ''],
    ['a@b@staff.example', ''],
    ['bob@other.staff.example', ''],
    ['bob@staff.example.evil', ''],
    ['UID=7', 'x-7'],
    ['UID=7@9', ''],
    ['UID=a\0b', ''],
    [`sha256=${FINGERPRINT}`, 'carol'],
    [`sha256=${FINGERPRINT.replace(/../g, '$&:').slice(0, -1)}`, 'carol'],
    ['O=Firm, Inc.', 'dora'],
    ['emailaddress=eve@example.org', 'eve'],
    ['eve@example.org', ''],
    ['nonsense', ''],
  ] as const)
    void it(`${JSON.stringify(name)} is ${wanted === '' ? 'nobody' : wanted}`, () => {
      assert.equal(users(name).join(' '), wanted)
    })
  void it('is searched in the order of its lines, not of the names in the certificate', () => {
    assert.deepEqual(users('CN=Bob Example', 'ann@example.org'), ['ann', 'bob', 'office'])
  })
  void it('yields only users that are written in it, or that a line with % makes, whatever the name', () => {
    const written = new Set(['ann', 'bob', 'office', 'carol', 'dora', 'eve'])
    fc.assert(
      fc.property(fc.string(), (name) => {
        const compared = comparedName(name) ?? ''
        for (const user of users(name))
          assert.ok(written.has(user) || compared.endsWith('@staff.example') || compared.startsWith('uid='), user)
      }),
    )
  })
  for (const [line, column, problem] of [
    ['ann', 1, /has no certificate/],
    ['ann somebody', 5, /is no name of a certificate/],
    ['ann sha256=abc', 5, /is no name of a certificate/],
    ['% CN=Ann', 1, /% of the user is none of the name/],
    ['ann %@%.example', 5, /more than one %/],
    ['%% %@example.org', 1, /% of the user/],
  ] as const)
    void it(`refuses \`${line}\``, () => {
      const [error] = parseCertUsers(`# x\n${line}\n`, 'control/certusers')._unsafeUnwrapErr()
      assert.deepEqual([error?.line, error?.column], [2, column])
      assert.match(error?.problem ?? '', problem)
    })
})

const [made] = parseTranscripts('# made up\nwith: tries=5', '')
assert.ok(made)
const TEXTS = {
  ...controlTexts(made.settings),
  tls: 'mx.example /mx.pem /mx.key\n',
  certusers: 'ann ann@example.org\n',
}

const problems = (changes: Readonly<Record<string, string | undefined>>): readonly string[] => {
  const texts = Object.fromEntries(
    Object.entries({ ...TEXTS, ...changes }).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])),
  )
  return compileConfig(texts).match(
    () => [],
    (errors) => errors.map(({ file, line, column, problem }) => `${file}:${line}:${column}: ${problem}`),
  )
}

void describe('a listener with clients=', () => {
  const GOOD = '127.0.0.1:0 smtp submission tls=implicit clients=/ca.pem external=certified\n'
  for (const [what, changes, wanted] of [
    ['external=, too, is fine', { listeners: GOOD }, undefined],
    ['no external= is fine', { listeners: GOOD.replace(' external=certified', ''), certusers: undefined }, undefined],
    ['no certusers', { listeners: GOOD, certusers: undefined }, /^control\/certusers:1:1: there is no such file, and/],
    [
      'no TLS',
      { listeners: GOOD.replace('implicit', 'off') },
      /^control\/listeners:1:37: a listener without TLS sees no/,
    ],
    [
      'external= alone',
      { listeners: GOOD.replace('clients=/ca.pem ', '') },
      /^control\/listeners:1:42: no client is asked for a certificate/,
    ],
    [
      'a chain of passwords',
      { listeners: GOOD.replace('certified', 'submission') },
      /: the chain submission is of kind auth/,
    ],
    ['no such chain', { listeners: GOOD.replace('certified', 'nothing') }, /there is no chain `nothing`/],
    [
      'a relative path',
      { listeners: GOOD.replace('/ca.pem external=certified', 'ca.pem') },
      /`clients=ca.pem` is not an option/,
    ],
    ['a chain of certificates for passwords', { listeners: '127.0.0.1:0 smtp certified\n' }, /is of kind certificate/],
  ] as const)
    void it(`with ${what}`, () => {
      const [first, ...more] = problems(changes)
      assert.deepEqual(more, [])
      if (wanted === undefined) assert.equal(first, undefined)
      else assert.match(first ?? 'taken', wanted)
    })
})

void describe('the mechanisms of a listener', () => {
  const of = (protocol: string, lines: string, more: Readonly<Record<string, string>> = {}) => {
    const chains = `account 1000\nchain c\n checkpassword /bin/checkpassword\n${lines} backend /bin/backend\n`
    const listeners = `127.0.0.1:0 ${protocol} c\n`
    const config = compileConfig({ ...TEXTS, ...more, chains, listeners })._unsafeUnwrap()
    return config.listeners.map((one) => mechanismsOf(config, one).join(' '))[0]
  }
  for (const [protocol, lines, more, wanted] of [
    ['smtp', '', {}, 'LOGIN PLAIN'],
    ['smtp', ' mechanisms PLAIN cram-md5 APOP\n', {}, 'PLAIN CRAM-MD5'],
    ['smtp', ' mechanisms XOAUTH2\n', {}, 'XOAUTH2'],
    ['pop3', '', {}, 'USER PLAIN LOGIN'],
    ['pop3', '', { pop3capabilities: 'UIDL\n', pop3apop: '1\n' }, 'USER APOP'],
    ['pop3', '', { pop3capabilities: 'SASL PLAIN CRAM-MD5\n' }, 'USER PLAIN'],
    ['pop3', ' mechanisms PLAIN CRAM-MD5 APOP\n', { pop3capabilities: 'UIDL\n' }, 'USER APOP PLAIN CRAM-MD5'],
    ['pop3', ' mechanisms OAUTHBEARER\n', { pop3apop: '1\n' }, 'OAUTHBEARER'],
  ] as const)
    void it(`${protocol}${lines.trimEnd()} ${JSON.stringify(more)}: ${wanted}`, () => {
      assert.equal(of(protocol, lines, more), wanted)
    })
  void it('are refused by name and place, if they are none or the built-in checkpassword cannot check them', () => {
    const chain = (words: string) => `account 1000\nchain submission\n ${words}\n backend /bin/backend\n`
    const builtin = problems({ chains: chain('checkpassword builtin\n mechanisms PLAIN CRAM-MD5') })
    assert.match(builtin[0] ?? '', /^control\/chains:2:1: the chain submission offers CRAM-MD5, which the built-in/)
    const unknown = problems({ chains: chain('checkpassword /bin/c\n mechanisms PLAIN DIGEST-MD5') })
    assert.match(unknown[0] ?? '', /^control\/chains:4:2: `DIGEST-MD5` is not a mechanism/)
  })
})
