// The helper's one-line answer, as a value; a line that it would never send counts as no answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { verdictOf } from '../../src/actors/checkpassword.ts'
import { type HelperStatus, parseStatus } from '../../src/protocol/helper.ts'

const nothing: HelperStatus = { is: 'unreachable' }

for (const [line, status, verdict] of [
  ['ok 1000 100 4711', { is: 'ok', accepted: { uid: 1000, gid: 100, pid: 4711 } }, 'accepted'],
  ['ok 1 2', nothing, 'unreachable'],
  ['ok 1 2 3 4', nothing, 'unreachable'],
  ['ok 1 2 -3', nothing, 'unreachable'],
  ['ok', nothing, 'unreachable'],
  ['okay 1 2 3', nothing, 'unreachable'],
  ['OK 1 2 3', nothing, 'unreachable'],
  ['exit 1', { is: 'exit', code: 1 }, 'refused'],
  ['exit 2', { is: 'exit', code: 2 }, 'misused'],
  ['exit 111', { is: 'exit', code: 111 }, 'tempfail'],
  ['exit 0', { is: 'exit', code: 0 }, 'crashed'],
  ['exit', nothing, 'unreachable'],
  ['exit 1 2', nothing, 'unreachable'],
  ['exit one', nothing, 'unreachable'],
  ['signal 9', { is: 'signal', code: 9 }, 'crashed'],
  ['root', { is: 'root' }, 'root'],
  ['root 0', nothing, 'unreachable'],
  ['timeout', { is: 'timeout' }, 'timeout'],
  ['busy', { is: 'busy' }, 'busy'],
  ['missing /bin/x: No such file', { is: 'missing', text: '/bin/x: No such file' }, 'missing'],
  ['blocked', nothing, 'unreachable'],
  ['chain-exit 0', nothing, 'unreachable'],
  ['', nothing, 'unreachable'],
] as readonly [string, HelperStatus, string][])
  void test(`the line \`${line}\``, () => {
    const parsed = parseStatus(line)
    assert.deepEqual(parsed, status)
    assert.equal(verdictOf(parsed.is, 'code' in parsed ? parsed.code : -1), verdict)
  })
