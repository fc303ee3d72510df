// Where authup is better than the original on purpose.
import assert from 'node:assert/strict'
import type { Case, ChildSpec, Step } from '../conformance/case.ts'
import { type Row, testRows } from './better.ts'
import { bye, C, S, settled, TLS_ANSWER } from './dialogue.ts'

const GREETING = '220 me.example ESMTP\r\n'
const LOGIN = 'AUTH PLAIN AHVzZXIAcGFzcw==\r\n'
const MALFORMED = '501 authup malformed auth input (#5.5.4)\r\n'

const authup = (
  steps: readonly Step[],
  child: readonly ChildSpec[] = [{ exit: 0 }],
  more: Partial<Case> = {},
): Row['play'] => ({
  program: 'authup',
  args: ['smtp', '{child}'],
  control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n', pop3capabilities: 'TOP\n' },
  child,
  steps,
  ...more,
})
const pop3 = (steps: readonly Step[], child: readonly ChildSpec[], more: Partial<Case> = {}): Row['play'] =>
  authup(steps, child, { args: ['pop3', '{child}'], ...more })

testRows([
  {
    original: '`AUTH PLAIN =`, `AUTH LOGIN =` crash authup before authentication',
    here: 'one 501, session goes on',
    play: authup([S(GREETING), C('AUTH PLAIN =\r\n'), S(MALFORMED), C('AUTH LOGIN =\r\n'), S(MALFORMED), ...bye]),
    result: { exit: 0, child_runs: [] },
  },
  {
    original: 'two or three replies to one `*` or empty line in AUTH',
    here: 'exactly one 501',
    play: authup([
      S(GREETING),
      C('AUTH PLAIN\r\n'),
      S('334 \r\n'),
      C('*\r\n'),
      S('501 authup auth exchange cancelled (#5.0.0)\r\n'),
      C('AUTH LOGIN\r\n'),
      S('334 VXNlcm5hbWU6\r\n'),
      C('\r\n'),
      S(MALFORMED),
      ...bye,
    ]),
    result: { exit: 0, child_runs: [] },
  },
  {
    original: 'base64 is lenient',
    here: 'strict base64 (501)',
    play: authup([
      S(GREETING),
      C('AUTH PLAIN AHVzZXIAcGFzcw\r\n'),
      S(MALFORMED),
      C('AUTH PLAIN AHVzZXI AcGFzcw==\r\n'),
      S(MALFORMED),
      C('AUTH PLAIN AHVzZXIAcGFzcx==\r\n'),
      S(MALFORMED),
      ...bye,
    ]),
    result: { exit: 0, child_runs: [] },
  },
  {
    original: 'NUL, CR, LF in a user name reach fd 3, the environment and the log',
    here: 'control characters refused',
    play: authup([
      S(GREETING),
      C(`AUTH PLAIN ${Buffer.from('\0us\ner\0pass').toString('base64')}\r\n`),
      S(MALFORMED),
      C('AUTH LOGIN\r\n'),
      S('334 VXNlcm5hbWU6\r\n'),
      C(`${Buffer.from('us\0er').toString('base64')}\r\n`),
      S(MALFORMED),
      ...bye,
    ]),
    result: { exit: 0, child_runs: [], stderr: 'authup PID protocol smtp\n' },
  },
  {
    original: 'exit 111 of checkpassword is `535`, costs a try (SMTP)',
    here: '`454 4.7.0`, no try, no penalty',
    play: authup(
      [
        S(GREETING),
        C(LOGIN),
        S('454 authup temporary authentication failure (#4.7.0)\r\n'),
        C(LOGIN),
        S('535 authup authorization failed (#5.7.0)\r\n'),
      ],
      [{ exit: 111 }, { exit: 1 }],
      { args: ['-t', '1', 'smtp', '{child}'] },
    ),
    result: { exit: 1 },
    check: ({ stderr }) => assert.match(stderr, /failed temporarily\n.*\n.*failed, 0 remaining\n$/),
  },
  {
    original: 'exit 111 of checkpassword is -ERR, costs the only try (POP3)',
    here: '`-ERR [SYS/TEMP]`, no try, no penalty',
    play: pop3(
      [
        S('+OK <PID.TIME@me.example>\r\n'),
        C('USER u\r\nPASS p\r\n'),
        S('+OK \r\n-ERR [SYS/TEMP] authup temporary authentication failure\r\n'),
        C('QUIT\r\n'),
        S('+OK \r\n'),
      ],
      [{ exit: 111 }],
    ),
    result: { exit: 0 },
  },
  {
    original: 'a checkpassword that cannot be run: two replies, counted as a bad password',
    here: 'one 454',
    play: authup(
      [
        S(GREETING),
        C(LOGIN),
        S('454 authup authentication temporarily not available (#4.3.0)\r\n'),
        C(LOGIN),
        S('454 authup authentication temporarily not available (#4.3.0)\r\n'),
        ...bye,
      ],
      [],
      { args: ['-t', '1', 'smtp', '/no/such/checkpassword'] },
    ),
    result: { exit: 0 },
  },
  {
    original: 'a retry sends stale, zeroed fields on fd 3',
    here: 'each attempt is complete and wiped',
    play: authup(
      [
        S(GREETING),
        C(LOGIN),
        S('535 authup authorization failed (#5.7.0)\r\n'),
        C(`AUTH PLAIN ${Buffer.from('\0me\0x').toString('base64')}\r\n`),
        S('535 authup authorization failed (#5.7.0)\r\n'),
        ...bye,
      ],
      [{ exit: 1 }],
    ),
    result: { exit: 0 },
    check: ({ child_runs = [] }) =>
      assert.deepEqual(
        child_runs.map((run) => run.fd3),
        ['user\0pass\0\0', 'me\0x\0\0'],
      ),
  },
  {
    original: 'no limits on command, AUTH line, or what goes to fd 3',
    here: 'authup: 512/1000 octets a command, 12288 an AUTH line, 512 to checkpassword (refused before it is run)',
    play: authup([
      S(GREETING),
      C(`NOOP ${'x'.repeat(505)}\r\n`),
      S('250 ok\r\n'),
      C(`NOOP ${'x'.repeat(506)}\r\n`),
      S('500 authup line too long (#5.5.2)\r\n'),
      C(`MAIL ${'x'.repeat(993)}\r\n`),
      S('530 authup authentication required (#5.7.1)\r\n'),
      C(`MAIL ${'x'.repeat(994)}\r\n`),
      S('500 authup line too long (#5.5.2)\r\n'),
      C(`AUTH PLAIN ${'A'.repeat(12_275)}\r\n`),
      S(MALFORMED),
      C(`AUTH PLAIN ${'A'.repeat(100_000)}\r\n`),
      S('500 authup line too long (#5.5.2)\r\n'),
      C(`AUTH PLAIN ${Buffer.from(`\0${'u'.repeat(255)}\0${'p'.repeat(255)}`).toString('base64')}\r\n`),
      S(MALFORMED),
      ...bye,
    ]),
    result: { exit: 0, child_runs: [] },
  },
  {
    original: 'POP3 STLS keeps plaintext sent before TLS (POP3)',
    here: 'discarded, also half a line; logged as an attack',
    play: pop3(
      [
        S('+OK <PID.TIME@me.example>\r\n'),
        C('STLS\r\nUSER evil\r\nPASS '),
        S('+OK starting TLS negotiation\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
        C('PASS p\r\n'),
        S('-ERR authup USER first\r\n'),
        C('QUIT\r\n'),
        S('+OK \r\n'),
      ],
      [],
      { tls: true, env: { UCSPITLS: '' } },
    ),
    result: { exit: 0 },
    check: ({ stderr }) =>
      assert.match(stderr, /^authup PID attack: discarded 16 octets of plaintext sent before TLS$/m),
  },
  {
    original: 'plaintext sent before TLS is kept (SMTP)',
    here: 'discarded, also half a line; logged as an attack',
    play: authup(
      [
        S(GREETING),
        C('STARTTLS\r\nNOOP\r\nEHL'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
        C('NOOP\r\n'),
        S('250 ok\r\n'),
        ...bye,
      ],
      [],
      { tls: true, env: { UCSPITLS: '' } },
    ),
    result: { exit: 0 },
    check: ({ stderr }) => assert.match(stderr, /attack: discarded 9 octets/),
  },
  {
    original: 'AUTH is advertised before a mandatory STARTTLS',
    here: 'hidden until TLS',
    play: authup(
      [
        S(GREETING),
        C('EHLO x\r\n'),
        S('250-me.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n'),
        C('STARTTLS\r\n'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
        C('EHLO x\r\n'),
        S('250-me.example\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n'),
        ...bye,
      ],
      [],
      { tls: true, env: { UCSPITLS: '!' } },
    ),
    result: { exit: 0 },
  },
  {
    original: 'USER is advertised before a mandatory STLS',
    here: 'hidden until TLS',
    play: pop3(
      [
        S('+OK <PID.TIME@me.example>\r\n'),
        C('CAPA\r\n'),
        S('+OK capability list follows\r\nSTLS\r\nTOP\r\n.\r\n'),
        C('USER u\r\n'),
        S('-ERR authup Must start TLS first\r\n'),
        C('QUIT\r\n'),
        S('+OK \r\n'),
      ],
      [],
      { tls: true, env: { UCSPITLS: '!' } },
    ),
    result: { exit: 0 },
  },
  {
    original: 'half of the SSL_* variables get lost',
    here: 'all are passed on',
    play: authup(
      [
        S(GREETING),
        C('STARTTLS\r\n'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
        C(LOGIN),
        S('235 ok\r\n'),
      ],
      [{ out: '235 ok\r\n', exit: 0 }],
      { tls: true, env: { UCSPITLS: '' } },
    ),
    result: {
      exit: 0,
      child_runs: [
        {
          argv: [],
          env: { AUTHUP_USER: 'user', SSL_PROTOCOL: 'TLSv1.3', SSL_CIPHER: 'X', SSL_CLIENT_S_DN: '/CN=a b' },
          fd3: 'user\0pass\0\0',
        },
      ],
    },
  },
  {
    original: 'an empty capabilities file gives an EHLO reply without a last line',
    here: 'always well formed',
    play: authup([S(GREETING), C('EHLO x\r\n'), S('250-me.example\r\n250 AUTH LOGIN PLAIN\r\n'), ...bye], [], {
      control: { me: 'me.example\n', smtpcapabilities: '' },
    }),
    result: { exit: 0 },
  },
  {
    original: 'a request pipelined after AUTH is lost',
    here: 'handed to the backend after success',
    play: authup(
      [S(GREETING), C(`${LOGIN}MAIL FROM:<a@b>\r\nQUIT\r\n`), S('235 ok\r\n250 ok\r\n')],
      [{ out: '235 ok\r\n', read_lines: 2, out2: '250 ok\r\n', exit: 0 }],
    ),
    result: { exit: 0 },
    check: ({ child_runs = [] }) => assert.equal(child_runs[0]?.stdin, 'MAIL FROM:<a@b>\r\nQUIT\r\n'),
  },
  {
    original: 'a request pipelined after a refused AUTH is lost as well',
    here: 'answered by authup',
    play: authup(
      [
        S(GREETING),
        C(`${LOGIN}NOOP\r\nQUIT\r\n`),
        S('535 authup authorization failed (#5.7.0)\r\n250 ok\r\n221 me.example\r\n'),
      ],
      [{ exit: 1 }],
    ),
    result: { exit: 0 },
  },
])
