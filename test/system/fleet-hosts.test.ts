// Three acceptd behind HAProxy, with an engine between them: the composition of packaging/fleet, in network namespaces instead of containers.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { fleetHealth, together } from './fleet.ts'
import { type Bed, connected, type FleetHost, makeBed } from './fleet-bed.ts'
import { until } from './processes.ts'
import { transact } from './recorder.ts'

let bed: Bed
before(async () => {
  bed = await makeBed()
  await together(bed)
  await until('HAProxy to see all hosts', async () => (await up()).length === 9, {
    timeout: 30_000,
    show: bed.balancer.said,
  })
})
after(() => bed.end())

/** `submission/acceptd1`, ...: the servers that a check has found up and that get new clients. */
async function up(): Promise<readonly string[]> {
  const lines = (await bed.administer('show stat').catch(() => '')).split('\n').map((line) => line.split(','))
  return lines.flatMap(([proxy = '', server = '', ...rest]) =>
    server.startsWith('acceptd') && rest[15] === 'UP' ? [`${proxy}/${server}`] : [],
  )
}

const every = (state: 'drain' | 'ready', { name }: FleetHost): Promise<unknown> =>
  Promise.all(
    ['submission', 'submissions', 'pop3s'].map((proxy) => bed.administer(`set server ${proxy}/${name} state ${state}`)),
  )

interface Listed {
  readonly sessions: readonly { readonly ip: string; readonly user: string }[]
}
const sessionsOf = async ({ daemon }: FleetHost): Promise<Listed['sessions']> =>
  ((await daemon.call('session.list')) as Listed).sessions.filter(({ user }) => user !== '')

const filed = (): readonly string[] => bed.hosts.flatMap(({ recorder }) => recorder.taken())

/** Clients that come in turn, each with a message; returns the function that ends them and tells what they have sent. */
function submitting(label: string, loops: number): { sent: () => number; stop: () => Promise<readonly string[]> } {
  const state = { going: true }
  const subjects: string[] = []
  const loop = async (who: number): Promise<void> => {
    for (let n = 0; state.going; n += 1) {
      const talk = await bed.login(bed.people[who % 3] ?? bed.people[0])
      const subject = `${label} ${who} ${n}`
      for (const reply of await transact(talk, subject)) assert.match(reply, /^[23]/)
      subjects.push(subject)
      assert.match(await talk.say('QUIT'), /^221 /)
      talk.cut()
    }
  }
  const loopsRun = Promise.all(Array.from({ length: loops }, (_, who) => loop(who)))
  // stop() reports it; until then a failure has no other listener.
  loopsRun.catch(() => undefined)
  return {
    sent: () => subjects.length,
    stop: async () => {
      state.going = false
      await loopsRun
      return subjects
    },
  }
}

async function stillSends(clients: ReturnType<typeof submitting>): Promise<void> {
  const already = clients.sent()
  await until('more messages', () => clients.sent() > already + 20, { timeout: 60_000 })
}

void describe('three hosts behind HAProxy', () => {
  void it('see each client at its own address, which the PROXY header brings, and share the clients out', async () => {
    const [user] = bed.people
    const talks = await Promise.all(Array.from({ length: 6 }, () => bed.login(user)))
    for (const host of bed.hosts) {
      const sessions = await sessionsOf(host)
      assert.deepEqual(new Set(sessions.map(({ ip }) => ip)), new Set(['10.87.0.1']), host.name)
    }
    for (const talk of talks) talk.cut()
  })

  void it('are restarted in turn, and no client is refused and no message lost', async (t) => {
    const clients = submitting('rolling', 6)
    for (const host of bed.hosts) {
      await stillSends(clients)
      await every('drain', host)
      await until(`${host.name} to be idle`, async () => (await sessionsOf(host)).length === 0, { timeout: 60_000 })
      await host.daemon.stop('SIGTERM')
      await stillSends(clients)
      await host.start()
      await every('ready', host)
      await until(`HAProxy to use ${host.name}`, async () => (await up()).length === 9, { timeout: 30_000 })
    }
    const sent = await clients.stop()
    assert.deepEqual(
      filed()
        .filter((subject) => subject.startsWith('rolling'))
        .toSorted(),
      sent.toSorted(),
    )
    t.diagnostic(`${sent.length} messages meanwhile`)
  })

  void it('publish rules in turn, and a host whose file has an error keeps what it has', async () => {
    const [first, second] = bed.hosts
    assert.ok(first && second)
    first.place.write('smtpgreeting', 'rolled.example\n')
    await first.daemon.call('config.diff', {})
    await first.daemon.call('config.reload', {})
    await first.daemon.call('rules.list', {})
    second.place.write('limits', 'no such line\n')
    await assert.rejects(second.daemon.call('config.reload', {}), /-32010/)
    second.place.write('limits', '')
    const greetings = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const talk = await bed.client()
        const greeting = await talk.reply()
        return { talk, greeting }
      }),
    )
    assert.ok(greetings.some(({ greeting }) => greeting.startsWith('220 rolled.example')))
    assert.ok(greetings.some(({ greeting }) => greeting.startsWith('220 mx.acceptd.test')))
    for (const { talk } of greetings) talk.cut()
    await first.daemon.call('config.rollback', {})
  })
})

void describe('the engine between them', () => {
  const away = (): Promise<unknown> =>
    Promise.all(
      bed.hosts.map((host) =>
        until(`${host.name} to say so`, async () => (await fleetHealth(host)).state === 'warning'),
      ),
    )

  void it('dies, and mail goes on; it comes back, and the hosts are a fleet again', async () => {
    const clients = submitting('engine', 3)
    await stillSends(clients)
    await bed.engine.kill()
    await away()
    await stillSends(clients)
    bed.engine.start()
    await together(bed)
    await clients.stop()
  })

  void it('is out of reach of one host: the others serve its clients, and it joins them again', async () => {
    const [host] = bed.hosts
    assert.ok(host)
    await connected(host.name, false)
    await until('HAProxy to see it', async () => (await up()).length === 6, { timeout: 60_000 })
    await until(`${host.name} to say so`, async () => (await fleetHealth(host)).state === 'warning')
    const clients = submitting('partition', 3)
    await stillSends(clients)
    await connected(host.name, true)
    await until('HAProxy to use it again', async () => (await up()).length === 9, { timeout: 60_000 })
    await until(
      'all to be together',
      async () =>
        together(bed).then(
          () => true,
          () => false,
        ),
      { timeout: 60_000 },
    )
    await clients.stop()
  })

  void it('holds a limit of 100 messages a minute to one percent over the three', async () => {
    for (const { place, daemon } of bed.hosts) {
      place.write('limits', 'mails user messages 100/minute\n')
      await daemon.call('config.reload', {})
    }
    const talks = await Promise.all(Array.from({ length: 6 }, () => bed.login(bed.people[1])))
    const taken = await Promise.all(
      talks.map(async (talk) => {
        let [mails, refused] = [0, 0]
        while (refused < 30) {
          if ((await talk.say('MAIL FROM:<me@example.org>')).startsWith('250')) {
            mails += 1
            await talk.say('RSET')
          } else refused += 1
        }
        talk.cut()
        return mails
      }),
    )
    const all = taken.reduce((sum, n) => sum + n, 0)
    assert.ok(all >= 99 && all <= 101, taken.join(' '))
  })
})
