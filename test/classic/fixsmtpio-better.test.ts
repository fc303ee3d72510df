// Where fixsmtpio is better than the original on purpose.
import assert from 'node:assert/strict'
import type { BackendSpec, Case, Step } from '../conformance/case.ts'
import { type Row, testRows } from './better.ts'
import { C, eof, hello, S, settled, TLS_ANSWER } from './dialogue.ts'

const quit: readonly Step[] = [C('QUIT\r\n'), S('221 backend\r\n')]

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

const fixsmtpio = (steps: readonly Step[], rules = '', backend = {}, more: Partial<Case> = {}): Row['play'] => ({
  program: 'fixsmtpio',
  args: ['{backend}'],
  control: { me: 'me.example\n', fixsmtpio: rules },
  backend: { ...BACKEND, ...backend },
  steps,
  ...more,
})

testRows([
  {
    original: 'a request line not complete in one read spins fixsmtpio at 100 % CPU',
    here: 'the rest is waited for',
    play: fixsmtpio([hello, C('NO'), settled, C('OP\r'), settled, C('\n'), S('250 ok\r\n'), ...quit]),
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
      ...'a\r\n.\r\nNOOP\r\n'.split('').flatMap((byte) => [C(byte), settled]),
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
      settled,
      C('.\r\n'),
      settled,
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
        settled,
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
    original: 'plaintext sent before TLS is kept (fixsmtpio)',
    here: 'discarded, also half a line; logged as an attack',
    play: fixsmtpio(
      [
        hello,
        C('STARTTLS\r\nMAIL FROM:<evil@x>\r\nRC'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
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
    original: 'after STARTTLS through fixsmtpio the new backend’s greeting is sent to the client',
    here: 'a 2xx greeting is swallowed; 4xx and 5xx go through the rules',
    play: fixsmtpio(
      [
        hello,
        C('STARTTLS\r\n'),
        S('220 Ready to start TLS (#5.7.0)\r\n'),
        { tls: TLS_ANSWER, got: 'Y' },
        settled,
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
      [hello, S('421 timeout (#4.4.2)\r\n')],
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
      [S('235 ok, go ahead (#2.0.0)\r\n')],
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
      [settled, eof],
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
    original: 'a 354 rewritten by a rule leaves proxy and client in different states',
    here: 'both agree: no message is read after a refusal',
    play: fixsmtpio(
      [hello, C('DATA\r\n'), S('451 not now\r\n421 message refused by a rule (#4.3.0)\r\n')],
      ':data::354*::451 not now\n',
    ),
    result: { exit: 14, backend_received: 'DATA\r\n' },
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
])
