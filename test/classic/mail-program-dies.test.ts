// After a login the exit codes 1 and 2 of fixsmtpio would tell authup that the password was wrong, and the client to ask for it again.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BackendSpec, Case, Result, Step } from '../conformance/case.ts'
import { C, playAll, S } from './dialogue.ts'

const top = fileURLToPath(new URL('../../..', import.meta.url))
const RULES = readFileSync(join(top, 'control/fixsmtpio'), 'latin1')
const BACKEND: BackendSpec = { greeting: '220 backend ESMTP\r\n', replies: { MAIL: '250 ok\r\n' }, eof_exit: 1 }
const ACCEPTED = S('235 ok, go ahead (#2.0.0)\r\n')
const BYE = S('221 me.example\r\n')
const DIED = S('421 mail program ended (#4.3.0)\r\n')

async function loggedIn(
  backend: BackendSpec,
  steps: readonly Step[],
  chained: boolean,
  more: { readonly prog?: string; readonly control?: Case['control'] } = {},
): Promise<Result> {
  const prog = more.prog ?? '{backend}'
  return playAll({
    program: chained ? 'authup' : 'fixsmtpio',
    args: chained ? ['smtp', 'sh', '-c', '"$@"', 'checkpassword', '{bin}/fixsmtpio', prog] : [prog],
    control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n', fixsmtpio: RULES, ...more.control },
    backend,
    env: chained ? {} : { AUTHUP_USER: 'user' },
    steps: chained ? [S('220 me.example ESMTP\r\n'), C('AUTH PLAIN AHVzZXIAcGFzcw==\r\n'), ...steps] : steps,
  })
}

for (const chained of [false, true]) {
  const where = chained ? 'authup behind it' : 'fixsmtpio'
  for (const end of [0, 1, 2, 16, 111, 'signal:9'] as const)
    void test(`${where}: a mail program that ends with ${end} after 235 is reported as 421, and exit code 14`, async () => {
      const result = await loggedIn(
        { ...BACKEND, replies: { ...BACKEND.replies, NOOP: null }, exits: { NOOP: end } },
        [ACCEPTED, C('MAIL FROM:<a@b>\r\n'), S('250 ok\r\n'), C('NOOP\r\n'), DIED],
        chained,
      )
      assert.equal(result.exit, 14, JSON.stringify(result))
      assert.ok(!result.stdout.includes('535'))
      assert.ok(!result.stderr.includes('failed'), result.stderr)
    })

  void test(`${where}: one that says 421 itself needs no second one`, async () => {
    const result = await loggedIn(
      { ...BACKEND, replies: { NOOP: '421 out of memory\r\n' }, exits: { NOOP: 1 } },
      [ACCEPTED, C('NOOP\r\n'), S('421 out of memory\r\n')],
      chained,
    )
    assert.equal(result.exit, 14, JSON.stringify(result))
    assert.equal(result.stdout.match(/^421/gm)?.length, 1)
  })

  void test(`${where}: one that ends before its greeting is a temporary failure of the login, not a wrong password`, async () => {
    const result = await loggedIn(
      { greeting: null, after_greeting: 1 },
      [S('454 mail program ended before its greeting (#4.3.0)\r\n')],
      chained,
    )
    assert.equal(result.exit, 14, JSON.stringify(result))
  })

  void test(`${where}: one that cannot be run is a temporary failure, too, and so are control files that cannot be read`, async () => {
    const missing = await loggedIn(
      BACKEND,
      chained ? [S('454 authup temporary authentication failure (#4.7.0)\r\n'), C('QUIT\r\n'), BYE] : [],
      chained,
      { prog: '/nonexistent/ofmipd' },
    )
    assert.equal(missing.exit, chained ? 0 : 111, JSON.stringify(missing))
    assert.match(missing.stderr, /^fixsmtpio: unable to exec$/m)
    const unreadable = await loggedIn(
      BACKEND,
      chained ? [S('421 authup unable to read controls (#4.3.0)\r\n')] : [],
      chained,
      { control: { fixsmtpio: { dir: true } } },
    )
    assert.equal(unreadable.exit, chained ? 1 : 18, JSON.stringify(unreadable))
    assert.match(unreadable.stderr, /^fixsmtpio: unable to read controls$/m)
  })
}

void test('fixsmtpio: a client that is still sending its message learns why it was refused, and no reset destroys the reply', {
  timeout: 60_000,
}, async () => {
  const home = mkdtempSync(join(tmpdir(), 'dies.'))
  mkdirSync(join(home, 'control'))
  writeFileSync(join(home, 'control/me'), 'me.example\n')
  writeFileSync(join(home, 'control/fixsmtpio'), RULES)
  const backend = `printf '220 x\\r\\n'; read a; printf '354 go\\r\\n'; head -c 10000 >/dev/null; printf '552 too large\\r\\n'`
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const program = join(top, 'dist/programs/fixsmtpio')
    spawn(program, ['sh', '-c', backend], {
      stdio: [socket, socket, 'inherit'],
      env: { ...process.env, QMAILHOME: home },
    })
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  try {
    assert.match(String((await once(client, 'data'))[0]), /^220 /)
    client.write('DATA\r\n')
    assert.match(String((await once(client, 'data'))[0]), /^354 /)
    client.pause()
    const piece = `${'x'.repeat(998)}\r\n`.repeat(64)
    for (let n = 0; n < 300; n += 1) if (!client.write(piece)) await once(client, 'drain')
    client.end('.\r\n')
    let heard = ''
    for await (const bytes of client) heard += String(bytes)
    assert.equal(heard, '552 too large\r\n')
  } finally {
    client.destroy()
    server.close()
    rmSync(home, { recursive: true })
  }
})
