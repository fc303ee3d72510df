// A Debian 13 with nothing but its own packages, whose Node cannot change its groups: everything that starts as root works.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { curlPop3, curlSmtp, messageFrom, swaks } from './clients.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { isAlive, picture, treeOf, until } from './processes.ts'
import { must, run } from './run.ts'
import { writePasswordFile } from './users.ts'

/** Everything that a clone has, and its packages; it is built there, by Debian's compiler and Node. */
const CLONE = [
  'control',
  'native',
  'scripts',
  'src',
  'test',
  'bench',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'node_modules',
]

const ann = { name: 'ann', uid: 54_301, gid: 54_302, password: 'right %1+="x' }

let claim: Claim
let debian = ''
/** The clone, as seen from the host and from the chroot. */
let clone = ''
let inside = ''
const started: ChildProcess[] = []

before(
  async () => {
    claim = await claimMachine()
    debian = (await must(['sh', join(TOP, 'test/system/debian.sh')], { timeout: 900_000, env: environment() })).trim()
    const home = join(debian, 'srv')
    for (const name of readdirSync(home).filter((one) => one.startsWith('acceptd.')))
      rmSync(join(home, name), { recursive: true })
    clone = mkdtempSync(join(home, 'acceptd.'))
    inside = clone.slice(debian.length)
    chmodSync(clone, 0o755)
    for (const part of CLONE) cpSync(join(TOP, part), join(clone, part), { recursive: true, verbatimSymlinks: true })
  },
  { timeout: 1_000_000 },
)

after(async () => {
  for (const child of started) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  rmSync(clone, { recursive: true, force: true })
  claim.release()
})

/** What tells apt and the cache where they are. */
function environment(): Readonly<Record<string, string>> {
  const names = ['ACCEPTD_TEST_CACHE', 'http_proxy', 'https_proxy', 'no_proxy']
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

/** argv that runs words in the chroot as root; all that they start ends with the first of them. */
const chrooted = (words: readonly string[]): readonly string[] => [
  'unshare',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  'sh',
  '-c',
  `mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" env -i -C ${inside} "$@"`,
  debian,
  'PATH=/usr/bin:/bin:/usr/sbin:/sbin',
  `HOME=${inside}`,
  ...words,
]

interface Started {
  readonly child: ChildProcess
  readonly said: () => string
}

function start(words: readonly string[]): Started {
  const [program = '', ...args] = chrooted(words)
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  started.push(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  return { child, said: () => text }
}

const said = ({ child, said: text }: Started, what: string, pattern: RegExp): Promise<RegExpExecArray> =>
  until(
    what,
    () => {
      const found = pattern.exec(text())
      if (found === null && child.exitCode !== null) throw new Error(`exit ${child.exitCode}\n${text()}`)
      return found ?? undefined
    },
    { timeout: 180_000, every: 50, show: text },
  )

const scripts = (root: Started, name: string) =>
  treeOf(root.child.pid ?? 0).filter(({ argv }) => argv.some((word) => word.endsWith(`programs/${name}`)))

void it('npm start as root builds it and serves a login by SMTP and by POP3, and no Node but its own is root', async () => {
  const { stdout: version } = await run(chrooted(['node', '--version']))
  assert.match(version, /^v20\.19\./)
  const trial = start(['npm', 'start', '--', '--port', '21587'])
  const [, smtp, pop3] = await said(
    trial,
    'npm start',
    /acceptd is ready: SMTP on 127\.0\.0\.1:(\d+), POP3 on 127\.0\.0\.1:(\d+);/,
  )
  const demo = { user: 'demo', password: 'demo' }
  const message = messageFrom('demo@example.org', 'from the host')
  const job = { port: Number(smtp), from: 'demo@example.org', to: ['you@example.org'], message, login: demo }
  const sent = await curlSmtp(job)
  assert.ok(sent.ok, `${sent.transcript}\n${trial.said()}`)
  const refused = await swaks({ ...job, login: { ...demo, password: 'wrong' } })
  assert.match(refused.transcript, /535 /)
  const fetched = await curlPop3({ port: Number(pop3), ...demo, number: 1 })
  assert.match(fetched.messages.join(), /Subject: from the host\r?\n/)
  const ours = scripts(trial, 'acceptd.js')
  assert.equal(ours.length, 2, picture(treeOf(trial.child.pid ?? 0)))
  for (const { pid } of ours)
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1')
      assert.match(status, /^Uid:\t([1-9]\d*)\t\1\t\1\t\1$/m)
      assert.match(status, /^Gid:\t([1-9]\d*)\t\1\t\1\t\1$/m)
      assert.match(status, /^CapEff:\t0+$/m)
    }
  const all = treeOf(trial.child.pid ?? 0)
  process.kill(-(trial.child.pid ?? 0), 'SIGINT')
  await until('its end', () => all.every(({ pid }) => !isAlive(pid)), {
    timeout: 30_000,
    show: () => `${picture(all)}\n${trial.said()}`,
  })
  assert.match(trial.said(), /Everything has ended/)
})

void it('the classic chain under tcpserver as root serves a login, and authup.js is nobody', async () => {
  const home = join(clone, 'ann')
  const control = join(clone, 'home/control')
  mkdirSync(control, { recursive: true })
  mkdirSync(home)
  chownSync(home, ann.uid, ann.gid)
  for (const [name, text] of [
    ['me', 'mx.acceptd.test\n'],
    ['smtpcapabilities', 'PIPELINING\n8BITMIME\n'],
    ['pop3capabilities', 'UIDL\n'],
    ['fixsmtpio', readFileSync(join(TOP, 'control/fixsmtpio'), 'latin1')],
  ] as const)
    writeFileSync(join(control, name), text)
  await writePasswordFile(join(clone, 'passwords'), [{ ...ann, home: `${inside}/ann` }])
  const programs = `${inside}/dist/programs`
  const server = start([
    'env',
    `PATH=${programs}:/usr/bin:/bin`,
    `QMAILHOME=${inside}/home`,
    ...'tcpserver -1 -RHl0 127.0.0.1 0 reup -t 5 authup smtp'.split(' '),
    ...`checkpassword -f ${inside}/passwords checknotroot fixsmtpio ${programs}/acceptd-maildir smtp`.split(' '),
  ])
  const [, port] = await said(server, 'tcpserver', /^(\d+)$/m)
  const job = {
    port: Number(port),
    from: 'ann@example.org',
    to: ['you@example.org'],
    message: messageFrom('ann@example.org', 'the classic chain'),
    login: { user: ann.name, password: ann.password },
  }
  const sent = await swaks(job)
  assert.ok(sent.ok, `${sent.transcript}\n${server.said()}`)
  const [file = ''] = readdirSync(join(home, 'Maildir/new'))
  assert.match(readFileSync(join(home, 'Maildir/new', file), 'latin1'), /Subject: the classic chain\n/)
  const wrong = await swaks({ ...job, login: { ...job.login, password: 'wrong' } })
  assert.match(wrong.transcript, /535 /)
})
