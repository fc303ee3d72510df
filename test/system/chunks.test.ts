// BDAT to real mail programs, as they offer CHUNKING or not: the message is the one that DATA brings.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SMTP_BACKENDS } from './backends.ts'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'

const START = 'Date: Fri, 27 Nov 2026 12:00:00 +0000\r\n'
const HEADERS = `${START}From: me@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: chunks\r\n\r\n`
const MESSAGES = {
  dots: `${HEADERS}.\r\n..\r\n.a\r\nb.\r\n\r\n.\r\nMAIL FROM:<smuggled@example.org>\r\n`,
  'no line end at the end': `${HEADERS}Gr\xfc\xdfe\r\n.`,
  'bare line ends': `${HEADERS}a\n.\nb\r.\rc\r\n.\nd\r\n`,
  large: `${HEADERS}${`.${'x'.repeat(70)}\r\n`.repeat(30_000)}`,
} as const
const SIZES = [1, 2, 3, 7, 100, 70_000] as const

function cut(message: string, size: number): readonly string[] {
  const chunks: string[] = []
  for (let at = 0; at < message.length; at += size) chunks.push(message.slice(at, at + size))
  return chunks
}

async function envelope(talk: Conversation, sender: string): Promise<void> {
  for (const line of [`MAIL FROM:<${sender}>`, 'RCPT TO:<you@example.org>']) assert.match(await talk.say(line), /^250/)
}

async function byData(talk: Conversation, message: string): Promise<string> {
  assert.match(await talk.say('DATA'), /^354/)
  talk.send(`${message.replace(/(^|\r\n)\./g, '$1..')}${message.endsWith('\r\n') ? '' : '\r\n'}.\r\n`)
  return talk.reply()
}

/** All chunks in one write, as RFC 3030 section 4.2 has it; the last one is LAST, or is followed by an empty one. */
async function byChunks(talk: Conversation, message: string, size: number): Promise<string> {
  const chunks = cut(message, size)
  const emptyLast = size % 2 === 1
  talk.send(
    chunks
      .map((chunk, i) => `BDAT ${chunk.length}${!emptyLast && i === chunks.length - 1 ? ' LAST' : ''}\r\n${chunk}`)
      .join('') + (emptyLast ? 'BDAT 0 LAST\r\n' : ''),
  )
  for (let left = chunks.length - (emptyLast ? 0 : 1); left > 0; left--) assert.match(await talk.reply(), /^250/)
  return talk.reply()
}

/** After HELO no backend offers CHUNKING. */
async function login(port: number, user: string, password: string, hello: 'EHLO' | 'HELO'): Promise<Conversation> {
  if (hello === 'EHLO') return loggedIn(port, user, password)
  const talk = await converse(port)
  await talk.reply()
  await talk.say('HELO client.example')
  assert.match(await talk.say(`AUTH PLAIN ${plain(user, password)}`), /^235/)
  return talk
}

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    smtp: SMTP_BACKENDS,
    control: { smtpcapabilities: '8BITMIME\nPIPELINING\nCHUNKING\nBINARYMIME\nSIZE 5000000\n' },
  })
})
after(() => fixture.end())

void it('EHLO offers CHUNKING, and not BINARYMIME', async () => {
  const talk = await converse(fixture.daemon.port('msmtpd'))
  await talk.reply()
  const reply = await talk.say('EHLO me')
  assert.match(reply, /^250.CHUNKING\r$/m)
  assert.doesNotMatch(reply, /BINARYMIME/)
  talk.cut()
})

for (const name of SMTP_BACKENDS)
  void describe(`BDAT and ${name}`, () => {
    for (const hello of ['EHLO', 'HELO'] as const)
      for (const [what, message] of Object.entries(MESSAGES)) {
        // What a backend with CHUNKING makes of them in a chunk is its own business.
        if (hello === 'EHLO' && what === 'bare line ends') continue
        void it(`after ${hello}, ${what}: the same message as by DATA, however it is cut`, async () => {
          const backend = fixture.backend(name)
          const [user] = fixture.people
          const talk = await login(fixture.daemon.port(name), user.name, user.password, hello)
          const tag = `${hello}-${what.replaceAll(' ', '-')}`.toLowerCase()
          await envelope(talk, `${tag}@data.example`)
          assert.match(await byData(talk, message), backend.queued)
          const sizes = message.length > 100_000 ? [70_000, 1_000_000] : SIZES
          for (const size of sizes) {
            await envelope(talk, `${tag}-${size}@bdat.example`)
            assert.match(await byChunks(talk, message, size), /^250/)
          }
          assert.match(await talk.say('QUIT'), /^221/)
          const delivered = await backend.delivered(user)
          const bodyOf = (sender: string): string => {
            const found = delivered.filter((one) => one.sender === sender)
            assert.equal(found.length, 1, sender)
            const content = found[0]?.content.replaceAll('\r\n', '\n') ?? ''
            return content.slice(content.indexOf('Date: Fri, 27'))
          }
          const expected = bodyOf(`${tag}@data.example`)
          for (const size of sizes) assert.equal(bodyOf(`${tag}-${size}@bdat.example`), expected, `${size}`)
          assert.deepEqual(
            delivered.filter(({ sender }) => sender.startsWith('smuggled')),
            [],
          )
        })
      }

    for (const [command, code] of [
      ['QUIT', '221'],
      ['RSET', '421'],
    ] as const)
      void it(`${command} between chunks: no message`, async () => {
        const [user] = fixture.people
        const talk = await login(fixture.daemon.port(name), user.name, user.password, 'HELO')
        await envelope(talk, `${command.toLowerCase()}@half.example`)
        assert.match(await talk.say(`BDAT 15\r\nSubject: half`), /^250/)
        assert.equal((await talk.say(command)).slice(0, 3), code)
        await talk.rest()
        const halves = (await fixture.backend(name).delivered(user)).filter(({ sender }) =>
          sender.endsWith('@half.example'),
        )
        if (fixture.backend(name).dropsHalves) assert.deepEqual(halves, [])
      })

    void it('a message over SIZE is refused before the backend sees it', async () => {
      const [user] = fixture.people
      const talk = await loggedIn(fixture.daemon.port(name), user.name, user.password)
      assert.match(await talk.say('MAIL FROM:<me@example.org> SIZE=5000001'), /^552 .*5\.3\.4/)
      assert.match(await talk.say('MAIL FROM:<me@example.org>'), /^250/)
      talk.cut()
    })
  })
