// Control files that are each valid, but contradict each other.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileConfig } from '../../src/config/config.ts'
import { controlTexts } from '../support/control.ts'
import { parseTranscripts } from '../support/transcript.ts'

const [plain] = parseTranscripts('# settings', '')
if (plain === undefined) throw new Error('no settings')
const good = controlTexts(plain.settings)

const CASES: readonly [what: string, files: Readonly<Record<string, string>>, said: RegExp | undefined][] = [
  ['nothing', {}, undefined],
  ['a name with a blank', { me: 'mail example.org\n' }, /control\/me:1:5: the name of a host has no blanks/],
  [
    'STARTTLS of our own',
    { smtpcapabilities: 'PIPELINING\nSTARTTLS\n' },
    /smtpcapabilities:2:1: acceptd itself says STARTTLS/,
  ],
  ['AUTH of our own', { smtpcapabilities: 'auth LOGIN\n' }, /smtpcapabilities:1:1: acceptd itself says auth/],
  ['a keyword that begins so', { smtpcapabilities: 'AUTHORITY\n' }, undefined],
  [
    'two listeners on one address',
    { listeners: '127.0.0.1:587 smtp submission\n127.0.0.1:587 smtp submission name=b\n' },
    /listeners:2:1: another listener has 127\.0\.0\.1:587/,
  ],
  [
    'an address that another listener takes with all others',
    { listeners: '0.0.0.0:587 smtp submission tls=off\n127.0.0.1:587 smtp submission name=b\n' },
    /listeners:2:1: another listener has 0\.0\.0\.0:587/,
  ],
  [
    'one address spelt in two ways',
    { listeners: '[::1]:587 smtp submission tls=off\n[0:0:0:0:0:0:0:1]:587 smtp submission tls=off name=b\n' },
    /listeners:2:1: another listener has ::1:587/,
  ],
  [
    'every address of both families, each by itself',
    { listeners: '0.0.0.0:587 smtp submission tls=off\n[::]:587 smtp submission tls=off name=b\n' },
    undefined,
  ],
  ['two on any port', { listeners: '127.0.0.1:0 smtp submission\n127.0.0.1:0 smtp submission name=b\n' }, undefined],
  [
    'metrics on the port of a listener',
    { listeners: '127.0.0.1:587 smtp submission\n', metrics: '127.0.0.1:587\n' },
    /metrics:1:1: the listener \S+ has this port/,
  ],
  [
    'a listener whose access rules are not there',
    { listeners: '127.0.0.1:0 smtp submission access=access-here\n' },
    /listeners:1:1: there is no control\/access-here, which the listener smtp:0 names/,
  ],
  [
    'a listener with access rules of its own',
    { listeners: '127.0.0.1:0 smtp submission access=access-here\n', 'access-here': ':allow\n' },
    undefined,
  ],
  ['a bad rule of one listener', { 'access-here': '\n1.2.3:deny\n' }, /access-here:2:1: `1\.2\.3` is no address/],
  ['a name without lookups', { access: ':allow\n=.example:deny\n' }, /access:2:1: `=\.example` is a name/],
  ['a name with lookups', { access: '=.example:deny\n', remotehost: '1\n' }, undefined],
  ['probe without its chain', { smtpcapabilities: 'probe\n' }, /smtpcapabilities:1:1: there is no chain of kind probe/],
  ['a DNS server that is a name', { dnsservers: '127.0.0.1\nns.example\n' }, /dnsservers:1:1: `ns\.example` is not/],
  ['DNS servers with ports', { dnsservers: '127.0.0.1:53\n[::1]:5353\n2001:db8::1\n' }, undefined],
]
for (const [what, files, said] of CASES)
  void test(`${what} is ${said === undefined ? 'taken' : 'an error'}`, () => {
    const compiled = compileConfig({ ...good, ...files })
    const text = compiled.isErr()
      ? compiled.error.map((e) => `${e.file}:${e.line}:${e.column}: ${e.problem}`).join('\n')
      : ''
    if (said === undefined) assert.equal(text, '')
    else assert.match(text, said)
  })
