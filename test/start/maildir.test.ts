// The embedded backend alone: commands go in, replies come out, and the Maildir shows what was kept.

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { concat } from '../../src/protocol/bytes.ts'
import { stuff, unstuff, wireSize } from '../../src/trial/dots.ts'
import { PROGRAMS } from '../system/machine.ts'
import { type Ran, run } from '../system/run.ts'

interface Box {
  readonly home: string
  readonly smtp: (said: readonly string[], env?: Readonly<Record<string, string>>) => Promise<Ran>
  readonly pop3: (said: readonly string[]) => Promise<Ran>
  /** Texts of the messages in new. */
  readonly filed: () => readonly string[]
}

function box(t: TestContext): Box {
  const home = mkdtempSync(join(tmpdir(), 'acceptd-maildir-'))
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const speak = (protocol: string, said: readonly string[], env = {}): Promise<Ran> =>
    run([join(PROGRAMS, 'acceptd-maildir'), protocol], {
      input: said.map((line) => `${line}\r\n`).join(''),
      env: { HOME: home, AUTHUP_USER: 'ann', TCPREMOTEIP: '192.0.2.1', ...env },
    })
  return {
    home,
    smtp: (said, env) => speak('smtp', said, env),
    pop3: (said) => speak('pop3', said),
    filed: () => {
      const folder = join(home, 'Maildir/new')
      return readdirSync(folder)
        .toSorted()
        .map((name) => readFileSync(join(folder, name), 'latin1'))
    },
  }
}

/** The code of each reply, `-` for lines that are continued. */
const codes = (ran: Ran): string =>
  ran.stdout.replace(/^(\d{3})([ -]).*\r\n/gm, (_, code, mark) => `${code}${mark.trim()} `).trim()
/** Everything after the greeting, with LF. */
const answers = (ran: Ran): string => ran.stdout.replaceAll('\r\n', '\n').replace(/^.*\n/, '')

const ENVELOPE = ['EHLO client.example', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.org>']

void test('a message is filed with a trace on top, dots unstuffed, lines ending in LF', async (t) => {
  const { smtp, filed } = box(t)
  const ran = await smtp([...ENVELOPE, 'RCPT TO:<c@example.org>', 'DATA', 'Subject: x', '', '..', 'a\xe9', '.', 'QUIT'])
  assert.equal(codes(ran), '220 250- 250- 250- 250- 250 250 250 250 354 250 221')
  assert.equal(ran.code, 0)
  const [text = '', ...more] = filed()
  assert.deepEqual(more, [])
  assert.match(
    text,
    /^Return-Path: <a@example\.org>\nEnvelope-To: b@example\.org\nEnvelope-To: c@example\.org\nReceived: from client\.example \(\[192\.0\.2\.1\]\) \(authenticated as ann\)\n {2}by \S+ with ESMTPA; \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\nSubject: x\n\n\.\na\xe9\n$/,
  )
})

void test('a client that disconnects in DATA has filed nothing and left nothing', async (t) => {
  const { home, smtp, filed } = box(t)
  for (const said of [['DATA'], ['DATA', 'Subject: x', '', 'half'], ['DATA', 'x', '..'], ['DATA', 'x', '. ']]) {
    const ran = await smtp([...ENVELOPE, ...said])
    assert.match(ran.stdout, /354 go ahead\r\n$/)
    assert.equal(ran.code, 0)
  }
  assert.deepEqual(filed(), [])
  assert.deepEqual(readdirSync(join(home, 'Maildir/tmp')), [])
})

void test('verbs out of order are answered one by one and change nothing', async (t) => {
  const { smtp, filed } = box(t)
  const rows: readonly (readonly [string, string])[] = [
    ['RCPT TO:<b@example.org>', '503'],
    ['DATA', '503'],
    ['MAIL FROM: <a@example.org> SIZE=12 BODY=8BITMIME AUTH=<>', '250'],
    ['MAIL FROM:<c@example.org>', '503'],
    ['DATA', '503'],
    ['RCPT TO:<>', '501'],
    ['RCPT TO:b@example.org', '501'],
    ['RCPT TO:<b@example.org> NOTIFY=NEVER', '555'],
    ['RCPT TO:<@relay.example:"b c"@example.org>', '250'],
    ['DATA now', '501'],
    ['RSET', '250'],
    ['DATA', '503'],
    ['MAIL FROM:<a@example.org> SIZE=99999999999', '552'],
    ['MAIL FROM:<a@example.org> COLOUR=red', '555'],
    ['MAIL FROM:<a\x01b@example.org>', '501'],
    ['MAIL TO:<a@example.org>', '501'],
    ['EHLO', '501'],
    ['VRFY b', '252'],
    ['', '500'],
    ['constructor', '500'],
    [`NOOP ${'x'.repeat(3000)}`, '500'],
    ['noop', '250'],
    ['QUIT', '221'],
    ['NOOP', ''],
  ]
  const ran = await smtp(rows.map(([said]) => said))
  assert.equal(codes(ran), ['220', ...rows.map(([, code]) => code)].join(' ').trim())
  assert.deepEqual(filed(), [])
})

void test('commands after the final dot are commands, and a message follows a message', async (t) => {
  const { smtp, filed } = box(t)
  const one = ['MAIL FROM:<>', 'RCPT TO:<postmaster>', 'DATA', 'one', '.']
  const two = ['MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.org>', 'DATA', '.', 'QUIT']
  assert.equal(codes(await smtp([...one, ...two])), '220 250 250 354 250 250 250 354 250 221')
  const [first = '', second = ''] = filed()
  assert.match(first, /^Return-Path: <>\n(.*\n){3}one\n$/)
  assert.match(second, /\+0000\n$/)
})

void test('a message over the limit is refused at MAIL or at its end, and the session goes on', async (t) => {
  const { smtp, filed } = box(t)
  const ran = await smtp(
    [...ENVELOPE, 'DATA', 'x'.repeat(200), '.', 'MAIL FROM:<a@example.org> SIZE=101', 'NOOP', 'QUIT'],
    { DATABYTES: '100' },
  )
  assert.match(ran.stdout, /250-SIZE 100\r\n/)
  assert.equal(codes(ran), '220 250- 250- 250- 250- 250 250 250 354 552 552 250 221')
  assert.deepEqual(filed(), [])
})

void test('without a mailbox the greeting says so', async (t) => {
  const { home, smtp, pop3 } = box(t)
  writeFileSync(join(home, 'Maildir'), 'a file')
  const [mail, post] = [await smtp(['QUIT']), await pop3(['QUIT'])]
  assert.equal(mail.stdout, '421 4.3.0 no mailbox\r\n')
  assert.equal(post.stdout, '-ERR [SYS/TEMP] no mailbox\r\n')
  assert.deepEqual([mail.code, post.code], [111, 111])
})

/** A Maildir that another program has filled: CR LF in one, no end of line at the end of another, flags on a third. */
function fill(home: string): void {
  for (const folder of ['tmp', 'new', 'cur']) mkdirSync(join(home, 'Maildir', folder), { recursive: true })
  writeFileSync(join(home, 'Maildir/new/1000.a.host'), 'Subject: one\r\n\r\nfirst\r\n.dot\r\nthird\r\n')
  writeFileSync(join(home, 'Maildir/cur/999.b.host:2,S'), 'Subject: two\n\nno end')
  writeFileSync(join(home, 'Maildir/new/1001.c.host,S=14,W=16'), 'Subject: three\n')
}

void test('POP3 over a Maildir that others have filled: sizes as sent, names that stay, dots stuffed', async (t) => {
  const { home, pop3 } = box(t)
  fill(home)
  const ran = await pop3(['STAT', 'LIST', 'LIST 2', 'UIDL', 'UIDL 4', 'RETR 1', 'RETR 2', 'TOP 2 2', 'TOP 2 0', 'QUIT'])
  assert.equal(ran.stdout.slice(0, 5), '+OK\r\n')
  assert.equal(
    answers(ran),
    `+OK 3 76
+OK
1 24
2 36
3 16
.
+OK 2 36
+OK
1 999.b.host
2 1000.a.host
3 1001.c.host
.
-ERR no such message
+OK 24 octets
Subject: two

no end
.
+OK 36 octets
Subject: one

first
..dot
third
.
+OK
Subject: one

first
..dot
.
+OK
Subject: one

.
+OK bye
`,
  )
})

void test('DELE deletes at QUIT only, RSET takes it back, and a session that is cut deletes nothing', async (t) => {
  const { home, pop3 } = box(t)
  fill(home)
  const left = () => ['new', 'cur'].flatMap((folder) => readdirSync(join(home, 'Maildir', folder))).length
  await pop3(['DELE 1', 'DELE 2'])
  assert.equal(left(), 3)
  await pop3(['DELE 1', 'RSET', 'QUIT'])
  assert.equal(left(), 3)
  const ran = await pop3(['DELE 2', 'DELE 2', 'RETR 2', 'TOP 2 1', 'LIST', 'STAT', 'QUIT'])
  assert.equal(
    answers(ran),
    '+OK deleted\n-ERR no such message\n-ERR no such message\n-ERR no such message\n+OK\n1 24\n3 16\n.\n+OK 2 40\n+OK bye\n',
  )
  assert.equal(left(), 2)
})

void test('POP3 answers nonsense with one -ERR each', async (t) => {
  const { home, pop3 } = box(t)
  fill(home)
  const said = [
    '',
    'RETR',
    'RETR 0',
    'RETR -1',
    'RETR x',
    'TOP 1',
    'TOP 1 x',
    'DELE 9999999999',
    'STAT 1',
    'toString',
    'USER ann',
  ]
  const ran = await pop3([...said, `NOOP ${'x'.repeat(300)}`, 'QUIT'])
  assert.match(answers(ran), /^(-ERR .*\n){12}\+OK bye\n$/)
})

void test('a message that cannot be removed is reported at QUIT', async (t) => {
  const { home } = box(t)
  fill(home)
  chmodSync(home, 0o755)
  chmodSync(join(home, 'Maildir/new'), 0o555)
  // Root can remove anything, so there another user does it.
  const identity = process.getuid?.() === 0 ? { uid: 64_321, gid: 64_321 } : {}
  const said = { input: 'DELE 2\r\nQUIT\r\n', env: { HOME: home }, ...identity }
  const ran = await run([process.execPath, join(PROGRAMS, 'acceptd-maildir'), 'pop3'], said)
  assert.match(ran.stdout, /^\+OK\r\n\+OK deleted\r\n-ERR some deleted messages not removed\r\n$/)
  chmodSync(join(home, 'Maildir/new'), 0o755)
})

void test('stuffing and unstuffing are inverse, wherever the reads are cut, and sizes are those on the wire', () => {
  const line = fc.string({ unit: fc.constantFrom('.', '..', 'a', ' ', '\xff'), maxLength: 6 })
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(8)), (lines, cuts) => {
      const file = Buffer.from(lines.map((text) => `${text}\n`).join(''), 'latin1')
      const wire = stuff(file)
      const parts: Uint8Array[] = []
      let lineStart = true
      let at = 0
      for (const size of [...cuts, wire.length]) {
        const plain = unstuff(wire.subarray(at, at + size), lineStart)
        parts.push(plain.bytes)
        lineStart = plain.lineStart
        at += size
      }
      assert.deepEqual(Buffer.from(concat(parts)), file)
      const doubled = lines.filter((text) => text.startsWith('.')).length
      assert.equal(wireSize(file), wire.length - doubled)
    }),
  )
})
