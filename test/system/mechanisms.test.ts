// AUTH with real clients: CRAM-MD5 and APOP by a checkpassword that knows plain passwords, tokens, and client certificates.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeAuthority, makeClient, type PairFiles } from '../support/tls.ts'
import { fillMaildir, pop3Backend } from './backends.ts'
import { messageFrom, type Outcome } from './clients.ts'
import { converse } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { plainChain } from './plain-checkpassword.ts'
import { until } from './processes.ts'
import { makeRecorder, type Recorder } from './recorder.ts'
import * as clients from './sasl-clients.ts'
import type { TestUser } from './users.ts'

/** As long as those that large services give. */
const TOKEN = `ya29.${'a0b1-_~+/'.repeat(300)}=`
const MECHANISMS = ['PLAIN', 'LOGIN', 'CRAM-MD5', 'APOP', 'XOAUTH2', 'OAUTHBEARER']

let fixture: Fixture
let recorder: Recorder
let user: TestUser
const certificates: Record<string, PairFiles> = {}
const authority = (dir: string): string => join(dir, 'signers.pem')

before(async () => {
  fixture = await makeFixture({
    certificates: ['localhost'],
    control: { certusers: 'acctest1 one@example.org\n% %@staff.example\n' },
    chains: async ({ claim: { dir }, claim, people }) => {
      ;[user] = people
      const signer = makeAuthority(dir, 'signers')
      certificates.one = makeClient(dir, 'one', signer, { subject: '/CN=One', emails: ['one@example.org'] })
      certificates.root = makeClient(dir, 'root', signer, { subject: '/CN=Root', emails: ['root@staff.example'] })
      certificates.system = makeClient(dir, 'daemon', signer, { subject: '/CN=x', emails: ['daemon@staff.example'] })
      certificates.stranger = makeClient(dir, 'stranger', makeAuthority(dir, 'others'), {
        subject: '/CN=One',
        emails: ['one@example.org'],
      })
      recorder = await makeRecorder(dir, people)
      const mailbox = pop3Backend('dovecot', claim)
      await mailbox.prepare()
      const mail = plainChain(
        dir,
        recorder.chain,
        people.map((one) => [one, TOKEN] as const),
      )
      return [
        mail,
        { ...mail, name: 'tokens', mechanisms: ['XOAUTH2'] },
        { ...mail, name: 'box', backend: mailbox.argv },
        { name: 'certified', kind: 'certificate', checkpassword: ['builtin'], backend: recorder.chain.backend },
        { name: 'certified-box', kind: 'certificate', checkpassword: ['builtin'], backend: mailbox.argv },
      ]
    },
    globals: { 'min-uid': 100 },
    listeners: ({ claim: { dir } }) => {
      const asking = `clients=${authority(dir)}`
      return [
        `127.0.0.1:0 smtp plain tls=require ${asking} external=certified name=mail`,
        `127.0.0.1:0 smtp plain tls=implicit ${asking} external=certified name=mail-tls`,
        '127.0.0.1:0 smtp tokens tls=implicit name=tokens',
        `127.0.0.1:0 pop3 box tls=implicit ${asking} external=certified-box name=box`,
      ]
    },
  })
  await fillMaildir(user, [messageFrom('me@example.org', 'kept')])
})
after(() => fixture.end())

const login = (mechanism: string, listener: string, secret: string): clients.Login => ({
  port: fixture.daemon.port(listener),
  implicit: listener !== 'mail',
  user: user.name,
  secret,
  mechanism,
  tls: fixture.certificates[0]?.certificate ?? '',
})
const right = (mechanism: string): string => (/OAUTH/.test(mechanism) ? TOKEN : user.password)
const wrong = (mechanism: string): string => (/OAUTH/.test(mechanism) ? 'ya29.wrong' : 'wrong')

/** How often the log has this about a login of the user by this mechanism. */
const count = (event: string, mechanism: string, name = user.name): number =>
  fixture.daemon
    .log()
    .split('\n')
    .filter(
      (line) => line.includes(` ${event} `) && line.includes(` user=${name} `) && line.endsWith(` auth=${mechanism}`),
    ).length

async function logged(event: string, mechanism: string, earlier: number, name = user.name): Promise<void> {
  await until(`${event} by ${mechanism}`, () => count(event, mechanism, name) > earlier)
}

async function sends(send: (job: clients.Sending) => Promise<Outcome>, job: clients.Login): Promise<Outcome> {
  const subject = `by ${job.mechanism} ${recorder.taken().length}`
  const sent = await send({ ...job, message: messageFrom('me@example.org', subject) })
  assert.equal(recorder.taken().includes(subject), sent.ok, sent.transcript)
  return sent
}

const SENDING: readonly (readonly [string, (job: clients.Sending) => Promise<Outcome>, readonly string[]])[] = [
  ['swaks', clients.swaks, ['PLAIN', 'LOGIN', 'CRAM-MD5']],
  ['curl', clients.curl, ['CRAM-MD5', 'OAUTHBEARER']],
  ['msmtp', clients.msmtp, ['CRAM-MD5', 'XOAUTH2', 'OAUTHBEARER']],
  ['nodemailer', clients.nodemailer, ['CRAM-MD5', 'XOAUTH2']],
  ['smtplib', clients.smtplib, ['CRAM-MD5']],
  ['s-nail', clients.snail, ['CRAM-MD5', 'XOAUTH2']],
]

void describe('submission', () => {
  for (const [client, send, mechanisms] of SENDING)
    for (const mechanism of mechanisms)
      void it(`${client} logs in by ${mechanism}, and not with another secret`, async () => {
        const [good, bad] = [count('login-accepted', mechanism), count('login-failed', mechanism)]
        const refused = await sends(send, login(mechanism, 'mail', wrong(mechanism)))
        assert.equal(refused.ok, false, refused.transcript)
        await logged('login-failed', mechanism, bad)
        const sent = await sends(send, login(mechanism, 'mail', right(mechanism)))
        assert.ok(sent.ok, sent.transcript)
        await logged('login-accepted', mechanism, good)
      })
})

void it('curl logs in by XOAUTH2 where nothing else is offered', async () => {
  const [good, bad] = [count('login-accepted', 'XOAUTH2'), count('login-failed', 'XOAUTH2')]
  const refused = await sends(clients.curl, login('XOAUTH2', 'tokens', wrong('XOAUTH2')))
  assert.equal(refused.ok, false, refused.transcript)
  await logged('login-failed', 'XOAUTH2', bad)
  const sent = await sends(clients.curl, login('XOAUTH2', 'tokens', TOKEN))
  assert.ok(sent.ok, sent.transcript)
  assert.match(sent.transcript, /250-AUTH XOAUTH2\s/)
  await logged('login-accepted', 'XOAUTH2', good)
})

const FETCHING: readonly (readonly [string, (job: clients.Login) => Promise<Outcome>, readonly string[]])[] = [
  ['mpop', clients.mpop, ['APOP', 'CRAM-MD5', 'XOAUTH2', 'OAUTHBEARER']],
  ['curl', clients.curlPop3, ['+APOP', 'CRAM-MD5', 'OAUTHBEARER']],
  ['fetchmail', clients.fetchmail, ['APOP']],
  ['poplib', clients.poplib, ['APOP']],
]

void describe('POP3', () => {
  for (const [client, fetch, mechanisms] of FETCHING)
    for (const named of mechanisms) {
      const mechanism = named.replace('+', '')
      void it(`${client} logs in by ${mechanism}, and not with another secret`, async () => {
        const [good, bad] = [count('login-accepted', mechanism), count('login-failed', mechanism)]
        const refused = await fetch(login(named, 'box', wrong(mechanism)))
        assert.equal(refused.ok, false, refused.transcript)
        await logged('login-failed', mechanism, bad)
        const fetched = await fetch(login(named, 'box', right(mechanism)))
        assert.ok(fetched.ok, fetched.transcript)
        await logged('login-accepted', mechanism, good)
      })
    }
})

void describe('a client certificate', () => {
  const job = (mechanism: string, listener: string, client: string, secret = ''): clients.Login => ({
    ...login(mechanism, listener, secret),
    ...(certificates[client] === undefined ? {} : { client: certificates[client] }),
  })
  for (const listener of ['mail', 'mail-tls'])
    for (const [client, send] of Object.entries({ curl: clients.curl, msmtp: clients.msmtp, 's-nail': clients.snail }))
      void it(`${client} logs in by it on ${listener}, without a password`, async () => {
        const earlier = count('login-accepted', 'EXTERNAL')
        const sent = await sends(send, job('EXTERNAL', listener, 'one'))
        assert.ok(sent.ok, sent.transcript)
        await logged('login-accepted', 'EXTERNAL', earlier)
        const refused = await sends(send, job('EXTERNAL', listener, 'stranger'))
        assert.equal(refused.ok, false, refused.transcript)
      })
  for (const [client, fetch] of Object.entries({ curl: clients.curlPop3, mpop: clients.mpop }))
    void it(`${client} fetches by it`, async () => {
      const earlier = count('login-accepted', 'EXTERNAL')
      const fetched = await fetch(job('EXTERNAL', 'box', 'one'))
      assert.ok(fetched.ok, fetched.transcript)
      await logged('login-accepted', 'EXTERNAL', earlier)
    })
  void it('swaks may have one and log in by a password', async () => {
    const sent = await sends(clients.swaks, job('CRAM-MD5', 'mail', 'one', user.password))
    assert.ok(sent.ok, sent.transcript)
  })
  for (const [name, client] of [
    ['root', 'root'],
    ['daemon', 'system'],
  ] as const)
    void it(`of ${name} is refused by the helper, and logged in capitals`, async () => {
      const earlier = count('LOGIN-AS-ROOT-REFUSED', 'EXTERNAL', name)
      const refused = await sends(clients.curl, { ...job('EXTERNAL', 'mail', client), user: name })
      assert.equal(refused.ok, false, refused.transcript)
      await logged('LOGIN-AS-ROOT-REFUSED', 'EXTERNAL', earlier, name)
    })
})

void it('EHLO names no mechanism before TLS, where that is required', async () => {
  const talk = await converse(fixture.daemon.port('mail'))
  await talk.reply()
  assert.doesNotMatch(await talk.say('EHLO client.example'), /AUTH/)
  for (const mechanism of [...MECHANISMS, 'EXTERNAL', 'NONSENSE'])
    assert.match(await talk.say(`AUTH ${mechanism}`), /^538 /)
  talk.cut()
})

void it('no token, password or response is in the log', () => {
  const log = fixture.daemon.log()
  for (const secret of [TOKEN.slice(0, 20), user.password, 'ya29.wrong']) assert.ok(!log.includes(secret), secret)
})
