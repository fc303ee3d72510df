// TLS on acceptd's own listeners: real clients, STARTTLS or STLS and from the first octet, each checking the certificate.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fillMaildir } from './backends.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { messageFrom, swaks } from './clients.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { FETCHING, SUBMITTING } from './tls-clients.ts'

const SMTP = ['postfix', 'exim'] as const
const MODES = ['require', 'implicit'] as const

let fixture: Fixture
let stranger: Certificate
before(async () => {
  fixture = await makeFixture({
    smtp: [...SMTP, 'embedded'],
    pop3: ['dovecot'],
    certificates: ['localhost'],
    listeners: [
      ...SMTP.flatMap((chain) => MODES.map((tls) => `127.0.0.1:0 smtp ${chain} tls=${tls} name=${chain}-${tls}`)),
      ...['off', ...MODES].map((tls) => `127.0.0.1:0 smtp embedded tls=${tls} name=embedded-${tls}`),
      ...MODES.map((tls) => `127.0.0.1:0 pop3 dovecot tls=${tls} name=dovecot-${tls}`),
    ],
  })
  stranger = await makeCertificate(fixture.claim.dir, 'rsa:localhost')
})
after(() => fixture.end())

const trusted = (): string => fixture.certificates[0]?.certificate ?? ''

const BODY = '.a line with a dot\nlast\n'
/** It sends what it is given, without adding dots. */
const BY_HAND = 'openssl s_client'

for (const mode of MODES)
  void describe(mode === 'implicit' ? 'TLS from the first octet' : 'STARTTLS and STLS', () => {
    for (const chain of SMTP)
      for (const [client, send] of Object.entries(SUBMITTING))
        void it(`${client} submits to ${chain}`, async () => {
          const [user] = fixture.people
          const subject = `${client} ${mode} ${chain}`
          const body = client === BY_HAND ? 'last\n' : BODY
          const sent = await send({
            port: fixture.daemon.port(`${chain}-${mode}`),
            from: 'me@example.org',
            to: ['one@example.org', 'two@example.net'],
            message: messageFrom('me@example.org', subject, body),
            login: { user: user.name, password: user.password },
            tls: trusted(),
            implicit: mode === 'implicit',
          })
          assert.ok(sent.ok, sent.transcript)
          const queued = (await fixture.backend(chain).delivered(user)).filter(({ content }) =>
            content.includes(`Subject: ${subject}\n`),
          )
          assert.equal(queued.length, 1)
          assert.deepEqual(queued[0]?.recipients, ['one@example.org', 'two@example.net'])
          assert.ok(queued[0]?.content.replaceAll('\r\n', '\n').endsWith(`\n\n${body}`))
        })
    for (const [client, send] of Object.entries(SUBMITTING))
      void it(`${client} does not log in where the certificate is another's`, async () => {
        const [user] = fixture.people
        const sent = await send({
          port: fixture.daemon.port(`postfix-${mode}`),
          from: 'me@example.org',
          to: ['one@example.org'],
          message: messageFrom('me@example.org', `${client} stranger ${mode}`, BODY),
          login: { user: user.name, password: user.password },
          tls: stranger.certificate,
          implicit: mode === 'implicit',
        })
        assert.equal(sent.ok, false, sent.transcript)
        const queued = await fixture.backend('postfix').delivered(user)
        assert.ok(queued.every(({ content }) => !content.includes(`Subject: ${client} stranger ${mode}\n`)))
      })

    for (const [client, fetch] of Object.entries(FETCHING))
      void it(`${client} fetches from dovecot`, async () => {
        const [user] = fixture.people
        await fillMaildir(user, [messageFrom('me@example.org', 'kept', 'Gr\xfc\xdfe\n')])
        const job = {
          port: fixture.daemon.port(`dovecot-${mode}`),
          user: user.name,
          password: user.password,
          implicit: mode === 'implicit',
        }
        const refused = await fetch({ ...job, tls: stranger.certificate })
        assert.equal(refused.ok, false, refused.transcript)
        const fetched = await fetch({ ...job, tls: trusted() })
        assert.ok(fetched.ok, fetched.transcript)
        assert.equal(fetched.messages.length, 1)
        assert.match(fetched.messages[0]?.replaceAll('\r', '') ?? '', /^Subject: kept\n(?:.*\n)*\nGr\xfc\xdfe\n$/m)
      })
  })

for (const [mode, word] of [
  ['off', 'ESMTPA'],
  ['require', 'ESMTPSA'],
  ['implicit', 'ESMTPSA'],
] as const)
  void it(`a mail program that reads SSL_PROTOCOL writes ${word} into Received, tls=${mode}`, async () => {
    const [, user] = fixture.people
    const subject = `received ${mode}`
    const sent = await swaks({
      port: fixture.daemon.port(`embedded-${mode}`),
      from: 'me@example.org',
      to: ['one@example.org'],
      message: messageFrom('me@example.org', subject),
      login: { user: user.name, password: user.password },
      ...(mode === 'off' ? {} : { tls: trusted(), implicit: mode === 'implicit' }),
    })
    assert.ok(sent.ok, sent.transcript)
    const filed = (await fixture.backend('embedded').delivered(user)).find(({ content }) => content.includes(subject))
    assert.match(filed?.content ?? '', new RegExp(`^Received: (?:.*\\n[ \\t])*.* with ${word};`, 'm'))
  })

for (const chain of SMTP)
  void it(`${chain}, which reads no such variable, claims no TLS that it has not seen`, async () => {
    const [user] = fixture.people
    const queued = await fixture.backend(chain).delivered(user)
    assert.ok(queued.length > 0)
    for (const { content } of queued) assert.doesNotMatch(content.split('\n\n')[0] ?? '', /ESMTPS|TLS/)
  })

void it('no client got a password through before TLS, and the log has every login', () => {
  assert.doesNotMatch(fixture.daemon.log(), /login-(failed|tempfail)/)
  assert.ok(fixture.daemon.log().split(' login-accepted ').length > 30)
})
