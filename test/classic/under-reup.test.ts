// Under reup each attempt is a separate process, as long as another one can go on with the same connection.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Case, ChildSpec, Result, Step } from '../conformance/case.ts'
import { C, eof, playAll, S, settled } from './dialogue.ts'

const GREETING = S('220 me.example ESMTP\r\n')
const LOGIN = C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n')
const REFUSED = S('535 authup authorization failed (#5.7.0)\r\n')
const STARTTLS: readonly Step[] = [
  C('STARTTLS\r\n'),
  S('220 Ready to start TLS (#5.7.0)\r\n'),
  { tls: 'SSL_PROTOCOL=TLSv1.3\0\0', got: 'Y' },
  settled,
]

async function underReup(
  steps: readonly Step[],
  child: readonly ChildSpec[],
  more: Partial<Case> & {
    readonly guest?: readonly string[]
    readonly tries?: string
    readonly front?: readonly string[]
  } = {},
): Promise<Result> {
  const { guest = [], tries = '3', front = ['-t', '2', 'smtp'], ...rest } = more
  return playAll({
    program: 'reup',
    args: ['-t', tries, '{bin}/authup', ...front, '{child}', ...(guest.length > 0 ? ['--', ...guest] : [])],
    control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n', pop3capabilities: 'TOP\n' },
    child,
    steps,
    ...rest,
    env: { AUTHUP_DELAY: '0', ...rest.env },
  })
}

const runs = ({ stderr }: Result): number => stderr.match(/^reup /gm)?.length ?? 0
const TLS = { tls: true, env: { UCSPITLS: '!' } }

void test('inside TLS a wrong password is followed by another try of the same authup, and then by a login', async () => {
  const result = await underReup(
    [GREETING, ...STARTTLS, LOGIN, REFUSED, LOGIN, S('235 ok\r\n')],
    [{ exit: 1 }, { out: '235 ok\r\n', exit: 0 }],
    TLS,
  )
  assert.equal(result.exit, 0)
  assert.equal(runs(result), 1, result.stderr)
  assert.deepEqual(
    result.child_runs?.map(({ env }) => [env['REUP'], env['SSL_PROTOCOL']]),
    [
      ['1', 'TLSv1.3'],
      ['1', 'TLSv1.3'],
    ],
  )
})

void test('inside TLS the tries of authup are the last: exit 12', async () => {
  const result = await underReup([GREETING, ...STARTTLS, LOGIN, REFUSED, LOGIN, REFUSED], [{ exit: 1 }], TLS)
  assert.equal(result.exit, 12)
  assert.equal(runs(result), 1, result.stderr)
})

void test('inside TLS nothing that is answered with an error ends authup', async () => {
  const result = await underReup(
    [
      GREETING,
      ...STARTTLS,
      C('AUTH PLAIN =\r\n'),
      S('501 authup malformed auth input (#5.5.4)\r\n'),
      C('AUTH CRAM-MD5\r\n'),
      S('504 authup auth type unimplemented (#5.5.1)\r\n'),
      LOGIN,
      S('454 authup temporary authentication failure (#4.7.0)\r\n'),
      C('QUIT\r\n'),
      S('221 me.example\r\n'),
    ],
    [{ exit: 111 }],
    TLS,
  )
  assert.equal(result.exit, 0)
  assert.equal(runs(result), 1, result.stderr)
})

void test('inside TLS POP3 has five tries as well, where one is usual without reup', async () => {
  const result = await underReup(
    [
      S('+OK <PID.TIME@me.example>\r\n'),
      C('STLS\r\n'),
      S('+OK starting TLS negotiation\r\n'),
      { tls: 'SSL_PROTOCOL=TLSv1.3\0\0', got: 'Y' },
      settled,
      C('USER u\r\n'),
      S('+OK \r\n'),
      ...[1, 2, 3, 4].flatMap(() => [C('PASS wrong\r\n'), S('-ERR authup authorization failed\r\n')]),
      C('PASS right\r\n'),
      S('+OK ready\r\n'),
    ],
    [...[1, 2, 3, 4].map(() => ({ exit: 1 })), { out: '+OK ready\r\n', exit: 0 }],
    { ...TLS, front: ['pop3'] },
  )
  assert.equal(result.exit, 0)
  assert.equal(runs(result), 1, result.stderr)
})

void test('a handshake that fails is the end; without a parent that has TLS another attempt follows', async () => {
  const failed = await underReup(
    [GREETING, C('STARTTLS\r\n'), S('220 Ready to start TLS (#5.7.0)\r\n'), { tls: 'x'.repeat(70_000), got: 'Y' }],
    [],
    TLS,
  )
  assert.equal(failed.exit, 12, JSON.stringify(failed))
  assert.equal(runs(failed), 1, failed.stderr)
  const none = await underReup(
    [
      GREETING,
      C('STARTTLS\r\n'),
      S('220 Ready to start TLS (#5.7.0)\r\n454 authup TLS temporarily not available (#5.7.3)\r\n'),
      C('QUIT\r\n'),
      S('221 me.example\r\n'),
    ],
    [],
    { env: { UCSPITLS: '!' } },
  )
  assert.equal(none.exit, 0)
  assert.equal(runs(none), 2, none.stderr)
})

const SMTPD = {
  greeting: '220 smtpd ESMTP\r\n',
  replies: { MAIL: '250 sender ok\r\n', QUIT: '221 smtpd\r\n' },
  exits: { QUIT: 0 },
  eof_exit: 1,
}
const GUEST = { guest: ['{bin}/fixsmtpio', '{backend}'], backend: SMTPD }
const MAIL: readonly Step[] = [GREETING, C('MAIL FROM:<a@b>\r\n'), S('250 sender ok\r\n')]

for (const [how, end, exit, control] of [
  ['says QUIT', [C('QUIT\r\n'), S('221 smtpd\r\n')], 0, {}],
  ['closes', [eof], 12, {}],
  ['is silent for too long', [S('421 timeout (#4.4.2)\r\n')], 12, { timeoutsmtpd: '1\n' }],
] as const)
  void test(`a guest that ${how} leaves no connection for another authup: ${exit}`, async () => {
    const result = await underReup([...MAIL, ...end], [], {
      ...GUEST,
      control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n', ...control },
    })
    assert.equal(result.exit, exit, JSON.stringify(result))
    assert.equal(runs(result), 1, result.stderr)
  })

void test('a guest chain that dies leaves none either', async () => {
  const result = await underReup([...MAIL, C('NOOP\r\n'), S('421 mail program ended (#4.3.0)\r\n')], [], {
    ...GUEST,
    backend: { ...SMTPD, replies: { MAIL: '250 sender ok\r\n', NOOP: null }, exits: { NOOP: 1 } },
  })
  assert.equal(result.exit, 12, JSON.stringify(result))
  assert.equal(runs(result), 1, result.stderr)
})

void test('a refused password is answered after AUTHUP_DELAY seconds, 5 without it; nothing else waits', async () => {
  const timed = async (env: Record<string, string>, child: readonly ChildSpec[], steps: readonly Step[]) => {
    const before = performance.now()
    await underReup([GREETING, ...steps], child, { env, tries: '1' })
    return performance.now() - before
  }
  const refused = await timed({ AUTHUP_DELAY: '2' }, [{ exit: 1 }], [LOGIN, REFUSED])
  assert.ok(refused >= 2000, `${refused} ms`)
  const byDefault = await timed({ AUTHUP_DELAY: '' }, [{ exit: 1 }], [LOGIN, REFUSED])
  assert.ok(byDefault >= 5000, `${byDefault} ms`)
  // What is expected comes within nine seconds.
  await timed({ AUTHUP_DELAY: '60' }, [{ out: '235 ok\r\n', exit: 0 }], [LOGIN, S('235 ok\r\n')])
})
