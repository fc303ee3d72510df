// UCSPI-TLS as its parent sees it, and what UCSPITLS means. test/system/blocking-tls.test.ts has a parent that handshakes.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { after, test } from 'node:test'
import type { BackendSpec, Case, Result, Step } from '../conformance/case.ts'
import { bin, C, playAll, S, settled } from './dialogue.ts'

const home = mkdtempSync(join(tmpdir(), 'classic-tls.'))
after(() => rmSync(home, { recursive: true }))
mkdirSync(join(home, 'control'))
for (const [name, text] of Object.entries({ me: 'me.example\n', smtpcapabilities: '', pop3capabilities: '' }))
  writeFileSync(join(home, 'control', name), text)

const [CONTROL, READ, WRITE] = [60, 61, 62]

class Started {
  readonly process: ChildProcess
  constructor(program: string, args: readonly string[]) {
    const stdio: ('pipe' | 'ignore')[] = ['pipe', 'pipe', 'pipe']
    while (stdio.length < CONTROL) stdio.push('ignore')
    this.process = spawn(join(bin, program), args, {
      stdio: [...stdio, 'pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        QMAILHOME: home,
        UCSPITLS: '',
        SSLCTLFD: `${CONTROL}`,
        SSLREADFD: `${READ}`,
        SSLWRITEFD: `${WRITE}`,
      },
    })
    for (const stream of this.process.stdio) stream?.on('error', () => undefined)
  }

  stream = (fd: number): Duplex => this.process.stdio[fd] as unknown as Duplex
  say = (text: string, fd = 0): unknown => this.stream(fd).write(text)
  async hear(fd = 1): Promise<string> {
    const [bytes] = (await once(this.stream(fd), 'data')) as [Buffer]
    return bytes.toString('latin1')
  }
  /** O_NONBLOCK in the open file of a descriptor of the program. */
  nonBlocking(fd: number): boolean {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/${this.process.pid}/fdinfo/${fd}`, 'latin1'))?.[1]
    return (Number.parseInt(flags ?? '', 8) & 0o4000) !== 0
  }
}

const FAKE = ['sh', '-c', "printf '220 x\\r\\n'; while read a; do printf '250 ok\\r\\n'; done"]
for (const [title, program, args, starttls] of [
  ['authup smtp', 'authup', ['smtp', 'false'], 'STARTTLS\r\n'],
  ['authup pop3', 'authup', ['pop3', 'false'], 'STLS\r\n'],
  ['fixsmtpio', 'fixsmtpio', FAKE, 'STARTTLS\r\n'],
] as const)
  void test(`${title}: the client's descriptors block from the control octet on, and nothing is read from them`, async () => {
    const started = new Started(program, args)
    await started.hear()
    started.say(starttls)
    await started.hear()
    assert.equal(await started.hear(CONTROL), 'Y')
    assert.deepEqual([started.nonBlocking(0), started.nonBlocking(1)], [false, false])
    // A handshake: only the parent may read it.
    started.say('\x16\x03\x01 hello\n')
    started.say('SSL_PROTOCOL=TLSv1.3\0\0', CONTROL)
    started.say('NOOP\r\n', READ)
    assert.match(await started.hear(WRITE), /^(250|\+OK)/)
    assert.deepEqual([started.nonBlocking(0), started.nonBlocking(1)], [false, false])
    started.process.kill('SIGKILL')
  })

void test('authup: after a handshake that failed the session goes on without TLS, and waits for the client again', async () => {
  const started = new Started('authup', ['smtp', 'false'])
  await started.hear()
  started.say('STARTTLS\r\n')
  await started.hear()
  await started.hear(CONTROL)
  started.stream(CONTROL).end()
  assert.equal(await started.hear(), '454 authup TLS temporarily not available (#5.7.3)\r\n')
  started.say('NO')
  started.say('OP\r\n')
  assert.equal(await started.hear(), '250 ok\r\n')
  started.say('QUIT\r\n')
  assert.deepEqual((await once(started.process, 'exit'))[0], 0)
})

// ---- what UCSPITLS means

const BACKEND: BackendSpec = {
  greeting: '220 backend ESMTP\r\n',
  replies: { EHLO: '250-backend\r\n250 8BITMIME\r\n', NOOP: '250 ok\r\n', QUIT: '221 backend\r\n' },
  exits: { QUIT: 0 },
  eof_exit: 1,
}

const played = (more: Partial<Case> & { readonly steps: readonly Step[] }): Promise<Result> =>
  playAll({ program: 'fixsmtpio', args: ['{backend}'], ...more })

const AUTHUP: Partial<Case> = {
  program: 'authup',
  args: ['smtp', '{child}'],
  control: { me: 'me.example\n', smtpcapabilities: 'PIPELINING\n', pop3capabilities: 'TOP\n' },
  child: [],
  tls: true,
}
for (const [value, required] of [
  ['1', true],
  ['!', true],
  ['', false],
  ['0', false],
  ['11', false],
  ['x', false],
] as const)
  void test(`authup: UCSPITLS=${value} ${required ? 'requires' : 'offers'} TLS`, async () => {
    const quit = [C('QUIT\r\n'), S('221 me.example\r\n')]
    const ehlo = `250-me.example\r\n250-STARTTLS\r\n${required ? '' : '250-AUTH LOGIN PLAIN\r\n'}250 PIPELINING\r\n`
    const login = required
      ? '530 authup Must start TLS first (#5.7.0)\r\n'
      : '501 authup malformed auth input (#5.5.4)\r\n'
    await played({
      ...AUTHUP,
      env: { UCSPITLS: value },
      steps: [S('220 me.example ESMTP\r\n'), C('EHLO c\r\n'), S(ehlo), C('AUTH PLAIN =\r\n'), S(login), ...quit],
    })
    await played({
      ...AUTHUP,
      args: ['pop3', '{child}'],
      env: { UCSPITLS: value },
      steps: [
        S('+OK <PID.TIME@me.example>\r\n'),
        C('USER u\r\n'),
        S(required ? '-ERR authup Must start TLS first\r\n' : '+OK \r\n'),
        C('QUIT\r\n'),
        S('+OK \r\n'),
      ],
    })
  })

const OFFERED = '250-me.example\r\n250-STARTTLS\r\n250 8BITMIME\r\n'
const hello = S('220 backend ESMTP\r\n')
const bye = [C('QUIT\r\n'), S('221 backend\r\n')]
const FIX_EHLO = { me: 'me.example\n', fixsmtpio: ':ehlo::2*::&fixsmtpio_fixup\n' }

void test('fixsmtpio: UCSPITLS=1 offers TLS', async () => {
  await played({
    control: FIX_EHLO,
    backend: BACKEND,
    env: { UCSPITLS: '1' },
    steps: [hello, C('EHLO c\r\n'), S(OFFERED), C('NOOP\r\n'), S('250 ok\r\n'), ...bye],
  })
})

void test('fixsmtpio: after a login STARTTLS is not offered, since authup has offered it before', async () => {
  await played({
    control: FIX_EHLO,
    backend: BACKEND,
    env: { UCSPITLS: '', AUTHUP_USER: 'user' },
    steps: [hello, C('EHLO c\r\n'), S('250-me.example\r\n250 8BITMIME\r\n'), ...bye],
  })
})

void test('fixsmtpio: what keeps a backend from STARTTLS, or from a request before it, comes before what a rule prepends', async () => {
  const { backend_received } = await played({
    control: { me: 'me.example\n', fixsmtpio: ':starttls:RULE :*::\n:vrfy:RULE :*::\n' },
    backend: BACKEND,
    env: { UCSPITLS: '!' },
    tls: true,
    steps: [
      hello,
      C('VRFY x\r\n'),
      C('STARTTLS\r\n'),
      S('220 Ready to start TLS (#5.7.0)\r\n'),
      { tls: 'A=1\0\0', got: 'Y' },
      settled,
      C('STARTTLS\r\n'),
      S('502 unimplemented (#5.5.1)\r\n'),
      ...bye,
    ],
  })
  assert.equal(
    backend_received,
    'NOOP fixsmtpio STARTTLS FIRST RULE VRFY x\r\n' +
      'NOOP fixsmtpio STARTTLS BEGIN RULE STARTTLS\r\n' +
      'NOOP fixsmtpio STARTTLS AGAIN RULE STARTTLS\r\nQUIT\r\n',
  )
})
