// acceptd/client as installed by npm: an independent program is compiled with its types alone and run against a daemon.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { fixture } from '../rpc/fixture.ts'
import { sampleSession } from '../support/sample.ts'
import { until } from '../support/until.ts'
import { read, TOP } from './pages.ts'

const run = promisify(execFile)

const PROGRAM = `
import { Acceptd, AcceptdError, FAILURES, type Event, type SessionListParams } from 'acceptd/client'

const acceptd = new Acceptd({ path: process.argv[2] ?? '' })
const wanted: SessionListParams = { user: 'a*', fields: ['user', 'state'] }
const { sessions, matched } = await acceptd.call('session.list', wanted)
console.log(matched, sessions.map(({ user, state }) => [user, state].join(' ')).join())

const tell = (event: Event): string => {
  if (event.topic === 'op' && event.name === 'done') return [event.data.method, event.data.reason ?? ''].join(' ')
  return event.topic
}
const events = acceptd.events({ topics: ['op'] })
const { topics } = await events.ready
console.log(topics.join())
await acceptd.call('user.block', { user: 'mallory', reason: 'guesses' })
for await (const event of events) {
  console.log(tell(event))
  break
}
try {
  await acceptd.call('lane.recycle', { lane: 99 })
} catch (error) {
  if (!(error instanceof AcceptdError)) throw error
  console.log(error.failure, error.code === FAILURES['not-found'], error.reason)
}
`

/** What does not fit the table; each is an error of the compiler. */
const WRONG = [
  "acceptd.call('session.lst')",
  "acceptd.call('session.list', { usr: 'a' })",
  "acceptd.call('session.get')",
  "acceptd.call('session.list', { sort: 'colour' })",
  "(await acceptd.call('server.ping')).pang",
  "acceptd.events({ topics: ['weather'] })",
  "for await (const { topic, data } of acceptd.events()) if (topic === 'lane') data.colour",
]

let folder = ''
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'acceptd-client-'))
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: TOP,
  })
  const [{ filename }] = JSON.parse(stdout) as [{ readonly filename: string }]
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  await run('npm', ['install', ...quiet, join(folder, filename)], { cwd: folder })
  assert.deepEqual(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['acceptd'],
  )
  // The program's own choice.
  mkdirSync(join(folder, 'node_modules/@types'))
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(join(TOP, 'node_modules', name), join(folder, 'node_modules', name))
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function compile(name: string, text: string): Promise<string> {
  writeFileSync(join(folder, `${name}.ts`), text)
  const options = [
    '--strict',
    '--exactOptionalPropertyTypes',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    '--types',
    'node',
  ]
  const compiler = join(TOP, 'node_modules/.bin/tsc')
  return run(compiler, ['--skipLibCheck', 'false', ...options, `${name}.ts`], { cwd: folder }).then(
    () => '',
    (error: { readonly stdout: string }) => error.stdout,
  )
}

void describe('acceptd/client from the archive for npm', () => {
  void it('compiles with a program, and does what that asks', async (t) => {
    assert.equal(await compile('program', PROGRAM), '')
    const { control } = await fixture(t)
    const { stdout } = await run(process.execPath, ['program.js', control], { cwd: folder, timeout: 20_000 })
    assert.deepEqual(stdout.split('\n'), [
      '1 alice ready',
      'op',
      'user.block guesses',
      'not-found true no-such-lane',
      '',
    ])
  })

  void it('and the client in Python do what docs/control.md shows', async (t) => {
    const { control, host } = await fixture(t)
    const shown = (language: string): string =>
      (new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(read('docs/control.md'))?.[1] ?? '').replace(
        '/run/acceptd/control.sock',
        control,
      )
    assert.equal(await compile('shown', shown('ts')), '')
    writeFileSync(join(folder, 'shown.py'), shown('python'))
    const env = { ...process.env, PYTHONPATH: join(TOP, 'docs/examples'), PYTHONUNBUFFERED: '1' }
    for (const [command, ...words] of [
      [process.execPath, 'shown.js'],
      ['python3', '-B', 'shown.py'],
    ] as const) {
      const child = spawn(command, words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
      t.after(() => child.kill('SIGKILL'))
      let text = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (more: string) => {
          text += more
        })
      await until(`${command} to follow`, () => host.listening() > 0, { show: () => text })
      const data = { sender: 'zoe@example', recipients: 1, size: 10, reply: '550 no', milliseconds: 3 }
      const session = sampleSession(3, { user: 'zoe' })
      host.runtime.emit({ at: Date.now(), topic: 'message', name: 'refused', session, data })
      await until(`${command} to show the message`, () => /zoe 550 no$/m.test(text), { show: () => text })
      assert.match(text, /^\S+ alice ready\nzoe 550 no\n$/m)
      child.kill('SIGKILL')
      await until('the end of its subscription', () => host.listening() === 0)
    }
  })

  void it('does not compile with what the table does not have', async () => {
    const head = "import { Acceptd } from 'acceptd/client'\nconst acceptd = new Acceptd()\n"
    const said = await compile('wrong', `${head}${WRONG.join(';\n')}\n`)
    const lines = new Set([...said.matchAll(/^wrong\.ts\((\d+),/gm)].map(([, line]) => Number(line)))
    assert.deepEqual(
      [...lines].toSorted((a, b) => a - b),
      WRONG.map((_, i) => i + 3),
    )
  })
})
