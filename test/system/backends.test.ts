// Each real backend by itself, as an ordinary user, with real clients: what the tests with acceptd may take for granted.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fillMaildir, POP3_BACKENDS, pop3Backend, SMTP_BACKENDS, smtpBackend } from './backends.ts'
import { messageFrom, SMTP_CLIENTS } from './clients.ts'
import { type Claim, claimMachine } from './machine.ts'
import { asUser, type PipeServer, socat, stopPipeServers, tcpserver } from './pipe-servers.ts'
import { ofUser, picture, treeOf, until } from './processes.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

let claim: Claim
let user: TestUser
let other: TestUser
before(async () => {
  claim = await claimMachine()
  ;({
    people: [user, other],
  } = await makeUsers())
})
after(async () => {
  await stopPipeServers()
  await removeUsers()
  claim.release()
})

/** Sends everything, then ends its side if asked, and returns all that was answered. */
async function talk(port: number, text: string, end = true): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.setEncoding('latin1').on('data', (more: string) => {
    answer += more
  })
  socket.write(text, 'latin1')
  if (end) socket.end()
  await once(socket, 'close')
  return answer
}

const ended = (): Promise<unknown> =>
  until('the programs of the user to end', () => ofUser(user.uid).length === 0, {
    show: () => picture(ofUser(user.uid)),
  })

for (const name of SMTP_BACKENDS)
  void describe(`${name} on stdin and stdout`, () => {
    let server: PipeServer
    before(async () => {
      const backend = smtpBackend(name, claim)
      await backend.prepare()
      server = await socat(asUser(user, backend.argv, claim.dir))
    })
    after(async () => {
      await server.stop()
      await smtpBackend(name, claim).clean()
    })

    for (const [client, send] of Object.entries(SMTP_CLIENTS))
      void it(`takes a message of ${client} for the user it runs as`, async () => {
        const backend = smtpBackend(name, claim)
        const subject = `${client} to ${name}`
        const body = '.a line with a dot\nGr\xfc\xdfe\n\nlast\n'
        const sent = await send({
          port: server.port,
          from: 'me@example.org',
          to: ['one@example.org', 'two@example.net'],
          message: messageFrom('me@example.org', subject, body),
        })
        assert.ok(sent.ok, sent.transcript)
        const found = (await backend.delivered(user)).filter(({ content }) => content.includes(`Subject: ${subject}\n`))
        assert.equal(found.length, 1)
        const [message] = found
        assert.equal(message?.uid, user.uid)
        assert.equal(message?.sender, 'me@example.org')
        assert.deepEqual(message?.recipients, ['one@example.org', 'two@example.net'])
        assert.ok(message?.content.replaceAll('\r\n', '\n').endsWith(`\n\n${body}`), JSON.stringify(message?.content))
        assert.deepEqual(await backend.delivered(other), [])
      })

    void it('runs under the uid of the user, greets and answers as expected', async () => {
      const backend = smtpBackend(name, claim)
      const socket = connect(server.port, '127.0.0.1').setEncoding('latin1')
      const [greeting] = await once(socket, 'data')
      assert.match(String(greeting), backend.greeting)
      const running = treeOf(server.pid).filter((one) => one.comm === backend.comm)
      assert.deepEqual(
        running.map((one) => one.uid),
        [backend.runsAs(user)],
        picture(treeOf(server.pid)),
      )
      socket.end('EHLO me\r\nMAIL FROM:<me@example.org>\r\nQUIT\r\n')
      await once(socket, 'close')
      await ended()
    })

    void it('treats a message cut short as it is known to', async () => {
      const backend = smtpBackend(name, claim)
      const half =
        'EHLO me\r\nMAIL FROM:<me@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\nSubject: half\r\n\r\nbody\r\n'
      await talk(server.port, half)
      await ended()
      const filed = (await backend.delivered(user)).filter(({ content }) => content.includes('Subject: half\n'))
      assert.equal(filed.length === 0, backend.dropsHalves)
    })
  })

void it('tcpserver gives a backend the TCP socket', async () => {
  const backend = smtpBackend('msmtpd', claim)
  await backend.prepare()
  const server = await tcpserver([asUser(user, backend.argv, claim.dir)])
  assert.match(await talk(server.port, 'EHLO me\r\nQUIT\r\n'), /^220 localhost ESMTP msmtpd\r\n250.*\r\n221 Bye\r\n$/s)
  await server.stop()
  await backend.clean()
})

for (const name of POP3_BACKENDS)
  void it(`${name} serves the Maildir of the user it runs as`, async () => {
    const backend = pop3Backend(name, claim)
    await backend.prepare()
    await fillMaildir(user, [messageFrom('a@example.org', 'first'), messageFrom('a@example.org', 'second')])
    const server = await socat(asUser(user, backend.argv, claim.dir))
    const answers = await talk(server.port, 'STAT\r\nUIDL\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n', false)
    await server.stop()
    assert.match(answers, backend.greeting)
    assert.match(answers.replace(backend.greeting, ''), /^\+OK 2 \d+\r\n\+OK.*\r\n1 \S+\r\n2 \S+\r\n\.\r\n/)
    assert.match(answers, /\r\nSubject: second\r\n.*\r\n\r\nHello\.\r\n(\r\n)?\.\r\n/s)
    const again = await socat(asUser(user, backend.argv, claim.dir))
    assert.match(await talk(again.port, 'STAT\r\nQUIT\r\n', false), /\r\n\+OK 1 \d+\r\n/)
    await again.stop()
    await backend.clean()
  })
