// POP3: real clients fetch through acceptd from real servers, over a Maildir that submission filled.
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { POP3_BACKENDS, pop3Backend } from './backends.ts'
import { curlPop3, messageFrom, mpop, swaks } from './clients.ts'
import { converse } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { picture, treeOf } from './processes.ts'

const BODIES = ['first\n', '.a dot\n..\n', `Gr\xfc\xdfe\n${'long '.repeat(190)}\n`] as const

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({ smtp: ['msmtpd'], pop3: POP3_BACKENDS })
})
after(() => fixture.end())

const contentsOf = (messages: readonly string[]): readonly string[] =>
  messages.map((message) => message.replaceAll('\r\n', '\n').replace(/^.*?\n\n/s, ''))

for (const name of POP3_BACKENDS)
  void describe(`the mailbox by ${name}`, () => {
    const backend = pop3Backend(name, { dir: '' })
    const bodies = new Set(BODIES.map((body) => body + backend.tail))

    before(async () => {
      const [user] = fixture.people
      rmSync(join(user.home, 'Maildir'), { recursive: true, force: true })
      for (const [index, body] of BODIES.entries()) {
        const sent = await swaks({
          port: fixture.daemon.port('msmtpd'),
          from: 'me@example.org',
          to: [`${user.name}@example.org`],
          message: messageFrom('me@example.org', `number ${index}`, body),
          login: { user: user.name, password: user.password },
        })
        assert.ok(sent.ok, sent.transcript)
      }
    })

    for (const mechanism of ['USER', 'PLAIN', 'LOGIN'] as const)
      void it(`mpop fetches every message with ${mechanism}`, async () => {
        const [user] = fixture.people
        const fetched = await mpop({
          port: fixture.daemon.port(name),
          user: user.name,
          password: user.password,
          mechanism,
        })
        assert.ok(fetched.ok, fetched.transcript)
        assert.deepEqual(new Set(contentsOf(fetched.messages)), bodies)
      })

    void it('curl lists and fetches', async () => {
      const [user] = fixture.people
      const job = { port: fixture.daemon.port(name), user: user.name, password: user.password }
      const list = await curlPop3({ ...job, number: 0 })
      assert.ok(list.ok, list.transcript)
      assert.match(list.messages[0] ?? '', /^1 \d+\n2 \d+\n3 \d+\n$/)
      const fetched = await Promise.all([1, 2, 3].map((number) => curlPop3({ ...job, number })))
      assert.deepEqual(new Set(contentsOf(fetched.flatMap(({ messages }) => messages))), bodies)
    })

    void it('answers PASS with one +OK, the backend\u2019s, and runs as the user', async () => {
      const [user] = fixture.people
      const talk = await converse(fixture.daemon.port(name))
      assert.equal(await talk.reply(), '+OK mx.acceptd.test\r\n')
      assert.match(await talk.say(`USER ${user.name}`), /^\+OK/)
      assert.match(await talk.say(`PASS ${user.password}`), backend.greeting)
      // Its first answer comes from the program itself: before that, dovecot's script and doveconf may still be running.
      assert.match(await talk.say('STAT'), /^\+OK 3 \d+\r\n$/)
      const serving = treeOf(fixture.daemon.pid).find((one) => one.comm === backend.comm)
      assert.equal(serving?.uid, user.uid, picture(treeOf(fixture.daemon.pid)))
      assert.match(await talk.say('QUIT'), /^\+OK/)
      assert.equal(await talk.rest(), '')
    })

    void it('refuses a wrong password', async () => {
      const [user] = fixture.people
      for (const mechanism of ['USER', 'PLAIN'] as const) {
        const job = { port: fixture.daemon.port(name), user: user.name, password: 'wrong', mechanism }
        const refused = await mpop(job)
        assert.equal(refused.code, 77, refused.transcript)
        assert.deepEqual(refused.messages, [])
      }
    })
  })
