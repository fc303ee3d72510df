// The setuid helper started by the daemon's account, with real accounts in /etc/shadow and the real backends: everything of
// a login but the network.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { encodeHelperRequest } from '../../src/protocol/helper.ts'
import { fillMaildir, POP3_BACKENDS, pop3Backend, SMTP_BACKENDS, smtpBackend } from './backends.ts'
import { messageFrom } from './clients.ts'
import { script } from './fixture.ts'
import { type Installation, install } from './installation.ts'
import { type Claim, claimMachine } from './machine.ts'
import { endAll, picture, treeOf, until } from './processes.ts'
import { makeUsers, removeUsers, type TestUser, writePasswordFile } from './users.ts'

let claim: Claim
let user: TestUser
let account: Omit<TestUser, 'password'>
let place: Installation
let helper: ChildProcess
let log = ''

before(async () => {
  claim = await claimMachine()
  ;({
    people: [user],
    account,
  } = await makeUsers())
  place = await install(claim.dir, account)
  const smtp = SMTP_BACKENDS.map((name) => smtpBackend(name, claim))
  const pop3 = POP3_BACKENDS.map((name) => pop3Backend(name, claim))
  for (const backend of [...smtp, ...pop3]) await backend.prepare()

  const passwords = join(claim.dir, 'passwords')
  await writePasswordFile(passwords, [{ name: 'root', uid: 0, gid: 0, home: '/root', password: 'right' }])
  const backend = ['/bin/true']
  place.writeChains(
    [
      ...[...smtp, ...pop3].map(({ name, argv }) => ({ name, checkpassword: ['builtin'], backend: argv })),
      { name: 'root', checkpassword: ['builtin', passwords], backend },
      { name: 'temporary', checkpassword: [script(claim.dir, 'temporary', 'exit 111')], backend },
      { name: 'crash', checkpassword: [script(claim.dir, 'crash', 'kill -SEGV $$')], backend },
      { name: 'hang', checkpassword: [script(claim.dir, 'hang', 'exec sleep 1000')], backend },
      { name: 'missing', checkpassword: ['/nowhere/checkpassword'], backend },
    ],
    { 'login-timeout': 1 },
  )

  const start = ['--reuid', `${account.uid}`, '--regid', `${account.gid}`, '--clear-groups']
  helper = spawn('setpriv', [...start, join(place.programs, 'accept-helper'), 'serve'], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  helper.stderr?.setEncoding('latin1').on('data', (text: string) => {
    log += text
  })
  await until('the helper to serve', () => log.includes('serving'), { show: () => log })
})

after(async () => {
  const all = treeOf(helper.pid ?? 0)
  helper.stdin?.end()
  await once(helper, 'exit')
  await endAll(all)
  for (const name of SMTP_BACKENDS) await smtpBackend(name, claim).clean()
  await removeUsers()
  claim.release()
})

interface Login {
  readonly socket: Socket
  readonly text: () => string
}

let count = 0

/** Asks as the daemon does: the helper looks at who connects. */
async function login(chain: string, name: string, password: string): Promise<Login> {
  count += 1
  process.setegid?.(account.gid)
  process.seteuid?.(account.uid)
  const socket = connect(place.helperSocket)
  process.seteuid?.(0)
  process.setegid?.(0)
  let text = ''
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more
  })
  const credentials = bytesOf(`${name}\0${password}\0\0`)
  socket.write(
    encodeHelperRequest({
      kind: 'auth',
      session: `s${count}`,
      chain,
      environment: ['TCPREMOTEIP=127.0.0.1'],
      credentials,
    }),
  )
  await until(`the helper's answer for ${chain}`, () => text.includes('\n') || socket.closed, { show: () => log })
  return { socket, text: () => text }
}

const accepted = (): RegExp => new RegExp(`^ok ${user.uid} ${user.gid} (\\d+)\n`)

for (const name of SMTP_BACKENDS)
  void it(`${name} serves the user whose password it was`, async () => {
    const backend = smtpBackend(name, claim)
    const { socket, text } = await login(name, user.name, user.password)
    await until('the greeting', () => text().includes('\r\n'), { show: () => text() + log })
    assert.match(text(), accepted())
    assert.match(text().replace(accepted(), ''), backend.greeting)
    const pid = Number(accepted().exec(text())?.[1])
    assert.deepEqual(
      treeOf(pid).map((one) => [one.comm, one.uid]),
      [[backend.comm, backend.runsAs(user)]],
      picture(treeOf(helper.pid ?? 0)),
    )
    const message = messageFrom('me@example.org', `helper to ${name}`).replaceAll('\n', '\r\n')
    socket.write(
      `EHLO me\r\nMAIL FROM:<me@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\n${message}.\r\nQUIT\r\n`,
    )
    await once(socket, 'close')
    assert.match(text(), backend.queued)
    const [delivered, ...more] = await backend.delivered(user)
    assert.equal(more.length, 0)
    assert.ok(delivered?.content.includes(`Subject: helper to ${name}`))
  })

for (const name of POP3_BACKENDS)
  void it(`${name} shows the mailbox of the user whose password it was`, async () => {
    await fillMaildir(user, [messageFrom('a@example.org', 'first')])
    const { socket, text } = await login(name, user.name, user.password)
    assert.match(text(), accepted())
    socket.write('STAT\r\nQUIT\r\n')
    await once(socket, 'close')
    const dialogue = text().replace(accepted(), '')
    assert.match(dialogue, pop3Backend(name, claim).greeting)
    assert.match(dialogue, /\r\n\+OK 1 \d+\r\n/)
  })

for (const [chain, name, password, answer] of [
  ['postfix', 'acctest1', 'wrong', /^exit 1\n$/],
  ['postfix', 'acctest9', 'wrong', /^exit 1\n$/],
  ['root', 'root', 'wrong', /^exit 1\n$/],
  ['root', 'root', 'right', /^root\n$/],
  ['temporary', 'acctest1', 'any', /^exit 111\n$/],
  ['crash', 'acctest1', 'any', /^signal 11\n$/],
  ['hang', 'acctest1', 'any', /^timeout\n$/],
  ['missing', 'acctest1', 'any', /^missing .*\/nowhere\/checkpassword/],
  ['nothing', 'acctest1', 'any', /^bad /],
] as const)
  void it(`says ${answer.source} of ${name} with the password ${password} in the chain ${chain}`, async () => {
    const { socket, text } = await login(chain, name, password)
    if (!socket.closed) await once(socket, 'close')
    assert.match(text(), answer)
  })

void it('leaves no process and nothing still busy', async () => {
  const [monitor, server, clerk, ...rest] = treeOf(helper.pid ?? 0)
  assert.deepEqual(rest, [], picture(treeOf(helper.pid ?? 0)))
  assert.equal(monitor?.uid, 0)
  assert.equal(server?.uid, 0)
  assert.equal(clerk?.comm, 'accept-clerk')
  assert.notEqual(clerk?.uid, 0)
})
