// limit.* and penalty.* over the control socket of a real runtime.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture } from './fixture.ts'
import { type Json, wire } from './wire.ts'

const LIMITS =
  'recipients user recipients 3/hour\nslow address failed-logins delay=15\nguesses address failed-logins 1/hour ban=60\nfew address sessions 20\n'

void test('limits show how full they are and can be given other rates for a time; penalties are listed and cleared', async (t) => {
  const { host, control, status, clients } = await fixture(t)
  const ask = async (method: string, params: object = {}, socket = control): Promise<Json> => {
    const line = wire(socket)
    const reply: Json = await line.call(method, params)
    line.end()
    return reply.result ?? reply.error
  }
  host.write('limits', LIMITS)
  assert.equal((await ask('config.reload', { apply: 'next-transaction' })).generation, 2)
  const [client] = clients
  assert.ok(client !== undefined)
  await host.say(client, 'MAIL FROM:<a@x>\r\n', /^250 /)
  for (let n = 0; n < 3; n += 1) await host.say(client, 'RCPT TO:<b@x>\r\n', /^250 /)
  await host.say(client, 'RCPT TO:<b@x>\r\n', /^450 /)
  const [recipients] = (await ask('limit.list')).limits
  assert.deepEqual(recipients, {
    name: 'recipients',
    line: 1,
    text: 'recipients user recipients 3/hour',
    rate: '3/hour',
    set: false,
    subjects: 1,
    refused: 1,
    nearest: { subject: 'user1', used: 3, most: 3 },
  })
  assert.equal((await ask('limit.list', {}, status)).limits[0].text, undefined)
  const [seen] = (await ask('limit.eval', { ip: '192.0.2.1', user: 'user1' })).limits
  assert.deepEqual([seen.name, seen.used, seen.full], ['recipients', 3, true])

  assert.match((await ask('limit.set', { limit: 'recipients', rate: '5', ttl: 60 })).message, /not a rate/)
  assert.equal((await ask('limit.set', { limit: 'none', rate: '5/hour', ttl: 60 })).data.reason, 'no-such-limit')
  assert.equal((await ask('limit.set', { limit: 'recipients', rate: '4/hour', ttl: 60 })).rate, '4/hour')
  await host.say(client, 'RCPT TO:<b@x>\r\n', /^250 /)
  await host.say(client, 'RCPT TO:<b@x>\r\n', /^450 /)
  const [operation] = (await ask('op.list')).operations
  assert.deepEqual([operation.method, operation.subject], ['limit.set', 'recipients'])
  await ask('op.cancel', { id: operation.id })
  assert.equal((await ask('limit.list')).limits[0].rate, '3/hour')
  assert.equal((await ask('limit.clear', { limit: 'recipients', subject: 'user1' })).cleared, 1)
  await host.say(client, 'RCPT TO:<b@x>\r\n', /^250 /)

  const guesser = await host.greeted()
  await host.say(guesser, `AUTH PLAIN ${Buffer.from('\0ann\0wrong').toString('base64')}\r\n`, /^535 /)
  const { penalties } = await ask('penalty.list')
  assert.deepEqual(
    penalties.map(({ kind, subject, failures, delay }: Json) => [kind, subject, failures, delay]),
    [
      ['ban', '127.0.0.1', undefined, undefined],
      ['delay', '127.0.0.1', 1, 2],
    ],
  )
  assert.equal((await ask('penalty.clear', {})).data.reason, 'no-subject')
  assert.equal((await ask('penalty.clear', { subject: '127.0.0.1' })).cleared, 2)
  assert.deepEqual((await ask('penalty.list')).penalties, [])
  await host.greeted()
})
