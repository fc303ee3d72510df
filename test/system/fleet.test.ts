// Three acceptd and one redis-server as a fleet: limits, bans and blocks hold over all of them, and mail goes on without the engine.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Conversation, converse, loggedIn, plain } from './conversation.ts'
import { type FleetFixture, type FleetHost, fleetHealth, makeFleet, together } from './fleet.ts'
import { until } from './processes.ts'
import { transact } from './recorder.ts'

const LIMITS = [
  'mails user messages 100/minute',
  'few user=acctest2 messages 40/hour',
  'many user=acctest3 messages 100/hour',
  'guesses user failed-logins 3/hour ban=3600',
  '',
].join('\n')

let fleet: FleetFixture
let hosts: readonly [FleetHost, FleetHost, FleetHost]
before(async () => {
  fleet = await makeFleet(['mx1', 'mx2', 'mx3'], { limits: LIMITS })
  const [one, two, three] = fleet.hosts
  assert.ok(one && two && three)
  hosts = [one, two, three]
})
after(() => fleet.end())

const dial = ({ daemon }: FleetHost, person: number): Promise<Conversation> => {
  const { name, password } = fleet.people[person] ?? { name: '', password: '' }
  return loggedIn(daemon.port('mail'), name, password)
}

/** Begins one message and cancels it; returns whether it may be sent. */
async function mayMail(talk: Conversation): Promise<boolean> {
  const reply = await talk.say('MAIL FROM:<me@example.org>')
  if (reply.startsWith('250')) {
    await talk.say('RSET')
    return true
  }
  assert.match(reply, /^450 too many messages of this user \(#limit (?:mails|few|many)\)/)
  return false
}

/** Sends until it has been refused this often in a row; returns how often it was not. */
async function mailUntilRefused(talk: Conversation, refusals: number): Promise<number> {
  let taken = 0
  for (let refused = 0; refused < refusals; ) {
    if (await mayMail(talk)) {
      taken += 1
      refused = 0
    } else refused += 1
  }
  return taken
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0)

interface Limits {
  readonly limits: readonly { readonly name: string; readonly used: number }[]
}

async function used({ daemon }: FleetHost, user: string, limit = 'mails'): Promise<number | undefined> {
  const { limits } = (await daemon.call('limit.eval', { ip: '192.0.2.1', user })) as Limits
  return limits.find(({ name }) => name === limit)?.used
}

/** Whether a login with the right password is refused by a ban. */
async function isBanned({ daemon }: FleetHost, person: number): Promise<boolean> {
  const { name = '', password = '' } = fleet.people[person] ?? {}
  const talk = await converse(daemon.port('mail'))
  await talk.reply()
  await talk.say('EHLO client.example')
  const answer = await talk.say(`AUTH PLAIN ${plain(name, password)}`)
  talk.cut()
  return /#limit guesses/.test(answer)
}

void describe('a fleet of three', () => {
  void it('holds a limit of 100 messages a minute to one percent, with clients on all of them at the same time', async () => {
    const talks = await Promise.all(hosts.flatMap((host) => [dial(host, 0), dial(host, 0)]))
    const taken = sum(await Promise.all(talks.map((talk) => mailUntilRefused(talk, 30))))
    assert.ok(taken >= 99 && taken <= 101, `${taken} messages`)
    for (const talk of talks) talk.cut()
    for (const host of hosts) await until(`${host.name} to know`, async () => (await used(host, 'acctest1')) === taken)
  })

  void it('blocks a user on all hosts, and ends their sessions there', async () => {
    const { name } = fleet.people[2]
    const talks = await Promise.all(hosts.map((host) => dial(host, 2)))
    const answer = await hosts[0].daemon.call('user.block', { user: name, fleet: true, reason: 'stolen' })
    const { ended, hosts: others, silentHosts } = answer as { ended: number; hosts: unknown; silentHosts: unknown }
    assert.deepEqual(
      [ended, others, silentHosts],
      [
        1,
        [
          { host: 'mx2', ended: 1 },
          { host: 'mx3', ended: 1 },
        ],
        [],
      ],
    )
    for (const talk of talks) await talk.rest()
    for (const { daemon } of hosts) await assert.rejects(loggedIn(daemon.port('mail'), name, fleet.people[2].password))
    await hosts[1].daemon.call('user.unblock', { user: name, fleet: true })
    for (const host of hosts) (await dial(host, 2)).cut()
  })

  void it('bans on all hosts whoever has guessed on some, until the penalties are cleared on one', async () => {
    const { name } = fleet.people[2]
    for (const [i, host] of [hosts[0], hosts[1], hosts[0]].entries()) {
      await until('what the others have counted', async () => (await used(host, name, 'guesses')) === i)
      await assert.rejects(loggedIn(host.daemon.port('mail'), name, `wrong ${i}`), /535/)
    }
    for (const host of hosts) await until(`the ban on ${host.name}`, () => isBanned(host, 2))
    await hosts[2].daemon.call('penalty.clear', { subject: name })
    for (const host of hosts) await until(`no ban on ${host.name}`, async () => !(await isBanned(host, 2)))
  })

  void it('goes on without the engine: no session fails, each host limits by itself, and all is known when it is back', async () => {
    const talks = await Promise.all(hosts.map((host) => dial(host, 1)))
    const counts = await Promise.all(talks.map((talk) => mailUntilRefused(talk, 30)))
    assert.ok(sum(counts) >= 39 && sum(counts) <= 41, counts.join(' '))
    const sending = await Promise.all(hosts.map((host) => dial(host, 2)))
    const transactions = sending.map(async (talk, i) => {
      for (let n = 0; n < 20; n += 1) {
        if (i === 0 && n === 5) await fleet.engine.kill()
        for (const reply of await transact(talk, `${i} ${n}`)) assert.match(reply, /^(?:250|354) /)
      }
    })
    await Promise.all(transactions)
    for (const host of hosts)
      await until(`${host.name} to say so`, async () => (await fleetHealth(host)).state === 'warning')
    // As last known, the hour is used up; a user nothing is known about has the whole of it on each host.
    for (const talk of talks) assert.equal(await mayMail(talk), false)
    await assert.rejects(hosts[0].daemon.call('user.block', { user: 'nobody', fleet: true }), /fleet-away/)
    await fleet.engine.start()
    await together(fleet)
    for (const host of hosts)
      await until(`${host.name} to know of all`, async () => (await used(host, 'acctest3', 'many')) === 60)
    for (const { daemon } of hosts) assert.equal(daemon.log().match(/ fleet-lost /g)?.length, 1, daemon.log())
    for (const talk of [...talks, ...sending]) talk.cut()
  })
})
