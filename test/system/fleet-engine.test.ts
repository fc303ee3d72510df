// Hosts of a fleet in one process, over a real redis-server that is made slow, wrong, mute and dead: each host says so once, limits by
// itself, and is back by itself.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { openControlPlane } from '../../src/rpc/open.ts'
import type { StreamEnd } from '../support/fake-helper.ts'
import { type Host, startHost } from '../support/host.ts'
import { call } from './daemon.ts'
import { type Engine, engineIn, PASSWORD_OF_ENGINE } from './fleet.ts'
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

interface Member {
  readonly name: string
  readonly host: Host
  readonly call: (method: string, params?: Readonly<Record<string, unknown>>) => Promise<unknown>
}

let fleets = 0

/** Each test has a fleet of its own in the engine. */
async function fleetOf(t: TestContext, limits: string, names = ['mx1', 'mx2']): Promise<readonly Member[]> {
  fleets += 1
  const secret = join(directory, 'key')
  writeFileSync(secret, `${PASSWORD_OF_ENGINE}\n`, { mode: 0o600 })
  const members: Member[] = []
  for (const name of names) {
    const host = await startHost(t)
    const control = join(host.directory, 'test', 'private', 'control.sock')
    const plane = (await openControlPlane(host.daemon, { control }))._unsafeUnwrap()
    t.after(() => plane.close())
    const member: Member = { name, host, call: (method, params = {}) => call(control, method, params) }
    members.push(member)
    host.write('limits', limits)
    host.write('fleet', lines(name, engine.port, secret))
    await member.call('config.reload')
  }
  await together(members)
  return members
}

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
})
