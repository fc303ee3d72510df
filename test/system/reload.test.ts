// New rules while a hundred sessions are alive, and rules that are refused.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { messageFrom } from './clients.ts'
import { type Conversation, loggedIn } from './conversation.ts'
import { type Fixture, makeFixture } from './fixture.ts'

let fixture: Fixture
let rules: string
before(async () => {
  fixture = await makeFixture({ smtp: ['postfix'] })
  rules = readFileSync(join(fixture.place.control, 'fixsmtpio'), 'latin1')
})
after(() => fixture.end())

const port = (): number => fixture.daemon.port('postfix')
const log = (count: number): Promise<readonly Conversation[]> => {
  const [user] = fixture.people
  return Promise.all(Array.from({ length: count }, () => loggedIn(port(), user.name, user.password)))
}

/** How many sessions are on which generation. */
async function generations(): Promise<Readonly<Record<string, number>>> {
  const answer = await fixture.daemon.call('session.list', { limit: 500, fields: ['id', 'generation'] })
  const sessions = typeof answer === 'object' && answer !== null && 'sessions' in answer ? answer.sessions : []
  const counts: Record<string, number> = {}
  for (const session of Array.isArray(sessions) ? sessions : []) {
    const { generation } = session as { readonly generation: number }
    counts[generation] = (counts[generation] ?? 0) + 1
  }
  return counts
}

void describe('a reload', () => {
  void it('during 100 live sessions: nobody loses a byte, old sessions keep the old rules, new ones have the new', async () => {
    const [user] = fixture.people
    const old = await log(100)
    // Half of them are in the middle of a message.
    const writing = old.filter((_, n) => n % 2 === 0)
    const message = (n: number): string =>
      messageFrom('me@example.org', `over the reload ${n}`, 'line of the body\n'.repeat(500)).replaceAll('\n', '\r\n')
    await Promise.all(
      writing.map(async (talk, n) => {
        assert.match(await talk.say('MAIL FROM:<me@example.org>'), /^250 /)
        assert.match(await talk.say('RCPT TO:<you@example.org>'), /^250 /)
        assert.match(await talk.say('DATA'), /^354 /)
        talk.send(message(n).slice(0, 4321))
      }),
    )
    fixture.place.write('fixsmtpio', `${rules}:noop::*::250 new rules\n`)
    const answer = await fixture.daemon.call('config.reload')
    assert.ok(typeof answer === 'object' && answer !== null && 'generation' in answer)
    assert.equal(answer.generation, 2)
    const young = await log(10)
    assert.deepEqual(await generations(), { 1: 100, 2: 10 })

    await Promise.all(
      writing.map(async (talk, n) => assert.match(await talk.say(`${message(n).slice(4321)}.`), /^250 2\.0\.0 Ok/)),
    )
    for (const talk of old) assert.equal(await talk.say('NOOP'), '250 2.0.0 Ok\r\n')
    for (const talk of young) assert.equal(await talk.say('NOOP'), '250 new rules\r\n')
    for (const talk of [...old, ...young]) assert.match(await talk.say('QUIT'), /^221 /)
    const queued = await fixture.backend('postfix').delivered(user)
    assert.equal(queued.length, writing.length)
    const bodies = new Set(queued.map(({ content }) => content.replace(/^.*?\n\n/s, '')))
    assert.deepEqual([...bodies], ['line of the body\n'.repeat(500)])
  })

  void it('of a bad file names file, line and column and changes nothing', async () => {
    const earlier = await fixture.daemon.call('config.status')
    fixture.place.write('fixsmtpio', `${rules}:noop::*:12x:250 never\n`)
    const line = rules.split('\n').length
    await assert.rejects(fixture.daemon.call('config.reload'), (error: Error) => {
      assert.match(error.message, /-32010/)
      assert.match(error.message, /fixsmtpio/)
      assert.match(error.message, new RegExp(`"line":${line}\\b`))
      assert.match(error.message, /"column":\d+/)
      return true
    })
    const [talk] = await log(1)
    assert.equal(await talk?.say('NOOP'), '250 new rules\r\n')
    talk?.cut()
    const generation = (status: unknown): unknown => JSON.stringify(status).match(/"generation":\d+/)?.[0]
    assert.equal(generation(await fixture.daemon.call('config.status')), generation(earlier))
  })

  void it('and a login are counted and timed in the metrics', async () => {
    const answer = await fixture.daemon.call('server.metrics')
    assert.ok(typeof answer === 'object' && answer !== null && 'text' in answer)
    const text = String(answer.text)
    assert.match(text, /^acceptd_reloads_total\{by="control",outcome="ok"\} 1$/m)
    assert.match(text, /^acceptd_reload_seconds_count 1$/m)
    const sum = (name: string): number =>
      [...text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].reduce((all, [, n]) => all + Number(n), 0)
    assert.equal(sum('acceptd_first_reply_seconds_count'), 111)
    assert.equal(sum('acceptd_helper_seconds_count'), 111)
    assert.equal(sum('acceptd_login_seconds_count'), 111)
  })

  void it('and a rollback do not touch the chains, which the helper follows on the disk', async () => {
    const path = join(fixture.place.control, 'chains')
    const chains = readFileSync(path, 'latin1')
    const refused = async () => assert.rejects(log(1))
    fixture.place.write('fixsmtpio', rules)
    fixture.place.write('chains', `min-uid 4000000000\n${chains}`)
    await refused()
    const reloaded = JSON.stringify(await fixture.daemon.call('config.reload'))
    assert.match(reloaded, /accept-helper has run these chains since the file was written/)
    const back = JSON.stringify(await fixture.daemon.call('config.rollback', { generation: 2 }))
    assert.match(back, /chains stays as it is, since accept-helper runs the file on disk/)
    await refused()
    fixture.place.write('chains', chains)
    const [talk] = await log(1)
    talk?.cut()
    await fixture.daemon.call('config.reload')
  })
})
