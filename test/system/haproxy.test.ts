// HAProxy, or swaks in its place, in front of the running daemon: the client's address is the one of log, limits and Received.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, it } from 'node:test'
import { StreamEnd } from '../support/fake-helper.ts'
import { messageFrom } from './clients.ts'
import { plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { haproxy } from './haproxy.ts'
import { until } from './processes.ts'
import { run } from './run.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    smtp: ['embedded'],
    control: { limits: 'one address sessions 1\n' },
    certificates: ['localhost'],
    listeners: [
      '127.0.0.1:0 smtp embedded tls=off proxy=127.0.0.1',
      '127.0.0.1:0 smtp embedded tls=require proxy=127.0.0.1 name=starttls',
    ],
  })
})
after(() => fixture.end())

const logged = (line: RegExp) =>
  until(String(line), () => line.test(fixture.daemon.log()), { show: () => fixture.daemon.log() })

for (const send of ['send-proxy', 'send-proxy-v2'])
  void it(`with ${send} the addresses of clients are in log, Received and limits`, async (t) => {
    const [user] = fixture.people
    const port = await haproxy(t, fixture.claim.dir, fixture.daemon.port('embedded'), '', send)
    const dial = (localAddress: string) => new StreamEnd(connect({ port, host: '127.0.0.1', localAddress }))
    const hear = (end: StreamEnd, text: string) =>
      until(text, () => end.heard().includes(text), { show: () => end.heard() })
    const address = send === 'send-proxy' ? '127.0.0.77' : '127.0.0.78'
    const first = dial(address)
    await hear(first, '220 ')
    const second = dial(address)
    await hear(second, '421 too many sessions from your address')
    const other = dial('127.0.0.79')
    await hear(other, '220 ')
    first.send(`EHLO laptop.example\r\nAUTH PLAIN ${plain(user.name, user.password)}\r\n`)
    await hear(first, '235 ')
    first.send('MAIL FROM:<me@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\n')
    await hear(first, '354 ')
    first.send(`${messageFrom('me@example.org', `through ${send}`).replaceAll('\n', '\r\n')}.\r\nQUIT\r\n`)
    await hear(first, 'filed as')
    await until('the end', () => first.closed())
    for (const end of [first, second, other]) end.socket.destroy()
    const filed = (await fixture.backend('embedded').delivered(user)).find(({ content }) =>
      content.includes(`Subject: through ${send}\n`),
    )
    assert.match(filed?.content ?? '', new RegExp(`^Received: from laptop\\.example \\(\\[${address}\\]\\)`, 'm'))
    await logged(new RegExp(` login-accepted session=\\S+ ip=${address} `))
  })

for (const version of ['1', '2'] as const)
  for (const listener of ['embedded', 'starttls'] as const)
    void it(`swaks --proxy-version ${version} brings its client's address, ${listener === 'starttls' ? 'with' : 'without'} --tls`, async () => {
      const [, person] = fixture.people
      const subject = `swaks ${version} ${listener}`
      const options = {
        server: '127.0.0.1',
        port: `${fixture.daemon.port(listener)}`,
        helo: 'laptop.example',
        from: 'me@example.org',
        to: 'you@example.org',
        header: `Subject: ${subject}`,
        auth: 'PLAIN',
        'auth-user': person.name,
        'auth-password': person.password,
        'proxy-version': version,
        'proxy-family': version === '1' ? 'TCP4' : 'AF_INET',
        'proxy-source': '198.51.100.7',
        'proxy-source-port': '40000',
        'proxy-dest': '203.0.113.1',
        'proxy-dest-port': '587',
      }
      const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
      const argv = ['swaks', ...words, ...(listener === 'starttls' ? ['--tls'] : [])]
      const { code, transcript } = await run(argv)
      assert.equal(code, 0, transcript)
      const filed = (await fixture.backend('embedded').delivered(person)).find(({ content }) =>
        content.includes(`Subject: ${subject}\n`),
      )
      assert.match(filed?.content ?? '', /^Received: from laptop\.example \(\[198\.51\.100\.7\]\)/m)
      await logged(/ login-accepted session=\S+ ip=198\.51\.100\.7 port=40000 /)
    })
