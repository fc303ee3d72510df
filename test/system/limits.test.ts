// acceptd where few files may be open: it works, or says how many it needs.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { converse, loggedIn } from './conversation.ts'
import { type Daemon, startDaemon } from './daemon.ts'
import { type Fixture, makeFixture } from './fixture.ts'
import { makeRecorder, transact } from './recorder.ts'
import { run } from './run.ts'

/** For a listener and two lanes. */
const LEAST = 186

let fixture: Fixture
let running: Daemon | undefined
before(async () => {
  fixture = await makeFixture({
    control: { lanes: '2\n' },
    chains: async ({ claim, people }) => [(await makeRecorder(claim.dir, people)).chain],
  })
  await fixture.daemon.stop()
})
after(async () => {
  await running?.stop()
  await fixture.end()
})

const limited = (files: number): readonly string[] => ['/bin/sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh']

void describe('acceptd with few open files', () => {
  void it('says how many it needs, and ends with 78', async () => {
    const command = [
      join(fixture.place.programs, 'acceptd'),
      '--control',
      fixture.place.control,
      '--run',
      fixture.place.run,
    ]
    const said = (files: number) =>
      `acceptd: ${files} open files (nofile, ulimit -Hn) are too few: at least ${LEAST} for listeners: 1, lanes: 2\n`
    for (const files of [...Array.from({ length: 89 }, (_, n) => 40 + n), LEAST - 1]) {
      const { code, transcript } = await run([...limited(files), ...command])
      assert.deepEqual([code, transcript], [78, said(files)])
    }
  })

  void it('serves with as many as it asks for, and refuses clients before it runs out', async () => {
    running = await startDaemon(fixture.place, ['127.0.0.1:0 smtp mail'], { under: limited(LEAST) })
    const port = running.port('mail')
    const [{ name, password }] = fixture.people
    const talks = await Promise.all(Array.from({ length: 10 }, () => loggedIn(port, name, password)))
    for (const [n, talk] of talks.entries())
      for (const reply of await transact(talk, `limit ${n}`)) assert.match(reply, /^(?:250|354) /)
    const others = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const talk = await converse(port)
        return { talk, greeting: await talk.reply() }
      }),
    )
    assert.ok(others.some(({ greeting }) => greeting.startsWith('421 ')))
    assert.ok(others.every(({ greeting }) => /^(?:220|421) /.test(greeting)))
    for (const { talk } of others) talk.cut()
    assert.doesNotMatch(running.log(), /EMFILE|lane-died/)
  })
})
