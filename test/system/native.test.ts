// The C programs against the machine itself: /etc/shadow with what shadow(5) can say, groups, and valgrind.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bytesOf, NO_BYTES } from '../../src/protocol/bytes.ts'
import { encodeHelperRequest, WATCH_REQUEST } from '../../src/protocol/helper.ts'
import { type Claim, claimMachine } from './machine.ts'
import { until } from './processes.ts'
import { must, run } from './run.ts'
import { makeUsers, removeUsers, type TestUser, writePasswordFile } from './users.ts'

const GROUP = 'acctestgroup'
const native = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'native')

let claim: Claim
let user: TestUser
let bin: string

before(async () => {
  claim = await claimMachine()
  ;({
    people: [user],
  } = await makeUsers())
  await run(['groupdel', GROUP])
  await must(['groupadd', GROUP])
  await must(['usermod', '--append', '--groups', GROUP, user.name])
  bin = join(claim.dir, 'checked')
  // dynamic, so that valgrind sees every allocation
  await must(['make', '-s', '-C', native, `OUT=${bin}`, 'STATIC=-pie', 'CFLAGS=-O1 -g'])
})

after(async () => {
  await run(['groupdel', GROUP])
  await removeUsers()
  claim.release()
})

const credentials = (name: string, password: string): string => `${name}\0${password}\0\0`
const onDescriptor3 = ['/bin/sh', '-c', 'exec "$0" "$@" 3<&0 </dev/null']

const ask = async (password: string) =>
  run([...onDescriptor3, join(bin, 'checkpassword'), '/bin/sh', '-c', 'id -u; id -G; pwd; echo $HOME $SHELL'], {
    input: credentials(user.name, password),
  })

void it('a password of /etc/shadow runs the program as the user, in all of its groups', async () => {
  const gid = (await must(['getent', 'group', GROUP])).split(':')[2]
  const ran = await ask(user.password)
  assert.equal(ran.stdout, `${user.uid}\n${user.gid} ${gid}\n${user.home}\n${user.home} /bin/sh\n`, ran.stderr)
  assert.equal((await ask('wrong')).code, 1)
})

for (const [what, close, open] of [
  ['expired', ['chage', '-E', '2020-01-01'], ['chage', '-E', '-1']],
  ['with a password that must be changed', ['chage', '-d', '0'], ['chage', '-d', '2026-01-01']],
  ['with a password past its age', ['chage', '-d', '2020-01-01', '-M', '30'], ['chage', '-M', '-1']],
  ['locked', ['usermod', '--lock'], ['usermod', '--unlock']],
] as const)
  void it(`an account ${what} cannot log in, and can when it no longer is`, async () => {
    await must([...close, user.name])
    assert.equal((await ask(user.password)).code, 1)
    await must([...open, user.name])
    assert.equal((await ask(user.password)).code, 0)
  })

const underValgrind = (logs: string): string[] => ['valgrind', '-q', '--vgdb=no', `--log-file=${logs}/%p`]

function assertSilent(logs: string): void {
  assert.ok(readdirSync(logs).length > 0)
  for (const name of readdirSync(logs)) assert.equal(readFileSync(join(logs, name), 'latin1'), '', name)
}

void it('valgrind has nothing to say of checkpassword', async () => {
  const logs = join(claim.dir, 'valgrind-checkpassword')
  mkdirSync(logs)
  for (const [input, code] of [
    [credentials(user.name, user.password), 0],
    [credentials(user.name, 'wrong'), 1],
    [credentials('nobody of that name', 'x'), 1],
    [credentials('', ''), 1],
    ['no end', 2],
    ['', 2],
    [credentials(user.name, 'x'.repeat(600)), 2],
  ] as const) {
    const ran = await run([...onDescriptor3, ...underValgrind(logs), join(bin, 'checkpassword'), '/bin/true'], {
      input,
    })
    assert.equal(ran.code, code, ran.stderr)
  }
  assertSilent(logs)
})

void it('valgrind has nothing to say of accept-helper and the processes of its sessions', async (t) => {
  const logs = join(claim.dir, 'valgrind-helper')
  const passwords = join(claim.dir, 'valgrind-passwords')
  const chains = join(claim.dir, 'valgrind-chains')
  const socket = join(claim.dir, 'valgrind-run', 'helper.sock')
  mkdirSync(logs)
  await writePasswordFile(passwords, [user])
  const hello = 'backend /bin/echo hello'
  // A chain's own checkpassword is left to the sanitizers: valgrind 3.19 spins at the end of the grandchild that runs it.
  const file = [
    `account ${user.uid}\nsocket ${socket}\nlogin-timeout 90`,
    `chain builtin\n checkpassword builtin ${passwords}\n set A=b\n ${hello}`,
    `chain shadow\n checkpassword builtin\n ${hello}`,
    `chain guest\n kind guest ${user.uid} ${user.gid}\n ${hello}`,
  ]
  writeFileSync(chains, `${file.join('\n')}\n`, { mode: 0o644 })
  const [program = '', ...options] = underValgrind(logs)
  const helper = spawn(program, [...options, join(bin, 'accept-helper'), 'serve', '-c', chains], {
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  t.after(() => helper.kill('SIGKILL'))
  let log = ''
  helper.stderr.setEncoding('latin1').on('data', (text: string) => {
    log += text
  })
  await until('the helper to serve', () => log.includes('serving'), { timeout: 60_000, show: () => log })

  const open = (request: Uint8Array): (() => string) => {
    process.setegid?.(user.gid)
    process.seteuid?.(user.uid)
    const stream = connect(socket)
    process.seteuid?.(0)
    process.setegid?.(0)
    let text = ''
    stream.setEncoding('latin1').on('data', (more: string) => {
      text += more
    })
    stream.on('error', (error) => {
      log += String(error)
    })
    stream.write(request)
    return () => text
  }
  const asked = async (request: Uint8Array): Promise<string> => {
    const text = open(request)
    await until('an answer', () => text().includes('\n'), { timeout: 100_000, show: () => log })
    return text().split('\n')[0] ?? ''
  }
  const login = async (chain: string, password: string, kind: 'auth' | 'guest' = 'auth'): Promise<string> =>
    asked(
      encodeHelperRequest({
        kind,
        session: `${chain}-1`,
        chain,
        environment: ['TCPREMOTEIP=127.0.0.1', 'UNWANTED=x', 'A=c'],
        credentials: kind === 'guest' ? NO_BYTES : bytesOf(credentials(user.name, password)),
      }),
    )
  const news = open(WATCH_REQUEST)
  for (const chain of ['builtin', 'shadow']) {
    assert.match(await login(chain, user.password), /^ok /, log)
    assert.equal(await login(chain, 'wrong'), 'exit 1')
  }
  assert.match(await login('guest', '', 'guest'), /^ok /)
  assert.match(await login('unknown', 'x'), /^bad /)
  assert.match(await asked(new Uint8Array(4)), /^bad /)
  await until('news of all three', () => news().split('\n').length === 5, { timeout: 60_000, show: news })
  writeFileSync(chains, 'nonsense\n')
  assert.equal(await login('builtin', 'wrong'), 'exit 1')
  const ended = once(helper, 'exit')
  helper.stdin.end()
  await ended
  assertSilent(logs)
})
