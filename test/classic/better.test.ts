// Each row of the table "Where we are better on purpose" of the compatibility page that concerns the classic programs: the name of a
// test is what the original does.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BackendSpec, Case, ChildSpec, Result, Step } from '../conformance/case.ts'
import { play } from '../conformance/replay.ts'

const top = fileURLToPath(new URL('../../..', import.meta.url))
const bin = join(top, 'dist/programs')
const fakes = join(top, 'dist/test/conformance/fakes.js')

const GREETING = '220 me.example ESMTP\r\n'
const LOGIN = 'AUTH PLAIN AHVzZXIAcGFzcw==\r\n'
const C = (send: string): Step => ({ send })
const S = (expect: string): Step => ({ expect })
const pause: Step = { sleep_ms: 120 }
const eof: Step = { eof: true }

const BACKEND: BackendSpec = {
  greeting: '220 backend ESMTP\r\n',
  replies: {
    EHLO: '250-backend\r\n250-PIPELINING\r\n250 8BITMIME\r\n',
    MAIL: '250 ok\r\n',
    RCPT: '250 ok\r\n',
    DATA: '354 go\r\n',
    NOOP: '250 ok\r\n',
    RSET: '250 flushed\r\n',
    QUIT: '221 backend\r\n',
  },
  exits: { QUIT: 0 },
  eof_exit: 1,
}

interface Row {
  readonly original: string
  readonly here: string
  readonly play: Omit<Case, 'name' | 'result'>
  readonly result: Partial<Result>
  readonly check?: (result: Result) => void
}

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

const fixsmtpio = (steps: readonly Step[], rules = '', backend = {}, more: Partial<Case> = {}): Row['play'] => ({
  program: 'fixsmtpio',
  args: ['{backend}'],
  control: { me: 'me.example\n', fixsmtpio: rules },
  backend: { ...BACKEND, ...backend },
  steps,
  ...more,
})

const hello = S('220 backend ESMTP\r\n')
const quit: readonly Step[] = [C('QUIT\r\n'), S('221 backend\r\n')]
const bye: readonly Step[] = [C('QUIT\r\n'), S('221 me.example\r\n')]
const MALFORMED = '501 authup malformed auth input (#5.5.4)\r\n'
const TLS_ANSWER = 'SSL_PROTOCOL=TLSv1.3\0SSL_CIPHER=X\0SSL_CLIENT_S_DN=/CN=a b\0\0'

const ROWS: readonly Row[] = [
  {
    original: '`AUTH PLAIN =`, `AUTH LOGIN =` crash authup before authentication',
    here: 'one 501, session goes on',
    play: authup([S(GREETING), C('AUTH PLAIN =\r\n'), S(MALFORMED), C('AUTH LOGIN =\r\n'), S(MALFORMED), ...bye]),
    result: { exit: 0, child_runs: [] },
  },
  {
    original: 'a request line not complete in one read spins fixsmtpio at 100 % CPU',
    here: 'the rest is waited for',
    play: fixsmtpio([hello, C('NO'), pause, C('OP\r'), pause, C('\n'), S('250 ok\r\n'), ...quit]),
    result: { exit: 0, backend_received: 'NOOP\r\nQUIT\r\n' },
  },
  {
    original:
      'end of DATA is looked for at the end of each read only: commands pipelined after the dot bypass the rules',
    here: 'one byte-level scanner that keeps its state over reads',
    play: fixsmtpio(
      [hello, C('DATA\r\n'), S('354 go\r\n'), C('a\r\n.\r\nVRFY x\r\n'), S('250 ok queued\r\n502 no\r\n'), ...quit],
      ':vrfy:NOOP :*::502 no\n',
    ),
    result: { exit: 0, backend_received: 'DATA\r\na\r\n.\r\nNOOP VRFY x\r\nQUIT\r\n' },
  },
  {
    original: 'CR LF . NUL ends a message for a backend that reads C strings, and for nobody else',
    here: 'it is stuffed',
    play: fixsmtpio([
      hello,
      C('DATA\r\n'),
      S('354 go\r\n'),
      C('a\r\n.\0\r\nMAIL\r\n.\r\n'),
      S('250 ok queued\r\n'),
      ...quit,
    ]),
    result: { exit: 0, backend_received: 'DATA\r\na\r\n..\0\r\nMAIL\r\n.\r\nQUIT\r\n' },
  },
  {
    original: 'a line without a code answers a request, and shifts all later replies',
    here: 'the session ends, and the log shows the line',
    play: fixsmtpio([hello, C('NOOP\r\n'), S('421 mail program spoke nonsense (#4.3.0)\r\n')], '', {
      replies: { ...BACKEND.replies, NOOP: 'warning: blah\r\n250 ok\r\n' },
    }),
    result: { exit: 14, stderr: 'fixsmtpio: mail program spoke nonsense said="warning: blah"\n' },
  },
  {
    original: 'a dot split over reads loses the commands after it',
    here: 'its state is kept over reads',
    play: fixsmtpio([
      hello,
      C('DATA\r\n'),
      S('354 go\r\n'),
      ...'a\r\n.\r\nNOOP\r\n'.split('').flatMap((byte) => [C(byte), { sleep_ms: 15 }]),
      S('250 ok queued\r\n250 ok\r\n'),
      ...quit,
    ]),
    result: { exit: 0, backend_received: 'DATA\r\na\r\n.\r\nNOOP\r\nQUIT\r\n' },
  },
  {
    original: 'a read of `.` CR LF inside a line corrupts the message',
    here: 'only CR LF . CR LF ends a message',
    play: fixsmtpio([
      hello,
      C('DATA\r\n'),
      S('354 go\r\n'),
      C('a'),
      pause,
      C('.\r\n'),
      pause,
      C('b\r\n.\r\n'),
      S('250 ok queued\r\n'),
      ...quit,
    ]),
    result: { exit: 0, backend_received: 'DATA\r\na.\r\nb\r\n.\r\nQUIT\r\n' },
  },
  {
    original: 'bare LF and bare CR inside DATA are passed on (message smuggling)',
    here: 'made CR LF by default',
    play: fixsmtpio([
      hello,
      C('DATA\r\n'),
      S('354 go\r\n'),
      C('a\n.\nMAIL FROM:<evil@x>\r\n.\rb\r\n.\r\n'),
      S('250 ok queued\r\n'),
      ...quit,
    ]),
    result: { exit: 0, backend_received: 'DATA\r\na\r\n..\r\nMAIL FROM:<evil@x>\r\n..\r\nb\r\n.\r\nQUIT\r\n' },
  },
  {
    original: 'bare LF and bare CR inside DATA are passed on, whatever the operator thinks of it',
    here: 'the knob `refuse` cuts the backend, answers 421 after the client’s own final dot and closes',
    play: fixsmtpio(
      [
        hello,
        C('DATA\r\n'),
        S('354 go\r\n'),
        C('a\nb\r\n'),
        pause,
        C('c\r\n.\r\n'),
        S('421 message has a bare CR or LF (#5.6.0)\r\n'),
      ],
      '',
      {},
      { control: { me: 'me.example\n', barelineend: 'refuse\n' } },
    ),
    result: { exit: 14 },
    check: ({ backend_received = '' }) => assert.ok(!backend_received.includes('\r\n.\r\n'), 'nothing is queued'),
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
    original: 'no limits in fixsmtpio either',
    here: 'classic fixsmtpio: 65,536 octets a line',
    play: fixsmtpio([
      hello,
      C(`NOOP ${'x'.repeat(65_529)}\r\n`),
      S('250 ok\r\n'),
      C(`NOOP ${'x'.repeat(65_530)}\r\n`),
      S('500 line too long (#5.5.2)\r\n'),
      C(`NOOP ${'x'.repeat(300_000)}\r\n`),
      S('500 line too long (#5.5.2)\r\n'),
      ...quit,
    ]),
    result: { exit: 0 },
    check: ({ backend_received = '' }) => assert.equal(backend_received.length, 65_536 + 6),
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
        pause,
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
        pause,
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
    original: 'plaintext sent before TLS is kept (fixsmtpio)',
    here: 'discarded, also half a line; logged as an attack',
    play: fixsmtpio(
      [
        hello,
        C('STARTTLS\r\nMAIL FROM:<evil@x>\r\nRC'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        pause,
        C('NOOP\r\n'),
        S('250 ok\r\n'),
        ...quit,
      ],
      '',
      {},
      { tls: true, env: { UCSPITLS: '' } },
    ),
    result: { exit: 0, backend_received: 'NOOP fixsmtpio STARTTLS BEGIN STARTTLS\r\nNOOP\r\nQUIT\r\n' },
    check: ({ stderr }) => assert.match(stderr, /^fixsmtpio PID attack: discarded 22 octets/m),
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
        pause,
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
    original: 'after STARTTLS through fixsmtpio the new backend’s greeting is sent to the client',
    here: 'a 2xx greeting is swallowed; 4xx and 5xx go through the rules',
    play: fixsmtpio(
      [
        hello,
        C('STARTTLS\r\n'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        pause,
        C('EHLO x\r\n'),
        S('250-backend\r\n250-PIPELINING\r\n250 8BITMIME\r\n'),
        ...quit,
      ],
      '',
      {},
      { tls: true, env: { UCSPITLS: '' } },
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
        pause,
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
    original: 'replies in flight are dropped when the client closes',
    here: 'delivered',
    play: fixsmtpio([hello, C('NOOP\r\nRSET\r\n'), eof, S('250 slow\r\n250 flushed\r\n')], '', {
      replies: { ...BACKEND.replies, NOOP: [300, '250 slow\r\n'] },
    }),
    result: { exit: 1 },
  },
  {
    original: 'fixsmtpio has no timeout',
    here: 'timeouts',
    play: fixsmtpio(
      [hello, { sleep_ms: 1500 }, S('421 timeout (#4.4.2)\r\n')],
      '',
      {},
      {
        control: { me: 'me.example\n', timeoutsmtpd: '1\n' },
      },
    ),
    result: { exit: 14 },
  },
  {
    original: 'fixsmtpio has no timeout, so the rules for one never see it',
    here: 'with the recommended rules its exit code 16 makes authup say so',
    play: fixsmtpio(
      [S('235 ok, go ahead (#2.0.0)\r\n'), { sleep_ms: 1500 }],
      '',
      {},
      {
        env: { AUTHUP_USER: 'user' },
        control: {
          me: 'me.example\n',
          timeoutsmtpd: '1\n',
          fixsmtpio: 'AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)\nAUTHUP_USER:timeout::*:16:\n',
        },
      },
    ),
    result: { exit: 16 },
  },
  {
    original: 'exit codes `12x` and `4294967296` are accepted',
    here: 'parse error with line and column',
    play: fixsmtpio(
      [pause, eof],
      '# rules\n:noop::*:12x:250 a\n:noop::*:4294967296:250 b\n',
      {},
      { env: { FIXSMTPIODEBUG: '1' } },
    ),
    result: {
      exit: 18,
      backend_runs: [],
      stderr:
        'fixsmtpio: unable to parse control/fixsmtpio\n' +
        'control/fixsmtpio:2:10: the exit code 12x is not a number from 0 to 255; write decimal digits only, or nothing to go on\n' +
        'control/fixsmtpio:3:10: the exit code 4294967296 is not a number from 0 to 255; write decimal digits only, or nothing to go on\n',
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
    original: 'a 354 rewritten by a rule leaves proxy and client in different states',
    here: 'both agree: no message is read after a refusal',
    play: fixsmtpio(
      [hello, C('DATA\r\n'), S('451 not now\r\n421 message refused by a rule (#4.3.0)\r\n')],
      ':data::354*::451 not now\n',
    ),
    result: { exit: 14, backend_received: 'DATA\r\n' },
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
  {
    original: 'a replacement shorter than four bytes corrupts the reply',
    here: 'the reply stays well formed',
    play: fixsmtpio(
      [hello, C('EHLO x\r\n'), S('250-backend\r\nok\r\n250 8BITMIME\r\n'), ...quit],
      ':ehlo::250-PIPELINING*::ok\n',
    ),
    result: { exit: 0 },
  },
]

const NOTHING: Result = { exit: 0, stdout: '', stderr: '' }

for (const row of ROWS) {
  void test(`${row.original} | ${row.here}`, async () => {
    const { trouble, result } = await play({ ...row.play, name: row.original, result: NOTHING }, bin, fakes)
    assert.deepEqual(trouble, [], JSON.stringify(result))
    for (const [key, wanted] of Object.entries(row.result))
      assert.deepEqual(result[key as keyof Result], wanted, `${key} of ${JSON.stringify(result)}`)
    row.check?.(result)
  })
}
