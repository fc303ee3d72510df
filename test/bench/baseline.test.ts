import assert from 'node:assert/strict'
import { test } from 'node:test'
import { benchProgram, ruleLines } from '../../bench/fixture.ts'
import { controlHome, converse, fakeCheckpassword, temporary } from './programs.ts'

const plain = (user: string, password: string): string => Buffer.from(`\0${user}\0${password}`).toString('base64')

/** The client closes once it has sent everything; with `last`, once it has received a line that begins with that. */
function chain(protocol: 'smtp' | 'pop3', input: string, last = ''): { out: string; err: string; code: number | null } {
  const home = controlHome(ruleLines(12))
  const filter = protocol === 'smtp' ? [benchProgram('base-fixsmtpio')] : []
  const args = [
    benchProgram('base-authup'),
    protocol,
    fakeCheckpassword(temporary()),
    ...filter,
    benchProgram('discard'),
    protocol,
  ]
  const run = [benchProgram('base-reup'), '-t', '5', ...args]
  const client = 'mkfifo heard; (cat; sed "/^$0/q" heard >&2) | "$@" | tee heard'
  const alone = ['env', '-C', home, 'sh', '-c']
  return last === ''
    ? converse('sh', ['-c', 'exec "$@"', '', ...run], input, { BASEHOME: home })
    : converse('env', [...alone, client, last, ...run], input, { BASEHOME: home })
}

void test('authup speaks before the login, and a refused password lets reup try again without a second greeting', () => {
  const { out, err } = chain('smtp', 'EHLO me\r\nMAIL FROM:<a@b>\r\nNOOP\r\nQUIT\r\n')
  assert.equal(
    out,
    '220 bench.invalid ESMTP\r\n250-bench.invalid\r\n250-PIPELINING\r\n250 AUTH LOGIN PLAIN\r\n' +
      '530 authentication required (#5.7.0)\r\n250 ok\r\n221 bench.invalid\r\n',
  )
  assert.match(err, /^reup \d+ \S*base-authup \d+ \(1\/5\): exit 0\n$/)
})

void test('the 235 is the greeting of the backend, rewritten by a rule', () => {
  // What follows AUTH in the same read is lost, as in the original: the session ends with the client.
  const { out, err } = chain('smtp', `AUTH PLAIN ${plain('user3', 'secret3')}\r\n`, '235')
  assert.equal(out, '220 bench.invalid ESMTP\r\n235 ok, go ahead (#2.0.0)\r\n')
  assert.match(err, /authup: login attempt by user3\n/)
})

void test('a wrong password gets 535 and the next attempt no greeting', () => {
  const { out, err } = chain('smtp', `AUTH PLAIN ${plain('user3', 'wrong')}\r\n`)
  assert.equal(out, '220 bench.invalid ESMTP\r\n535 authorization failed (#5.7.0)\r\n')
  assert.match(err, /\(1\/5\): exit 1\n/)
  assert.match(err, /\(2\/5\): exit 12\n/)
})

void test('POP3 hands over to the backend at PASS', () => {
  const { out } = chain('pop3', 'USER user5\r\nPASS secret5\r\n')
  assert.match(out, /^\+OK <\d+\.\d+@bench\.invalid>\r\n\+OK \r\n\+OK \r\n$/)
})

const filter = (rules: string, input: string, env: Readonly<Record<string, string>> = {}): string =>
  converse(benchProgram('base-fixsmtpio'), [benchProgram('discard'), '-c'], input, {
    BASEHOME: controlHome(rules),
    ...env,
  }).out

void test('the filter rewrites, removes and leaves reply lines, and puts the continuation marks right', () => {
  const rules = ':ehlo::250?SIZE*::\n:greeting::2*::220 other\n:noop::2*::250 one\n:noop::5*::250 never\n'
  assert.equal(
    filter(rules, 'EHLO me\r\nNOOP\r\nQUIT\r\n'),
    '220 other\r\n250-discard.invalid\r\n250-PIPELINING\r\n250 8BITMIME\r\n250 one\r\n221 2.0.0 discard.invalid\r\n',
  )
})

void test('a prepend goes before the request, and a message passes unread', () => {
  const message = 'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nauth me\r\n..\r\nQUIT\r\n.\r\nQUIT\r\n'
  assert.equal(
    filter(':vrfy:NOOP :*::252 perhaps\n:quit::2*::221 bye\n', `VRFY you\r\n${message}`),
    '220 discard.invalid ESMTP\r\n252 perhaps\r\n250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go ahead\r\n250 2.0.0 discarded\r\n221 bye\r\n',
  )
})

void test('a rule whose variable is not set does not apply; an exit code ends the session', () => {
  const rules = 'NOT_SET_HERE:greeting::2*::220 never\n:noop::2*:7:250 last\n'
  const { out, code } = converse(benchProgram('base-fixsmtpio'), [benchProgram('discard')], 'NOOP\r\nNOOP\r\n', {
    BASEHOME: controlHome(rules),
  })
  assert.equal(out, '220 discard.invalid ESMTP\r\n250 last\r\n')
  assert.equal(code, 7)
})
