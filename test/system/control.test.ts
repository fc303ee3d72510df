// A thousand sessions submit while their rules are replaced a hundred times and somebody watches them all the time.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { wire } from '../rpc/wire.ts'
import { type Conversation, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { TOP } from './machine.ts'
import { until } from './processes.ts'
import { makeRecorder, type Recorder, transact } from './recorder.ts'

const SESSIONS = 1000
const RELOADS = 100
/** Messages between two reloads. */
const PACE = 40
/** Milliseconds from one message of a session to its next: half of what two cores could do. */
const PAUSE = 1500

const recommended = readFileSync(join(TOP, 'control/fixsmtpio'), 'latin1')
/** Three replies of a transaction show which rules made them. */
const rules = (n: number): string =>
  `${recommended}:mail::2*::250 2.1.0 rules ${n}\n:rcpt::2*::250 2.1.5 rules ${n}\n:in_data::2*::250 2.0.0 rules ${n}\n`

let fixture: Fixture
let recorder: Recorder
before(async () => {
  fixture = await makeFixture({
    globals: { 'attempts-per-second': 100_000 },
    control: { fixsmtpio: rules(0) },
    chains: async ({ claim, people }) => {
      recorder = await makeRecorder(claim.dir, people)
      return [recorder.chain]
    },
  })
})
after(() => fixture.end())

const login = (n: number): Promise<Conversation> => {
  const { name, password } = fixture.people[n % 3] ?? fixture.people[0]
  return loggedIn(fixture.daemon.port('mail'), name, password, 60_000)
}

/** Which rules a transaction was served by; throws unless all of it was by the same. */
async function submit(talk: Conversation, subject: string): Promise<number> {
  const [mail = '', rcpt = '', , message = ''] = await transact(talk, subject)
  const marks = [mail, rcpt, message].map((reply, n) =>
    Number(new RegExp(`^250 ${['2.1.0', '2.1.5', '2.0.0'][n]} rules (\\d+)\r\n$`).exec(reply)?.[1]),
  )
  assert.equal(new Set(marks).size, 1, `${subject}: ${mail}${rcpt}${message}`)
  return marks[0] ?? NaN
}

const sorted = (times: readonly number[]): ((share: number) => string) => {
  const order = times.toSorted((a, b) => a - b)
  return (share) => (order[Math.ceil(share * order.length) - 1] ?? NaN).toFixed(1)
}

void it('a thousand sessions lose and duplicate nothing over a hundred reloads, and see only whole generations', async (t) => {
  const talks: Conversation[] = []
  while (talks.length < SESSIONS) talks.push(...(await Promise.all(Array.from({ length: 100 }, (_, n) => login(n)))))

  // Odd-numbered rules apply to all from the next transaction on, even-numbered ones to new sessions, and to those with a transaction to finish
  // since the odd ones before.
  const storm = { begun: 0, inForce: 0, passes: 0, going: true }
  const acknowledged: string[] = []
  const steadily = async (talk: Conversation, session: number): Promise<void> => {
    let last = 0
    for (let n = 0; storm.going || n < 3; n += 1) {
      // A client does not write all the time.
      await sleep(PAUSE * 2 * Math.random())
      const atLeast = storm.inForce
      const subject = `session ${session} message ${n}`
      const mark = await submit(talk, subject)
      acknowledged.push(subject)
      const forAll = storm.begun - ((storm.begun + 1) % 2)
      assert.ok(mark === last || forAll > last, `${subject}: rules ${mark} after ${last}`)
      assert.ok(
        mark >= atLeast && mark <= storm.begun,
        `${subject}: rules ${mark}, ${atLeast} to ${storm.begun} were in force`,
      )
      last = mark
    }
    assert.match(await talk.say('QUIT'), /^221 /)
  }

  const ports = talks.map(({ socket }) => socket.localPort)
  const look = async (): Promise<void> => {
    const control = wire(fixture.daemon.controlSocket)
    for (; storm.going; storm.passes += 1) {
      const [ids, seen] = [new Set<string>(), new Set<number>()]
      let cursor: string | undefined
      do {
        const { result } = await control.call('session.list', { fields: ['id', 'port'], limit: 250, cursor })
        for (const { id, port } of result.sessions) {
          assert.ok(!ids.has(id), `${id} is listed twice`)
          ids.add(id)
          seen.add(port)
        }
        cursor = result.next
      } while (cursor !== undefined)
      if (storm.going)
        assert.ok(
          ports.every((port) => port !== undefined && seen.has(port)),
          'a live session is not listed',
        )
    }
    control.end()
  }

  const [times, own]: [number[], number[]] = [[], []]
  const change = async (): Promise<void> => {
    const control = wire(fixture.daemon.controlSocket)
    while (storm.begun < RELOADS) {
      const due = acknowledged.length + PACE
      await until('messages between two reloads', () => acknowledged.length >= due, { every: 1, timeout: 30_000 })
      storm.begun += 1
      fixture.place.write('fixsmtpio', rules(storm.begun))
      const asked = performance.now()
      const apply = storm.begun % 2 === 1 ? 'next-transaction' : 'new-sessions'
      const { result, error } = await control.call('config.reload', { apply })
      times.push(performance.now() - asked)
      own.push(result?.milliseconds)
      assert.deepEqual([result?.generation, result?.changed], [storm.begun + 1, ['fixsmtpio']], JSON.stringify(error))
      if (apply === 'next-transaction') storm.inForce = storm.begun
      else {
        const talk = await login(storm.begun)
        const subject = `newcomer ${storm.begun}`
        assert.equal(await submit(talk, subject), storm.begun)
        acknowledged.push(subject)
        assert.match(await talk.say('QUIT'), /^221 /)
      }
    }
    control.end()
  }
  const started = Date.now()
  const everybody = talks.map(steadily)
  // Whatever fails, nobody goes on forever.
  const ended = Promise.all([Promise.all(everybody), look(), change().finally(() => (storm.going = false))])
  await ended.finally(() => (storm.going = false))

  const [at, of] = [sorted(times), sorted(own)]
  const seconds = (Date.now() - started) / 1000
  t.diagnostic(
    `${acknowledged.length} messages in ${seconds.toFixed(1)} s; ${storm.passes} passes over session.list; reload p50 ${at(0.5)}, p99 ${at(0.99)}, slowest ${at(1)} ms; by the daemon's clock ${of(0.5)}, ${of(0.99)}, ${of(1)} ms`,
  )
  const taken = recorder.taken()
  assert.equal(new Set(taken).size, taken.length, 'a message was doubled')
  assert.deepEqual(taken.toSorted(), acknowledged.toSorted())
  assert.ok(acknowledged.length >= SESSIONS * 3)
  assert.ok(storm.passes > 0)
  assert.doesNotMatch(fixture.daemon.log(), /^\S+ (?:warn|error) /m)
})
