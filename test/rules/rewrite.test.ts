import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { HOME_PAGE } from '../../src/rules/fixups.ts'
import { parseRules } from '../../src/rules/parse.ts'
import { type Identity, rewriteReply, rewriteRequest, rulesFor } from '../../src/rules/rewrite.ts'
import { held } from '../protocol/results.ts'
import { OFFER, session, setOf, WHO } from './rules.ts'

interface Case {
  readonly rules: readonly string[]
  readonly event?: string
  readonly reply: string
  readonly becomes: string
  readonly exitcode?: number
  readonly hits?: readonly number[]
  readonly who?: Identity
  readonly env?: string
}

const EHLO = '250-be\r\n250-PIPELINING\r\n250 8BITMIME\r\n'
const FIX = ':ehlo::2*::&fixsmtpio_fixup'

const CASES: Readonly<Record<string, Case>> = {
  'no rule for the event: nothing changes': {
    rules: [':rcpt::*::x'],
    reply: '250 ok\n',
    becomes: '250 ok\n',
    hits: [],
  },
  'no rule matches: nothing changes': {
    rules: [':noop::5*::x'],
    reply: '250-a\n250 ok\n',
    becomes: '250-a\n250 ok\n',
    hits: [],
  },
  'events are compared without regard to case': {
    rules: [':NoOp::*::250 x'],
    event: 'nOOP',
    reply: '250 ok\r\n',
    becomes: '250 x\r\n',
  },
  'the last response wins': {
    rules: [':noop::*::250 one', ':noop::*::250 two'],
    reply: '250 ok\r\n',
    becomes: '250 two\r\n',
    hits: [0, 1],
  },
  'noop leaves what an earlier rule made': {
    rules: [':noop::*::250 one', ':noop::*::&fixsmtpio_noop'],
    reply: '250 ok\r\n',
    becomes: '250 one\r\n',
  },
  'the last exit code wins': {
    rules: [':noop::*:21:250 a', ':noop::*:22:250 b'],
    reply: '250 ok\r\n',
    becomes: '250 b\r\n',
    exitcode: 22,
  },
  'a rule without an exit code leaves that of an earlier one': {
    rules: [':noop::*:21:', ':noop::*::250 b'],
    reply: '250 ok\r\n',
    becomes: '250 b\r\n',
    exitcode: 21,
  },
  'the last line with an exit code wins': {
    rules: [':ehlo::*be*:21:&fixsmtpio_noop', ':ehlo::*8BIT*:22:&fixsmtpio_noop'],
    event: 'ehlo',
    reply: EHLO,
    becomes: EHLO,
    exitcode: 22,
  },
  'replaced, then removed': { rules: [':noop::*::250 x', ':noop::*::'], reply: '250 ok\r\n', becomes: '' },
  'removed, then replaced': { rules: [':noop::*::', ':noop::*::250 x'], reply: '250 ok\r\n', becomes: '250 x\r\n' },
  'globs are matched against the line as the backend wrote it': {
    rules: [':noop::250*::451 x', ':noop::451*::250 y'],
    reply: '250 ok\r\n',
    becomes: '451 x\r\n',
    hits: [0],
  },
  'a glob sees the line ending': { rules: [':noop::250 ok::250 x'], reply: '250 ok\r\n', becomes: '250 ok\r\n' },
  'a glob sees nothing after a NUL': { rules: [':noop::250 a::250 x'], reply: '250 a\0b\r\n', becomes: '250 x\r\n' },
  'a removed first line': {
    rules: [':ehlo::*be*::'],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-PIPELINING\r\n250 8BITMIME\r\n',
  },
  'a removed last line': {
    rules: [':ehlo::*8BIT*::'],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-be\r\n250 PIPELINING\r\n',
  },
  'all lines removed': { rules: [':ehlo::*::'], event: 'ehlo', reply: EHLO, becomes: '' },
  'a mark is put right in a replacement': {
    rules: [':ehlo::*PIPE*::250 X'],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-be\r\n250-X\r\n250 8BITMIME\r\n',
  },
  'a replacement of three octets': { rules: [':noop::*::250'], reply: '251 ok\r\n', becomes: '250 \r\n' },
  'a replacement of two octets keeps its line ending': {
    rules: [':noop::*::25'],
    reply: '250 ok\r\n',
    becomes: '25\r\n',
  },
  'a replacement of one CR, from a file with CR LF': {
    rules: [':noop::*::\r'],
    reply: '250 ok\r\n',
    becomes: '\r\r\n',
  },
  'a line that is kept keeps its ending': {
    rules: [':noop::*a*::250 x'],
    reply: '250-a\n250 b\n',
    becomes: '250-x\r\n250 b\n',
  },
  greeting: {
    rules: [':greeting::2*::&fixsmtpio_fixup'],
    event: 'greeting',
    reply: '220 be ESMTP\r\n',
    becomes: '220 mx.example ESMTP\r\n',
  },
  helo: { rules: [':helo::2*::&fixsmtpio_fixup'], event: 'helo', reply: '250 be\r\n', becomes: '250 mx.example\r\n' },
  quit: { rules: [':quit::2*::&fixsmtpio_fixup'], event: 'quit', reply: '221 be\r\n', becomes: '221 mx.example\r\n' },
  'help, before each line': {
    rules: [':help::*::&fixsmtpio_fixup'],
    event: 'help',
    reply: '214-a\r\n214 b\r\n',
    becomes: `214-fixsmtpio home page: ${HOME_PAGE}\r\n214-a\r\n214-fixsmtpio home page: ${HOME_PAGE}\r\n214 b\r\n`,
  },
  'help, on what an earlier rule made': {
    rules: [':help::*::214 mine', ':help::*::&fixsmtpio_fixup'],
    event: 'help',
    reply: '214 b\r\n',
    becomes: `214-fixsmtpio home page: ${HOME_PAGE}\r\n214 mine\r\n`,
  },
  'ehlo without TLS': {
    rules: [FIX],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-mx.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n',
  },
  'ehlo with TLS': {
    rules: [FIX],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 8BITMIME\r\n',
    who: OFFER,
  },
  'ehlo of one line offers no TLS': {
    rules: [FIX],
    event: 'ehlo',
    reply: '250 be\r\n',
    becomes: '250 mx.example\r\n',
    who: OFFER,
  },
  'a backend has its STARTTLS dropped, wherever it is': {
    rules: [FIX],
    event: 'ehlo',
    reply: '250-be\r\n250-X\r\n250-STARTTLS\r\n250 STARTTLS\r\n',
    becomes: '250-mx.example\r\n250 X\r\n',
  },
  'a backend has its STARTTLS replaced by ours': {
    rules: [FIX],
    event: 'ehlo',
    reply: '250-be\r\n250 STARTTLS\r\n',
    becomes: '250-mx.example\r\n250 STARTTLS\r\n',
    who: OFFER,
  },
  'a starttls in lower case is kept by the program fixsmtpio': {
    who: { ...WHO, classic: true },
    rules: [FIX],
    event: 'ehlo',
    reply: '250-be\r\n250 starttls\r\n',
    becomes: '250-mx.example\r\n250 starttls\r\n',
  },
  'two fix-ups offer TLS once and lose nothing': {
    rules: [FIX, FIX],
    event: 'ehlo',
    reply: EHLO,
    becomes: '250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 8BITMIME\r\n',
    who: OFFER,
  },
  'a variable that is set': {
    rules: ['X:noop::*:40:250 x'],
    reply: '250 ok\r\n',
    becomes: '250 x\r\n',
    exitcode: 40,
    env: 'X',
  },
  'a variable that is not set': { rules: ['X:noop::*:40:250 x'], reply: '250 ok\r\n', becomes: '250 ok\r\n' },
  'a variable with its value is no name': {
    rules: ['X=1:noop::*::250 x'],
    reply: '250 ok\r\n',
    becomes: '250 ok\r\n',
    env: 'X=1',
  },
  'marks of a reply that no rule changes are put right': {
    rules: [],
    reply: '250xa\r\n250 ok\tb\r\n',
    becomes: '250-a\r\n250 ok\tb\r\n',
  },
  'a keyword of EHLO is met in any case and with any line end': {
    rules: [':ehlo::250?AUTH*::'],
    event: 'ehlo',
    reply: '250-auth.example\r\n250-auth plain\r\n250-Auth=LOGIN\n250-size 1\r\n250 aUTH\n',
    becomes: '250-auth.example\r\n250 size 1\r\n',
  },
  'a glob with CR LF meets a keyword that ends in LF': {
    rules: [':ehlo::250?SIZE[^ ]?::'],
    event: 'ehlo',
    reply: '250-be\r\n250-size\n250 SIZE\r\n',
    becomes: '250 be\r\n',
  },
  'a rule for a keyword in small letters still meets it': {
    rules: [':ehlo::250?auth*::'],
    event: 'ehlo',
    reply: '250-be\r\n250-auth plain\r\n250 AUTH LOGIN\r\n',
    becomes: '250-be\r\n250 AUTH LOGIN\r\n',
  },
  'a parameter of a keyword keeps its case': {
    rules: [':ehlo::250?AUTH PLAIN*::'],
    event: 'ehlo',
    reply: '250-be\r\n250 auth plain\r\n',
    becomes: '250-be\r\n250 auth plain\r\n',
  },
  'STARTTLS of the backend is dropped however it is spelt': {
    rules: [':ehlo::*::&fixsmtpio_fixup'],
    event: 'ehlo',
    reply: '250-be\r\n250-StartTLS\r\n250-STARTTLS\n250-starttls x\r\n250xSTARTTLS\r\n250 STARTTLSX\n',
    becomes: '250-mx.example\r\n250 STARTTLSX\n',
  },
  'a status in brackets comes first where EHLO has promised it': {
    rules: [':noop::*::503 already there (#5.5.1)'],
    reply: '250 ok\r\n',
    becomes: '503 5.5.1 already there\r\n',
    who: { ...WHO, enhanced: true },
  },
  'a status of another class, and a reply of the backend, stay as they are': {
    rules: [':noop::250?a*::421 not now (#5.5.1)'],
    reply: '250-a (#2.0.0)\r\n250 b (#2.0.0)\r\n',
    becomes: '421-not now (#5.5.1)\r\n250 b (#2.0.0)\r\n',
    who: { ...WHO, enhanced: true },
  },
  'the fix-ups of QUIT and HELP begin with a status where EHLO has promised it': {
    rules: [':quit::*::&fixsmtpio_fixup'],
    event: 'quit',
    reply: '221 bye\r\n',
    becomes: '221 2.0.0 mx.example\r\n',
    who: { ...WHO, enhanced: true },
  },
  'the client has gone and left nothing: * matches': {
    rules: [':clienteof::*:5:', ':clienteof::*:6:'],
    event: 'clienteof',
    reply: '',
    becomes: '',
    exitcode: 6,
  },
  'the client has gone and left nothing: ?* does not': {
    rules: [':clienteof::?*:5:'],
    event: 'clienteof',
    reply: '',
    becomes: '',
    hits: [],
  },
}
for (const [name, { rules, event = 'noop', reply, becomes, exitcode, hits, who = WHO, env }] of Object.entries(CASES)) {
  void test(`reply: ${name}`, () => {
    const result = rewriteReply(session(rules, ...(env === undefined ? [] : [env])), event, reply, who)
    assert.deepEqual([result.reply, result.exitcode], [becomes, exitcode])
    if (hits !== undefined) assert.deepEqual(result.hits, hits)
  })
}

void test('a rule that matches several lines of a reply is counted once', () => {
  assert.deepEqual(rewriteReply(session([':x::*::y', FIX]), 'ehlo', EHLO, WHO).hits, [1])
})

const PREPENDS: readonly (readonly [what: string, rules: readonly string[], line: string, sent: string])[] = [
  ['a prepend', [':vrfy:NOOP :*::502 no'], 'VRFY u\r\n', 'NOOP VRFY u\r\n'],
  ['a prepend whose glob matches nothing', [':vrfy:NOOP :nothing::502 no'], 'VRFY\n', 'NOOP VRFY\n'],
  ['of two the later comes first', [':vrfy:A :*::', ':vrfy:B :*::'], 'VRFY\r\n', 'B A VRFY\r\n'],
  ['a rule without a prepend', [':vrfy::*::'], 'VRFY\r\n', 'VRFY\r\n'],
  ['another verb', [':vrfy:NOOP :*::'], 'EXPN\r\n', 'EXPN\r\n'],
  ['a variable that is not set', ['X:vrfy:NOOP :*::'], 'VRFY\r\n', 'VRFY\r\n'],
]
for (const [what, rules, line, sent] of PREPENDS) {
  void test(`request: ${what}`, () => {
    assert.equal(rewriteRequest(session(rules), line.trimEnd().split(' ')[0] ?? '', line), sent)
  })
}

void test('sessions with the same variables set share their rules', () => {
  const set = setOf('X:noop::*::a', 'Y:noop::*::b')
  const asked: string[] = []
  const one = rulesFor(set, (name) => asked.push(name) > 0)
  assert.deepEqual(asked, ['X', 'Y'])
  assert.equal(
    rulesFor(set, () => true),
    one,
  )
  assert.notEqual(
    rulesFor(set, (name) => name === 'X'),
    one,
  )
})

const RECOMMENDED = held(parseRules(readFileSync('control/fixsmtpio', 'latin1'), 'control/fixsmtpio'))

void test('the recommended rules for a client that has logged in', () => {
  const rules = rulesFor(RECOMMENDED, (name) => name === 'AUTHUP_USER')
  const turns: readonly (readonly [event: string, reply: string, becomes: string, exitcode: number | undefined])[] = [
    ['greeting', '220 be ESMTP\r\n', '235 ok, go ahead (#2.0.0)\r\n', undefined],
    ['greeting', '421 no way\r\n', '421 no way\r\n', 14],
    ['greeting', '554 no way\r\n', '554 no way\r\n', 15],
    [
      'ehlo',
      '250-be\r\n250-AUTH LOGIN PLAIN\r\n250-AUTH=LOGIN\r\n250 8BITMIME\r\n',
      '250-mx.example\r\n250 8BITMIME\r\n',
      undefined,
    ],
    ['ehlo', '250-be\r\n250-8BITMIME\r\n250 AUTH LOGIN PLAIN\r\n', '250-mx.example\r\n250 8BITMIME\r\n', undefined],
    ['auth', '250 ok\r\n', '503 already authenticated (#5.5.1)\r\n', undefined],
    ['timeout', '451 timeout (#4.4.2)\r\n', '', 16],
    ['clienteof', '', '', 0],
    ['mail', '250 ok\r\n', '250 ok\r\n', undefined],
  ]
  for (const [event, reply, becomes, exitcode] of turns) {
    const result = rewriteReply(rules, event, reply, WHO)
    assert.deepEqual([event, result.reply, result.exitcode], [event, becomes, exitcode])
  }
  assert.equal(rewriteRequest(rules, 'AUTH', 'AUTH PLAIN x\r\n'), 'NOOP AUTH PLAIN x\r\n')
})
