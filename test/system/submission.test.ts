// The main job: real clients submit through acceptd to real backends, which run as the user.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { SMTP_BACKENDS } from './backends.ts'
import { curlSmtp, messageFrom, msmtp, nodemailer, swaks } from './clients.ts'
import { converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture, script } from './fixture.ts'
import { picture, SCHED_BATCH, schedulingOf, treeOf, until } from './processes.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({
    smtp: SMTP_BACKENDS,
    chains: ({ claim: { dir } }) => [
      {
        name: 'greets421',
        checkpassword: ['builtin'],
        backend: [script(dir, 'greets421', "printf '421 not now\\r\\n'")],
      },
      {
        name: 'greets554',
        checkpassword: ['builtin'],
        backend: [script(dir, 'greets554', "printf '554 never\\r\\n'")],
      },
      { name: 'silent', checkpassword: ['builtin'], backend: ['/bin/true'] },
    ],
  })
})
after(() => fixture.end())

const BODY = '.a line with a dot\nGr\xfc\xdfe\n\n..\nlast\n'

for (const name of SMTP_BACKENDS)
  void describe(`submission to ${name}`, () => {
    for (const [client, send, mechanism] of [
      ['swaks', swaks, 'PLAIN'],
      ['swaks', swaks, 'LOGIN'],
      ['curl', curlSmtp, 'PLAIN'],
      ['curl', curlSmtp, 'LOGIN'],
      ['msmtp', msmtp, 'PLAIN'],
      ['msmtp', msmtp, 'LOGIN'],
      ['nodemailer', nodemailer, 'PLAIN'],
      ['nodemailer', nodemailer, 'LOGIN'],
    ] as const)
      void it(`${client} with AUTH ${mechanism} has its message queued once, whole, as the user`, async () => {
        const [user, other] = fixture.people
        const subject = `${client} ${mechanism} ${name}`
        const job = {
          port: fixture.daemon.port(name),
          from: 'me@example.org',
          to: ['one@example.org', 'two@example.net'],
          message: messageFrom('me@example.org', subject, BODY),
        }
        const sent = await send({ ...job, login: { user: user.name, password: user.password, mechanism } })
        assert.ok(sent.ok, sent.transcript)
        const queued = (await fixture.backend(name).delivered(user)).filter(({ content }) =>
          content.includes(`Subject: ${subject}\n`),
        )
        assert.equal(queued.length, 1)
        const [message] = queued
        assert.equal(message?.uid, user.uid)
        assert.equal(message?.sender, 'me@example.org')
        assert.deepEqual(message?.recipients, ['one@example.org', 'two@example.net'])
        assert.ok(message?.content.replaceAll('\r\n', '\n').endsWith(`\n\n${BODY}`), JSON.stringify(message?.content))
        assert.deepEqual(await fixture.backend(name).delivered(other), [])
      })

    for (const [client, send] of Object.entries({ swaks, curl: curlSmtp, msmtp, nodemailer }))
      void it(`${client} with a wrong password is told so and queues nothing`, async () => {
        const [user] = fixture.people
        const subject = `wrong ${client} ${name}`
        const sent = await send({
          port: fixture.daemon.port(name),
          from: 'me@example.org',
          to: ['you@example.org'],
          message: messageFrom('me@example.org', subject),
          login: { user: user.name, password: `${user.password}x`, mechanism: 'PLAIN' },
        })
        assert.equal(sent.ok, false)
        assert.match(sent.transcript, /535/)
        const queued = await fixture.backend(name).delivered(user)
        assert.ok(queued.every(({ content }) => !content.includes(`Subject: ${subject}\n`)))
      })

    void it('shows the backend under the uid of its user, acceptd under its own, and root only for the helper', async () => {
      const { people, account, daemon } = fixture
      const talks = [
        await loggedIn(daemon.port(name), people[0].name, people[0].password),
        await loggedIn(daemon.port(name), people[1].name, people[1].password),
      ]
      const all = treeOf(daemon.pid)
      const backend = fixture.backend(name)
      assert.deepEqual(
        all.filter((one) => one.comm === backend.comm).map((one) => one.uid),
        [backend.runsAs(people[0]), backend.runsAs(people[1])],
        picture(all),
      )
      for (const one of all.filter((each) => each.uids.includes(0)))
        assert.match(one.argv.join(' '), /accept-helper serve$/, picture(all))
      const node = all.filter((one) => one.argv[1] === join(fixture.place.programs, 'acceptd.js'))
      assert.equal(node.length, 2, picture(all))
      for (const { pid } of node)
        for (const thread of readdirSync(`/proc/${pid}/task`)) {
          const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1')
          const { uid, gid } = account
          assert.match(status, new RegExp(`^Uid:\t${uid}\t${uid}\t${uid}\t${uid}$`, 'm'))
          assert.match(status, new RegExp(`^Gid:\t${gid}\t${gid}\t${gid}\t${gid}$`, 'm'))
          assert.match(status, /^CapEff:\t0+$/m)
        }
      // sched(7): the lanes run before what they wake, and nobody is preempted; the backends have no priority.
      assert.deepEqual(all.filter((one) => one.comm === backend.comm).map(schedulingOf), [
        { nice: 0, policy: SCHED_BATCH },
        { nice: 0, policy: SCHED_BATCH },
      ])
      const started = getPriority()
      for (const one of node)
        assert.deepEqual(schedulingOf(one), { nice: started === 0 ? -10 : started, policy: SCHED_BATCH })
      for (const talk of talks) {
        assert.match(await talk.say('QUIT'), /^221 /)
        await talk.rest()
      }
      await until('the backends to end', () => treeOf(daemon.pid).every((one) => one.comm !== backend.comm), {
        show: () => picture(treeOf(daemon.pid)),
      })
    })
  })

async function authenticate(chain: string): Promise<{ readonly answer: string; readonly rest: string }> {
  const [user] = fixture.people
  const talk = await converse(fixture.daemon.port(chain))
  assert.match(await talk.reply(), /^220 mx\.acceptd\.test\b/)
  assert.match(await talk.say('EHLO me'), /\r\n250[- ]AUTH LOGIN PLAIN\r\n/)
  const answer = await talk.say(`AUTH PLAIN ${plain(user.name, user.password)}`)
  if (answer.startsWith('235')) talk.send('QUIT\r\n')
  return { answer, rest: await talk.rest() }
}

void describe('the reply to AUTH is the greeting of the backend, by the rules', () => {
  void it('220 becomes 235', async () => {
    assert.deepEqual(await authenticate('postfix'), {
      answer: '235 ok, go ahead (#2.0.0)\r\n',
      rest: '221 mx.acceptd.test\r\n',
    })
  })
  void it('421 and 554 are passed on, and end the session', async () => {
    assert.deepEqual(await authenticate('greets421'), { answer: '421 not now\r\n', rest: '' })
    assert.deepEqual(await authenticate('greets554'), { answer: '554 never\r\n', rest: '' })
  })
  void it('a backend that ends without a greeting is a temporary failure', async () => {
    const { answer } = await authenticate('silent')
    assert.match(answer, /^(421|454) /)
  })
})
