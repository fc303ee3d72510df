// What ESMTP adds to MAIL and RCPT, from clients that have it to a backend that offers it: DSN, SMTPUTF8, 8BITMIME and SIZE to Postfix,
// REQUIRETLS and LIMITS to a backend of the test's own, since no mail program of Debian 12 has them.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { HOST, messageFrom, TLS_NAME, withFolder } from './clients.ts'
import { loggedIn } from './conversation.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { type Ran, run } from './run.ts'
import type { TestUser } from './users.ts'

const LIMITS = 'LIMITS MAILMAX=10 RCPTMAX=3'
const OFFERED = [
  'PIPELINING',
  '8BITMIME',
  'SMTPUTF8',
  'DSN',
  'SIZE 100000',
  'ENHANCEDSTATUSCODES',
  'REQUIRETLS',
  LIMITS,
]

/** Accepts everything, and keeps what it received in the user's home. */
const RECORDER = `exec python3 -c '
import os, sys
heard = open(os.path.expanduser("~/heard"), "a")
def say(text):
    sys.stdout.write(text + "\\r\\n")
    sys.stdout.flush()
say("220 recorder")
body = False
for line in sys.stdin:
    heard.write(line)
    heard.flush()
    word = line[:4].upper()
    if body:
        body = line.rstrip("\\r\\n") != "."
        if not body: say("250 taken")
    elif word == "EHLO": say("250-recorder\\r\\n250-DSN\\r\\n250-REQUIRETLS\\r\\n250 ${LIMITS}")
    elif word == "DATA":
        body = True
        say("354 go")
    elif word == "QUIT":
        say("221 bye")
        break
    else: say("250 ok")
'`

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    smtp: ['postfix'],
    certificates: ['localhost'],
    control: { smtpcapabilities: OFFERED.map((line) => `${line}\n`).join('') },
    chains: ({ claim: { dir } }) => [
      { name: 'recorder', checkpassword: ['builtin'], backend: [script(dir, 'recorder', RECORDER)] },
    ],
    listeners: ['127.0.0.1:0 smtp postfix tls=off', '127.0.0.1:0 smtp recorder tls=offer'],
  })
})
after(() => fixture.end())

/** What postcat prints about the envelope of the message with this subject. */
async function envelopeOf(subject: string): Promise<string> {
  const queue = '/var/spool/postfix/maildrop'
  const texts = await Promise.all(readdirSync(queue).map((name) => run(['postcat', join(queue, name)])))
  const found = texts.map(({ stdout }) => stdout).filter((text) => text.includes(`\nSubject: ${subject}\n`))
  assert.equal(found.length, 1, `messages named ${subject}`)
  return found[0]?.split('*** MESSAGE CONTENTS')[0] ?? ''
}

const PYTHON = `
import smtplib, sys
port, user, password, sender, mail, rcpt = sys.argv[1:]
client = smtplib.SMTP('127.0.0.1', int(port), local_hostname='client.example', timeout=20)
client.set_debuglevel(1)
client.login(user, password)
client.ehlo()
client.sendmail(sender, ['you@example.org'], sys.stdin.buffer.read(), mail.split(), rcpt.split())
client.quit()
`

const smtplib = (sender: string, message: string, mail = '', rcpt = ''): Promise<Ran> => {
  const [user] = fixture.people
  const port = `${fixture.daemon.port('postfix')}`
  return run(['python3', '-X', 'utf8', '-c', PYTHON, port, user.name, user.password, sender, mail, rcpt], {
    input: message.replaceAll('\n', '\r\n'),
  })
}

/** With RET= and NOTIFY=. */
function msmtp(chain: string, user: TestUser, subject: string): Promise<Ran> {
  return withFolder((folder) => {
    const file = join(folder, 'msmtprc')
    const lines = [
      'account default',
      `host ${HOST}`,
      `port ${fixture.daemon.port(chain)}`,
      'from me@example.org',
      'tls off',
      'auth plain',
      `user "${user.name}"`,
      `password "${user.password}"`,
      'dsn_notify failure,delay',
      'dsn_return headers',
    ]
    writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 })
    return run(['msmtp', '--debug', `--file=${file}`, '--', 'you@example.org'], {
      input: messageFrom('me@example.org', subject),
    })
  })
}

async function nodemailer(chain: string, user: TestUser, subject: string, how: object): Promise<void> {
  const transport = createTransport({
    host: HOST,
    port: fixture.daemon.port(chain),
    auth: { user: user.name, pass: user.password },
    ...how,
  })
  const mail: SendMailOptions & { requireTLSExtensionEnabled: boolean } = {
    envelope: { from: 'me@example.org', to: ['you@example.org'] },
    raw: messageFrom('me@example.org', subject),
    dsn: { id: 'QQ314159', return: 'headers', notify: ['success'], recipient: 'first@example.org' },
    requireTLSExtensionEnabled: 'requireTLS' in how,
  }
  await transport.sendMail(mail)
  transport.close()
}

/** postdrop keeps the DSN parameters of a recipient, and none of those of the message. */
void describe('DSN', () => {
  void it('of msmtp reaches Postfix', async () => {
    const done = await msmtp('postfix', fixture.people[0], 'dsn of msmtp')
    assert.equal(done.code, 0, done.transcript)
    assert.match(await envelopeOf('dsn of msmtp'), /notify_flags=12\n/)
  })
  void it('of nodemailer reaches Postfix', async () => {
    await nodemailer('postfix', fixture.people[0], 'dsn of nodemailer', { ignoreTLS: true })
    const envelope = await envelopeOf('dsn of nodemailer')
    assert.match(envelope, /notify_flags=2\n(?:.*\n)*.*dsn_orig_rcpt=rfc822;first@example\.org/, envelope)
  })
})

void describe('SMTPUTF8, 8BITMIME and SIZE', () => {
  void it('of smtplib reach Postfix', async () => {
    const message = messageFrom('me@example.org', 'utf8 of smtplib', 'Gr\u00fc\u00dfe\n')
    const done = await smtplib('j\u00f6rg@example.org', message, 'SMTPUTF8 BODY=8BITMIME', 'NOTIFY=NEVER')
    assert.equal(done.code, 0, done.transcript)
    assert.match(done.transcript, /mail FROM:<j\S+rg@example\.org>.* SMTPUTF8 BODY=8BITMIME/i)
    assert.match(done.transcript, /size=\d+/)
    const envelope = await envelopeOf('utf8 of smtplib')
    assert.match(envelope, /^sender: j\xc3\xb6rg@example\.org$/m)
    assert.match(envelope, /notify_flags=1\b/, envelope)
  })
  void it('of curl: a message over SIZE is refused at MAIL, whatever Postfix takes', async () => {
    const [user] = fixture.people
    const done = await withFolder((folder) => {
      const file = join(folder, 'large')
      writeFileSync(file, messageFrom('me@example.org', 'too large', `${'x'.repeat(70)}\n`.repeat(2000)))
      return run(
        `curl -v --silent --show-error --crlf --upload-file ${file} --mail-from me@example.org --mail-rcpt you@example.org`
          .split(' ')
          .concat([
            '--user',
            `${user.name}:${user.password}`,
            `smtp://${HOST}:${fixture.daemon.port('postfix')}/client`,
          ]),
      )
    })
    assert.notEqual(done.code, 0)
    assert.match(
      done.transcript,
      /^> MAIL FROM:<me@example\.org> SIZE=\d+\r?\n(?:[^<>].*\n)*< 552 5\.3\.4 message too big/m,
    )
    assert.doesNotMatch(done.transcript, /^> (RCPT|DATA)/m)
  })
  void it('of smtplib: the refusal is SMTPSenderRefused, and one that fits goes on', async () => {
    const large = messageFrom('me@example.org', 'too large for smtplib', `${'x'.repeat(70)}\n`.repeat(2000))
    const done = await smtplib('me@example.org', large)
    assert.match(done.transcript, /SMTPSenderRefused: \(552, b'5\.3\.4 message too big'/)
    const fits = await smtplib('me@example.org', messageFrom('me@example.org', 'fits'))
    assert.equal(fits.code, 0, fits.transcript)
    assert.match(await envelopeOf('fits'), /^sender: me@example\.org$/m)
  })
})

void describe('a backend that offers DSN, REQUIRETLS and LIMITS', () => {
  const heard = (user: TestUser): string => readFileSync(join(user.home, 'heard'), 'latin1')

  void it('gets what msmtp says of the message', async () => {
    const done = await msmtp('recorder', fixture.people[1], 'headers only')
    assert.equal(done.code, 0, done.transcript)
    assert.match(heard(fixture.people[1]), /^MAIL FROM:<me@example\.org> RET=HDRS\r?$/m)
    assert.match(heard(fixture.people[1]), /^RCPT TO:<you@example\.org> NOTIFY=(DELAY,FAILURE|FAILURE,DELAY)\r?$/im)
  })
  void it('gets what nodemailer says of the message, and REQUIRETLS in TLS', async () => {
    const ca = readFileSync(fixture.certificates[0]?.certificate ?? '')
    await nodemailer('recorder', fixture.people[2], 'over TLS only', {
      requireTLS: true,
      tls: { ca, servername: TLS_NAME },
    })
    const [mail = ''] = /^MAIL FROM:.*$/m.exec(heard(fixture.people[2])) ?? []
    for (const word of ['RET=HDRS', 'ENVID=QQ314159', 'REQUIRETLS']) assert.ok(mail.includes(` ${word}`), mail)
  })
  void it('shows both to a client that asks again after the login', async () => {
    const [user] = fixture.people
    const talk = await loggedIn(fixture.daemon.port('recorder'), user.name, user.password)
    const reply = await talk.say('EHLO client.example')
    for (const line of ['REQUIRETLS', LIMITS]) assert.match(reply, new RegExp(`^250.${line}\r$`, 'm'))
    talk.cut()
  })
})
