// What only a running process shows: who it runs as, what it does with slow and dead clients, and what its child inherits.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from '../support/until.ts'

const bin = join(fileURLToPath(new URL('../../..', import.meta.url)), 'dist/programs')
const home = mkdtempSync(join(tmpdir(), 'classic.'))
chmodSync(home, 0o755)
mkdirSync(join(home, 'control'))
const control = (name: string, text: string): void => writeFileSync(join(home, 'control', name), text)
control('me', 'me.example\n')
control('smtpcapabilities', 'PIPELINING\n')
const started: ChildProcess[] = []
after(() => {
  for (const child of started) child.kill('SIGKILL')
  rmSync(home, { recursive: true })
})

const root = process.getuid?.() === 0
const env = { PATH: process.env['PATH'] ?? '', QMAILHOME: home }

function start(program: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(join(bin, program), args, { env, cwd: '/', stdio: ['pipe', 'pipe', 'pipe'] })
  started.push(child)
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', () => undefined)
  return child
}

async function lineOf(child: ChildProcess): Promise<string> {
  const [bytes] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  return bytes.toString('latin1')
}

const exitOf = async (child: ChildProcess): Promise<unknown> => {
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  return code ?? signal
}

const statusOf = (pid: number, field: string): string =>
  new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? ''

void test('authup parses the network as root | started as root it drops to the account in control/authupuser, then greets', async (t) => {
  if (!root) {
    t.skip('needs root')
    return
  }
  for (const [account, uid] of [
    ['', '65534'],
    ['12345\n', '12345'],
  ] as const) {
    control('authupuser', account)
    const authup = start('authup', 'smtp', 'sh', '-c', 'id -u; exit 1')
    assert.equal(await lineOf(authup), '220 me.example ESMTP\r\n')
    assert.equal(statusOf(authup.pid ?? 0, 'Uid'), [uid, uid, uid, uid].join('\t'))
    assert.equal(statusOf(authup.pid ?? 0, 'Groups').trim(), '')
    assert.equal(statusOf(authup.pid ?? 0, 'CapEff'), '0000000000000000')
    authup.stdin?.write('AUTH PLAIN AHVzZXIAcGFzcw==\r\n')
    assert.equal((await lineOf(authup)).split('\n')[0], '0', 'the chain has the rights that authup was started with')
    authup.stdin?.end('QUIT\r\n')
    assert.equal(await exitOf(authup), 0)
  }
  control('authupuser', 'root\n')
  const authup = start('authup', 'smtp', 'true')
  assert.equal(await lineOf(authup), '421 authup unable to read controls (#4.3.0)\r\n')
  assert.equal(await exitOf(authup), 1)
  control('authupuser', '')
})

void test('a short write loses bytes | complete writes, to a client that takes its time', async () => {
  const lines = 2000
  const said = join(home, 'said')
  const script = `printf '220 x\\r\\n'; read a; i=0; while [ $i -lt ${lines} ]; do echo "250-$i ${'x'.repeat(900)}"; i=$((i+1)); done | head -c 60000; echo; echo '250 end'; : >${said}; read a; echo '221 x'`
  const fixsmtpio = start('fixsmtpio', 'sh', '-c', script)
  assert.equal(await lineOf(fixsmtpio), '220 x\r\n')
  let out = ''
  fixsmtpio.stdout?.pause()
  fixsmtpio.stdin?.write('EHLO x\r\n')
  await until('the mail program to have said it all', () => existsSync(said))
  fixsmtpio.stdout?.on('data', (bytes: Buffer) => {
    out += bytes.toString('latin1')
  })
  fixsmtpio.stdout?.resume()
  await until('the end', () => out.includes('250 end'))
  assert.ok(out.length > 60_000, `${out.length} octets`)
  fixsmtpio.stdin?.end('QUIT\r\n')
  assert.equal(await exitOf(fixsmtpio), 0)
})

void test('SIGPIPE kills fixsmtpio | clean end', async () => {
  const [report, gone] = [join(home, 'seen'), join(home, 'gone')]
  assert.equal(spawnSync('mkfifo', [gone]).status, 0)
  const fixsmtpio = start(
    'fixsmtpio',
    'sh',
    '-c',
    `printf '220 x\\r\\n'; read a; read a <${gone}; printf '250 one\\r\\n'; printf '250 two\\r\\n'; while read a; do :; done; echo eof > ${report}; exit 7`,
  )
  assert.equal(await lineOf(fixsmtpio), '220 x\r\n')
  fixsmtpio.stdin?.write('NOOP\r\n')
  fixsmtpio.stdout?.destroy()
  fixsmtpio.stdin?.destroy()
  void writeFile(gone, '\n')
  assert.equal(await exitOf(fixsmtpio), 7)
  assert.equal(readFileSync(report, 'utf8'), 'eof\n', 'the mail program sees the end of its input')
})

void test('reup without -t re-runs a missing program in a tight loop | backs off', async () => {
  const began = performance.now()
  const reup = start('reup', '/no/such/program')
  let lines = 0
  reup.stderr?.on('data', (bytes: Buffer) => {
    lines += bytes.toString('latin1').split('\n').length - 1
  })
  // One line for each try and one for the reason: it waits 0.1 s before the third, 0.8 s before the fourth.
  await until('four tries', () => lines >= 8)
  reup.kill('SIGKILL')
  assert.ok(performance.now() - began > 890)
})

void test('authup waits without using the processor', async () => {
  control('timeoutsmtpd', '2\n')
  // The shell reports the processor time of its child, in minutes and seconds.
  const shell = spawn('sh', ['-c', '"$@"; times >&2', '', join(bin, 'authup'), 'smtp', 'true'], { env, cwd: '/' })
  started.push(shell)
  let times = ''
  shell.stderr.on('data', (bytes: Buffer) => {
    times += bytes.toString('latin1')
  })
  await lineOf(shell)
  shell.stdin.write('NO')
  assert.equal(await lineOf(shell), '451 authup timeout (#4.4.2)\r\n')
  await once(shell, 'close')
  rmSync(join(home, 'control/timeoutsmtpd'))
  const used = [...(times.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, m, s]) => Number(m) * 60 + Number(s),
  )
  assert.equal(used.length, 2, times)
  assert.ok((used[0] ?? 2) + (used[1] ?? 2) < 1, `${used.join(' + ')} of two seconds`)
})

void test('the timeout holds after a refused password as well', async () => {
  control('timeoutsmtpd', '1\n')
  const authup = start('authup', 'smtp', 'false')
  await lineOf(authup)
  authup.stdin?.write('AUTH PLAIN AHVzZXIAcGFzcw==\r\n')
  assert.equal(await lineOf(authup), '535 authup authorization failed (#5.7.0)\r\n')
  authup.stdin?.write('N')
  assert.equal(await lineOf(authup), '451 authup timeout (#4.4.2)\r\n')
  assert.equal(await exitOf(authup), 1)
  rmSync(join(home, 'control/timeoutsmtpd'))
})

void test('NOFIXSMTPIO: the program itself, its exit code and its signals', async () => {
  const program = (script: string) =>
    spawn(join(bin, 'fixsmtpio'), ['sh', '-c', script], {
      env: { ...env, NOFIXSMTPIO: '' },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  const cat = program('cat; exit 9')
  cat.stdin.end('anything\n')
  assert.equal(await lineOf(cat), 'anything\n')
  assert.equal(await exitOf(cat), 9)
  assert.equal(await exitOf(program('kill -TERM $$')), 'SIGTERM')
})

void test('FIXSMTPIODEBUG shows each piece that goes by', async () => {
  const child = spawn(
    join(bin, 'fixsmtpio'),
    [
      'sh',
      '-c',
      "printf '220 x\\r\\n'; read a; printf '354 go\\r\\n'; read b; read c; printf '250 ok\\r\\n'; read d; printf '221 x\\r\\n'",
    ],
    { env: { ...env, FIXSMTPIODEBUG: '' }, stdio: ['pipe', 'pipe', 'pipe'] },
  )
  let err = ''
  child.stderr.on('data', (bytes: Buffer) => {
    err += bytes.toString('latin1')
  })
  await lineOf(child)
  child.stdin.write('DATA\r\n')
  await lineOf(child)
  child.stdin.write('hi\r\n.\r\n')
  await lineOf(child)
  child.stdin.end('QUIT\r\n')
  await once(child, 'close')
  assert.deepEqual(
    err
      .split('\n')
      .filter((line) => line.startsWith('fixsmtpio'))
      .map((line) => line.replace(/^fixsmtpio \d+ sh \d+ /, '')),
    [
      '3: 220 x\r',
      '4: 220 x\r',
      '1: DATA\r',
      '2: DATA\r',
      '3: 354 go\r',
      '4: 354 go\r',
      'D: hi\r',
      '3: 250 ok\r',
      '4: 250 ok\r',
      '1: QUIT\r',
      '2: QUIT\r',
      '3: 221 x\r',
      '4: 221 x\r',
    ],
  )
})
