// A lane that dies or spins takes its own sessions with it and nothing else. Node's inspector does it to a running acceptd.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { messageFrom } from './clients.ts'
import { type Conversation, converse, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { inOneLane } from './inspector.ts'
import { picture, runtimeOf, treeOf, until } from './processes.ts'

let fixture: Fixture
before(async () => {
  fixture = await makeFixture({ smtp: ['postfix'], control: { lanes: '2\n', loglevel: 'debug\n' } })
})
after(() => fixture.end())

const runtime = (): number => runtimeOf(fixture.daemon.pid)?.pid ?? 0

const rows = (answer: unknown, name: string): readonly Readonly<Record<string, unknown>>[] => {
  const list = typeof answer === 'object' && answer !== null ? new Map(Object.entries(answer)).get(name) : undefined
  return Array.isArray(list) ? list : []
}
const lanes = async (): Promise<readonly Readonly<Record<string, unknown>>[]> =>
  rows(await fixture.daemon.call('lane.list'), 'lanes')

/** The lane of each of these, by the port of the client. */
async function lanesOf(talks: readonly Conversation[]): Promise<ReadonlyMap<Conversation, unknown>> {
  const sessions = rows(await fixture.daemon.call('session.list', { limit: 500 }), 'sessions')
  return new Map(
    talks.map((talk) => [talk, sessions.find((session) => session['port'] === talk.socket.localPort)?.['lane']]),
  )
}

/** Sessions on both lanes, each in the middle of a message; the lanes they are on. */
async function spread(): Promise<ReadonlyMap<Conversation, unknown>> {
  const [user] = fixture.people
  const talks: Conversation[] = []
  return until('sessions on both lanes', async () => {
    talks.push(
      ...(await Promise.all(
        [0, 1, 2, 3].map(() => loggedIn(fixture.daemon.port('postfix'), user.name, user.password)),
      )),
    )
    const where = await lanesOf(talks)
    if (new Set(where.values()).size < 2) return undefined
    await Promise.all(
      talks.map(async (talk, n) => {
        await talk.say('MAIL FROM:<me@example.org>')
        await talk.say('RCPT TO:<you@example.org>')
        await talk.say('DATA')
        talk.send(messageFrom('me@example.org', `lanes ${n}`, 'first half\n').replaceAll('\n', '\r\n'))
      }),
    )
    return where
  })
}

for (const [what, expression] of [
  ['dies', 'process.exit(1)'],
  // Three pings of a second each are missed before anybody knows.
  ['spins', 'for (;;);'],
] as const)
  void it(`a lane that ${what} ends its own sessions only, and is replaced`, async (t) => {
    const [user] = fixture.people
    const port = fixture.daemon.port('postfix')
    const deaths = async (): Promise<number> => (await lanes()).reduce((sum, lane) => sum + Number(lane['deaths']), 0)
    const [pid, died] = [runtime(), await deaths()]
    const where = await spread()

    await inOneLane(pid, fixture.daemon.log, expression)
    const started = Date.now()
    // New clients are served all the time, by the other lane.
    const waits: number[] = []
    await until(
      'another lane',
      async () => {
        const asked = Date.now()
        const talk = await converse(port)
        assert.match(await talk.reply(), /^220 /)
        waits.push(Date.now() - asked)
        talk.cut()
        const now = await lanes()
        return now.length === 2 && now.every((lane) => lane['state'] === 'running') && (await deaths()) === died + 1
      },
      { timeout: 15_000, every: 50, show: () => fixture.daemon.log().split('\n').slice(-12).join('\n') },
    )
    // On a busy machine our own turns come late: the daemon's clock decides.
    const last = (event: string): number =>
      Math.max(
        ...[...fixture.daemon.log().matchAll(new RegExp(`^(\\S+) \\w+ ${event} `, 'gm'))].map(([, at]) =>
          Date.parse(at ?? ''),
        ),
      )
    const [noticed, took] = [last('lane-died') - started, last('lane-ready') - last('lane-died')]
    t.diagnostic(
      `noticed after ${noticed} ms, replaced ${took} ms later; newcomers waited ${Math.max(...waits)} ms at most`,
    )
    assert.equal(runtime(), pid)

    // Those that are left are on the other lane, and finish.
    const isClosed = ([{ socket }]: readonly [Conversation, unknown]): boolean => socket.closed
    await until('the lost sessions to be closed', () => {
      const [, dead] = [...where].find(isClosed) ?? []
      return dead !== undefined && [...where].filter(([, lane]) => lane === dead).every(isClosed)
    })
    const left = [...where].filter(([{ socket }]) => !socket.closed)
    assert.equal(new Set(left.map(([, lane]) => lane)).size, 1)
    const lost = [...where].filter(([{ socket }]) => socket.closed)
    assert.equal(new Set(lost.map(([, lane]) => lane)).size, 1)
    const queued = (await fixture.backend('postfix').delivered(user)).length
    for (const [talk] of left) {
      assert.match(await talk.say('second half\r\n.'), /^250 2\.0\.0 Ok/)
      assert.match(await talk.say('QUIT'), /^221 /)
    }
    await until('every backend to end', () => treeOf(fixture.daemon.pid).every((one) => one.comm !== 'smtpd'), {
      show: () => picture(treeOf(fixture.daemon.pid)),
    })
    const messages = await fixture.backend('postfix').delivered(user)
    assert.equal(messages.length, queued + left.length)
    assert.ok(messages.every(({ content }) => content.endsWith('second half\n')))
  })
