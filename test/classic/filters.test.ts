// Filters in front of qmail-queue, and the one for pymsgauth: what gets queued, with which exit code, and that nothing is lost.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const bin = join(fileURLToPath(new URL('../../..', import.meta.url)), 'dist/programs')
const home = mkdtempSync(join(tmpdir(), 'filters.'))
const queued = join(home, 'queued')
const user = join(home, 'user')
after(() => rmSync(home, { recursive: true }))

const script = (path: string, text: string): void => {
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
}
const control = (name: string, text: string): void => writeFileSync(join(home, 'control', name), text)

// CR LF, bare LF, NUL, octets above 127, a dot alone, no newline at the end.
const MESSAGE = Buffer.from('Subject: x\r\n\nbody \0 \xe9\xff\r\n.\n..\nno end', 'latin1')
const ENVELOPE = Buffer.from('Fme@example\0Tyou@example\0Tthem@example\0\0', 'latin1')

beforeEach(() => {
  for (const directory of ['bin', 'control', 'tags', 'user']) {
    rmSync(join(home, directory), { recursive: true, force: true })
    mkdirSync(join(home, directory))
  }
  rmSync(`${queued}.message`, { force: true })
  rmSync(`${queued}.envelope`, { force: true })
  script(join(home, 'bin/qmail-queue'), `cat > ${queued}.message; cat <&1 > ${queued}.envelope`)
})

interface Ran {
  readonly code: number | null
  readonly err: string
}

function queue(
  options: { env?: Record<string, string>; message?: Buffer; envelope?: Buffer; program?: string } = {},
): Ran {
  writeFileSync(join(home, 'm'), options.message ?? MESSAGE)
  writeFileSync(join(home, 'e'), options.envelope ?? ENVELOPE)
  const ran = spawnSync(join(bin, options.program ?? 'qmail-qfilter-ofmipd-queue'), [], {
    stdio: [openSync(join(home, 'm'), 'r'), openSync(join(home, 'e'), 'r'), 'pipe'],
    env: { PATH: `${join(home, 'tags')}:/usr/bin:/bin`, QMAILHOME: home, HOME: user, ...options.env },
  })
  return { code: ran.status, err: String(ran.stderr) }
}

const message = (): Buffer => readFileSync(`${queued}.message`)
const envelope = (): string => readFileSync(`${queued}.envelope`, 'latin1')
const nothingQueued = (): void => assert.ok(!existsSync(`${queued}.message`), 'nothing is queued')

void test('without control/ofmipfilters the message is queued byte for byte', () => {
  assert.deepEqual(queue(), { code: 0, err: '' })
  assert.deepEqual(message(), MESSAGE)
  assert.equal(envelope(), ENVELOPE.toString('latin1'))
})

void test('the filters run in their order, on what the one before has made', () => {
  control('ofmipfilters', '# comment\n\nsed s/x/one/  \nsed s/one/two/\n')
  assert.equal(queue({ message: Buffer.from('Subject: x\n') }).code, 0)
  assert.equal(String(message()), 'Subject: two\n')
})

void test('QMAILQUEUEFILTERS names another file, and qmail-qfilter-queue is the same program', () => {
  control('ofmipfilters', 'false\n')
  control('smtpfilters', 'cat\n')
  assert.equal(queue({ env: { QMAILQUEUEFILTERS: 'control/smtpfilters' }, program: 'qmail-qfilter-queue' }).code, 0)
  assert.deepEqual(message(), MESSAGE)
})

void test('control/ofmipqueue names what comes after, and it does not come back to us', () => {
  script(
    join(home, 'next'),
    `[ -z "\${QMAILQUEUE+x}" ] || exit 81\ncat > ${queued}.message; cat <&1 > ${queued}.envelope; exit 0`,
  )
  control('ofmipqueue', 'next\n')
  assert.equal(queue({ env: { QMAILQUEUE: 'qmail-qfilter-ofmipd-queue' } }).code, 0)
  assert.deepEqual(message(), MESSAGE)
  control('ofmipqueue', `${join(bin, 'qmail-qfilter-ofmipd-queue')}\n`)
  assert.equal(queue().code, 55)
})

void test('a filter learns of the envelope, may change it, and may choose another qmail-queue', () => {
  script(join(home, 'other'), `cat > ${queued}.message; cat <&1 > ${queued}.envelope; exit 0`)
  script(
    join(home, 'filter'),
    `echo "$QMAILUSER $QMAILHOST $QMAILRCPTS $MSGSIZE $ENVSIZE" | tr '\\n' ' '; tr m M <&3 >&4; printf '%s' ${join(home, 'other')} >&5`,
  )
  script(join(home, 'bin/qmail-queue'), 'exit 71')
  control('ofmipfilters', `${join(home, 'filter')}\n`)
  assert.deepEqual(queue(), { code: 0, err: '' })
  assert.equal(String(message()), `me example you@example them@example  ${MESSAGE.length} ${ENVELOPE.length} `)
  assert.equal(envelope(), ENVELOPE.toString('latin1').replaceAll('m', 'M'))
})

void test('a filter that writes nothing leaves the message as it is', () => {
  control('ofmipfilters', 'true\n')
  assert.equal(queue().code, 0)
  assert.deepEqual(message(), MESSAGE)
})

void test('a filter’s exit code is ours and nothing is queued', () => {
  for (const [filter, code] of [
    ['exit 31', 31],
    ['exit 71', 71],
    ['cat; exit 31', 31],
    ['cat; exit 1', 1],
    ['exit 99', 0],
    ['kill -9 $$', 81],
  ] as const) {
    script(join(home, 'filter'), filter)
    control('ofmipfilters', `cat\n${join(home, 'filter')}\ncat\n`)
    assert.equal(queue().code, code, filter)
    nothingQueued()
  }
})

void test('what is wrong on our side is a temporary failure: 71 no program, 55 no configuration, 91 no envelope', () => {
  control('ofmipfilters', '/no/such/filter\n')
  assert.equal(queue().code, 71)
  nothingQueued()
  control('ofmipfilters', '')
  control('ofmipqueue', '/no/such/queue\n')
  assert.equal(queue().code, 71)
  rmSync(join(home, 'control/ofmipfilters'))
  mkdirSync(join(home, 'control/ofmipfilters'))
  assert.equal(queue().code, 55)
  rmSync(join(home, 'control/ofmipfilters'), { recursive: true })
  for (const bad of ['', 'Fme@example\0Tyou@example\0', 'Tyou@example\0\0', 'Fme\0Xyou\0\0', 'Fme@example\0Tyou'])
    assert.equal(queue({ envelope: Buffer.from(bad) }).code, 91, JSON.stringify(bad))
  nothingQueued()
  assert.equal(queue({ env: { TMPDIR: '/no/such/directory' } }).code, 53)
})

void test('qmail-queue’s own exit code goes through', () => {
  script(join(home, 'bin/qmail-queue'), 'cat > /dev/null; exit 54')
  assert.equal(queue().code, 54)
})

void test('qmail-qfilter-queue runs the filters that QMAILQUEUEFILTERS names, and none without it', () => {
  control('ofmipfilters', 'false\n')
  const program = 'qmail-qfilter-queue'
  for (const env of [{}, { QMAILQUEUEFILTERS: '' }] as const) {
    assert.deepEqual(queue({ env, program }), { code: 0, err: '' })
    assert.deepEqual(message(), MESSAGE)
    rmSync(`${queued}.message`)
  }
  assert.equal(queue().code, 1, 'the other name has control/ofmipfilters')
})

void test('QMAILQUEUEFILTERS names a file that is missing or cannot be read: 55, and nothing is queued', () => {
  mkdirSync(join(home, 'control/directory'))
  for (const program of ['qmail-qfilter-queue', 'qmail-qfilter-ofmipd-queue'])
    for (const name of ['control/missing', '/nonexistent', 'control/directory']) {
      const { code, err } = queue({ env: { QMAILQUEUEFILTERS: name }, program })
      assert.equal(code, 55, name)
      assert.match(err, new RegExp(`^${program}: `))
      nothingQueued()
    }
})

void test('the environment of a filter is the one of qmail-qfilter', () => {
  script(join(home, 'filter'), `env | sort > ${home}/env`)
  control('ofmipfilters', `${join(home, 'filter')}\n`)
  // An installed qmail-qfilter is not used: it would give QMAILPPID another meaning.
  script(join(home, 'bin/qmail-qfilter'), 'exit 33')
  assert.equal(queue({ env: { QMAILNAME: 'x', NUMRCPTS: '9' } }).code, 0)
  const seen = readFileSync(join(home, 'env'), 'latin1').split('\n')
  const of = (name: string): readonly string[] => seen.filter((line) => line.startsWith(`${name}=`))
  assert.deepEqual(of('NUMRCPTS'), ['NUMRCPTS=2'])
  assert.deepEqual(of('QMAILPPID'), [`QMAILPPID=${process.pid}`])
  assert.deepEqual(of('QMAILNAME'), [])
  assert.deepEqual([...of('QMAILUSER'), ...of('QMAILHOST')], ['QMAILUSER=me', 'QMAILHOST=example'])
})

void test('QQF_QMAILQUEUE names the queue program where control/ofmipqueue does not', () => {
  const next = (name: string): string => {
    script(join(home, name), `cat > ${queued}.message; echo ${name} > ${home}/by; exit 0`)
    return join(home, name)
  }
  assert.equal(queue({ env: { QQF_QMAILQUEUE: next('one') } }).code, 0)
  assert.equal(readFileSync(join(home, 'by'), 'utf8'), 'one\n')
  control('ofmipqueue', `${next('two')}\n`)
  assert.equal(queue({ env: { QQF_QMAILQUEUE: next('one') } }).code, 0)
  assert.equal(readFileSync(join(home, 'by'), 'utf8'), 'two\n')
})

// ---- pymsgauth

const TAG = 'qmail-qfilter-pymsgauth'
const withPymsgauth = (): void => {
  mkdirSync(join(user, '.pymsgauth'))
  writeFileSync(join(user, '.pymsgauth/pymsgauthrc'), '')
}

void test('pymsgauth: without the user’s rc file the message is byte-identical and the tag program is not run', () => {
  control('ofmipfilters', `${join(bin, TAG)}\n`)
  script(join(home, 'tags/pymsgauth-tag'), 'exit 31')
  assert.deepEqual(queue(), { code: 0, err: '' })
  assert.deepEqual(message(), MESSAGE)
})

void test('pymsgauth: with it the output of the tag program in PATH is what gets queued', () => {
  withPymsgauth()
  control('ofmipfilters', `${join(bin, TAG)}\n`)
  script(join(home, 'tags/pymsgauth-tag'), 'echo "X-Tag: $(id -u) $HOME"; exec cat')
  assert.deepEqual(queue(), { code: 0, err: '' })
  assert.equal(message().toString('latin1'), `X-Tag: ${process.getuid?.()} ${user}\n${MESSAGE.toString('latin1')}`)
})

void test('pymsgauth: pymsgauth-filter, as pymsgauth itself installs it, does where there is no pymsgauth-tag', () => {
  withPymsgauth()
  control('ofmipfilters', `${join(bin, TAG)}\n`)
  script(join(home, 'tags/pymsgauth-filter'), 'echo X-Filter: yes; exec cat')
  assert.deepEqual(queue({ message: Buffer.from('Subject: x\n') }), { code: 0, err: '' })
  assert.equal(String(message()), 'X-Filter: yes\nSubject: x\n')
  script(join(home, 'tags/pymsgauth-tag'), 'echo X-Tag: yes; exec cat')
  assert.equal(queue({ message: Buffer.from('Subject: x\n') }).code, 0)
  assert.equal(String(message()), 'X-Tag: yes\nSubject: x\n')
})

void test('pymsgauth: a tag program that is missing, fails or dies queues nothing; its rejections stay what they are', () => {
  withPymsgauth()
  control('ofmipfilters', `${join(bin, TAG)}\n`)
  const refused = queue()
  assert.equal(refused.code, 71)
  assert.match(refused.err, /no pymsgauth-tag in PATH/)
  for (const [tag, code] of [
    ['cat; exit 1', 71],
    ['cat; exit 99', 71],
    ['cat; exit 111', 71],
    ['kill -9 $$', 71],
    ['cat; exit 31', 31],
    ['cat; exit 71', 71],
  ] as const) {
    script(join(home, 'tags/pymsgauth-tag'), tag)
    assert.equal(queue().code, code, tag)
    nothingQueued()
  }
})

// ---- ofmipd

void test('ofmipd-with-user-cdb: the user’s own rules, if there are any', () => {
  const run = (): string =>
    String(
      spawnSync(join(bin, 'ofmipd-with-user-cdb'), ['extra'], {
        env: { PATH: '/usr/bin:/bin', QMAILHOME: home, HOME: user },
      }).stdout,
    )
  script(join(home, 'bin/ofmipd'), 'echo ofmipd "$@"')
  assert.equal(run(), 'ofmipd extra\n')
  mkdirSync(join(user, '.ofmipd'))
  writeFileSync(join(user, '.ofmipd/rules.cdb'), '')
  assert.equal(run(), `ofmipd ${user}/.ofmipd/rules.cdb extra\n`)
})
