// A brute force against acceptd, and Debian's fail2ban with the filter and the jail that ship: it bans the guesser, and nobody else, and
// lifts the ban.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, cpSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type Fixture, makeFixture } from './fixture.ts'
import { TOP } from './machine.ts'
import { until } from './processes.ts'
import { makeRecorder } from './recorder.ts'
import { run } from './run.ts'

const GUESSER = '127.0.0.9'
const USER_WHO_ERRS = '127.0.0.8'
/** Of the jail that ships. */
const MAXRETRY = 5

let fixture: Fixture
let server: ChildProcess | undefined
let folder: string
let actions: string
before(async () => {
  let log = -1
  fixture = await makeFixture({
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
    start: ({ claim }) => {
      log = openSync(join(claim.dir, 'acceptd.log'), 'a')
      return { stderr: log }
    },
  })
  closeSync(log)
  folder = join(fixture.claim.dir, 'fail2ban')
  actions = join(folder, 'actions')
  writeConfiguration()
  const argv = ['-c', folder, '-s', join(folder, 'sock'), '-p', join(folder, 'pid'), '-f', 'start']
  server = spawn('fail2ban-server', argv, { stdio: ['ignore', 'ignore', 'inherit'] })
  await until('fail2ban to watch the log', async () => (await ask('status', 'acceptd')).includes('acceptd.log'))
})
after(async () => {
  if (server !== undefined && server.exitCode === null) {
    server.kill('SIGTERM')
    await once(server, 'exit')
  }
  await fixture.end()
})

/** Debian's files and those that ship, and what an administrator adds: where the log is; here also a short ban, stored in a database. */
function writeConfiguration(): void {
  cpSync('/etc/fail2ban', folder, { recursive: true })
  rmSync(join(folder, 'jail.d/defaults-debian.conf')) // it watches sshd
  cpSync(join(TOP, 'fail2ban'), folder, { recursive: true })
  writeFileSync(actions, '')
  const put = (name: string, lines: readonly string[]): void =>
    writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  put('fail2ban.local', ['[Definition]', 'logtarget = STDERR', 'loglevel = ERROR', 'dbfile = None', 'allowipv6 = auto'])
  put('action.d/record.conf', [
    '[Definition]',
    `actionban = echo ban <ip> >>${actions}`,
    `actionunban = echo unban <ip> >>${actions}`,
  ])
  put('jail.local', [
    '[DEFAULT]',
    'ignoreself = false',
    '[acceptd]',
    'enabled = true',
    'backend = polling',
    `logpath = ${join(fixture.claim.dir, 'acceptd.log')}`,
    'bantime = 2',
    'action = record',
  ])
}

const ask = async (...words: readonly string[]): Promise<string> =>
  (await run(['fail2ban-client', '-c', folder, '-s', join(folder, 'sock'), ...words])).transcript

const done = (): readonly string[] => readFileSync(actions, 'utf8').split('\n').slice(0, -1)

/** swaks' exit code: 0 logged in, 28 refused. */
const login = async (from: string, user: string, password: string): Promise<number | undefined> => {
  const swaks = ['swaks', '--server', '127.0.0.1', '--port', `${fixture.daemon.port('mail')}`]
  const auth = ['--auth', 'PLAIN', '--auth-user', user, '--auth-password', password]
  return (await run([...swaks, '--local-interface', from, ...auth, '--quit-after', 'AUTH'])).code
}

void it('is banned by the jail that ships, and free again after the time of the ban', async () => {
  const [{ name, password }] = fixture.people
  assert.equal(await login(USER_WHO_ERRS, name, 'mistyped'), 28)
  assert.equal(await login(USER_WHO_ERRS, name, password), 0)
  for (let guess = 0; guess < MAXRETRY; guess += 1)
    assert.equal(await login(GUESSER, `user${guess}`, `wrong${guess}`), 28)
  await until('the ban to be taken back', () => done().includes(`unban ${GUESSER}`), { timeout: 60_000 })
  assert.deepEqual(done(), [`ban ${GUESSER}`, `unban ${GUESSER}`])
  assert.equal(await login(USER_WHO_ERRS, name, password), 0)
})
