// The classic chains under a UCSPI-TLS parent that handshakes blocking, with reup in front; and under softlimit.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { POP3_BACKENDS, pop3Backend, smtpBackend } from './backends.ts'
import { type Certificate, makeCertificate } from './certificate.ts'
import { messageFrom, mpop, type Submission, swaks } from './clients.ts'
import { type Claim, claimMachine, PROGRAMS, TOP } from './machine.ts'
import { asUser, blockingTls, type PipeServer, stopPipeServers, tcpserver } from './pipe-servers.ts'
import { until } from './processes.ts'
import { must, run } from './run.ts'
import { startTlsClient } from './tls-clients.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

let claim: Claim
let people: readonly [TestUser, TestUser, TestUser]
let home: string
let certificate: Certificate
const postfix = () => smtpBackend('postfix', claim)

before(async () => {
  claim = await claimMachine()
  people = (await makeUsers()).people
  home = join(claim.dir, 'home')
  mkdirSync(join(home, 'control'), { recursive: true })
  mkdirSync(join(home, 'bin'))
  const control = (name: string, text: string): void => writeFileSync(join(home, 'control', name), text)
  control('me', 'mx.acceptd.test\n')
  control('smtpcapabilities', 'PIPELINING\n8BITMIME\n')
  control('pop3capabilities', 'TOP\nUIDL\nSASL PLAIN LOGIN\n')
  control('fixsmtpio', await must(['cat', join(TOP, 'control/fixsmtpio')]))
  certificate = await makeCertificate(claim.dir)
  await postfix().prepare()
})
after(async () => {
  await stopPipeServers()
  await postfix().clean()
  await removeUsers()
  claim.release()
})

const here = (): readonly string[] => ['env', `QMAILHOME=${home}`, `PATH=${PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin`]
const under = (...program: readonly string[]): Promise<PipeServer> =>
  blockingTls([...here(), ...program], certificate, claim.dir)
const LOGIN = ['checkpassword', 'checknotroot', 'fixsmtpio'] as const
const job = (server: PipeServer, user: TestUser, subject: string): Submission => ({
  port: server.port,
  from: 'me@example.org',
  to: ['friend@example.org'],
  message: messageFrom('me@example.org', subject, '.a dot\n..two\nlast\n'),
  login: { user: user.name, password: user.password },
  tls: certificate.certificate,
})
const inClear = ({ tls: _tls, ...rest }: Submission): Submission => rest
const asGuest = ({ login: _login, ...rest }: Submission): Submission => rest

async function arrived(user: TestUser, subject: string): Promise<void> {
  await until(subject, async () =>
    (await postfix().delivered(user)).some(
      (one) => one.content.includes(`Subject: ${subject}\n`) && one.uid === user.uid,
    ),
  )
}

void describe('the published lines for ports 587 and 25, with reup in front', () => {
  void it('587: env UCSPITLS=1 reup -t 5 authup smtp: a login inside TLS, none without', async () => {
    const server = await under('env', 'UCSPITLS=1', 'reup', '-t', '5', 'authup', 'smtp', ...LOGIN, ...postfix().argv)
    const [user] = people
    const sent = await swaks(job(server, user, 'published 587'))
    assert.ok(sent.ok, `${sent.transcript}\n${server.log()}`)
    await arrived(user, 'published 587')
    const clear = await swaks(inClear(job(server, user, 'in the clear')))
    assert.ok(!clear.ok)
    assert.doesNotMatch(clear.transcript, /250[- ]AUTH|235 /)
    const pushed = await run(['socat', '-t5', '-', `TCP:127.0.0.1:${server.port}`], {
      input: `EHLO x\r\nAUTH PLAIN ${Buffer.from(`\0${user.name}\0${user.password}`).toString('base64')}\r\nQUIT\r\n`,
    })
    assert.match(pushed.stdout, /^530 authup Must start TLS first/m)
    await server.stop()
  })

  void it('a wrong password inside TLS, then the right one on the same connection', async () => {
    const server = await under(
      'env',
      'UCSPITLS=1',
      'AUTHUP_DELAY=1',
      'reup',
      '-t',
      '5',
      'authup',
      'smtp',
      ...LOGIN,
      ...postfix().argv,
    )
    const [user] = people
    const plain = (password: string): string => Buffer.from(`\0${user.name}\0${password}`).toString('base64')
    const talk = await startTlsClient(server.port, certificate.certificate, 'smtp', [
      `AUTH PLAIN ${plain('wrong')}`,
      `AUTH PLAIN ${plain(user.password)}`,
      'EHLO x',
      'QUIT',
    ])
    assert.equal(talk.code, 0, talk.transcript)
    assert.match(talk.stdout, /^535 [^\n]*\n235 ok, go ahead[\s\S]*\n221 /m, talk.transcript)
    assert.equal(server.log().match(/^reup /gm)?.length, 1, server.log())
    await server.stop()
  })

  void it('25: env UCSPITLS=1 fixsmtpio: delivers inside TLS and without, and reup in front of it does no harm', async () => {
    const [user] = people
    for (const reup of [[], ['reup', '-t', '5']]) {
      const server = await under('env', 'UCSPITLS=1', ...reup, 'fixsmtpio', asUser(user, postfix().argv, claim.dir))
      for (const tls of [true, false]) {
        const subject = `published 25 ${reup.length} ${tls}`
        const guest = asGuest(job(server, user, subject))
        const sent = await swaks(tls ? guest : inClear(guest))
        assert.ok(sent.ok, `${sent.transcript}\n${server.log()}`)
        await arrived(user, subject)
      }
      await server.stop()
    }
  })

  void it('a dual-purpose port under reup: a guest, then a login, both inside TLS', async () => {
    const [user, , nobody] = people
    const fixsmtpio = ['env', `QMAILHOME=${home}`, join(PROGRAMS, 'fixsmtpio'), ...postfix().argv]
    const server = await under(
      'env',
      'UCSPITLS=',
      'reup',
      '-t',
      '5',
      'authup',
      'smtp',
      ...LOGIN,
      ...postfix().argv,
      '--',
      asUser(nobody, fixsmtpio, claim.dir),
    )
    const guest = await swaks(asGuest(job(server, user, 'blocking guest')))
    assert.ok(guest.ok, `${guest.transcript}\n${server.log()}`)
    await arrived(nobody, 'blocking guest')
    const sent = await swaks(job(server, user, 'blocking dual'))
    assert.ok(sent.ok, `${sent.transcript}\n${server.log()}`)
    await arrived(user, 'blocking dual')
    await server.stop()
  })

  for (const name of POP3_BACKENDS)
    void it(`110: authup pop3 with ${name}: STLS`, async () => {
      const backend = pop3Backend(name, claim)
      await backend.prepare()
      const [user] = people
      const server = await under(
        'env',
        'UCSPITLS=1',
        'authup',
        'pop3',
        'checkpassword',
        'checknotroot',
        ...backend.argv,
      )
      const { name: login, password } = user
      const fetched = await mpop({ port: server.port, user: login, password, tls: certificate.certificate })
      assert.ok(fetched.ok, `${fetched.transcript}\n${server.log()}`)
      await server.stop()
    })
})

/** The commands that a document shows with softlimit in them, up to the program that they limit. */
const documented = (): readonly (readonly string[])[] =>
  [
    ...readFileSync(join(TOP, 'docs/running-beside.md'), 'utf8').matchAll(/`(?:[^`\n]*?)\bsoftlimit((?: -\w \d+)+) /g),
  ].map(([, options = '']) => ['softlimit', ...options.trim().split(' ')])

void describe('softlimit, as docs/running-beside.md has it', () => {
  void it('a chain under it submits a message', async () => {
    const [chain] = documented()
    assert.ok(chain !== undefined)
    const [user] = people
    const server = await tcpserver([...here(), ...chain, 'authup', 'smtp', ...LOGIN, ...postfix().argv])
    const sent = await swaks(inClear(job(server, user, 'limited chain')))
    assert.ok(sent.ok, `${sent.transcript}\n${server.log()}`)
    await arrived(user, 'limited chain')
    await server.stop()
  })

  void it('a mail program under it runs the filters of qmail-qfilter-ofmipd-queue', async () => {
    const [, backend] = documented()
    assert.ok(backend !== undefined)
    const queued = join(home, 'queued')
    writeFileSync(join(home, 'bin/qmail-queue'), `#!/bin/sh\ncat > ${queued}; cat <&1 > /dev/null; exit 0\n`)
    chmodSync(join(home, 'bin/qmail-queue'), 0o755)
    writeFileSync(join(home, 'control/ofmipfilters'), 'sed s/x/filtered/\n')
    const ofmipd = `printf 'Subject: x\\n' | "$QMAILQUEUE" 1</envelope`
    const envelope = join(home, 'envelope')
    writeFileSync(envelope, 'Fa@b\0Tc@d\0\0')
    const script = ofmipd.replace('/envelope', envelope)
    const ran = await run([...here(), `QMAILQUEUE=qmail-qfilter-ofmipd-queue`, ...backend, 'sh', '-c', script])
    assert.equal(ran.code, 0, ran.transcript)
    assert.equal(readFileSync(queued, 'utf8'), 'Subject: filtered\n')
  })
})
