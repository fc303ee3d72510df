// A QUIT that a rule turns into something else is no end, as far as the backend knows: the session goes on.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BackendSpec, Step } from '../conformance/case.ts'
import { play } from '../conformance/replay.ts'

const top = fileURLToPath(new URL('../../..', import.meta.url))
const C = (send: string): Step => ({ send })
const S = (expect: string): Step => ({ expect })
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
    const { trouble, result } = await play(
      {
        name: 'quit',
        program: 'fixsmtpio',
        args: ['{backend}'],
        control: { me: 'me.example\n', fixsmtpio: ':quit:NOOP :*::&fixsmtpio_noop\n' },
        backend: BACKEND,
        steps: [S('220 backend ESMTP\r\n'), ...rest, { eof: true }],
        result: { exit: 0, stdout: '', stderr: '' },
      },
      join(top, 'dist/programs'),
      join(top, 'dist/test/conformance/fakes.js'),
    )
    assert.deepEqual(trouble, [], JSON.stringify(result))
    assert.equal(result.exit, 7)
    assert.match(result.backend_received ?? '', /^NOOP QUIT\r\nRSET\r\n/)
  })
