// Many clients at the same time, most of them badly behaved, and what is left when they have gone.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { messageFrom } from './clients.ts'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { descriptors, memory, type Process, picture, runtimeOf, treeOf, until } from './processes.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({ smtp: ['postfix', 'exim'] })
})
after(() => fixture.end())

const processes = (): readonly Process[] => treeOf(fixture.daemon.pid)
const daemons = (): readonly Process[] =>
  processes().filter((one) => /(node|accept-helper|acceptd)$/.test(one.argv[0] ?? '') && one.argv.length > 1)
const backends = (): readonly Process[] => {
  const ours = new Set(daemons().map(({ pid }) => pid))
  return processes().filter(({ pid }) => !ours.has(pid))
}

const crlf = (text: string): string => text.replaceAll('\n', '\r\n')

/** Everything up to and including 354. */
async function intoData(talk: Conversation): Promise<void> {
  assert.match(await talk.say('MAIL FROM:<me@example.org>'), /^250 /)
  assert.match(await talk.say('RCPT TO:<you@example.org>'), /^250 /)
  assert.match(await talk.say('DATA'), /^354 /)
}

async function wrong(port: number, name: string): Promise<void> {
  const talk = await converse(port, 60_000)
  assert.match(await talk.reply(), /^220 /)
  await talk.say('EHLO client.example')
  assert.match(await talk.say(`AUTH PLAIN ${plain(name, 'wrong')}`), /^535 /)
  talk.cut()
}

/** Half a message, then the connection ends in one of three ways. */
async function half(port: number, name: string, password: string, way: number): Promise<void> {
  const talk = await loggedIn(port, name, password)
  await intoData(talk)
  // Once in the middle of a line, once after a line, once after what is nearly the end of the message.
  const text = `${crlf(messageFrom('me@example.org', 'half'))}${['a line cut', 'a line\r\n', '.\r'][way] ?? ''}`
  await new Promise((resolve) => talk.socket.write(text, 'latin1', resolve))
  if (way === 0) talk.cut()
  else talk.socket.end()
  await talk.rest()
}

/** Sends one message at a time for as long as `until` says; returns the subjects. */
async function steadily(port: number, name: string, password: string, go: () => boolean): Promise<readonly string[]> {
  const talk = await loggedIn(port, name, password)
  const subjects: string[] = []
  while (go()) {
    const subject = `steady ${name} ${subjects.length}`
    await intoData(talk)
    assert.match(await talk.say(`${crlf(messageFrom('me@example.org', subject))}.`), /^250 /)
    subjects.push(subject)
  }
  assert.match(await talk.say('QUIT'), /^221 /)
  return subjects
}

async function quiet(): Promise<void> {
  await until('every backend to end', () => backends().length === 0, { show: () => picture(processes()) })
}

/** How many descriptors each of the daemon's own processes holds. */
const held = (): Readonly<Record<string, number>> =>
  Object.fromEntries(daemons().map(({ pid, comm, ppid }) => [`${comm} ${pid} below ${ppid}`, descriptors(pid)]))

const isNoMoreThan = (now: Readonly<Record<string, number>>, then: Readonly<Record<string, number>>): boolean =>
  Object.entries(then).every(([name, count]) => (now[name] ?? 0) <= count)

void describe('two hundred clients at the same time', () => {
  const storm = async (port: number): Promise<void> => {
    const [user] = fixture.people
    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        n % 2 === 0 ? wrong(port, user.name) : half(port, user.name, user.password, Math.floor(n / 2) % 3),
      ),
    )
  }

  void it('half wrong passwords, half cut in DATA: nothing half is queued, nothing leaks, others do not notice', async (t) => {
    const [user, steady] = fixture.people
    const port = fixture.daemon.port('postfix')
    await storm(port)
    await quiet()
    const base = { held: held(), processes: processes().length }
    const runtime = runtimeOf(fixture.daemon.pid)?.pid ?? 0
    const pss = [memory(runtime).pss]

    let going = true
    const steadily1 = steadily(port, steady.name, steady.password, () => going)
    for (let n = 0; n < 2; n += 1) {
      await storm(port)
      pss.push(memory(runtime).pss)
    }
    going = false
    const subjects = await steadily1
    await quiet()

    assert.deepEqual(await fixture.backend('postfix').delivered(user), [])
    const queued = await fixture.backend('postfix').delivered(steady)
    assert.deepEqual(new Set(queued.map(({ content }) => /^Subject: (.*)$/m.exec(content)?.[1])), new Set(subjects))
    assert.equal(queued.length, subjects.length)
    t.diagnostic(`PSS of the runtime after each storm: ${pss.join(', ')} kB; ${subjects.length} messages beside them`)
    await until('descriptors to be given back', () => isNoMoreThan(held(), base.held), {
      show: () => JSON.stringify([base.held, held()]),
    })
    assert.equal(processes().length, base.processes, picture(processes()))
    const [first = 0, , last = 0] = pss
    assert.ok(last < first + 30_000, `${pss.join(' ')} kB`)
  })
})

void it('sessions that end in good order leave no descriptor and no process', async () => {
  const [, user] = fixture.people
  const submit = async (): Promise<void> => {
    const talk = await loggedIn(fixture.daemon.port('postfix'), user.name, user.password)
    await intoData(talk)
    assert.match(await talk.say(`${crlf(messageFrom('me@example.org', 'in good order'))}.`), /^250 /)
    assert.match(await talk.say('QUIT'), /^221 /)
    await talk.rest()
  }
  await submit()
  await quiet()
  const base = held()
  await Promise.all(Array.from({ length: 20 }, submit))
  await quiet()
  await until('descriptors to be given back', () => isNoMoreThan(held(), base), {
    show: () => JSON.stringify([base, held()]),
  })
})

// Not msmtpd: it hands on what it has when its input ends (backends.test.ts).
for (const name of ['postfix', 'exim'] as const)
  void it(`a client that dies in DATA leaves nothing half in the queue of ${name}`, async () => {
    const [user] = fixture.people
    for (const way of [0, 1, 2]) await half(fixture.daemon.port(name), user.name, user.password, way)
    await quiet()
    const queued = await fixture.backend(name).delivered(user)
    assert.ok(queued.every(({ content }) => !content.includes('Subject: half')))
  })

void it('a pipelined burst of commands and two messages in one write is answered in order', async () => {
  const [, user] = fixture.people
  const talk = await loggedIn(fixture.daemon.port('exim'), user.name, user.password)
  const message = (subject: string): string => crlf(messageFrom('me@example.org', subject, '.dot\nbody\n'))
  const envelope = 'MAIL FROM:<me@example.org>\r\nRCPT TO:<you@example.org>\r\nDATA\r\n'
  await talk.say('NOOP')
  talk.send(envelope)
  for (const code of [250, 250, 354]) assert.match(await talk.reply(), new RegExp(`^${code} `))
  const stuffed = (subject: string): string => message(subject).replaceAll('\r\n.', '\r\n..')
  talk.send(`${stuffed('burst one')}.\r\n${envelope}`)
  for (const code of [250, 250, 250, 354]) assert.match(await talk.reply(), new RegExp(`^${code} `))
  talk.send(`${stuffed('burst two')}.\r\nNOOP\r\nQUIT\r\n`)
  for (const code of [250, 250, 221]) assert.match(await talk.reply(), new RegExp(`^${code} `))
  await talk.rest()
  const queued = (await fixture.backend('exim').delivered(user)).filter(({ content }) =>
    content.includes('Subject: burst'),
  )
  assert.equal(queued.length, 2)
  for (const { content } of queued) assert.ok(content.endsWith('\n\n.dot\nbody\n'), content)
})
