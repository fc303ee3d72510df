// A QUIT that a rule turns into something else does not end the session as far as the backend knows: it goes on.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BackendSpec } from '../conformance/case.ts'
import { C, eof, hello, playAll, S } from './dialogue.ts'

const BACKEND: BackendSpec = {
  greeting: '220 backend ESMTP\r\n',
  replies: { NOOP: '250 ok\r\n', RSET: '250 flushed\r\n', QUIT: '221 backend\r\n' },
  exits: { QUIT: 0 },
  eof_exit: 7,
}

for (const [title, rest] of [
  ['in one write', [C('QUIT\r\nRSET\r\n'), S('250 ok\r\n250 flushed\r\n'), C('RSET\r\n'), S('250 flushed\r\n')]],
  ['one after the other', [C('QUIT\r\n'), S('250 ok\r\n'), C('RSET\r\n'), S('250 flushed\r\n')]],
] as const)
  void test(`what follows a prepended QUIT that was answered 250 is carried out: ${title}`, async () => {
    const result = await playAll({
      program: 'fixsmtpio',
      args: ['{backend}'],
      control: { me: 'me.example\n', fixsmtpio: ':quit:NOOP :*::&fixsmtpio_noop\n' },
      backend: BACKEND,
      steps: [hello, ...rest, eof],
    })
    assert.equal(result.exit, 7)
    assert.match(result.backend_received ?? '', /^NOOP QUIT\r\nRSET\r\n/)
  })
