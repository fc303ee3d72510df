// A line of the log as text, as JSON, and for the journal; which of them are logged at which level.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, test } from 'node:test'
import { fieldsText, isLogged, logLine, useLogFormat } from '../../src/edge/log.ts'

afterEach(() => useLogFormat('text'))

const timeless = (line: string): string => line.replace(/\d{4}-\d\d-\d\dT[\d:.]{12}Z/, 'TIME')

void test('text has time, level, event and fields', () => {
  const common = fieldsText({ session: '1.a.1' })
  assert.equal(
    timeless(logLine('warn', 'login-failed', { user: 'a b', n: 1 }, common)),
    'TIME warn login-failed session=1.a.1 user="a b" n=1\n',
  )
})

const VALUES: readonly (readonly [what: string, octets: string, value: string])[] = [
  ['ASCII', 'joe', 'joe'],
  ['a quote and a backslash', 'a"b\\c', 'a"b\\c'],
  ['a line of its own', 'a\r\n{"x":1}', 'a\r\n{"x":1}'],
  ['UTF-8', 'Zo\u00c3\u00ab', 'Zo\u00eb'],
  ['Latin-1', 'Zo\u00eb', 'Zo\\xeb'],
  ['beyond 16 bits', '\u00f0\u009f\u0098\u0080', '\u{1f600}'],
  ['NUL', 'a\0b', 'a\0b'],
]
for (const [what, octets, value] of VALUES)
  void test(`JSON is one line of ASCII that gives back ${what}`, () => {
    useLogFormat('json')
    const line = logLine('info', 'x', { user: octets, n: 2, empty: '' }, fieldsText({ session: '1' }))
    assert.match(line, /^[ -~]*\n$/)
    const { time, ...rest } = JSON.parse(line) as Record<string, unknown>
    assert.match(String(time), /^\d{4}-\S+Z$/)
    assert.deepEqual(rest, { level: 'info', event: 'x', session: '1', user: value, n: 2 })
  })

void test('a component has its own level, and the rest that of acceptd', () => {
  const levels = { acceptd: 'warn', auth: 'debug', tls: 'error' } as const
  assert.ok(isLogged('debug', 'login-attempt', levels))
  assert.ok(!isLogged('warn', 'tls-failed', levels))
  assert.ok(!isLogged('info', 'session-ended', levels))
  assert.ok(isLogged('warn', 'session-refused', levels))
  assert.ok(!isLogged('info', 'started', levels))
})

void test('the journal gets a priority and no second time', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'journal')
  const fd = openSync(path, 'w')
  const { dev, ino } = fstatSync(fd)
  const module = new URL('../../src/edge/log.js', import.meta.url).href
  const script = `const { logLine, openStderr, useLogFormat } = await import('${module}')
    openStderr().write(logLine('warn', 'x', { n: 1 }))
    useLogFormat('json')
    openStderr().write(logLine('info', 'y', {}))`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'ignore', fd],
    env: { ...process.env, JOURNAL_STREAM: `${dev}:${ino}` },
  })
  assert.equal(ran.status, 0)
  assert.equal(timeless(readFileSync(path, 'latin1')), '<4>warn x n=1\n<6>{"time":"TIME","level":"info","event":"y"}\n')
})
