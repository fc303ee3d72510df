import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { benchProgram } from '../../bench/fixture.ts'
import { converse, temporary } from './programs.ts'

const discard = (input: string): { out: string; err: string; code: number | null } =>
  converse(benchProgram('discard'), ['smtp', '-c'], input)

void test('commands out of order are refused, and a message needs a recipient', () => {
  const { out } = discard(
    'RCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nRSET\r\nRCPT TO:<a@b>\r\nQUIT\r\n',
  )
  assert.deepEqual(
    out.split('\r\n').map((line) => line.slice(0, 3)),
    ['220', '503', '503', '250', '503', '503', '250', '503', '221', ''],
  )
})

void test('the end of a message is CR LF . CR LF alone, wherever reads cut it', async () => {
  const session =
    'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\n.\nx\r\n..\r\n\r\r\n.x\r\n.\r\n' +
    'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nQUIT\r\n'
  const whole = discard(session)
  assert.match(whole.err, /messages 2 recipients 2 bytes 18\n/)
  for (const size of [1, 2, 3, 7]) {
    const child = spawn(benchProgram('discard'), ['-c'])
    let out = ''
    let err = ''
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      err += text
    })
    const closed = new Promise((resolve) => {
      child.on('close', resolve)
    })
    for (let at = 0; at < session.length; at += size) {
      child.stdin.write(session.slice(at, at + size))
      await new Promise(setImmediate)
    }
    await closed
    assert.equal(out, whole.out, `in pieces of ${size}`)
    assert.equal(err, whole.err, `in pieces of ${size}`)
  }
})

void test('a client that disconnects inside a message leaves none', () => {
  assert.match(discard('MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf').err, /messages 0/)
})

void test('with -q a queue program gets each message and its envelope as qmail-queue would, and its exit code is the reply', () => {
  const directory = temporary()
  const program = join(directory, 'queue')
  writeFileSync(
    program,
    `#!/bin/sh\ncat >${directory}/message; cat <&1 >${directory}/envelope; exit $(cat ${directory}/code)\n`,
  )
  chmodSync(program, 0o755)
  const message = 'MAIL FROM:<a@b> SIZE=3\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nx\r\n..\r\n.y\r\n\rz\r\n.\r\n'
  for (const [code, reply] of [
    ['0', '250 2.0.0 queued'],
    ['54', '451 4.3.0 not queued'],
  ] as const) {
    writeFileSync(join(directory, 'code'), code)
    const { out } = converse(benchProgram('discard'), ['smtp', '-n', '-q', program], message)
    assert.equal(out.split('\r\n').at(-2), reply)
    assert.equal(readFileSync(join(directory, 'message'), 'latin1'), 'x\n.\ny\n\rz\n')
    assert.equal(readFileSync(join(directory, 'envelope'), 'latin1'), 'Fa@b\0Tc@d\0Te@f\0\0')
  }
})

void test('the queue program of the bench takes what it gets and leaves nothing', () => {
  const directory = temporary()
  const input = 'MAIL FROM:<>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nQUIT\r\n'
  const words = ['smtp', '-n', '-q', benchProgram('queue'), directory]
  assert.match(
    converse(benchProgram('discard'), words, input).out,
    /^250 .*\r\n250 .*\r\n354 .*\r\n250 2\.0\.0 queued\r\n221 /,
  )
  assert.deepEqual(readdirSync(directory), [])
})
