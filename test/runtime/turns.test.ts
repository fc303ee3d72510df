// Logins that wait for the helper: those who have logged in before do not wait for those who guess, whichever lane they come to.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { StreamEnd } from '../support/fake-helper.ts'
import { type Host, PASSWORD, startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'

const auth = (user: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}\r\n`

/** A single process for the logins of a lane. */
async function narrowHost(t: TestContext): Promise<Host> {
  const host = await startHost(t)
  host.write('chains', `max-processes 4\n${host.text('chains')}`)
  host.write('limits', '')
  const how = { from: 'disk', apply: 'next-transaction', by: 'control', dryRun: false } as const
  const changed = await host.daemon.config.change(how)
  assert.ok(changed.isOk(), JSON.stringify(changed))
  return host
}

/** A client of this address in the first lane, greeted. */
async function from(t: TestContext, host: Host, localAddress: string): Promise<StreamEnd> {
  const socket = connect({ port: host.runtime.options.ports[0] ?? 0, host: '127.0.0.1', localAddress })
  t.after(() => socket.destroy())
  const client = new StreamEnd(socket)
  await until('the greeting', () => client.heard().endsWith('\r\n'))
  return client
}

async function checking(host: Host, count: number): Promise<void> {
  await until(`${count} logins under way`, async () => {
    const query = { filter: { state: 'checking' }, sort: 'id', descending: false, limit: 1, now: 0 } as const
    return (await host.daemon.sessions.query(query)).matched === count
  })
}

const tried = (host: Host): readonly string[] =>
  host.helper.asked.filter(({ text }) => text !== 'watch').map(({ text }) => text.split(' ').slice(1).join(' '))

void describe('turns of logins', () => {
  void it('go to known users, then to strangers, then to those who have guessed; of each address one at a time', async (t) => {
    const host = await narrowHost(t)
    const serving = host.helper.answering
    const user = await host.login('ann', 2)
    user.close()
    const guessers = await Promise.all([1, 2, 3, 4].map((n) => from(t, host, n === 4 ? '127.0.0.67' : '127.0.0.66')))
    const [first, second, third, other] = guessers as [StreamEnd, StreamEnd, StreamEnd, StreamEnd]
    for (const client of [first, other, other]) await host.say(client, auth('ann', 'wrong 0'), /^535 /)

    host.helper.answering = undefined
    const before = tried(host).length
    const known = await from(t, host, '127.0.0.1')
    const stranger = await from(t, host, '127.0.0.68')
    const order: readonly (readonly [StreamEnd, string, string])[] = [
      [first, 'ann', 'wrong 1'],
      [second, 'ann', 'wrong 2'],
      [third, 'ann', 'wrong 3'],
      [other, 'ann', 'wrong 4'],
      [stranger, 'bob', PASSWORD],
      [known, 'ann', PASSWORD],
    ]
    for (const [n, [client, name, password]] of order.entries()) {
      client.send(auth(name, password))
      await checking(host, n + 1)
    }
    assert.deepEqual(tried(host).slice(before), ['ann wrong 1'])
    host.helper.answering = serving
    host.helper.asked.findLast(({ text }) => text.endsWith('wrong 1'))?.answer('exit 1')
    await until('all answers', () => order.every(([client]) => /(?:235|535) /.test(client.heard().slice(-80))))
    assert.deepEqual(tried(host).slice(before), [
      'ann wrong 1',
      `ann ${PASSWORD}`,
      `bob ${PASSWORD}`,
      'ann wrong 2',
      'ann wrong 4',
      'ann wrong 3',
    ])
  })

  void it('are no longer taken up by logins that hang for seconds', async (t) => {
    const host = await startHost(t)
    host.helper.answering = undefined
    const clients = await Promise.all(Array.from({ length: 32 }, () => from(t, host, '127.0.0.66')))
    for (const client of clients) client.send(auth('ann', 'hangs'))
    await until('all that may begin', async () => tried(host).length >= 8)
    const begun = tried(host).length
    assert.ok(begun < 32, `${begun} of 32 began in the same moment`)
    await until('the others', () => tried(host).length === 32, { timeout: 30_000 })
  })

  void it('are not kept for clients that have gone', async (t) => {
    const host = await narrowHost(t)
    host.helper.answering = undefined
    const clients = await Promise.all([1, 2, 3].map(() => from(t, host, '127.0.0.66')))
    const [running, waiting, last] = clients as [StreamEnd, StreamEnd, StreamEnd]
    running.send(auth('ann', 'first'))
    await checking(host, 1)
    waiting.send(auth('ann', 'second'))
    await checking(host, 2)
    last.send(auth('ann', 'third'))
    await checking(host, 3)
    waiting.reset()
    await checking(host, 2)
    host.helper.asked.find(({ text }) => text.endsWith('first'))?.answer('exit 1')
    await until('the next to be asked for', () => tried(host).length === 2)
    assert.deepEqual(tried(host), ['ann first', 'ann third'])
  })
})
