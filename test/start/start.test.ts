// npm start, as a new user who is not root sees it: a copy of the clone, two free ports, a message there and back, Ctrl-C.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { createTransport } from 'nodemailer'
import { Acceptd } from '../../src/client/client.ts'
import { TOP } from '../system/machine.ts'
import { isAlive, picture, treeOf, until } from '../system/processes.ts'
import { must, run } from '../system/run.ts'

/** An id that is nobody's, when the tests run as root. */
const UID = process.getuid?.() === 0 ? 64_321 : undefined
const identity = UID === undefined ? {} : { uid: UID, gid: UID }

let clone = ''
const started: Start[] = []

interface Start {
  readonly child: ChildProcess
  readonly said: () => string
  /** The end of npm itself, which brings the prompt back; output of its children may still be on its way. */
  readonly exited: Promise<unknown>
  readonly ended: Promise<number | null>
}

function npmStart(...words: readonly string[]): Start {
  const child = spawn('npm', ['start', '--', ...words], {
    cwd: clone,
    env: { PATH: process.env.PATH, HOME: clone, npm_config_update_notifier: 'false' },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its own process group, as in a terminal, so that Ctrl-C is a signal to the group.
    detached: true,
    ...identity,
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  const start = {
    child,
    said: () => text,
    exited: once(child, 'exit'),
    ended: new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code))),
  }
  started.push(start)
  return start
}

interface Ready {
  readonly smtp: number
  readonly pop3: number
}

function ready(start: Start): Promise<Ready> {
  return until(
    'npm start to be ready',
    () => {
      const [, smtp, pop3] =
        /acceptd is ready: SMTP on 127\.0\.0\.1:(\d+), POP3 on 127\.0\.0\.1:(\d+);/.exec(start.said()) ?? []
      if (smtp !== undefined) return { smtp: Number(smtp), pop3: Number(pop3) }
      if (start.child.exitCode !== null)
        throw new Error(`npm start ended with ${start.child.exitCode}:\n${start.said()}`)
      return undefined
    },
    { timeout: 60_000, every: 50, show: start.said },
  )
}

/** Ctrl-C; returns the processes that are left when the prompt is back. */
async function ctrlC(start: Start): Promise<string> {
  const tree = treeOf(start.child.pid ?? 0)
  assert.ok(tree.length >= 6, `npm, its shell?, start, acceptd, runtime, two helpers:\n${picture(tree)}`)
  process.kill(-(start.child.pid ?? 0), 'SIGINT')
  await start.exited
  const left = picture(tree.filter(({ pid }) => isAlive(pid)))
  await start.ended
  return left
}

/** Two consecutive ports that are free. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1')
    await once(first, 'listening')
    const address = first.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const second = createServer().listen(port + 1, '127.0.0.1')
    const both = await once(second, 'listening').then(
      () => true,
      () => false,
    )
    first.close()
    second.close()
    if (both) return port
  }
}

before(async () => {
  clone = mkdtempSync(join(tmpdir(), 'acceptd-start-'))
  const parts = [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'scripts',
    'src',
    'native',
    'control',
    'dist/programs',
  ]
  for (const part of parts)
    cpSync(join(TOP, part), join(clone, part), { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
  await must(['chmod', '-R', 'a+rX', clone])
  if (UID !== undefined) chownSync(clone, UID, UID)
})

after(async () => {
  for (const start of started) {
    if (start.child.exitCode !== null || start.child.signalCode !== null) continue
    process.kill(-(start.child.pid ?? 0), 'SIGINT')
    await start.ended
  }
  rmSync(clone, { recursive: true, force: true })
})

void test('a message sent arrives in the Maildir and comes back by POP3; Ctrl-C leaves nothing behind', {
  timeout: 120_000,
}, async () => {
  const port = await freePorts()
  const start = npmStart('--port', String(port))
  assert.deepEqual(await ready(start), { smtp: port, pop3: port + 1 })
  const text = start.said()
  assert.doesNotMatch(text, /Building|undefined|Port \d+ is taken|Kept/)
  assert.match(text, /You are not root, so everything runs as you/)

  const mailer = createTransport({ host: '127.0.0.1', port, ignoreTLS: true, auth: { user: 'demo', pass: 'demo' } })
  await mailer.sendMail({
    from: 'demo@example.org',
    to: 'you@example.org',
    subject: 'there and back',
    text: '.a dot\n\nand more\n',
  })
  const folder = join(clone, 'var/home/demo/Maildir/new')
  const [name = '', ...others] = readdirSync(folder)
  assert.deepEqual(others, [])
  assert.match(
    readFileSync(join(folder, name), 'latin1'),
    /Subject: there and back\n(.|\r?\n)*\n\n\.a dot\n\nand more\n$/,
  )

  const wrong = createTransport({ host: '127.0.0.1', port, ignoreTLS: true, auth: { user: 'demo', pass: 'wrong' } })
  await assert.rejects(wrong.sendMail({ from: 'demo@example.org', to: 'you@example.org', text: 'x' }), /535/)

  const fetched = await run([
    'bash',
    '-c',
    `exec 3<>/dev/tcp/127.0.0.1/${port + 1}; printf 'USER demo\\r\\nPASS demo\\r\\nRETR 1\\r\\nQUIT\\r\\n' >&3; cat <&3`,
  ])
  assert.match(
    fetched.stdout,
    /Subject: there and back\r\n(.|\r?\n)*\r\n\r\n\.\.a dot\r\n\r\nand more\r\n\.\r\n\+OK bye\r\n$/,
  )

  // In the same directory a second one would take over the first one's sockets.
  const second = npmStart('--port', String(port))
  assert.equal(await second.ended, 1)
  assert.match(second.said(), /acceptd was not started: one is running in \S+\/var already/)

  // In another directory it takes the next ports.
  const beside = npmStart('--port', String(port), '--dir', 'beside')
  const { smtp, pop3 } = await ready(beside)
  assert.ok(smtp > port + 1 && pop3 > smtp)
  assert.match(beside.said(), new RegExp(`Port ${port} is taken: SMTP is on port ${smtp}\\.`))
  // Stopped by another process, it has not failed.
  const acceptd = treeOf(beside.child.pid ?? 0).find(({ argv }) =>
    argv.some((word) => word.endsWith('programs/acceptd.js')),
  )
  process.kill(acceptd?.pid ?? 0, 'SIGTERM')
  assert.equal(await beside.ended, 0)
  assert.match(
    beside.said(),
    /\nacceptd was told to stop, and has ended\. Mail and control files are in \S+\/beside\.\n/,
  )

  assert.equal(await ctrlC(start), '')
  assert.match(start.said(), /Everything has ended\. Mail and control files are in \S+\/var\.\n/)
})

void test('changes in control are kept, errors in it are reported, and a killed npm takes everything with it', {
  timeout: 120_000,
}, async () => {
  const rules = join(clone, 'var/control/fixsmtpio')
  appendFileSync(rules, ':quit::2*::221 a rule of mine\n')
  const port = await freePorts()
  const start = npmStart('--port', String(port))
  await ready(start)
  assert.match(start.said(), /Kept as you changed them: var\/control\/fixsmtpio\n/)
  const said = await run([
    'bash',
    '-c',
    `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'NOOP\\r\\nQUIT\\r\\n' >&3; cat <&3`,
  ])
  assert.match(said.stdout, /^220 mail\.example\.org ESMTP\r\n/)
  const tree = treeOf(start.child.pid ?? 0)
  process.kill(start.child.pid ?? 0, 'SIGKILL')
  await until('all processes to end', () => tree.every(({ pid }) => !isAlive(pid)), {
    show: () => picture(tree.filter(({ pid }) => isAlive(pid))),
  })

  appendFileSync(rules, 'not a rule\n')
  const wrong = npmStart('--port', String(port))
  assert.equal(await wrong.ended, 78)
  assert.match(wrong.said(), /var\/control\/fixsmtpio:\d+:\d+: /)
})

/** A lasting session of the demo user, already logged in. */
async function loggedIn(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  socket.on('error', () => undefined)
  socket.write(`EHLO me\r\nAUTH PLAIN ${Buffer.from('\0demo\0demo').toString('base64')}\r\n`)
  await until('the login', () => /^235 /m.test(heard), { show: () => heard })
  return socket
}

/** An example that follows events, and what it has printed. */
function follower(t: TestContext, command: string, ...words: readonly string[]) {
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  t.after(() => child.kill('SIGKILL'))
  return {
    prints: (line: RegExp) => until(`${words[0]}: ${line}`, () => line.test(text), { show: () => text }),
    text: () => text,
    events: () => [...text.matchAll(/^event (\d+) (.*)$/gm)].map(([, seq, what]) => ({ seq: Number(seq), what })),
  }
}

void test('the clients in TypeScript and Python list, reload, kill, and follow events across a kill -9 of the runtime', {
  timeout: 120_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-follow-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  symlinkSync(TOP, join(folder, 'node_modules/acceptd'))
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(join(TOP, 'node_modules', name), join(folder, 'node_modules', name))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
  cpSync(join(TOP, 'docs/examples/follow.ts'), join(folder, 'follow.ts'))
  const how = ['--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node']
  await must([join(TOP, 'node_modules/.bin/tsc'), ...how, join(folder, 'follow.ts')], { cwd: folder })

  const port = await freePorts()
  const start = npmStart('--port', String(port), '--dir', 'followed')
  await ready(start)
  const path = join(clone, 'followed/run/control.sock')
  const acceptd = new Acceptd({ path, timeout: 10 })
  t.after(() => acceptd.close())
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const logIn = async () => sockets.push(await loggedIn(port))

  await logIn()
  const typescript = follower(t, process.execPath, join(folder, 'follow.js'), path, 'demo')
  await typescript.prints(/^session \S+ demo ready\ngeneration 1 as before\nkilled 1\n(.*\n)*event \d+ session ended /m)
  await logIn()
  const python = follower(t, 'python3', '-B', join(TOP, 'docs/examples/follow.py'), path, 'demo')
  await python.prints(/^session \S+ demo ready\ngeneration 1 as before\nkilled 1\n(.*\n)*event \d+ session ended /m)
  await logIn()
  for (const one of [typescript, python]) await one.prints(/session ended (.*\n)*event \d+ auth accepted demo\n$/)
  const heardByTypescript = typescript.events().length
  const heardByPython = python.events()
  assert.deepEqual(typescript.events().slice(-heardByPython.length), heardByPython)

  const pid = await acceptd.call('server.info').then((info) => info.pid)
  process.kill(pid, 'SIGKILL')
  await until('the next runtime', () =>
    acceptd.call('server.info').then(
      (info) => info.pid !== pid,
      () => false,
    ),
  )
  await logIn()
  await acceptd.call('user.block', { user: 'demo', reason: 'the last event' })
  for (const one of [typescript, python]) await one.prints(/^event \d+ op done user\.block\n/m)

  // Everything that the new runtime has reported.
  const told: { readonly seq: number; readonly what: string }[] = []
  for await (const event of acceptd.events({ topics: ['session', 'auth', 'config', 'op'], since: 0 })) {
    const { seq, topic, name } = event
    told.push({ seq, what: `${topic} ${name}` })
    if (event.topic === 'op' && event.name === 'done' && event.data.method === 'user.block') break
  }
  assert.ok(told.some(({ what }) => what === 'auth accepted'))
  for (const [one, heard] of [
    [typescript, heardByTypescript],
    [python, heardByPython.length],
  ] as const) {
    const events = one.events()
    assert.ok(
      events.every(({ seq }, i) => i === 0 || seq > (events[i - 1]?.seq ?? 0)),
      one.text(),
    )
    const [notice, ...later] = events
      .slice(heard)
      .map(({ seq, what = '' }) => ({ seq, what: what.split(' ').slice(0, 2).join(' ') }))
    // What the killed one had not told any more is lost, and nobody knows whether there was any.
    assert.equal(notice?.what, 'events restarted')
    assert.deepEqual(later.slice(0, told.length), told)
    assert.doesNotMatch(one.text(), /^lost/m)
  }
  await ctrlC(start)
})

void test('unknown words are answered with the usage', async () => {
  for (const words of [
    ['--prot', '1'],
    ['--port', 'many'],
    ['--port', '70000'],
  ]) {
    const start = npmStart(...words)
    assert.equal(await start.ended, 64)
    assert.match(start.said(), /usage: npm start -- \[--dir DIR\]/)
  }
})
