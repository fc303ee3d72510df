// acceptctl as it is installed, against a daemon in memory; and what its words mean, without one.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseCommand } from '../../src/rpc/commandline.ts'
import { METHOD_MAP } from '../../src/rpc/methods.ts'
import { show, showTrace, table } from '../../src/rpc/show.ts'
import { PASSWORD } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { sampleSession } from '../support/sample.ts'
import { type Fixture, fixture } from './fixture.ts'
import type { Json } from './wire.ts'

const program = fileURLToPath(new URL('../../programs/acceptctl', import.meta.url))

interface Ran {
  readonly out: string
  readonly err: string
  readonly code: number | null
}

function acceptctl(socket: string, args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ACCEPTD_SOCKET: socket } })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString()
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.on('close', (code) => resolve({ out, err, code }))
  })
}

async function started(t: TestContext): Promise<Fixture & { readonly ctl: (...args: string[]) => Promise<Ran> }> {
  const b = await fixture(t)
  return { ...b, ctl: (...args) => acceptctl(b.control, args) }
}

void test('results as tables, lines and JSON', async (t) => {
  const { ctl, host, idOf } = await started(t)
  const id = await idOf('alice')
  const tabular = await ctl('session', 'list', '--user', 'a*')
  assert.match(tabular.out, /^ID +PROTOCOL +STATE +USER .*\n\S+ +smtp +ready +alice .*\n$/)
  assert.equal(tabular.code, 0)
  const tsv = (await ctl('session', 'list', '-otsv', '--user=alice')).out.split('\t')
  assert.deepEqual(tsv.slice(0, 5), [id, 'smtp', 'ready', 'alice', '127.0.0.1'])
  assert.deepEqual([tsv[6], ...tsv.slice(8)], ['0', '1', '1', 'GREETING\n'])
  const lines = (await ctl('session', 'list', '-o', 'jsonl', '--fields', 'user')).out.trim().split('\n')
  assert.deepEqual(
    lines.map((line): Json => JSON.parse(line).user),
    ['user1', 'user2', 'alice'],
  )
  assert.equal(JSON.parse((await ctl('-o', 'json', 'session.list')).out).matched, 3)
  assert.match((await ctl('server', 'metrics')).out, /^# HELP acceptd_info/)
  host.write('smtpgreeting', 'mail.example\n')
  assert.equal((await ctl('config', 'diff')).out, 'smtpgreeting: added\n+1: mail.example\n')
  assert.equal(JSON.parse((await ctl('call', 'session.list', 'user=alice', 'limit:=1')).out).sessions[0].id, id)
})

void test('exit codes', async (t) => {
  const { ctl, host, directory, status, sessions } = await started(t)
  const bad = join(directory, 'bad')
  writeFileSync(bad, ':help::*::&fixsmtpio_fixup\nso bad\n')
  const cases: readonly [args: string, code: number, err: RegExp][] = [
    ['server ping', 0, /^$/],
    ['', 2, /no command given/],
    ['sesion list', 2, /did you mean session\?/],
    ['session lst', 2, /did you mean list\?/],
    ['session list --usr x', 2, /did you mean --user\?/],
    ['session list --limit many', 2, /--limit is a whole number, 1 to 1000; not many/],
    ['session list --state asleep', 2, /--state is one of greeting, /],
    ['session list --user', 2, /--user needs a value/],
    ['session list alice', 2, /takes no alice/],
    ['session get', 2, /id is missing/],
    ['session kill', 2, /empty filter/],
    ['session list --ip 1.2.3', 2, /neither an address/],
    ['call no.such', 2, /There is no method no\.such/],
    ['call server.ping x', 2, /not name=text/],
    ['session list --user nobody', 3, /^acceptctl: nothing matches$/m],
    ['session get nope', 3, /there is no session nope/],
    ['session kill --user nobody', 3, /^acceptctl: nothing matches$/m],
    [`config reload --if-sha256 ${'0'.repeat(64)}`, 4, /The published configuration is generation 1/],
    [`config check fixsmtpio=${bad}`, 78, /^$/],
    ['config check /no/such/file', 2, /ENOENT/],
    ['server ping --socket /no/such.sock', 69, /not reachable/],
    [`server drain --socket ${status}`, 1, /control socket only/],
  ]
  for (const [args, code, err] of cases) {
    const words = args.split(' ').filter((word) => word !== '')
    const parsed = parseCommand(words)
    if (parsed.isErr() && args !== 'session get') {
      // What is not understood ends the same way for all; one case is followed through.
      assert.match(parsed.error.problem, err)
      assert.equal(code, 2)
      continue
    }
    const ran = await ctl(...words)
    assert.equal(ran.code, code, `${args}: ${ran.err}`)
    assert.match(ran.err, err, args)
    // Each takes a process: one of a kind is enough.
    if (!['session get', 'session get nope', 'server ping --socket /no/such.sock', 'session kill'].includes(args))
      continue
    const json = await ctl(...words, '-o', 'json')
    assert.equal(json.code, code, args)
    const { error } = JSON.parse(json.out)
    assert.equal(typeof error.data.reason, 'string', args)
  }
  host.write('fixsmtpio', `${host.text('fixsmtpio')}so bad\n`)
  const reload = await ctl('config', 'reload')
  assert.equal(reload.code, 78)
  assert.match(reload.err, /^acceptctl: control\/fixsmtpio:\d+:7: the rule ends after 1 of 6 fields \(.+\)\n$/)
  assert.equal(await sessions(), 3)
})

void test('auth test reads the password and shows it to nobody', async (t) => {
  const { control } = await fixture(t)
  const right = await acceptctl(control, ['auth', 'test', 'alice', '-o', 'json'], `${PASSWORD}\n`)
  assert.equal(JSON.parse(right.out).verdict, 'accepted')
  const wrong = await acceptctl(control, ['auth', 'test', 'alice'], 'guess')
  assert.match(wrong.out, /^verdict +refused$/m)
  assert.ok(![right.out, right.err].join('').includes(PASSWORD))
  const given = await acceptctl(control, ['auth', 'test', 'alice', '--password', PASSWORD])
  assert.deepEqual([given.code, given.err.includes(PASSWORD)], [2, false])
})

void test('watch and trace print what happens, until it ends', async (t) => {
  const { control, host, clients } = await fixture(t)
  const odd = sampleSession(3, { user: 'a\u001b[2Jb' })
  const timer = setInterval(() => {
    host.runtime.emit({ at: Date.now(), topic: 'session', name: 'accepted', session: odd, data: { lost: true } })
    clients[0]?.send('NOOP\r\n')
  }, 20)
  t.after(() => clearInterval(timer))
  const child = spawn(process.execPath, [program, '--socket', control, 'watch', 'session', 'auth', '--user', 'a*'])
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
    if (out.split('\n').length > 2) child.kill()
  })
  await new Promise((resolve) => child.on('close', resolve))
  assert.match(out, /^\d{4}-\S+Z session accepted 1\.0003 a\\x1b\[2Jb 192\.0\.2\.3 lost=true\n/)
  await until('the end of its subscription', () => host.listening() === 0)
  clearInterval(timer)
  const tracing = acceptctl(control, ['session', 'trace', '--lines', '3', '-o', 'jsonl'])
  await until('the trace', () => host.listening() > 0)
  const late = await host.login('late')
  await host.say(late, 'NOOP\r\n', /^250 /)
  const trace = await tracing
  const events = trace.out
    .trim()
    .split('\n')
    .map((line): Json => JSON.parse(line))
  assert.deepEqual([trace.code, events.length, events[3].name], [0, 4, 'ended'])
  assert.ok(events.slice(0, 3).every(({ data }) => typeof data.verb === 'string'))
})

void test('a trace that matches nothing says so, waits, and exits 3', async (t) => {
  const { control } = await fixture(t)
  const nothing = await acceptctl(control, ['session', 'trace', '--user', 'nobody', '--ttl', '0.2'])
  assert.equal(nothing.code, 3)
  assert.match(nothing.err, /no session matches yet/)
  const some = await acceptctl(control, ['session', 'trace', '--user', 'alice', '--ttl', '0.2'])
  assert.deepEqual([some.code, some.err], [0, ''])
})

void test('a line of a trace has its time, its session, who speaks, and colours on a terminal only', () => {
  const line = {
    at: '2026-11-22T09:00:00.000Z',
    topic: 'trace',
    name: 'backend',
    session: { id: '1.2f', user: 'alice' },
    data: { verb: '550', text: 'no\u001b[2J', milliseconds: 12 },
  }
  const text = '2026-11-22T09:00:00.000Z    +12ms 1.2f alice backend    550 no\\x1b[2J\n'
  assert.equal(showTrace(line, false), text)
  assert.ok(showTrace(line, true).includes('\u001b[35mbackend   \u001b[39m \u001b[31m550 no'))
})

function printed(...words: string[]): string {
  return parseCommand(words).match(
    (command) => (command.do === 'print' ? command.text : command.do),
    ({ problem }) => problem,
  )
}

function params(...words: string[]): unknown {
  return parseCommand(words).match(
    (command) => (command.do === 'request' ? command.request.params : command.do),
    ({ problem }) => problem,
  )
}

void test('help at every level', () => {
  assert.match(printed('--help'), /usage: acceptctl/)
  assert.match(printed('session', '--help'), /acceptctl session list/)
  assert.equal(printed('help', 'session', 'kill'), printed('session', 'kill', '--help'))
  assert.match(printed('watch', '--help'), /acceptctl watch \[TOPICS\.\.\.\]/)
  for (const word of ['top', 'watch', 'call', 'completion']) assert.match(printed(word, '--help'), /--socket/, word)
  for (const name of METHOD_MAP.keys()) {
    const command = parseCommand([...name.split('.'), '--help'])
    assert.ok(command.isOk() && command.value.do === 'print' && command.value.text.includes('usage: acceptctl'), name)
  }
})

void test("every method's example can be written as words", () => {
  for (const [name, { example, cli }] of METHOD_MAP) {
    const words = Object.entries(example.params).flatMap(([param, value]): string[] => {
      if (param === cli.secret || !['string', 'number', 'boolean'].includes(typeof value)) return []
      return [
        `--${param.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      ]
    })
    const command = parseCommand([...name.split('.'), ...words])
    assert.ok(
      command.isOk() && command.value.do === 'request',
      `${name}: ${command.isErr() ? command.error.problem : ''}`,
    )
    for (const [param, value] of Object.entries(command.value.request.params))
      assert.deepEqual(value, example.params[param], `${name} ${param}`)
  }
})

void test('words', () => {
  assert.deepEqual(params('session', 'list', '--no-tls', '--older-than', '60'), { tls: false, olderThan: 60 })
  assert.deepEqual(params('session', 'list', '--tls=true', '--descending'), { tls: true, descending: true })
  assert.deepEqual(params('rules', 'eval', 'ehlo', '--env', 'A=1', '--env', 'B=x=y'), {
    event: 'ehlo',
    env: { A: '1', B: 'x=y' },
  })
  assert.deepEqual(params('watch', 'session', 'auth'), { topics: ['session', 'auth'] })
  assert.deepEqual(params('watch', '--topics', 'lane,tls'), { topics: ['lane', 'tls'] })
  assert.deepEqual(params('user', 'block', '--', '-odd'), { user: '-odd' })
  assert.deepEqual(params('log', 'set', 'session', 'debug'), { component: 'session', level: 'debug' })
  assert.equal(params('log', 'set', 'session', 'loud'), 'level is one of error, warn, info, debug')
  assert.deepEqual(params('session', 'kill', '1.2f', '--dry-run'), { id: '1.2f', dryRun: true })
})

void test('tables are safe to print', () => {
  const odd = [{ a: '\u001b[31mred\r\nmore', n: 1 }]
  assert.equal(table(['a', 'n'], odd, undefined), 'A                        N\n\\x1b[31mred\\x0d\\x0amore  1\n')
  assert.equal(table(['a', 'n'], odd, 80), 'A                  N\n\\x1b[31mred\\x0d \u2026  1\n')
  assert.equal(
    show({ rows: [{ a: 'x\ty\\' }] }, { rows: 'rows', columns: ['a', 'b'] }, 'tsv', undefined),
    'x\\ty\\\\\t\n',
  )
})
