// A dual-purpose port: what follows `--` is the service for peers that do not authenticate.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackendSpec, ChildSpec, Result, Step } from '../conformance/case.ts'
import { C, eof, playAll, S, settled } from './dialogue.ts'

const SMTPD: BackendSpec = {
  greeting: '220 smtpd ESMTP\r\n',
  replies: {
    EHLO: '250-smtpd\r\n250 PIPELINING\r\n',
    HELO: '250 smtpd\r\n',
    MAIL: '250 sender ok\r\n',
    RCPT: '250 recipient ok\r\n',
    DATA: '354 go\r\n',
    NOOP: '250 ok\r\n',
    VRFY: '252 try it\r\n',
    QUIT: '221 smtpd\r\n',
  },
  exits: { QUIT: 0 },
  eof_exit: 1,
}
const GREETING = S('220 me.example ESMTP\r\n')
const EHLO = [C('EHLO c\r\n'), S('250-me.example\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n')]
const SERVED = S('503 authup mail is being served without authentication (#5.5.1)\r\n')

const dialogue = (
  steps: readonly Step[],
  more: { smtpd?: BackendSpec; child?: readonly ChildSpec[]; env?: Record<string, string>; tls?: boolean } = {},
): Promise<Result> =>
  playAll({
    program: 'authup',
    args: ['smtp', '{child}', '--', '{bin}/fixsmtpio', '{backend}'],
    control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n' },
    backend: { ...SMTPD, ...more.smtpd },
    child: more.child ?? [{ exit: 1 }],
    steps,
    ...(more.env === undefined ? {} : { env: more.env }),
    ...(more.tls === undefined ? {} : { tls: more.tls }),
  })

void test('a guest delivers, and gets one greeting and one EHLO reply', async () => {
  const result = await dialogue([
    GREETING,
    ...EHLO,
    C('MAIL FROM:<a@b>\r\n'),
    S('250 sender ok\r\n'),
    C('RCPT TO:<c@d>\r\n'),
    S('250 recipient ok\r\n'),
    C('DATA\r\n'),
    S('354 go\r\n'),
    C('Subject: x\r\n\r\n..hi\r\n.\r\nNOOP\r\n'),
    S('250 ok queued\r\n250 ok\r\n'),
    C('QUIT\r\n'),
    S('221 smtpd\r\n'),
  ])
  assert.equal(result.exit, 0)
  assert.equal(
    result.backend_received,
    'EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..hi\r\n.\r\nNOOP\r\nQUIT\r\n',
  )
  assert.deepEqual(result.backend_runs, [{ argv: [], env: {} }])
  assert.deepEqual(result.child_runs, [])
})

void test('a guest without EHLO, and one that says HELO', async () => {
  const plain = await dialogue([GREETING, C('VRFY x\r\n'), S('252 try it\r\n'), C('QUIT\r\n'), S('221 smtpd\r\n')])
  assert.equal(plain.backend_received, 'VRFY x\r\nQUIT\r\n')
  const helo = await dialogue([
    GREETING,
    C('HELO c\r\n'),
    S('250 me.example\r\n'),
    C('MAIL FROM:<>\r\n'),
    S('250 sender ok\r\n'),
    C('QUIT\r\n'),
    S('221 smtpd\r\n'),
  ])
  assert.equal(helo.backend_received, 'HELO c\r\nMAIL FROM:<>\r\nQUIT\r\n')
})

void test('a guest that pipelines everything', async () => {
  const result = await dialogue([
    GREETING,
    C('EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n'),
    S('250-me.example\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n250 sender ok\r\n250 recipient ok\r\n354 go\r\n'),
    C('x\r\n.\r\nQUIT\r\n'),
    S('250 ok queued\r\n221 smtpd\r\n'),
  ])
  assert.equal(result.backend_received, 'EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n')
})

void test('once handed over, AUTH is a 503', async () => {
  const result = await dialogue([
    GREETING,
    ...EHLO,
    C('MAIL FROM:<a@b>\r\n'),
    S('250 sender ok\r\n'),
    C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'),
    SERVED,
    C('QUIT\r\n'),
    S('221 smtpd\r\n'),
  ])
  assert.deepEqual(result.child_runs, [])
})

void test('an authenticated peer gets the other chain, also after a wrong password', async () => {
  const result = await dialogue(
    [
      GREETING,
      ...EHLO,
      C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'),
      S('535 authup authorization failed (#5.7.0)\r\n'),
      C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'),
      S('235 ok\r\n'),
    ],
    { child: [{ exit: 1 }, { out: '235 ok\r\n', exit: 0 }] },
  )
  assert.deepEqual(result.backend_runs, [])
  assert.equal(result.child_runs?.length, 2)
})

void test('a guest after a wrong password', async () => {
  const result = await dialogue([
    GREETING,
    ...EHLO,
    C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'),
    S('535 authup authorization failed (#5.7.0)\r\n'),
    C('MAIL FROM:<a@b>\r\n'),
    S('250 sender ok\r\n'),
    C('QUIT\r\n'),
    S('221 smtpd\r\n'),
  ])
  assert.equal(result.exit, 0)
  assert.deepEqual(result.backend_runs, [{ argv: [], env: {} }])
})

void test('the guest service refuses: the mail command hears it', async () => {
  const result = await dialogue([GREETING, C('MAIL FROM:<a@b>\r\n'), S('421 too busy\r\n')], {
    smtpd: { greeting: '421 too busy\r\n' },
  })
  assert.notEqual(result.exit, 0)
})

void test('the guest service dies before its greeting: 454, and no 250 that it did not give', async () => {
  await dialogue([GREETING, C('MAIL FROM:<a@b>\r\n'), S('454 mail program ended before its greeting (#4.3.0)\r\n')], {
    smtpd: { greeting: null, after_greeting: 3 },
  })
})

void test('a guest that disconnects in DATA leaves nothing half queued', async () => {
  const result = await dialogue([GREETING, C('DATA\r\n'), S('354 go\r\n'), C('half\r\n'), settled, eof])
  assert.equal(result.backend_received, 'DATA\r\nhalf\r\n')
})

void test('AUTH needs TLS as soon as TLS is available; a guest does not, even where it is required', async () => {
  for (const UCSPITLS of ['', '!']) {
    await dialogue(
      [
        GREETING,
        C('EHLO c\r\n'),
        S('250-me.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n'),
        C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'),
        S('530 authup Must start TLS first (#5.7.0)\r\n'),
        C('MAIL FROM:<a@b>\r\n'),
        S('250 sender ok\r\n'),
        C('QUIT\r\n'),
        S('221 smtpd\r\n'),
      ],
      { env: { UCSPITLS }, tls: true },
    )
  }
})

void test('a guest inside TLS: its greeting name is said again, and the service knows of TLS', async () => {
  const result = await dialogue(
    [
      GREETING,
      C('EHLO plain\r\n'),
      S('250-me.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n'),
      C('STARTTLS\r\n'),
      S('220 Ready to start TLS (#5.7.0)\r\n'),
      { tls: 'SSL_PROTOCOL=TLSv1.3\0\0', got: 'Y' },
      settled,
      C('EHLO secret\r\n'),
      S('250-me.example\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n'),
      C('MAIL FROM:<a@b>\r\n'),
      S('250 sender ok\r\n'),
      C('QUIT\r\n'),
      S('221 smtpd\r\n'),
    ],
    { env: { UCSPITLS: '' }, tls: true },
  )
  assert.equal(result.backend_received, 'EHLO secret\r\nMAIL FROM:<a@b>\r\nQUIT\r\n')
  assert.deepEqual(result.backend_runs, [{ argv: [], env: { SSL_PROTOCOL: 'TLSv1.3' } }])
})
