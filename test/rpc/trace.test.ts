// session.trace: begun at any time, of running and future sessions, SMTP and POP3.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { openControlPlane } from '../../src/rpc/open.ts'
import { PASSWORD, startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Json, type Wire, wire } from './wire.ts'

async function tracing(t: TestContext, path: string, params: object): Promise<{ client: Wire; result: Json }> {
  const client = wire(path)
  t.after(() => client.socket.destroy())
  const answer = await client.call('session.trace', params)
  assert.ok('result' in answer, JSON.stringify(answer))
  return { client, result: answer.result }
}

/** The next lines, as `name verb text`. */
async function lines(client: Wire, count: number): Promise<readonly string[]> {
  const heard: string[] = []
  while (heard.length < count) {
    const { name, data } = (await client.next()).params
    heard.push([name, data.verb ?? data.why, data.text].filter((word) => word !== undefined && word !== '').join(' '))
  }
  return heard
}

void describe('a trace of running sessions', () => {
  for (const [what, filter] of [
    ['user', () => ({ user: 'user1' })],
    ['id', (id: string) => ({ id })],
    ['address', () => ({ ip: '127.0.0.1' })],
    ['state', () => ({ user: 'user1', state: 'transaction' })],
    ['nothing', () => ({})],
  ] as const)
    void it(`by ${what} shows requests and replies before and after the rules`, async (t) => {
      const { control, host, clients, idOf } = await fixture(t)
      const { client, result } = await tracing(t, control, filter(await idOf('user1')))
      assert.equal(result.matched >= (what === 'state' ? 0 : 1), true)
      const [user1] = clients
      assert.ok(user1)
      await host.say(user1, 'MAIL FROM:<a@example>\r\n', /^250 /)
      const heard = await lines(client, what === 'state' ? 1 : 4)
      if (what !== 'state')
        assert.deepEqual(
          heard.map((line) => line.split(' ').slice(0, 3).join(' ')),
          ['client MAIL FROM:<a@example>', 'to-backend MAIL FROM:<a@example>', 'backend 250 MAIL', 'acceptd 250 MAIL'],
        )
    })

  void it('does not show what AUTH says after login', async (t) => {
    const { control, host, clients } = await fixture(t)
    const { client } = await tracing(t, control, { user: 'user1' })
    const [user1] = clients
    assert.ok(user1)
    await host.say(user1, 'AUTH PLAIN c2VjcmV0\r\nc2VjcmV0\r\nNOOP\r\n', /250 NOOP ok\r\n$/)
    const heard: string[] = []
    while (!heard.at(-1)?.startsWith('acceptd 250')) heard.push(...(await lines(client, 1)))
    assert.ok(heard.includes('client AUTH') && heard.includes('client UNKNOWN'))
    assert.ok(!heard.join('\n').includes('c2VjcmV0'))
  })
})

void describe('a trace of future sessions', () => {
  void it('by user begins when the user has logged in, and before that reports that nothing matches', async (t) => {
    const { control, host } = await fixture(t)
    const { client, result } = await tracing(t, control, { user: 'zoe' })
    assert.equal(result.matched, 0)
    const zoe = await host.login('zoe')
    await host.say(zoe, 'NOOP\r\n', /^250 /)
    const heard = await lines(client, 4)
    assert.ok(heard.some((line) => line.startsWith('client NOOP') || line.startsWith('backend 220')))
  })

  void it('with onlyNew leaves out running ones; milliseconds are between lines of one session', async (t) => {
    const { control, host, clients } = await fixture(t)
    const { client, result } = await tracing(t, control, { onlyNew: true, terse: true })
    assert.equal(result.matched, 0)
    const [user1] = clients
    assert.ok(user1)
    await host.say(user1, 'NOOP\r\n', /^250 /)
    const late = await host.greeted()
    await host.say(late, 'NOOP\r\n', /^250 /)
    const { params } = await client.next()
    assert.deepEqual([params.name, params.data], ['client', { verb: 'NOOP', milliseconds: 0 }])
    assert.deepEqual(await lines(client, 1), ['acceptd 250'])
  })

  void it('with onlyOne follows the first session that says anything, and ends with it', async (t) => {
    const { control, host, clients, idOf } = await fixture(t)
    const { client } = await tracing(t, control, { onlyOne: true, terse: true })
    const [user1, user2] = clients
    assert.ok(user1 && user2)
    const id = await idOf('user2')
    await host.say(user2, 'NOOP\r\n', /^250 /)
    const first = (await client.next()).params
    assert.equal(first.session.id, id)
    await host.say(user1, 'NOOP\r\n', /^250 /)
    await host.say(user2, 'QUIT\r\n', /^221 /)
    user2.close()
    assert.deepEqual(await lines(client, 4), ['acceptd 250', 'client QUIT', 'acceptd 221', 'ended session'])
    await until('the end of the trace', () => host.listening() === 0)
  })
})

void it('POP3 is traced after login, begun before or after it, without list and message', async (t) => {
  const host = await startHost(t, { serving: 'pop3 submission name=pop3' })
  const answers: Readonly<Record<string, string>> = {
    STAT: '+OK 1 20\r\n',
    RETR: '+OK\r\nSubject: secret\r\n\r\n+OK secret\r\n.\r\n',
    QUIT: '+OK bye\r\n',
  }
  host.helper.answering = (asked) => {
    if (asked.text === 'watch') return
    const end = asked.answer('ok 1000 1000 42')
    end.onText = (text) => end.send(answers[text.slice(0, 4)] ?? '-ERR what\r\n')
    end.send('+OK logged in\r\n')
  }
  const control = join(host.directory, 'private', 'control.sock')
  const plane = await openControlPlane(host.daemon, { control })
  assert.ok(plane.isOk())
  t.after(() => plane.value.close())
  const before = await tracing(t, control, {})
  const client = await host.greeted()
  await host.say(client, 'USER alice\r\n', /^\+OK/)
  await host.say(client, `PASS ${PASSWORD}\r\n`, /^\+OK logged in/)
  await host.say(client, 'STAT\r\n', /^\+OK 1 20/)
  const after = await tracing(t, control, { user: 'alice' })
  assert.equal(after.result.matched, 1)
  await host.say(client, 'RETR 1\r\n', /\n\.\r\n$/)
  await host.say(client, 'QUIT\r\n', /^\+OK bye/)
  assert.deepEqual(await lines(before.client, 9), [
    'client USER',
    'acceptd +OK',
    'backend +OK logged in',
    'client STAT',
    'backend +OK 1 20',
    'client RETR 1',
    'backend +OK',
    'client QUIT',
    'backend +OK bye',
  ])
  assert.deepEqual(await lines(after.client, 4), ['client RETR 1', 'backend +OK', 'client QUIT', 'backend +OK bye'])
})
