// The scripts of docs/examples as they are, against a running acceptd with people logged in.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { wire } from '../rpc/wire.ts'
import { type Conversation, converse, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { TOP } from './machine.ts'
import { isAlive, until } from './processes.ts'
import { makeRecorder, transact } from './recorder.ts'
import { type Ran, run } from './run.ts'

let fixture: Fixture
let rules: string
before(async () => {
  fixture = await makeFixture({ chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain] })
  rules = readFileSync(join(fixture.place.control, 'fixsmtpio'), 'latin1')
})
after(() => fixture.end())

const example = (name: string, ...args: readonly string[]): Promise<Ran> =>
  run([join(TOP, 'docs/examples', name), fixture.daemon.controlSocket, ...args])

/** What curl printed, if it succeeded. */
async function curled(name: string, ...args: readonly string[]) {
  const { code, stdout, stderr } = await example(name, ...args)
  assert.deepEqual([code, stderr], [0, ''], stdout)
  return JSON.parse(stdout)
}

interface Listed {
  readonly id: string
  readonly state: string
  readonly ip: string
  readonly messages: number
}

interface Change {
  readonly generation: number
  readonly previous: number
}

/** The output of each script; refusals are a list of FILE:LINE:COLUMN. */
interface Scripts {
  readonly sessions: (user: string) => Promise<readonly Listed[]>
  readonly check: () => Promise<readonly string[]>
  readonly reload: () => Promise<Change>
  readonly refused: () => Promise<readonly string[]>
  readonly rollback: (generation: number) => Promise<Change>
  readonly kill: (user: string) => Promise<readonly string[]>
  readonly events: string
  /** An event in what it prints. */
  readonly shown: (topic: string, name: string, user?: string) => RegExp
}

function changeOf({ code, stdout, stderr }: Ran, form: RegExp): Change {
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, form)
  const [generation = NaN, previous = NaN] = [...stdout.matchAll(/\d+/g)].map(([number]) => Number(number))
  return { generation, previous }
}

const places = (lines: readonly string[]): readonly string[] =>
  lines.flatMap((line) => /^(\S+:\d+:\d+): .*[a-z]/.exec(line)?.[1] ?? [])

const withSocat: Scripts = {
  sessions: async (user) => {
    const { code, stdout } = await example('sessions-of-user.sh', user)
    assert.equal(code, 0)
    return stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const [id = '', state = '', ip = '', messages] = line.split('\t')
        return { id, state, ip, messages: Number(messages) }
      })
  },
  check: async () => {
    const { code, stdout } = await example('check.sh', 'fixsmtpio', join(fixture.place.control, 'fixsmtpio'))
    assert.notEqual(code, 0)
    assert.match(stdout, /\nfalse\n$/)
    return places(stdout.split('\n'))
  },
  reload: async () => changeOf(await example('reload.sh'), /^generation \d+, was \d+; changed: fixsmtpio\n$/),
  refused: async () => {
    const { code, stdout, stderr } = await example('reload.sh')
    assert.notEqual(code, 0)
    assert.notEqual(stderr, '')
    return places(stdout.split('\n'))
  },
  rollback: async () => changeOf(await example('rollback.sh'), /^generation \d+, was \d+\n$/),
  kill: async (user) => {
    const { code, stdout } = await example('kill-user.sh', user)
    assert.equal(code, 0)
    const [head, ...ids] = stdout.split('\n').slice(0, -1)
    assert.equal(head, `ended ${ids.length}`)
    return ids
  },
  events: 'events.sh',
  shown: (topic, name, user) => new RegExp(`^\\d{4}-\\S+Z ${topic} ${name} .*${user ?? ''}`, 'm'),
}

interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

const placesOf = (errors: readonly Place[]): readonly string[] =>
  errors.map(({ file, line, column }) => `${file}:${line}:${column}`)

const withCurl: Scripts = {
  sessions: async (user) => (await curled('curl-sessions-of-user.sh', user)).result.sessions,
  check: async () => placesOf((await curled('curl-check.sh')).result.errors),
  reload: async () => (await curled('curl-reload.sh')).result,
  refused: async () => placesOf((await curled('curl-reload.sh')).error.data.errors),
  rollback: async (generation) => (await curled('curl-rollback.sh', `${generation}`)).result,
  kill: async (user) => (await curled('curl-kill-user.sh', user)).result.ids,
  events: 'curl-events.sh',
  shown: (topic, name, user) =>
    new RegExp(`^\\{.*"method":"event".*"topic":"${topic}","name":"${name}".*${user ?? ''}`, 'm'),
}

/** A script that prints until it is interrupted. */
function follow(name: string): { readonly text: () => string; readonly end: () => Promise<void> } {
  const child = spawn(join(TOP, 'docs/examples', name), [fixture.daemon.controlSocket], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const pid = child.pid ?? 0
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  return {
    text: () => text,
    end: async () => {
      process.kill(-pid, 'SIGTERM')
      await until('the script to end', () => !isAlive(pid))
    },
  }
}

const login = (n: 0 | 1): Promise<Conversation> => {
  const { name, password } = fixture.people[n]
  return loggedIn(fixture.daemon.port('mail'), name, password)
}

/** The reply to NOOP in a session that begins now. */
async function noop(): Promise<string> {
  const talk = await login(1)
  const reply = await talk.say('NOOP')
  await talk.say('QUIT')
  return reply
}

for (const [tool, scripts] of [
  ['socat and jq', withSocat],
  ['curl', withCurl],
] as const)
  void describe(`with ${tool}`, () => {
    let events: ReturnType<typeof follow>
    before(async () => {
      fixture.place.write('fixsmtpio', rules)
      events = follow(scripts.events)
      await until('events', async () => {
        ;(await converse(fixture.daemon.port('mail'))).cut()
        return scripts.shown('session', 'accepted').test(events.text())
      })
    })
    after(() => events.end())

    void it('lists the sessions of one user', async () => {
      const [mine, other] = [await login(0), await login(1)]
      await transact(mine, 'one of mine')
      const control = wire(fixture.daemon.controlSocket)
      const { result } = await control.call('session.list', {})
      control.end()
      const { id } = result.sessions.find(({ port }: { port: number }) => port === mine.socket.localPort)
      const listed = await scripts.sessions(fixture.people[0].name)
      const of = ({ id: name, state, ip, messages }: Listed) => ({ id: name, state, ip, messages })
      assert.deepEqual(listed.map(of), [{ id, state: 'ready', ip: '127.0.0.1', messages: 1 }])
      assert.deepEqual(await scripts.sessions('nobody'), [])
      for (const talk of [mine, other]) await talk.say('QUIT')
    })

    void it('checks and refuses a bad file by its line and column', async () => {
      fixture.place.write('fixsmtpio', `${rules}:noop::*:12x:250 never\n`)
      const place = `control/fixsmtpio:${rules.split('\n').length}:10`
      assert.deepEqual(await scripts.check(), [place])
      assert.equal(await noop(), '250 2.0.0 fine\r\n')
      assert.deepEqual(await scripts.refused(), [place])
      assert.equal(await noop(), '250 2.0.0 fine\r\n')
    })

    void it('publishes new rules for new sessions, and then the previous ones again', async () => {
      const old = await login(0)
      fixture.place.write('fixsmtpio', `${rules}:noop::*::250 by ${tool}\n`)
      const { generation, previous } = await scripts.reload()
      assert.equal(generation, previous + 1)
      assert.equal(await noop(), `250 by ${tool}\r\n`)
      assert.equal(await old.say('NOOP'), '250 2.0.0 fine\r\n')
      const back = await scripts.rollback(previous)
      assert.deepEqual([back.previous, back.generation], [generation, generation + 1])
      assert.equal(await noop(), '250 2.0.0 fine\r\n')
      await old.say('QUIT')
    })

    void it('ends the sessions of one user', async () => {
      const [mine, again, other] = [await login(0), await login(0), await login(1)]
      const ids = (await scripts.sessions(fixture.people[0].name)).map(({ id }) => id)
      assert.equal(ids.length, 2)
      assert.deepEqual((await scripts.kill(fixture.people[0].name)).toSorted(), ids.toSorted())
      for (const talk of [mine, again]) assert.equal(await talk.rest(), '421 closed by the operator (#4.3.2)\r\n')
      assert.deepEqual(await scripts.sessions(fixture.people[0].name), [])
      assert.match(await other.say('NOOP'), /^250 /)
      await other.say('QUIT')
    })

    for (const [topic, name, of] of [
      ['session', 'accepted', false],
      ['session', 'ended', true],
      ['auth', 'accepted', true],
      ['config', 'published', false],
      ['config', 'refused', false],
    ] as const)
      void it(`printed that ${topic} ${name}`, async () => {
        const line = scripts.shown(topic, name, of ? fixture.people[0].name : undefined)
        await until('the line', () => line.test(events.text()), { show: events.text })
      })
  })
