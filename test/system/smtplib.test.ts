// Python's smtplib, with EHLO after the login and without it, and under names that backends refuse.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SMTP_BACKENDS } from './backends.ts'
import { messageFrom } from './clients.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { run } from './run.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({ smtp: SMTP_BACKENDS })
})
after(() => fixture.end())

const SCRIPT = `
import smtplib, sys
port, user, password, name, order = sys.argv[1:]
client = smtplib.SMTP('127.0.0.1', int(port), local_hostname=name, timeout=20)
client.set_debuglevel(1)
client.login(user, password)
if order == 'ehlo':
    code, text = client.ehlo()
    assert code == 250, text
client.sendmail('me@example.org', ['you@example.org'], sys.stdin.buffer.read())
client.sendmail('me@example.org', ['you@example.org'], b'Subject: second\\r\\n\\r\\n')
client.quit()
`

for (const name of SMTP_BACKENDS)
  void describe(`smtplib and ${name}`, () => {
    for (const order of ['ehlo', 'none'] as const)
      for (const host of ['client.example', 'my_laptop', 'two words', 'caf\xe9', '[127.0.0.1]'])
        void it(`as ${host}, ${order === 'ehlo' ? 'with EHLO' : 'without EHLO'} after the login`, async () => {
          const [user] = fixture.people
          const subject = `smtplib ${order} ${host} ${name}`
          const sent = await run(
            [
              'python3',
              '-X',
              'utf8=0',
              '-c',
              SCRIPT,
              `${fixture.daemon.port(name)}`,
              user.name,
              user.password,
              host,
              order,
            ],
            { input: messageFrom('me@example.org', subject).replaceAll('\n', '\r\n') },
          )
          // smtplib itself sends nothing but ASCII.
          if (/[^ -~]/.test(host)) return assert.match(sent.transcript, /UnicodeEncodeError/)
          assert.equal(sent.code, 0, sent.transcript)
          const queued = await fixture.backend(name).delivered(user)
          assert.equal(queued.filter(({ content }) => content.includes(`Subject: ${subject}\n`)).length, 1)
        })
  })

void it('a refused name is in the log, with what the backend said', () => {
  assert.match(fixture.daemon.log(), / info ehlo-refused session=\S+ .* helo=my_laptop said="501 /)
})
