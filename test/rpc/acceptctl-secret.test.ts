// The password of auth.test: where it is read from, and where it is never seen.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseCommand } from '../../src/rpc/commandline.ts'
import { PASSWORD } from '../support/host.ts'
import { terminal } from '../support/terminal.ts'
import { until } from '../support/until.ts'
import { type Fixture, fixture } from './fixture.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))
const VERDICT = ['auth', 'test', 'alice', '-o', 'json'] as const

interface Ran {
  readonly out: string
  readonly err: string
  readonly code: number | null
}

/** A shell's line; `$ctl` is the program with its socket. */
function shell({ control, directory }: Fixture, line: string, input = ''): Promise<Ran> {
  const env = { ...process.env, ctl: `${process.execPath} ${program} --socket ${control}` }
  const child = spawn('bash', ['-c', line], { env, cwd: directory })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  child.stdin.on('error', () => undefined)
  // A line is enough: its writer may stay connected.
  child.stdin.write(input)
  if (!input.endsWith('\n')) child.stdin.end()
  return new Promise((resolve) => child.on('close', (code) => resolve({ out, err, code })))
}

void describe('the password is read', () => {
  const cases: readonly [name: string, line: string, input: string, verdict: string][] = [
    ['from standard input', '$ctl auth test alice -o json', `${PASSWORD}\n`, 'accepted'],
    ['from its first line only', '$ctl auth test alice -o json', `${PASSWORD}\nmore\n`, 'accepted'],
    ['without a newline at its end', '$ctl auth test alice -o json', PASSWORD, 'accepted'],
    ['with CR LF at its end', '$ctl auth test alice -o json', `${PASSWORD}\r\n`, 'accepted'],
    ['from descriptor 3, a file', '$ctl auth test alice --password-fd 3 -o json 3<right', 'wrong\n', 'accepted'],
    ['from descriptor 3, a pipe', '$ctl auth test alice --password-fd 3 -o json 3< <(cat right)', '', 'accepted'],
    ['by call, too', '$ctl call auth.test user=alice', `${PASSWORD}\n`, 'accepted'],
    ['and may be wrong', '$ctl auth test alice -o json', 'guess\n', 'refused'],
    ['and may be empty', '$ctl auth test alice -o json', '\n', 'refused'],
  ]
  for (const [name, line, input, verdict] of cases)
    void it(name, async (t) => {
      const given = await fixture(t)
      writeFileSync(join(given.directory, 'right'), `${PASSWORD}\n`)
      const { out, err } = await shell(given, line, input)
      assert.equal(JSON.parse(out).verdict, verdict, err)
    })

  const refusals: readonly [name: string, line: string, input: string, said: RegExp][] = [
    [
      'a descriptor that is not open',
      '$ctl auth test alice --password-fd 99',
      '',
      /^acceptctl: the password cannot be read: EBADF/,
    ],
    ['what is not UTF-8', "printf 'h\\344\\n' | $ctl auth test alice", '', /^acceptctl: the password is not UTF-8$/m],
    ['what is too long', 'head -c 9000 /dev/zero | tr "\\0" a | $ctl auth test alice', '', /longer than 4096 octets/],
  ]
  for (const [name, line, input, said] of refusals)
    void it(`but not ${name}`, async (t) => {
      const { code, err, out } = await shell(await fixture(t), line, input)
      assert.match(err, said)
      assert.deepEqual([code, out], [2, ''])
    })
})

void describe('a password among the words is refused, and not repeated', () => {
  for (const words of [
    'auth test alice --password hunter2',
    'auth test alice --password=hunter2',
    'auth test --password=hunter2 alice',
    'auth.test alice hunter2',
    'auth test alice hunter2',
    'call auth.test user=alice password=hunter2',
    'call auth.test user=alice password:="hunter2"',
    'auth test alice --pasword=hunter2',
  ])
    void it(words.replace('hunter2', '...'), () => {
      const usage = parseCommand(words.split(' '))._unsafeUnwrapErr()
      assert.ok(!JSON.stringify(usage).includes('hunter2'))
      assert.match(usage.problem, /--password-fd|unknown option --pasword/)
    })
})

/** What `ps axeww` shows of all processes: their words and their environment. */
const processes = (): string =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => ['cmdline', 'environ'].map((file) => `/proc/${pid}/${file}`))
    .map((path) => {
      try {
        return readFileSync(path, 'latin1')
      } catch {
        // It has ended in the meantime, or belongs to another user.
        return ''
      }
    })
    .join('\n')

/** A terminal on which acceptctl asks for the password, and a helper that waits. */
async function asking(t: TestContext) {
  const given = await fixture(t)
  const { helper } = given.host
  const answering = helper.answering
  let answer: (() => void) | undefined
  helper.answering = (asked) => {
    if (asked.text === 'watch') answering?.(asked)
    else answer = () => answering?.(asked)
  }
  const command = `${process.execPath} ${program} --socket ${given.control} ${VERDICT.join(' ')}; echo "code $?"; stty -a`
  const screen = await terminal(t, ['sh', '-c', command])
  await until('the question', () => screen.written().includes('password: '))
  return { ...given, screen, asked: () => answer }
}

void test('on a terminal it is asked for without an echo, can be corrected, and ps never shows it', async (t) => {
  const { screen, asked } = await asking(t)
  screen.type(`wrong\u0015${PASSWORD}x\u007f\r`)
  const answer = await until('the helper', asked)
  const shown = processes()
  assert.ok(shown.includes(program) && !shown.includes(PASSWORD))
  answer()
  await until('the end', () => /code \d[\s\S]*-?echok/.test(screen.written()))
  const text = screen.written()
  assert.match(text, /"verdict": "accepted"/)
  assert.match(text, /code 0\r?\n/)
  assert.match(text, /[ ;]echo /)
  assert.match(text, /[ ;]icanon /)
  for (const secret of [PASSWORD, 'wrong', PASSWORD.slice(0, 8)]) assert.ok(!text.includes(secret))
})

void test('^C at the prompt ends it with 130, and the terminal echoes again', async (t) => {
  const { screen } = await asking(t)
  screen.type('half\u0003')
  await until('the end', () => /code 130\r?\n[\s\S]*[ ;]echo /.test(screen.written()))
  assert.ok(!screen.written().includes('half'))
})
