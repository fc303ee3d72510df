// The chains of the compatibility page under Debian's tcpserver and under a UCSPI-TLS parent, with real mail programs in place
// of ofmipd and real clients in front.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { inMaildir, POP3_BACKENDS, pop3Backend, SMTP_BACKENDS, type SmtpBackend, smtpBackend } from './backends.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { curlPop3, messageFrom, mpop, SMTP_CLIENTS, swaks } from './clients.ts'
import { type Claim, claimMachine, PROGRAMS, TOP } from './machine.ts'
import { asUser, type PipeServer, stopPipeServers, tcpserver } from './pipe-servers.ts'
import { everyone, until } from './processes.ts'
import { must } from './run.ts'
import { startTlsClient } from './tls-clients.ts'
import { ucspiTlsServer } from './ucspi-tls-server.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

let claim: Claim
let people: readonly [TestUser, TestUser, TestUser]
let home: string
let certificate: Certificate
const tlsServers: PipeServer[] = []

before(async () => {
  claim = await claimMachine()
  people = (await makeUsers()).people
  home = join(claim.dir, 'home')
  mkdirSync(join(home, 'control'), { recursive: true })
  const control = (name: string, text: string): void => writeFileSync(join(home, 'control', name), text)
  control('me', 'mx.acceptd.test\n')
  control('smtpcapabilities', 'PIPELINING\n8BITMIME\n')
  control('pop3capabilities', 'TOP\nUIDL\nSASL PLAIN LOGIN\n')
  control('fixsmtpio', await must(['cat', join(TOP, 'control/fixsmtpio')]))
  certificate = await makeCertificate(claim.dir)
  for (const name of SMTP_BACKENDS) await smtpBackend(name, claim).prepare()
})
after(async () => {
  for (const server of tlsServers) await server.stop()
  await stopPipeServers()
  for (const name of SMTP_BACKENDS) await smtpBackend(name, claim).clean()
  await removeUsers()
  claim.release()
})

const program = (name: string): string => join(PROGRAMS, name)
const here = (): readonly string[] => ['env', `QMAILHOME=${home}`, `PATH=${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`]
const login = (): readonly string[] => ['checkpassword', 'checknotroot', 'fixsmtpio']
const job = (server: PipeServer, user: TestUser, subject: string) => ({
  port: server.port,
  from: 'me@example.org',
  to: ['friend@example.org'],
  message: messageFrom('me@example.org', subject, '.a dot\n..two\nlast\n'),
  login: { user: user.name, password: user.password },
})

async function tlsServer(argv: readonly string[], env: Readonly<Record<string, string>>): Promise<PipeServer> {
  const server = await ucspiTlsServer(argv, {
    certificate,
    env: { QMAILHOME: home, PATH: `${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`, ...env },
  })
  tlsServers.push(server)
  return server
}

async function arrived(backend: SmtpBackend, user: TestUser, subject: string): Promise<void> {
  await until(`${subject} in ${backend.name}`, async () =>
    (await backend.delivered(user)).some(
      (one) => one.content.includes(`Subject: ${subject}\n`) && one.uid === user.uid,
    ),
  )
}

// As with the original, a backend gets no EHLO from a client that has said it to authup and does not repeat it. ofmipd and postfix
// can do without; exim and msmtpd insist on one, so they serve a client here that repeats it, or a guest.
for (const name of ['postfix', 'exim'] as const)
  void describe(`under tcpserver, ${name} in place of ofmipd`, () => {
    const chains = {
      'reup -t 5 authup smtp': ['reup', '-t', '5', 'authup', 'smtp'],
      'authup -t 5 smtp': ['authup', '-t', '5', 'smtp'],
      'the first names': ['qmail-reup', '-t', '5', 'qmail-authup', 'smtp'],
    }
    for (const [title, front] of name === 'postfix' ? Object.entries(chains) : [])
      void it(title, async () => {
        const backend = smtpBackend(name, claim)
        const server = await tcpserver([...here(), ...front, ...login(), ...backend.argv])
        const [user] = people
        for (const [client, submit] of Object.entries(SMTP_CLIENTS)) {
          const subject = `${name} ${front[0]} ${client}`
          const sent = await submit(job(server, user, subject))
          assert.ok(sent.ok, `${client}: ${sent.transcript}\n${server.log()}`)
          await arrived(backend, user, subject)
        }
        const wrong = await swaks({ ...job(server, user, 'wrong'), login: { user: user.name, password: 'wrong' } })
        assert.equal(wrong.code, 28, wrong.transcript)
        assert.match(
          server.log(),
          front[0]?.includes('reup') ? /authup: login attempt by acctest1/ : /failed, 4 remaining/,
        )
        await server.stop()
      })

    void it('fifty sessions at the same time', async () => {
      const backend = smtpBackend(name, claim)
      const server = await tcpserver(
        [...here(), 'authup', 'smtp', ...login(), ...backend.argv],
        ['-c', '60', '-b', '100'],
      )
      const sessions = Array.from({ length: 50 }, (_, i) =>
        conversation(server, people[i % 3] ?? people[0], `fifty ${name} ${i}`),
      )
      const ends = await Promise.all(sessions)
      assert.deepEqual(
        ends.filter((end) => end !== '221'),
        [],
        server.log(),
      )
      for (let i = 0; i < 50; i += 7) await arrived(backend, people[i % 3] ?? people[0], `fifty ${name} ${i}`)
      await server.stop()
    })
  })

/** A whole session, the message in one write with what follows it; the last reply's code. */
function conversation(server: PipeServer, user: TestUser, subject: string): Promise<string> {
  const auth = Buffer.from(`\0${user.name}\0${user.password}`, 'latin1').toString('base64')
  const message = messageFrom('me@example.org', subject).replaceAll('\n', '\r\n')
  const says = [
    'EHLO client.example\r\n',
    `AUTH PLAIN ${auth}\r\n`,
    'EHLO client.example\r\n',
    'MAIL FROM:<me@example.org>\r\nRCPT TO:<friend@example.org>\r\nDATA\r\n',
    `${message}.\r\nQUIT\r\n`,
  ]
  const replies = [1, 1, 1, 3, 2]
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1')
    let text = ''
    let wanted = 1
    let at = 0
    let last = ''
    socket.setEncoding('latin1').on('data', (piece: string) => {
      text += piece
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
        const line = text.slice(0, end)
        text = text.slice(end + 1)
        if (line[3] === '-') continue
        last = line
        wanted -= 1
        if (wanted === 0 && at < says.length) {
          wanted = replies[at] ?? 1
          socket.write(says[at] ?? '')
          at += 1
        }
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(last.slice(0, 3)))
    socket.setTimeout(60_000, () => socket.destroy())
  })
}

void describe('under a UCSPI-TLS parent', () => {
  void it('UCSPITLS=! authup smtp: swaks --tls, and nothing without', async () => {
    const backend = smtpBackend('postfix', claim)
    const server = await tlsServer(['authup', 'smtp', ...login(), ...backend.argv], { UCSPITLS: '!' })
    const [user] = people
    for (const [client, submit] of Object.entries(SMTP_CLIENTS)) {
      const sent = await submit({ ...job(server, user, `tls ${client}`), tls: certificate.certificate })
      assert.ok(sent.ok, `${client}: ${sent.transcript}\n${server.log()}`)
      await arrived(backend, user, `tls ${client}`)
    }
    assert.match(server.log(), /authup \d+ negotiated TLS/)
    const plain = await swaks(job(server, user, 'plain'))
    assert.notEqual(plain.code, 0)
  })

  for (const [protocol, front] of [
    ['smtp', ['authup', 'smtp', 'false']],
    ['pop3', ['authup', 'pop3', 'false']],
  ] as const)
    void it(`openssl s_client -starttls ${protocol}`, async () => {
      const server = await tlsServer(front, { UCSPITLS: '' })
      const said = await startTlsClient(server.port, certificate.certificate, protocol, ['NOOP', 'QUIT'])
      assert.equal(said.code, 0, said.transcript)
      assert.match(
        said.stdout,
        protocol === 'smtp' ? /^250 ok\r?\n221 mx\.acceptd\.test/m : /^\+OK \r?\n\+OK /m,
        said.transcript,
      )
    })

  void it('UCSPITLS= fixsmtpio by itself: STARTTLS, then another backend', async () => {
    const backend = smtpBackend('postfix', claim)
    const [user] = people
    const server = await tlsServer(['fixsmtpio', asUser(user, backend.argv, claim.dir)], { UCSPITLS: '' })
    const { login: _nobody, ...guest } = job(server, user, 'fixsmtpio tls')
    for (const tls of [undefined, certificate.certificate]) {
      const sent = await swaks({ ...guest, ...(tls === undefined ? {} : { tls }) })
      assert.ok(sent.ok, sent.transcript)
    }
    await until(
      'both',
      async () => (await backend.delivered(user)).filter((one) => one.content.includes('fixsmtpio tls')).length === 2,
    )
  })

  void it('a dual-purpose port: a guest delivers without authenticating, a user submits, both in TLS', async () => {
    const backend = smtpBackend('postfix', claim)
    const [user, , nobody] = people
    const server = await tlsServer(
      [
        'authup',
        'smtp',
        ...login(),
        ...backend.argv,
        '--',
        asUser(nobody, ['env', `QMAILHOME=${home}`, program('fixsmtpio'), ...backend.argv], claim.dir),
      ],
      { UCSPITLS: '' },
    )
    const mine = job(server, user, 'dual submitted')
    const submitted = await swaks({ ...mine, tls: certificate.certificate })
    assert.ok(submitted.ok, submitted.transcript)
    await arrived(backend, user, 'dual submitted')
    for (const tls of [undefined, certificate.certificate]) {
      const subject = `dual guest ${tls === undefined ? 'plain' : 'tls'}`
      const { login: _none, ...guest } = job(server, user, subject)
      const delivered = await swaks({ ...guest, ...(tls === undefined ? {} : { tls }) })
      assert.ok(delivered.ok, `${delivered.transcript}\n${server.log()}`)
      await arrived(backend, nobody, subject)
      assert.equal(
        (delivered.transcript.match(/^<-+ +220 /gm) ?? []).length,
        tls === undefined ? 1 : 2,
        delivered.transcript,
      )
    }
    // AUTH is not available in plaintext on such a port.
    const plain = await swaks(job(server, user, 'dual plain'))
    assert.equal(plain.code, 28, plain.transcript)
  })
})

for (const name of POP3_BACKENDS)
  void describe(`POP3 under tcpserver, ${name} over a Maildir that submission filled`, () => {
    const bodies = ['first\n', '.a dot\n..\n', `Gr\xfc\xdfe\n${'long '.repeat(190)}\n`]
    const contents = (messages: readonly string[]): readonly string[] =>
      messages.map((message) => message.replaceAll('\r\n', '\n').replace(/^.*?\n\n/s, '')).toSorted()

    before(async () => {
      await pop3Backend(name, claim).prepare()
      const [user] = people
      rmSync(join(user.home, 'Maildir'), { recursive: true, force: true })
      const smtp = await tcpserver([...here(), 'fixsmtpio', asUser(user, smtpBackend('msmtpd', claim).argv, claim.dir)])
      for (const [i, body] of bodies.entries()) {
        const message = messageFrom('me@example.org', `number ${i}`, body)
        const { login: _none, ...guest } = job(smtp, user, '')
        const sent = await swaks({ ...guest, message })
        assert.ok(sent.ok, sent.transcript)
      }
      await until('all in the Maildir', () => inMaildir(user).length === bodies.length)
      await smtp.stop()
    })

    void it('mpop with USER, PLAIN and LOGIN, and curl', async () => {
      const backend = pop3Backend(name, claim)
      const [user] = people
      const server = await tcpserver([...here(), 'authup', 'pop3', 'checkpassword', 'checknotroot', ...backend.argv])
      const wanted = bodies.map((body) => body + backend.tail).toSorted()
      for (const mechanism of ['USER', 'PLAIN', 'LOGIN'] as const) {
        const fetched = await mpop({ port: server.port, user: user.name, password: user.password, mechanism })
        assert.ok(fetched.ok, `${mechanism}: ${fetched.transcript}\n${server.log()}`)
        assert.deepEqual(contents(fetched.messages), wanted)
      }
      const one = await curlPop3({ port: server.port, user: user.name, password: user.password, number: 1 })
      assert.ok(one.ok, one.transcript)
      const wrong = await mpop({ port: server.port, user: user.name, password: 'wrong' })
      assert.ok(!wrong.ok)
      assert.match(server.log(), /failed, 0 remaining/)
      await server.stop()
    })

    void it('mpop with STLS', async () => {
      const backend = pop3Backend(name, claim)
      const [user] = people
      const server = await tlsServer(['authup', 'pop3', 'checkpassword', 'checknotroot', ...backend.argv], {
        UCSPITLS: '!',
      })
      const fetched = await mpop({
        port: server.port,
        user: user.name,
        password: user.password,
        tls: certificate.certificate,
      })
      assert.ok(fetched.ok, `${fetched.transcript}\n${server.log()}`)
      assert.equal(fetched.messages.length, bodies.length)
    })
  })

void it('who runs as whom: nobody talks to the client before login, the user afterwards', async () => {
  const backend = smtpBackend('postfix', claim)
  const [user] = people
  const server = await tcpserver([...here(), 'authup', 'smtp', ...login(), ...backend.argv])
  const socket = connect(server.port, '127.0.0.1')
  const hear = (): Promise<string> => new Promise((resolve) => socket.once('data', (bytes) => resolve(String(bytes))))
  assert.match(await hear(), /^220 mx\.acceptd\.test ESMTP/)
  const ours = (name: string) =>
    everyone().filter((one) => one.argv.includes(program(name)) && one.argv.includes('checkpassword'))
  const nobody = Number(await must(['id', '-u', 'nobody']))
  assert.deepEqual(
    ours('authup.js').map((one) => one.uid),
    [nobody],
  )
  assert.deepEqual(
    ours('authup-helper').map((one) => one.uid),
    [0],
  )
  socket.write(`AUTH PLAIN ${Buffer.from(`\0${user.name}\0${user.password}`, 'latin1').toString('base64')}\r\n`)
  assert.match(await hear(), /^235 ok, go ahead/)
  const fixsmtpio = everyone().filter(
    (one) => one.argv.includes(program('fixsmtpio')) && !one.argv.includes('checkpassword'),
  )
  assert.deepEqual(
    fixsmtpio.map((one) => one.uid),
    [user.uid],
  )
  socket.end('QUIT\r\n')
  await server.stop()
})
