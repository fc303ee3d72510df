// Clients on slow links: what real mail programs have sent them arrives completely, however long that takes.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fillMaildir, type Pop3BackendName, pop3Backend } from './backends.ts'
import { messageFrom } from './clients.ts'
import { loggedIn } from './conversation.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { ofUser, until } from './processes.ts'
import type { TestUser } from './users.ts'

/** Octets a second, and octets of a message: several times what a client gets while an ended session lingers. Each has its own user. */
const CASES: readonly { name: Pop3BackendName; link: string; rate: number; size: number }[] = [
  { name: 'dovecot', link: '128 kbit/s', rate: 16_000, size: 450_000 },
  { name: 'dovecot', link: '60 KB/s', rate: 60_000, size: 1_200_000 },
  { name: 'mailfront', link: '60 KB/s', rate: 60_000, size: 1_200_000 },
]

/**
 * What Node cannot: a receive buffer of 8 KB. Takes an answer for each argument after the rate, says it, and then takes as much in a
 * twentieth of a second as the link gives, until the end. Everything goes to stdout; the port of its own comes first, on stderr.
 */
const CLIENT = `
use Socket;
my ($port, $rate, @says) = @ARGV;
$| = 1;
socket(my $s, PF_INET, SOCK_STREAM, 0) or die;
setsockopt($s, SOL_SOCKET, SO_RCVBUF, 8192) or die;
connect($s, sockaddr_in($port, inet_aton('127.0.0.1'))) or die;
print STDERR +(sockaddr_in(getsockname($s)))[0], "\\n";
for (@says) { sysread($s, my $answer, 1000); print $answer; syswrite($s, $_) }
while (sysread($s, my $some, $rate / 20)) { print $some; select(undef, undef, undef, 0.05) }
`
const clients: ChildProcess[] = []

interface Slow {
  readonly child: ChildProcess
  readonly port: number
  readonly heard: () => string
  readonly ended: Promise<unknown>
}

async function slowClient(port: number, rate: number, says: readonly string[]): Promise<Slow> {
  const child = spawn('perl', ['-e', CLIENT, `${port}`, `${rate}`, ...says.map((line) => `${line}\r\n`)])
  clients.push(child)
  let heard = ''
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  const ended = once(child, 'close')
  return { child, port: Number((await once(child.stderr, 'data'))[0]), heard: () => heard, ended }
}

const login = ({ name, password }: TestUser): readonly string[] => [`USER ${name}`, `PASS ${password}`]

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    smtp: ['postfix'],
    pop3: ['dovecot', 'mailfront'],
    chains: ({ claim }) => [
      {
        name: 'full',
        checkpassword: ['builtin'],
        backend: [
          script(
            claim.dir,
            'full',
            String.raw`printf '220 full\r\n'; for n in 1 2 3; do read line; printf '250 ok\r\n'; done
            read line; printf '354 go\r\n'; read line; printf '552 5.3.4 too big\r\n'`,
          ),
        ],
      },
    ],
  })
})
after(async () => {
  for (const child of clients) child.kill('SIGKILL')
  await fixture.end()
})

/** Its line in the log. */
const endOf = ({ port }: Slow): string | undefined =>
  new RegExp(` session-ended .* port=${port} .*$`, 'm').exec(fixture.daemon.log())?.[0]
const textOf = (size: number): string => `${'0123456789 abcdef\n'.repeat(size / 18)}the last line\n`
const left = (user: TestUser): number =>
  ['new', 'cur'].flatMap((folder) => readdirSync(join(user.home, 'Maildir', folder))).length

void describe('a POP3 client that asks for a message, its deletion and the end in one write', {
  concurrency: true,
}, () => {
  for (const [index, { name, link, rate, size }] of CASES.entries())
    void it(`over ${link}, from ${name}: gets all of it, and then it is deleted`, async () => {
      const user = fixture.people[index] ?? assert.fail()
      await fillMaildir(user, [messageFrom('a@example.org', 'slow', textOf(size))])
      const slow = await slowClient(fixture.daemon.port(name), rate, [...login(user), 'RETR 1\r\nDELE 1\r\nQUIT'])
      await slow.ended
      const text = slow.heard().replaceAll('\r\n', '\n')
      const wanted = `\n\n${textOf(size)}${pop3Backend(name, { dir: '' }).tail}.\n+OK`
      assert.ok(text.includes(wanted), `${slow.heard().length} octets, the last are ${text.slice(-60)}`)
      assert.equal(text.slice(text.indexOf(wanted)).split('\n+OK').length, 3, 'DELE and QUIT are answered')
      const end = await until('the end in the log', () => endOf(slow))
      assert.match(end, new RegExp(` out=${slow.heard().length}$`))
      assert.equal(left(user), 0)
    })
})

for (const name of ['dovecot', 'mailfront'] as const)
  void it(`a client of ${name} that is cut off in the middle keeps its message`, async () => {
    const [user] = fixture.people
    await fillMaildir(user, [messageFrom('a@example.org', 'cut', textOf(6_000_000))])
    const slow = await slowClient(fixture.daemon.port(name), 16_000, [...login(user), 'RETR 1\r\nDELE 1\r\nQUIT'])
    await until('some of it', () => slow.heard().length > 20_000)
    slow.child.kill('SIGKILL')
    await until('its end', () => endOf(slow))
    await until('the end of the mail program', () => ofUser(user.uid).length === 0)
    assert.equal(left(user), 1)
  })

void describe('an SMTP client whose message is refused', () => {
  void it('for its size by postfix, gets 552 after all of it, and the session goes on', async () => {
    const [{ name, password }] = fixture.people
    const talk = await loggedIn(fixture.daemon.port('postfix'), name, password)
    await talk.say('MAIL FROM:<me@example.org>')
    await talk.say('RCPT TO:<you@example.org>')
    assert.match(await talk.say('DATA'), /^354 /)
    const megabyte = `${'x'.repeat(998)}\r\n`.repeat(1049)
    for (let n = 0; n < 11; n += 1) talk.send(megabyte)
    assert.match(await talk.say('.'), /^552 5\.3\.4 /)
    assert.match(await talk.say('NOOP'), /^250 /)
    assert.match(await talk.say('QUIT'), /^221 /)
    assert.deepEqual(await fixture.backend('postfix').delivered(fixture.people[0]), [])
  })

  void it('in the middle learns why, though it goes on sending for seven seconds and only then reads', async () => {
    const [{ name, password }] = fixture.people
    const talk = await loggedIn(fixture.daemon.port('full'), name, password)
    await talk.say('MAIL FROM:<me@example.org>')
    await talk.say('RCPT TO:<you@example.org>')
    assert.match(await talk.say('DATA'), /^354 /)
    talk.socket.pause()
    // 16,000 octets a second.
    await new Promise<void>((resolve) => {
      let pieces = 0
      const link = setInterval(() => {
        talk.send(`${'x'.repeat(798)}\r\n`)
        pieces += 1
        if (pieces < 140) return
        clearInterval(link)
        resolve()
      }, 50)
    })
    const reply = talk.say('.')
    talk.socket.resume()
    assert.match(await reply, /^552 5\.3\.4 too big\r\n$/)
    talk.socket.end()
    await talk.rest()
  })
})
