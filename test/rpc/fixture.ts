// A control plane over the real daemon, with sessions of user1, user2 and alice.
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ControlPlane, openControlPlane } from '../../src/rpc/open.ts'
import type { StreamEnd } from '../support/fake-helper.ts'
import { type Begins, type Host, startHost } from '../support/host.ts'
import { until } from '../support/lane.ts'

export interface Fixture {
  readonly host: Host
  /** For files of the test. */
  readonly directory: string
  readonly control: string
  readonly status: string
  readonly metrics: string
  readonly plane: ControlPlane
  /** The users' sessions, in the order in which they began. */
  readonly clients: readonly StreamEnd[]
  /** Ids of the users' sessions. */
  readonly idOf: (user: string) => Promise<string>
  /** What is shown of a user's session. */
  readonly sessions: () => Promise<number>
}

export const USERS = ['user1', 'user2', 'alice'] as const

/** Ends it as a runtime ends, and starts the next one with the state that it has left. */
export async function restarted(t: TestContext, { host, plane }: Fixture, begins: Begins): Promise<Fixture> {
  await plane.close()
  await host.stop()
  return fixture(t, 0, { directory: host.directory, ...begins })
}

export async function fixture(t: TestContext, strangers = 0, begins: Begins = {}): Promise<Fixture> {
  const host = await startHost(t, begins)
  const directory = join(host.directory, 'test')
  const control = join(directory, 'private', 'control.sock')
  const status = join(directory, 'private', 'status.sock')
  const opened = await openControlPlane(host.daemon, {
    control,
    status: { path: status },
    metrics: { host: '127.0.0.1', port: 0 },
  })
  if (opened.isErr()) throw new Error(opened.error.message)
  const plane = opened.value
  t.after(() => plane.close())
  const clients: StreamEnd[] = []
  for (const [i, user] of USERS.entries()) clients.push(await host.login(user, 1 + (i % 2)))
  const others = Array.from({ length: strangers }, (_, i) => host.dial(1 + (i % 2)))
  await until('the strangers', () => others.every((one) => one.heard() !== ''), { timeout: 20_000 })
  const query = (user?: string) =>
    host.daemon.sessions.query({
      filter: user === undefined ? {} : { user },
      sort: 'started',
      descending: false,
      limit: 1,
      now: Date.now(),
    })
  return {
    host,
    directory,
    control,
    status,
    plane,
    metrics: plane.addresses.at(-1) ?? '',
    clients,
    idOf: async (user) => (await query(user)).sessions[0]?.id ?? '',
    sessions: async () => (await query()).matched,
  }
}
