// The archive for npm, as an ordinary user uses it: installed in an empty folder, without another package, it serves a trial.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { curlPop3, messageFrom, swaks } from './clients.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { endAll, isAlive, picture, treeOf, until } from './processes.ts'
import { must } from './run.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

let claim: Claim
let user: TestUser
let trial: ChildProcess | undefined
before(async () => {
  claim = await claimMachine()
  ;({
    people: [user],
  } = await makeUsers())
  await must(['npm', 'pack', '--ignore-scripts', '--pack-destination', claim.dir], { cwd: TOP, timeout: 120_000 })
})
after(async () => {
  await endAll(treeOf(trial?.pid ?? 0))
  await removeUsers()
  claim.release()
})

const environment = (): Readonly<Record<string, string>> => ({
  PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:/usr/local/bin:/usr/bin:/bin`,
  HOME: user.home,
  npm_config_update_notifier: 'false',
  npm_config_offline: 'true',
})

void it('an ordinary user installs it and tries it: a message there and back', async () => {
  const [archive = ''] = readdirSync(claim.dir).filter((name) => name.endsWith('.tgz'))
  const { uid, gid, home } = user
  const installed = await must(['npm', 'install', '--no-audit', '--no-fund', join(claim.dir, archive)], {
    cwd: home,
    env: environment(),
    uid,
    gid,
    timeout: 300_000,
  })
  assert.match(installed, /added 1 package/)
  trial = spawn('npx', ['--no-install', 'acceptd-trial', '--port', '23587', '--pop3-port', '23110'], {
    cwd: home,
    env: environment(),
    uid,
    gid,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const { pid = 0 } = trial
  let said = ''
  for (const stream of [trial.stdout, trial.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  const [, smtp = '', pop3 = ''] = await until(
    'the trial',
    () => /is ready: SMTP on 127\.0\.0\.1:(\d+), POP3 on 127\.0\.0\.1:(\d+);/.exec(said) ?? undefined,
    { timeout: 60_000, show: () => said },
  )
  const demo = { user: 'demo', password: 'demo' }
  const message = messageFrom('demo@example.org', 'from the archive')
  const sent = await swaks({
    port: Number(smtp),
    from: 'demo@example.org',
    to: ['you@example.org'],
    message,
    login: demo,
  })
  assert.ok(sent.ok, `${sent.transcript}\n${said}`)
  const fetched = await curlPop3({ port: Number(pop3), ...demo, number: 1 })
  assert.match(fetched.messages.join(), /Subject: from the archive\n/)
  const all = treeOf(pid)
  for (const { uids } of all) assert.deepEqual([...new Set(uids)], [uid], picture(all))
  process.kill(-pid, 'SIGINT')
  await until('its end', () => all.every((one) => !isAlive(one.pid)), { timeout: 30_000, show: () => picture(all) })
})
