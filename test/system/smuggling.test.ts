// Whatever is around a dot in a message, no real backend takes it for the end: nothing that follows runs as a command.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { SMTP_BACKENDS } from './backends.ts'
import { loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'

const BEFORE = ['\r\n', '\n', '\r', '\r\r\n', '\n\r']
const BEHIND = ['', '\0', ' ', '\t', '\xff', '\x8d', '.', '\0.']
const AFTER = ['\r\n', '\n', '\r', '\r\r\n']
/** Of a line longer than msmtpd's buffer of 1024 octets, what it keeps ends at the NUL, and what follows the buffer begins a line. */
const LINES_WITH_NUL = ['a\0', `\0${'x'.repeat(1022)}`, `a\0${'x'.repeat(1020)}`, `.\0${'x'.repeat(1020)}`]

const VARIANTS: readonly string[] = [
  ...BEFORE.flatMap((start) => BEHIND.flatMap((behind) => AFTER.map((end) => `x${start}.${behind}${end}`))),
  ...LINES_WITH_NUL.flatMap((line) => ['.\r\n', '.\0\r\n', '.\n', '\r\n.\0\r\n'].map((end) => `\r\n${line}${end}`)),
].filter((variant) => !variant.includes('\r\n.\r\n'))

const SMUGGLED = 'MAIL FROM:<smuggled@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx'
const AT_ONCE = 4

for (const setting of ['fix', 'refuse'] as const)
  void describe(`with barelineend ${setting}`, () => {
    let fixture: Fixture
    before(async () => {
      fixture = await makeFixture({ smtp: SMTP_BACKENDS, control: { barelineend: `${setting}\n` } })
    })
    after(() => fixture.end())

    for (const name of SMTP_BACKENDS)
      void it(`${name} sees one message, or none, in each of ${VARIANTS.length} variants`, async () => {
        const [user] = fixture.people
        const answers: string[] = []
        const submit = async (variant: string, number: number): Promise<void> => {
          const talk = await loggedIn(fixture.daemon.port(name), user.name, user.password, 30_000)
          for (const line of ['MAIL FROM:<me@example.org>', 'RCPT TO:<you@example.org>', 'DATA']) await talk.say(line)
          talk.send(`Subject: variant ${number}\r\n\r\n${variant}${SMUGGLED}\r\n.\r\n`)
          answers[number] = await talk.reply()
          talk.send('QUIT\r\n')
          await talk.rest()
        }
        for (let from = 0; from < VARIANTS.length; from += AT_ONCE)
          await Promise.all(VARIANTS.slice(from, from + AT_ONCE).map((variant, i) => submit(variant, from + i)))
        const backend = fixture.backend(name)
        const messages = await backend.delivered(user)
        assert.deepEqual(
          messages.filter(({ sender }) => sender !== 'me@example.org').map(({ content }) => content),
          [],
        )
        for (const [number, answer] of answers.entries()) {
          const found = messages.filter(({ content }) => content.includes(`Subject: variant ${number}\n`)).length
          const shown = `${JSON.stringify(VARIANTS[number])}: ${answer}`
          if (answer.startsWith('421')) assert.ok(found === 0 || !backend.dropsHalves, shown)
          else assert.deepEqual([answer.slice(0, 3), found], ['250', 1], shown)
        }
      })
  })
