// Hosts of a fleet in one process, over a real redis-server that is made slow, wrong, mute and dead: each host reports it once, limits by
// itself, and recovers by itself.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { openControlPlane } from '../../src/rpc/open.ts'
import type { StreamEnd } from '../support/fake-helper.ts'
import { type Host, startHost } from '../support/host.ts'
import { call } from './daemon.ts'
import { type Engine, engineIn, PASSWORD_OF_ENGINE } from './fleet.ts'
import { type Way, wayTo } from './fleet-way.ts'
import { until } from './processes.ts'

let directory: string
let engine: Engine
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'acceptd-fleet-'))
  engine = await engineIn(directory)
  await engine.start()
})
after(async () => {
  await engine.kill()
  rmSync(directory, { recursive: true, force: true })
})

/** Sends it to the engine, and waits until it has been done. */
async function say(...words: readonly string[]): Promise<void> {
  const socket = connect(engine.port, '127.0.0.1')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  socket.write(`AUTH "${PASSWORD_OF_ENGINE}"\r\n${words.join(' ')}\r\n`)
  await until('the engine to do it', () => heard === '+OK\r\n+OK\r\n', { show: () => heard })
  socket.destroy()
}

/** One command to the engine, whatever it answers. */
async function engineDoes(...words: readonly string[]): Promise<void> {
  const socket = connect(engine.port, '127.0.0.1')
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')
  socket.write(`AUTH "${PASSWORD_OF_ENGINE}"\r\n*${words.length}\r\n${bulk}`)
  await until('the engine to do it', () => /^\+OK\r\n:\d+\r\n$/.test(heard), { show: () => heard })
  socket.destroy()
}

const blockedOn = async (member: Member): Promise<readonly string[]> => {
  const { users } = (await member.call('user.list')) as {
    readonly users: readonly { readonly user: string; readonly blocked?: unknown }[]
  }
  return users.filter(({ blocked }) => blocked !== undefined).map(({ user }) => user)
}

interface Member {
  readonly name: string
  readonly way: Way
  readonly host: Host
  readonly call: (method: string, params?: Readonly<Record<string, unknown>>) => Promise<unknown>
  readonly end: () => Promise<void>
}

async function served(t: TestContext, name: string, way: Way, host: Host): Promise<Member> {
  const control = join(host.directory, 'test', 'private', 'control.sock')
  const plane = (await openControlPlane(host.daemon, { control }))._unsafeUnwrap()
  t.after(() => plane.close())
  return {
    name,
    way,
    host,
    call: (method, params = {}) => call(control, method, params),
    async end() {
      await plane.close()
      await host.stop()
    },
  }
}

let fleets = 0

/** Each test has its own fleet in the engine. */
async function fleetOf(t: TestContext, limits: string, names = ['mx1', 'mx2']): Promise<readonly Member[]> {
  fleets += 1
  const secret = join(directory, 'key')
  writeFileSync(secret, `${PASSWORD_OF_ENGINE}\n`, { mode: 0o600 })
  const members: Member[] = []
  for (const name of names) {
    const way = await wayTo(t, engine.port)
    const member = await served(t, name, way, await startHost(t))
    const { host } = member
    members.push(member)
    host.write('limits', limits)
    host.write('fleet', lines(name, way.port, secret))
    await member.call('config.reload')
  }
  await together(members)
  return members
}

const messages = (host: Host, event: string): number => host.log().split(` ${event} `).length - 1

const lines = (name: string, port: number, secret: string): string =>
  `engine redis://127.0.0.1:${port}\npassword ${secret}\nname ${name}\nprefix test${fleets}\n`

interface Check {
  readonly name: string
  readonly state: string
  readonly detail: string
  readonly value?: number
}

async function fleetHealth(member: Member): Promise<Check> {
  const { checks } = (await member.call('server.health')) as { readonly checks: readonly Check[] }
  return checks.find(({ name }) => name === 'fleet') ?? assert.fail('health says nothing of a fleet')
}

async function together(members: readonly Member[]): Promise<void> {
  for (const member of members)
    await until(
      `${member.name} to hear all others`,
      async () => {
        const { state, value } = await fleetHealth(member)
        return state === 'ok' && value === members.length
      },
      { show: () => member.host.log() },
    )
}

async function mayMail({ host }: Member, client: StreamEnd): Promise<boolean> {
  const from = client.heard().length
  await host.say(client, 'MAIL FROM:<me@example.org>\r\n', /\r\n/)
  const isTaken = client.heard().slice(from).startsWith('250')
  if (isTaken) await host.say(client, 'RSET\r\n', /^250/)
  return isTaken
}

async function mailUntilRefused(member: Member, client: StreamEnd, refusals: number): Promise<number> {
  let taken = 0
  for (let refused = 0; refused < refusals; ) {
    if (await mayMail(member, client)) {
      taken += 1
      refused = 0
    } else refused += 1
  }
  return taken
}

void describe('hosts of a fleet', () => {
  void it('hold a limit together, and block a user together', async (t) => {
    const members = await fleetOf(t, 'mails user messages 100/minute\n', ['mx1', 'mx2', 'mx3'])
    const clients = await Promise.all(members.map(({ host }) => host.login('ann')))
    const taken = await Promise.all(members.map((one, i) => mailUntilRefused(one, clients[i] as StreamEnd, 100)))
    const all = taken.reduce((sum, n) => sum + n, 0)
    assert.ok(all >= 99 && all <= 101, taken.join(' '))
    const [first] = members
    const blocked = await first?.call('user.block', { user: 'ann', fleet: true })
    assert.deepEqual((blocked as { hosts: unknown }).hosts, [
      { host: 'mx2', ended: 1 },
      { host: 'mx3', ended: 1 },
    ])
    for (const client of clients) await until('the end of the session', () => client.closed())
  })

  void it('list their sessions as one, page by page, and end them by host and id', async (t) => {
    const members = await fleetOf(t, '')
    const clients = await Promise.all(members.flatMap(({ host }) => ['ann', 'bob'].map((user) => host.login(user))))
    const [first] = members
    const list = async (params: Readonly<Record<string, unknown>>) =>
      (await first?.call('session.list', { fleet: true, ...params })) as {
        readonly sessions: readonly { readonly id: string; readonly user: string }[]
        readonly matched: number
        readonly next?: string
      }
    for (const sort of ['user', 'id', 'started', 'messages'])
      for (const descending of [false, true]) {
        const whole = await list({ sort, descending })
        assert.equal(whole.matched, 4)
        const ids: string[] = []
        let cursor: string | undefined
        do {
          const page = await list({ sort, descending, limit: 1, ...(cursor !== undefined && { cursor }) })
          ids.push(...page.sessions.map(({ id }) => id))
          cursor = page.next
        } while (cursor !== undefined)
        assert.deepEqual(
          ids,
          whole.sessions.map(({ id }) => id),
          `${sort} ${descending}`,
        )
      }
    const { sessions } = await list({ user: 'bob' })
    assert.deepEqual(new Set(sessions.map(({ id }) => id.split('/')[0])), new Set(['mx1', 'mx2']))
    const other = sessions.find(({ id }) => id.startsWith('mx2/'))
    const killed = await first?.call('session.kill', { id: other?.id, mode: 'now', fleet: true })
    assert.deepEqual(killed, {
      matched: 0,
      killed: 0,
      ids: [],
      silentLanes: [],
      dryRun: false,
      hosts: [{ host: 'mx2', matched: 1, killed: 1 }],
      silentHosts: [],
    })
    await until('the end of that session', () => clients[3]?.closed() === true)
    assert.deepEqual(
      clients.map((client) => client.closed()),
      [false, false, false, true],
    )
  })

  void it('pause a listener of one name, and resume it', async (t) => {
    const members = await fleetOf(t, '')
    const paused = async () =>
      Promise.all(
        members.map(async (member) => {
          const { listeners } = (await member.call('listener.list')) as { listeners: readonly { paused?: string }[] }
          return listeners[0]?.paused
        }),
      )
    await members[0]?.call('listener.pause', { listener: 'submission', mode: '421', ttl: 3600, fleet: true })
    assert.deepEqual(await paused(), ['421', '421'])
    await members[1]?.call('listener.resume', { listener: 'submission', fleet: true })
    assert.deepEqual(await paused(), [undefined, undefined])
  })

  void it('publish a reload on all hosts, or on none', async (t) => {
    const members = await fleetOf(t, '', ['mx1', 'mx2', 'mx3'])
    const [one, two, three] = members
    assert.ok(one && two && three)
    const status = async (member: Member) =>
      (await member.call('config.status', { fleet: true })) as {
        readonly generation: number
        readonly hosts: readonly { readonly name: string; readonly sha256: string; readonly common: string }[]
      }
    const generations = () => Promise.all(members.map(async (member) => (await status(member)).generation))
    const first = await generations()
    for (const { host } of members) host.write('smtpgreeting', 'we.example ESMTP\n')
    const timeout = two.host.text('timeoutsmtpd')
    two.host.write('timeoutsmtpd', 'for ever\n')
    await assert.rejects(one.call('config.reload', { fleet: true }), /mx2: .*timeoutsmtpd.*nothing was changed on any/)
    assert.deepEqual(await generations(), first)
    two.host.write('timeoutsmtpd', timeout)
    const tried = await one.call('config.reload', { fleet: true, dryRun: true })
    assert.deepEqual((tried as { changed: unknown }).changed, ['smtpgreeting'])
    assert.deepEqual(await generations(), first)
    const done = (await one.call('config.reload', { fleet: true })) as { readonly hosts: readonly { host: string }[] }
    assert.deepEqual(
      done.hosts.map(({ host }) => host),
      ['mx2', 'mx3'],
    )
    const second = await generations()
    assert.ok(second.every((n, i) => n > (first[i] ?? n)))
    await until('all to say that they have the same', async () => {
      const { hosts } = await status(three)
      return hosts.length === 3 && new Set(hosts.map(({ common }) => common)).size === 1
    })
  })

  void it('report once that the engine is slow, mute, wrong or gone, go on by themselves, and recover by themselves', async (t) => {
    const members = await fleetOf(t, 'mails user messages 1000/minute\n')
    const clients = await Promise.all(members.map(({ host }) => host.login('ann')))
    const slow = (milliseconds: number) => {
      for (const { way } of members) way.delay = milliseconds
    }
    const faults: readonly (readonly [state: string, begin: () => unknown, end: () => unknown])[] = [
      ['slow', () => slow(30), () => slow(0)],
      ['away', () => process.kill(engine.pid(), 'SIGSTOP'), () => process.kill(engine.pid(), 'SIGCONT')],
      ['wrong', () => say('REPLICAOF', '127.0.0.1', '1'), () => say('REPLICAOF', 'NO', 'ONE')],
      ['away', () => engine.kill(), () => engine.start()],
    ]
    for (const [i, [state, begin, end]] of faults.entries()) {
      await begin()
      for (const member of members)
        await until(`${member.name} to say that it is ${state}`, async () => {
          const health = await fleetHealth(member)
          return health.state === 'warning' && health.detail.includes(`is ${state}`)
        })
      for (const [n, member] of members.entries()) assert.ok(await mayMail(member, clients[n] as StreamEnd))
      await end()
      await together(members)
      for (const { host } of members)
        assert.deepEqual([messages(host, 'fleet-lost'), messages(host, 'fleet-joined')], [i + 1, i + 2], host.log())
    }
  })

  void it('do later what was ordered while they were away, and take the configuration that was published', async (t) => {
    const members = await fleetOf(t, '', ['mx1', 'mx2', 'mx3'])
    const [one, , three] = members
    assert.ok(one && three)
    const client = await three.host.login('ann')
    three.way.cut(true)
    await until('the others to miss it', async () => (await fleetHealth(one)).detail.includes('away: mx3'))
    for (const { host } of members) host.write('smtpgreeting', 'we.example ESMTP\n')
    const blocked = await one.call('user.block', { user: 'ann', fleet: true })
    assert.deepEqual((blocked as { silentHosts: unknown }).silentHosts, ['mx3'])
    const done = await one.call('config.reload', { fleet: true })
    assert.deepEqual((done as { silentHosts: unknown }).silentHosts, ['mx3'])
    assert.equal(client.closed(), false)
    three.way.cut(false)
    await until('the block to be carried out', () => client.closed())
    await together(members)
    const { by } = (await three.call('config.status')) as { readonly by: string }
    assert.equal(by, 'fleet')
  })

  void it('publish nothing when too few are connected', async (t) => {
    const members = await fleetOf(t, '')
    const [one, two] = members
    assert.ok(one && two)
    two.way.cut(true)
    await until('the other to miss it', async () => (await fleetHealth(one)).detail.includes('away: mx2'))
    one.host.write('smtpgreeting', 'we.example ESMTP\n')
    await assert.rejects(one.call('config.reload', { fleet: true }), /1 of 2 hosts are ready, and 2 have to be/)
    assert.equal(((await one.call('config.status')) as { readonly drift: boolean }).drift, true)
  })

  void it('get back what they counted when they start again', async (t) => {
    const members = await fleetOf(t, 'mails user messages 100/hour\n')
    const [one, two] = members
    assert.ok(one && two)
    const client = await one.host.login('ann')
    for (let n = 0; n < 60; n += 1) assert.ok(await mayMail(one, client))
    const usedOn = async (member: Member) => {
      const { limits } = (await member.call('limit.eval', { ip: '192.0.2.1', user: 'ann' })) as {
        readonly limits: readonly { readonly used: number }[]
      }
      return limits[0]?.used
    }
    await until('the other to know', async () => (await usedOn(two)) === 60)
    await one.end()
    const again = await served(t, 'mx1', one.way, await startHost(t, { directory: one.host.directory }))
    await together([again, two])
    assert.deepEqual([await usedOn(again), await usedOn(two)], [60, 60])
    assert.equal(await mailUntilRefused(again, await again.host.login('ann'), 10), 40)
  })

  void it('do not repeat what a fleet ordered before they start again', async (t) => {
    const members = await fleetOf(t, '')
    const [one, two] = members
    assert.ok(one && two)
    await one.call('user.block', { user: 'ann', fleet: true })
    await until('the other to block', async () => (await blockedOn(two)).length === 1)
    await two.call('user.unblock', { user: 'ann' })
    await two.end()
    const again = await served(t, 'mx2', two.way, await startHost(t, { directory: two.host.directory }))
    await together([one, again])
    assert.deepEqual([await blockedOn(one), await blockedOn(again)], [['ann'], []])
  })

  void it('take no harm from questions and orders that they do not understand', async (t) => {
    const members = await fleetOf(t, '')
    const [one, two] = members
    assert.ok(one && two)
    const prefix = `test${fleets}`
    const order = JSON.stringify({ at: Date.now() + 1000, host: 'mx9', method: 'reload.prepare', params: {} })
    await engineDoes('HSET', `${prefix}:orders`, 'strange', order)
    for (const [method, params] of [
      ['session.query', null],
      ['session.query', {}],
      ['reload.prepare', null],
      ['__proto__', {}],
      ['no.such', []],
    ])
      await engineDoes('PUBLISH', `${prefix}:all`, JSON.stringify(['ask', 'mx9', '0', '1', method, params]))
    two.way.cut(true)
    await until('it to be missed', async () => (await fleetHealth(one)).detail.includes('away: mx2'))
    two.way.cut(false)
    await together(members)
    await one.call('user.block', { user: 'bob', fleet: true })
    await until('the block on both', async () => (await blockedOn(two)).length === 1)
  })

  void it('report that another one has their name, for as long as it has', async (t) => {
    const [one, two] = await fleetOf(t, '')
    assert.ok(one && two)
    const text = two.host.text('fleet')
    two.host.write('fleet', text.replace('name mx2', 'name mx1'))
    await two.call('config.reload')
    for (const member of [one, two])
      await until(
        `${member.name} to say so`,
        async () => (await fleetHealth(member)).detail.includes('another host has the name mx1'),
        { timeout: 20_000 },
      )
    two.host.write('fleet', text)
    await two.call('config.reload')
    await together([one, two])
  })
})
