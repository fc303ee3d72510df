// Sockets that another process has opened, and what happens to clients when acceptd stops.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { type Conversation, converse, loggedIn } from './conversation.ts'
import { call, startDaemon } from './daemon.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { TOP } from './machine.ts'
import { endAll, isAlive, runtimeOf, signal, supervisorOf, treeOf, until } from './processes.ts'
import { makeRecorder } from './recorder.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    control: { lanes: '2\n' },
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
  })
  await fixture.daemon.stop()
})
after(() => fixture.end())

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })

/** A control directory of an ordinary user who owns everything; every login succeeds. */
function ownControl(dir: string, listeners: string): { control: string; run: string; programs: string } {
  const [control, programs] = [join(dir, 'control'), join(dir, 'programs')]
  cpSync(join(TOP, 'control'), control, { recursive: true })
  cpSync(join(TOP, 'dist/programs'), programs, { recursive: true, verbatimSymlinks: true })
  const anybody = script(dir, 'anybody', 'cat <&3 >/dev/null; exec 3<&-; exec "$@"')
  const mail = script(
    dir,
    'mail',
    String.raw`printf '220 mail\r\n'
while read -r line; do case $line in QUIT*) printf '221 bye\r\n'; exit ;; *) printf '250 ok\r\n' ;; esac; done`,
  )
  for (const [name, text] of Object.entries({
    listeners,
    limits: '',
    chains: `socket ${join(dir, 'helper.sock')}\nchain mail\n  checkpassword ${anybody}\n  backend ${mail}\n`,
  }))
    writeFileSync(join(control, name), text)
  return { control, run: join(dir, 'run'), programs }
}

void it('an ordinary user serves on sockets of systemd-socket-activate, by their names', async () => {
  const [submission, other] = [await freePort(), await freePort()]
  const [person] = fixture.people
  const dir = join(fixture.claim.dir, 'activated')
  mkdirSync(dir)
  const listeners = `127.0.0.1:${other} smtp mail\n127.0.0.1:${submission} smtp mail name=submission\n`
  const { control, run, programs } = ownControl(dir, listeners)
  await new Promise((resolve) => spawn('chown', ['-R', `${person.uid}:${person.gid}`, dir]).on('close', resolve))
  const words = `--listen=127.0.0.1:${submission} --listen=127.0.0.1:${other} --fdname=submission:smtp-${other}`
  const child: ChildProcess = spawn(
    'systemd-socket-activate',
    [...words.split(' '), join(programs, 'acceptd'), '--control', control, '--run', run],
    { uid: person.uid, gid: person.gid, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/bin:/bin' } },
  )
  let log = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const pid = child.pid ?? 0
  try {
    await until('its sockets', () => log.includes(`Listening on 127.0.0.1:${other}`), { show: () => log })
    // The first client starts it.
    const talk = await loggedIn(submission, 'anybody', 'secret')
    assert.match(await talk.say('NOOP'), /^250 ok/)
    assert.match(await (await converse(other)).reply(), /^220 /)
    assert.equal(runtimeOf(pid)?.uid, person.uid)
    for (const one of treeOf(pid).slice(1))
      assert.doesNotMatch(readFileSync(`/proc/${one.pid}/environ`, 'latin1'), /LISTEN_/)
    assert.match(JSON.stringify(await call(join(run, 'control.sock'), 'listener.list', {})), /"submission"/)
    const all = treeOf(pid)
    signal(pid, 'SIGTERM')
    assert.match(await talk.rest(), /^421 /)
    await until('its end', () => !all.some((one) => isAlive(one.pid)), { show: () => log })
  } finally {
    await endAll(treeOf(pid))
  }
})

/** What a new client is told: a line, or why there is none. */
async function knock(port: number): Promise<string> {
  let talk: Conversation
  try {
    talk = await converse(port)
    return await talk.reply()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

for (const how of ['SIGTERM', 'server.stop'] as const)
  void it(`a new client is refused without waiting while sessions finish after ${how}`, async () => {
    const daemon = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'])
    try {
      const [{ name, password }] = fixture.people
      const port = daemon.port('mail')
      const talk = await loggedIn(port, name, password)
      // The middle of a message is no boundary.
      for (const line of ['MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.org>', 'DATA']) await talk.say(line)
      const supervisor = supervisorOf(daemon.pid)?.pid ?? 0
      if (how === 'SIGTERM') signal(daemon.pid, 'SIGTERM')
      else await daemon.call('server.stop', { grace: 30 })
      const answers = await until('refusals', async () => {
        const all = await Promise.all(Array.from({ length: 20 }, () => knock(port)))
        return all.some((one) => one.startsWith('220')) ? undefined : all
      })
      for (const answer of answers) assert.match(answer, /^421 |closed instead of a reply/)
      assert.ok(isAlive(supervisor), daemon.log())
      talk.send('Subject: the last one\r\n\r\n.\r\n')
      assert.match(await talk.reply(), /^250 /)
      await until('its end', () => !isAlive(supervisor), { show: daemon.log })
    } finally {
      await endAll(treeOf(daemon.pid))
    }
  })
