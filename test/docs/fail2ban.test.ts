// The failregex of acceptd(8) against lines that a runtime has written for wrong passwords.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { DESCRIPTORS_A_LANE } from '../../src/edge/descriptors.ts'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { bytesOf } from '../../src/protocol/bytes.ts'
import { startRuntime } from '../../src/runtime/runtime.ts'
import { bindAddress } from '../support/binding.ts'
import { until } from '../support/until.ts'
import { page, read } from './pages.ts'

/** What fail2ban 1.0 substitutes for <HOST>, with names for its groups. */
const HOST =
  '(?:\\[?(?:(?:::f{4,6}:)?(?<ip4>(?:\\d{1,3}\\.){3}\\d{1,3})|(?<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|(?<=:):)))\\]?|(?<dns>[\\w\\-.^_]*\\w))'

/** The expression as an administrator copies it from the formatted page. */
const FAILREGEX = /^failregex = (.*)$/m.exec(page('acceptd.8').text.replaceAll('\\e', '\\'))?.[1] ?? ''

const failed = (line: string): string | undefined => {
  // fail2ban removes the timestamp before it matches.
  const rest = line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z/, '')
  const groups = new RegExp(FAILREGEX.replace('<HOST>', HOST)).exec(rest)?.groups
  return groups?.['ip4'] ?? groups?.['ip6'] ?? groups?.['dns']
}

/** Logs in as each user with a wrong password and returns the whole log. */
async function logOf(users: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'acceptd-docs-'))
  const helperSocket = join(folder, 'helper.sock')
  // Instead of accept-helper: a chain that refuses, or turns out to be root's.
  const helper = createServer((stream) => {
    stream.once('data', (request) => stream.end(request.includes('root') ? 'root\n' : 'exit 1\n'))
    stream.on('error', () => undefined)
  })
  helper.listen(helperSocket)
  await once(helper, 'listening')
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
  write('me', 'mx.example\n')
  write('smtpcapabilities', '')
  write('fixsmtpio', read('control/fixsmtpio'))
  write('listeners', '127.0.0.1:1 smtp submission tries=99 name=smtp:587\n')
  write('chains', 'chain submission\n checkpassword builtin\n backend /bin/true\n')
  const bound = Array.from({ length: DESCRIPTORS_A_LANE }, () => bindAddress('127.0.0.1', 0)).flatMap(
    (one) => one ?? [],
  )
  let log = ''
  const started = await startRuntime(
    {
      control: folder,
      run: folder,
      helper: { mode: 'unit', place: { socket: helperSocket }, privileged: false, root: false, program: '/bin/true' },
      descriptors: [bound.map(({ fd }) => fd)],
      ports: [bound[0]?.port ?? 0],
      lanes: 1,
      descriptorLimit: 1024,
      state: join(folder, 'kept'),
      restarts: 0,
      lastGood: false,
    },
    {
      write: (text) => {
        log += text
      },
      dropped: () => 0,
    },
  )
  assert.ok(started.isOk())
  const client = connect(bound[0]?.port ?? 0, '127.0.0.1')
  await once(client, 'data')
  for (const user of users) {
    client.write(`AUTH PLAIN ${encodeBase64(bytesOf(`\0${user}\0wrong`))}\r\n`)
    await once(client, 'data')
  }
  client.end('QUIT\r\n')
  await once(client, 'close')
  await until('the end of the session', () => log.includes(' session-ended '))
  await started.value.stop(0)
  helper.close()
  rmSync(folder, { recursive: true })
  return log
}

void test('the failregex of acceptd(8) finds every wrong password, and its address whatever the name', async () => {
  const users = ['joe', 'root', 'a b', 'x ip=192.0.2.1 port=1 listener=y user=z', 'q"uote\\', 'j\xf6e']
  const lines = (await logOf(users)).split('\n').filter((line) => /login-failed|LOGIN-AS-ROOT/.test(line))
  assert.deepEqual(
    lines.map(failed),
    users.map(() => '127.0.0.1'),
  )
  assert.match(
    lines[0] ?? '',
    /^\S+Z warn login-failed session=\S+ ip=127\.0\.0\.1 port=\d+ listener=smtp:587 user=joe remaining=98 auth=PLAIN$/,
  )
  assert.match(lines[1] ?? '', / error LOGIN-AS-ROOT-REFUSED session=/)
})

const LINES: readonly (readonly [line: string, address: string | undefined])[] = [
  ['warn login-failed session=1.a.1 ip=::ffff:192.0.2.9 port=5 listener=smtp:587 user=joe remaining=4', '192.0.2.9'],
  ['warn login-failed session=1.a.1 ip=2001:db8::7 port=5 listener=smtp:587 user=joe remaining=4', '2001:db8::7'],
  [
    'info session-ended session=1.a.1 ip=192.0.2.9 port=5 listener=smtp:587 user="warn login-failed" why=quit',
    undefined,
  ],
  ['warn login-tempfail session=1.a.1 ip=192.0.2.9 port=5 listener=smtp:587 user=joe exit=111', undefined],
  ['info login-accepted session=1.a.1 ip=192.0.2.9 port=5 listener=smtp:587 user=joe uid=1000 pid=7', undefined],
]

void test('it knows both kinds of addresses and takes nothing else for a wrong password', () => {
  for (const [line, address] of LINES) assert.equal(failed(`2026-11-22T20:32:19.889Z ${line}`), address, line)
})

/** The filter that ships, with its prefix put in. */
const FILTER = (() => {
  const text = read('fail2ban/filter.d/acceptd.conf')
  const value = (name: string) => new RegExp(`^${name} = (.*)$`, 'm').exec(text)?.[1] ?? ''
  return new RegExp(value('failregex').replace('%(_prefix)s', value('_prefix')).replace('<HOST>', HOST))
})()

/** What is left of a line once fail2ban has removed its first timestamp. */
const FORMS: readonly (readonly [form: string, before: string])[] = [
  ['a file', ''],
  ['syslog', 'host acceptd[77]: 2026-11-22T20:32:19.889Z'],
  ['syslog with times of RFC 3339', ' host acceptd: 2026-11-22T20:32:19.889Z'],
  ['the journal', 'host acceptd[77]: 2026-11-22T20:32:19.889Z'],
  ['multilog', ' 2026-11-22T20:32:19.889Z'],
]

for (const [form, before] of FORMS)
  void test(`the filter that ships knows a wrong password in the form of ${form}, and nothing else`, () => {
    for (const [line, address] of LINES) {
      const groups = FILTER.exec(`${before} ${line}`)?.groups
      assert.equal(groups?.['ip4'] ?? groups?.['ip6'], address, line)
    }
  })
