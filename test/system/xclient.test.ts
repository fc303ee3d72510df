// A real Postfix behind acceptd that believes XCLIENT, and another in front that says it: Received names the client itself.
//
// `sendmail -bs` offers XCLIENT to nobody, so this Postfix has its own queue, master process and port, and the backend is a
// connection to it.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { bindAddress } from '../support/binding.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { messageFrom } from './clients.ts'
import { plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { until } from './processes.ts'
import { must, run } from './run.ts'

let fixture: Fixture
let etc: string
let queue: string
before(async () => {
  const free = bindAddress('127.0.0.1', 0)
  assert.ok(free !== undefined)
  free.close()
  fixture = await makeFixture({
    control: { xclient: '1\n' },
    chains: async ({ claim }) => {
      await startPostfix(claim.dir, free.port)
      return [
        {
          name: 'relay',
          checkpassword: ['builtin'],
          backend: ['/usr/bin/socat', '-', `TCP:127.0.0.1:${free.port}`],
        },
      ]
    },
    listeners: ['127.0.0.1:0 smtp relay tls=off xclient=127.0.0.1'],
  })
})
after(async () => {
  await run(['postfix', '-c', etc, 'stop'])
  await fixture.end()
})

/** Takes mail into its queue and goes no further: there is no queue manager. */
async function startPostfix(dir: string, port: number): Promise<void> {
  etc = join(dir, 'postfix')
  queue = join(dir, 'spool')
  const data = join(dir, 'data')
  for (const each of [etc, queue, data]) mkdirSync(each, { mode: 0o755 })
  await must(['chown', 'postfix', data])
  writeFileSync(
    join(etc, 'main.cf'),
    `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = postfix.acceptd.test
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8 198.51.100.0/24
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_authorized_xforward_hosts = 127.0.0.1
maillog_file = ${join(dir, 'maillog')}
maillog_file_prefixes = ${dir}
`,
  )
  writeFileSync(
    join(etc, 'master.cf'),
    `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
`,
  )
  await must(['postfix', '-c', etc, 'start'], { timeout: 30_000 })
}

/** What is in the queue, each message whole. */
async function queued(): Promise<readonly string[]> {
  const texts: string[] = []
  const incoming = join(queue, 'incoming')
  for (const name of readdirSync(incoming)) {
    const { stdout } = await run(['postcat', '-c', etc, '-e', '-h', join(incoming, name)])
    texts.push(stdout)
  }
  return texts
}

/** Submits by hand from this address; `first` goes before EHLO, `later` before MAIL. */
async function submit(localAddress: string, subject: string, first = '', later = ''): Promise<string> {
  const [user] = fixture.people
  const end = new StreamEnd(connect({ port: fixture.daemon.port('relay'), host: '127.0.0.1', localAddress }))
  const lines = [
    'EHLO laptop.example',
    `AUTH PLAIN ${plain(user.name, user.password)}`,
    ...(later === '' ? [] : [later]),
    'MAIL FROM:<me@example.org>',
    'RCPT TO:<you@example.org>',
    'DATA',
  ]
  end.send(first)
  const hear = (text: string) =>
    until(`\`${text}\``, () => end.heard().includes(text), { show: () => `${end.heard()}${fixture.daemon.log()}` })
  for (const [line, answer] of lines.map(
    (each) => [each, each.startsWith('AUTH') ? '235 ' : each === 'DATA' ? '354 ' : '250 '] as const,
  )) {
    const from = end.heard().length
    end.send(`${line}\r\n`)
    await until(line, () => end.heard().slice(from).includes(answer), { show: () => end.heard() })
  }
  end.send(`${messageFrom('me@example.org', subject).replaceAll('\n', '\r\n')}.\r\nQUIT\r\n`)
  await hear('queued as')
  await until('the end', () => end.closed())
  end.socket.destroy()
  const found = await until('the message', async () =>
    (await queued()).find((text) => text.includes(`Subject: ${subject}\n`)),
  )
  return found
}

void describe('Postfix that believes XCLIENT', () => {
  void it('writes the client itself into Received, with the user who logged in', async () => {
    const text = await submit('127.0.0.77', 'from a client')
    assert.match(text, /^Received: from laptop\.example \(unknown \[127\.0\.0\.77\]\)/m)
    const [user] = fixture.people
    assert.ok(text.includes(`sasl_username=${user.name}`), text)
  })
  void it('and the one that a mail proxy has named to acceptd', async () => {
    const proxied = 'XCLIENT ADDR=198.51.100.7 PORT=40000 NAME=far.example LOGIN=[UNAVAILABLE]\r\n'
    const text = await submit('127.0.0.1', 'through a proxy', proxied)
    assert.match(text, /^Received: from laptop\.example \(far\.example \[198\.51\.100\.7\]\)/m)
    assert.match(fixture.daemon.log(), / login-accepted session=\S+ ip=198\.51\.100\.7 port=40000 /)
  })
  void it("and logs the one that a trusted client has forwarded, which is not the session's", async () => {
    const forwarded = 'XFORWARD ADDR=198.51.100.9 NAME=origin.example HELO=origin IDENT=4Z1 SOURCE=REMOTE'
    const text = await submit('127.0.0.1', 'forwarded', '', forwarded)
    const log = () => readFileSync(join(fixture.claim.dir, 'maillog'), 'latin1')
    await until(
      'the log of Postfix',
      () => /orig_queue_id=4Z1, orig_client=origin\.example\[198\.51\.100\.9\]/.test(log()),
      {
        show: log,
      },
    )
    assert.match(text, /^Received: from laptop\.example \(\S+ \[127\.0\.0\.1\]\)/m)
    assert.match(fixture.daemon.log(), / info xforward session=\S+ .*said="ADDR=198\.51\.100\.9 /)
  })
})

void it('`sendmail -bs` offers XCLIENT to nobody, whoever is authorized: acceptd has to connect to a Postfix that runs', async () => {
  const { stdout } = await run(['/usr/sbin/sendmail', '-C', etc, '-bs'], { input: 'EHLO client.example\r\nQUIT\r\n' })
  assert.match(stdout, /^250.ENHANCEDSTATUSCODES\r?$/m)
  assert.doesNotMatch(stdout, /XCLIENT|XFORWARD/)
})
