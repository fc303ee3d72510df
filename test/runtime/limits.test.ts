// control/limits in the real runtime: two lanes, one count; clients on real sockets.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { stepClock } from '../support/clock.ts'
import { StreamEnd } from '../support/fake-helper.ts'
import { type Host, PASSWORD, startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'

const advance = stepClock()

async function limitedHost(t: TestContext, limits: string): Promise<Host> {
  const host = await startHost(t)
  await useLimits(host, limits)
  return host
}

async function useLimits(host: Host, limits: string): Promise<void> {
  host.write('limits', limits)
  const how = { from: 'disk', apply: 'next-transaction', by: 'control', dryRun: false } as const
  const changed = await host.daemon.config.change(how)
  assert.ok(changed.isOk(), JSON.stringify(changed))
}

/** A client of this address on the first lane's listener. */
function dialFrom(t: TestContext, host: Host, localAddress: string): StreamEnd {
  const port = host.runtime.options.ports[0] ?? 0
  const socket = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true })
  t.after(() => socket.destroy())
  return new StreamEnd(socket)
}

const auth = (user: string, password: string): string =>
  `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}\r\n`

async function heard(client: StreamEnd, wanted: RegExp): Promise<void> {
  await until(`${wanted}, not ${client.heard()}`, () => wanted.test(client.heard()))
}

void describe('limits', () => {
  void it('of sessions at the same time hold over both lanes, and a session that ends makes room', async (t) => {
    const host = await limitedHost(t, 'few address sessions 2\n')
    const one = await host.greeted(1)
    await host.greeted(2)
    const third = host.dial(1)
    await heard(
      third,
      /^421 4\.7\.0 too many sessions from your address \(#limit few\)\r\n|^421 too many .*#limit few.*\r\n/,
    )
    await until('its line in the log', () => /session-refused .*limit=few/.test(host.log()))
    one.close()
    await until('room for one more', async () => {
      const client = host.dial(2)
      await until('a greeting', () => client.heard() !== '')
      return client.heard().startsWith('220 ')
    })
  })

  void it('of messages and recipients refuse with 450 and the name, in the right place of a pipeline', async (t) => {
    const host = await limitedHost(t, 'mails user messages 2/hour\nrecipients user recipients 3/hour\n')
    const client = await host.login('ann')
    const from = client.heard().length
    client.send(
      'MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nRCPT TO:<c@x>\r\nRCPT TO:<d@x>\r\nRCPT TO:<e@x>\r\nRSET\r\nNOOP\r\n',
    )
    await until('all replies', () => client.heard().slice(from).split('\r\n').length > 7)
    const codes = client
      .heard()
      .slice(from)
      .trimEnd()
      .split('\r\n')
      .map((line) => line.slice(0, 3))
    assert.deepEqual(codes, ['250', '250', '250', '250', '450', '250', '250'])
    // The client's own NOOP: what is refused does not reach the backend in any form.
    assert.equal(host.helper.backends.at(-1)?.heard().match(/NOOP/g)?.length, 1)
    assert.match(client.heard(), /too many recipients of this user \(#limit recipients\)/)
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^250 /)
    await host.say(client, 'RSET\r\n', /^250 /)
    // Another session of the same user, in the other lane.
    const other = await host.login('Ann', 2)
    await host.say(other, 'MAIL FROM:<a@x>\r\n', /^450 .*#limit mails/)
    const bob = await host.login('bob', 2)
    await host.say(bob, 'MAIL FROM:<a@x>\r\n', /^250 /)
    await until('its line in the log', () => /limit-reached .*user=Ann limit=mails what=messages/.test(host.log()))
  })

  void it('delay the answer to a wrong password by 2 seconds, and nobody else waits', async (t) => {
    const host = await limitedHost(t, 'slow address failed-logins delay=15\nslow-user user failed-logins delay=15\n')
    const client = await host.greeted(1)
    client.send(auth('ann', 'wrong'))
    await until('the helper to be asked', () => host.helper.asked.some(({ text }) => text.includes('wrong')))
    const other = dialFrom(t, host, '127.0.0.77')
    await heard(other, /^220 /)
    other.send(auth('ann', PASSWORD))
    await heard(other, /235 /)
    assert.doesNotMatch(client.heard(), /535 /)
    let waited = 0
    await until('the answer', () => {
      if (/535 /.test(client.heard())) return true
      advance(100)
      waited += 100
      return false
    })
    assert.ok(waited >= 2000, `${waited}`)
  })

  void it('let a guess wait without a process: with two processes in all, others log in meanwhile', async (t) => {
    const host = await startHost(t)
    host.write('chains', `max-processes 4\n${host.text('chains')}`)
    await useLimits(host, 'slow user failed-logins delay=15\n')
    const waiting = await Promise.all([1, 1, 1].map((lane) => host.greeted(lane)))
    for (const [n, client] of waiting.entries()) {
      client.send(auth('ann', `wrong ${n}`))
      await until('the helper to be asked', () => host.helper.asked.some(({ text }) => text.includes(`wrong ${n}`)))
      await until('the delay', async () => {
        const [delay] = await host.daemon.limits.penalties()
        return delay?.failures === n + 1
      })
    }
    await host.login('bob', 1)
    assert.ok(waiting.every((client) => !client.heard().includes('535')))
  })

  void it('log a guess whose sender has hung up before the answer, and make its sender wait all the same', async (t) => {
    const host = await limitedHost(t, 'slow address failed-logins delay=15\n')
    const client = await host.greeted(1)
    client.send(auth('ann', 'wrong'))
    await until('the helper to be asked', () => host.helper.asked.some(({ text }) => text.includes('wrong')))
    client.reset()
    await until('the line for fail2ban', () => /login-failed .*user=ann/.test(host.log()))
    const again = await host.greeted(2)
    again.send(auth('ann', PASSWORD))
    const other = dialFrom(t, host, '127.0.0.79')
    await heard(other, /^220 /)
    assert.doesNotMatch(again.heard(), /235 /)
    await until('the login', () => {
      advance(1000)
      return /235 /.test(again.heard())
    })
  })

  void it('refuse an address that goes on guessing, at login and at connection', async (t) => {
    const host = await limitedHost(t, 'guesses address failed-logins 3/hour ban=60\n')
    const client = await host.greeted(1)
    for (const n of [1, 2, 3]) await host.say(client, auth('ann', `wrong ${n}`), /^535 /)
    await host.say(client, auth('ann', PASSWORD), /^454 .*#limit guesses/)
    const next = host.dial(2)
    await heard(next, /^421 .*too many failed logins from your address \(#limit guesses\)/)
    const other = dialFrom(t, host, '127.0.0.78')
    await heard(other, /^220 /)
    await until('its line in the log', () => /login-limited .*user=ann/.test(host.log()))
  })

  void it('are forgotten with the line, and kept when its number changes', async (t) => {
    const host = await limitedHost(t, 'mails user messages 1/hour\n')
    const client = await host.login('ann')
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^250 /)
    await host.say(client, 'RSET\r\n', /^250 /)
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^450 /)
    await useLimits(host, 'mails user messages 2/hour\n')
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^250 /)
    await host.say(client, 'RSET\r\n', /^250 /)
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^450 /)
    await useLimits(host, '')
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^250 /)
  })
})

void describe('sessions before login', () => {
  void it('give way, the oldest silent one first, when there is no place for a new client', async (t) => {
    const host = await startHost(t)
    host.write('maxsessions', '3\n')
    await useLimits(host, '')
    const user = await host.login('ann')
    const [oldest, second] = [await host.greeted(), await host.greeted()]
    await heard(host.dial(), /^421 too many sessions/)
    advance(2000)
    await host.say(oldest, 'NOOP\r\n', /^250 /)
    await heard(host.dial(), /^220 /)
    await heard(second, /^220 .*\r\n421 (?:4\.7\.0 )?too many sessions before login.*\r\n$/)
    await until('its line in the log', () => /session-ended .*why=displaced/.test(host.log()))
    await host.say(oldest, 'NOOP\r\n', /250 .*\r\n$/)
    await host.say(user, 'NOOP\r\n', /^250 /)
  })
})

void describe('a crowd of one address', () => {
  void it('gives way to a client from another address, before anybody has been silent for long', async (t) => {
    const host = await startHost(t)
    host.write('maxsessions', '3\n')
    await useLimits(host, '')
    const crowd = ['127.0.0.66', '127.0.0.66', '127.0.0.67'].map((from) => dialFrom(t, host, from))
    for (const client of crowd) await heard(client, /^220 /)
    await heard(dialFrom(t, host, '127.0.0.66'), /^421 too many sessions/)
    const other = dialFrom(t, host, '127.0.0.68')
    await heard(other, /^220 /)
    await until('one of the crowd to have gone', () => crowd.filter((client) => client.closed()).length === 1)
    assert.ok(!crowd[2]?.closed())
    // Now each address has one.
    await heard(dialFrom(t, host, '127.0.0.69'), /^421 too many sessions/)
  })
})

void describe('limits in POP3', () => {
  void it('are refusals with the codes of RFC 2449, and name the limit', async (t) => {
    const host = await startHost(t, { serving: 'pop3 submission name=pop3 tries=5' })
    host.write('pop3capabilities', 'RESP-CODES\n')
    await useLimits(host, 'one user sessions 1\nguesses user failed-logins 1/hour ban=60\nfew address before-login 2\n')
    const first = await host.greeted()
    await host.say(first, `USER ann\r\nPASS ${PASSWORD}\r\n`, /\+OK.*\r\n(?:220|\+OK) /)
    const second = await host.greeted(2)
    await host.say(second, `USER ann\r\nPASS ${PASSWORD}\r\n`, /-ERR \[IN-USE\] .*\(#limit one\)\r\n/)
    await host.say(second, 'USER bob\r\nPASS wrong\r\n', /-ERR (?!\[LOGIN)/)
    await host.say(second, `USER bob\r\nPASS ${PASSWORD}\r\n`, /-ERR \[LOGIN-DELAY\] .*\(#limit guesses\)\r\n/)
    await host.greeted(2)
    await heard(host.dial(1), /^-ERR \[\S+\] too many .*\(#limit few\)\r\n/)
  })
})

void describe('a limit of octets', () => {
  void it('lets through the message that exceeds it, and refuses the next one, in either lane', async (t) => {
    const host = await limitedHost(t, 'volume user octets 1000/hour\n')
    const heardOf: string[] = []
    host.daemon.events.subscribe(({ topic, name, data }) => {
      if (topic === 'limit') heardOf.push(`${name} ${data?.['limit']} ${data?.['what']}`)
    })
    const client = await host.login('ann')
    const send = async (octets: number) => {
      await host.say(client, 'MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n', /354 /)
      await host.say(client, `${'x\r\n'.repeat(octets / 3)}.\r\n`, /250 /)
    }
    await send(501)
    await send(600)
    await host.say(client, 'MAIL FROM:<a@x>\r\n', /^450 .*\(#limit volume\)/)
    const other = await host.login('ann', 2)
    await host.say(other, 'MAIL FROM:<a@x>\r\n', /^450 .*\(#limit volume\)/)
    await until('the events', () => heardOf.length === 2)
    assert.deepEqual(heardOf, ['reached volume messages', 'reached volume messages'])
  })
})
