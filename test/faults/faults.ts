// The faults, a row each: processes that die or stop, lanes, upgrades; host-faults.ts has what the host does.
import { inOneLane } from '../system/inspector.ts'
import { supervisorOf, treeOf, until } from '../system/processes.ts'
import {
  AGAIN,
  ALL,
  checkpassword,
  type Fault,
  type Ground,
  hold,
  kill,
  lasting,
  NONE,
  one,
  PINGS,
  RUNTIME,
  someBackend,
  stopped,
  WHOLE,
} from './fault.ts'
import { HOST_FAULTS } from './host-faults.ts'
import { connectTo, introduce } from './load.ts'
import type { Role } from './service.ts'

const KILLED: readonly (readonly [Role, number, number])[] = [
  ['helper', AGAIN, NONE],
  ['server', AGAIN, NONE],
  ['clerk', AGAIN, NONE],
  ['watcher', AGAIN, NONE],
  ['runtime', RUNTIME, ALL],
  ['supervisor', WHOLE, ALL],
  ['launcher', WHOLE, ALL],
]

const kills: readonly Fault[] = KILLED.map(([role, limit, cuts]) => ({
  name: `${role} killed`,
  does: `kill -9 of the ${role}`,
  limit,
  cuts,
  refuses: true,
  during: false,
  inflict: async (ground) => kill(ground, await lasting(ground, role)),
}))

/** Nobody needs these while they are stopped; the others are asked for a login. */
const stops: readonly Fault[] = KILLED.map(([role]) => ({
  name: `${role} stopped`,
  does: `SIGSTOP of the ${role}, then SIGCONT`,
  limit: AGAIN,
  cuts: NONE,
  refuses: false,
  during: role === 'supervisor' || role === 'launcher' || role === 'helper',
  inflict: async (ground) => stopped(ground, await one(ground, role)),
}))

/** Logins by the chain that runs checkpassword, until `then` has found it. */
async function amongLogins({ place }: Ground, then: () => Promise<void>): Promise<void> {
  const target = place.targets.find(({ chain }) => chain === 'program')
  const user = place.people[0]
  if (target === undefined || user === undefined) throw new Error('no such chain')
  const state = { over: false }
  const come = async (): Promise<void> => {
    while (!state.over) {
      const talk = await connectTo(target)
      await introduce(talk, user).catch(() => undefined)
      talk.socket.destroy()
    }
  }
  const coming = [come(), come(), come()]
  await then().finally(() => (state.over = true))
  await Promise.all(coming)
}

const programs: readonly Fault[] = [
  {
    name: 'backend killed',
    does: 'kill -9 of a mail program, or of what it has started',
    limit: AGAIN,
    cuts: 1,
    refuses: true,
    during: true,
    inflict: async (ground) => kill(ground, await someBackend(ground)),
  },
  {
    name: 'backend stopped',
    does: 'SIGSTOP of a mail program, then SIGCONT',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: async (ground) => stopped(ground, await someBackend(ground)),
  },
  {
    name: 'checkpassword killed',
    does: 'kill -9 of a checkpassword',
    limit: AGAIN,
    cuts: NONE,
    refuses: true,
    during: true,
    inflict: (ground) => amongLogins(ground, async () => kill(ground, await checkpassword())),
  },
  {
    name: 'checkpassword stopped',
    does: 'SIGSTOP of a checkpassword, then SIGCONT',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: (ground) => amongLogins(ground, async () => stopped(ground, await checkpassword())),
  },
]

const inLane = async ({ service }: Ground, code: string): Promise<void> =>
  inOneLane(service.role('runtime')?.pid ?? 0, service.inspectorLog, code)

const laneDies = (name: string, does: string, code: string, limit = AGAIN): Fault => ({
  name,
  does,
  limit,
  cuts: ALL,
  refuses: true,
  during: true,
  inflict: async (ground) => {
    const deaths = (): number => [...ground.service.log().matchAll(/ lane-died /g)].length
    const before = deaths()
    await inLane(ground, code)
    await until('its death', () => deaths() > before, { timeout: 30_000 })
  },
})

const lanes: readonly Fault[] = [
  laneDies('lane killed', 'the end of a lane', 'process.exit(1)'),
  laneDies('lane spins', 'a lane that does not come back from a loop', 'for (;;);', PINGS),
  laneDies(
    'lane out of memory',
    'a lane that takes all of its memory',
    'for (const all = []; ; ) all.push(new Array(1e5).fill(0.5))',
  ),
  {
    name: 'lane recycled',
    does: 'lane.recycle of one lane or all',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: async ({ service, random, note }) => {
      const { lanes: list } = (await service.call('lane.list')) as { lanes: readonly { lane: number }[] }
      const params = random.below(2) === 0 ? { all: true } : { lane: random.pick(list).lane }
      note(JSON.stringify(await service.call('lane.recycle', params)))
    },
  },
]

const nextRuntime = ({ service }: Ground) => {
  const supervisor = supervisorOf(service.role('launcher')?.pid ?? 0)?.pid ?? 0
  const all = treeOf(supervisor).filter(({ ppid, argv }) => ppid === supervisor && argv[0]?.endsWith('node') === true)
  return all.length > 1 ? all.at(-1) : undefined
}

const upgrades: readonly Fault[] = [
  {
    name: 'upgrade',
    does: 'server.upgrade',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: async ({ service, note }) => note(JSON.stringify(await service.call('server.upgrade'))),
  },
  {
    name: 'upgrade killed',
    does: 'server.upgrade, and kill -9 of the runtime that it starts',
    limit: AGAIN,
    // It may serve already.
    cuts: ALL,
    refuses: true,
    during: true,
    inflict: async (ground) => {
      const upgrade = ground.service.call('server.upgrade').then(JSON.stringify, String)
      const next = await until('the next runtime', () => nextRuntime(ground), { every: 1 })
      await hold(ground, 600)
      kill(ground, next)
      ground.note(await upgrade)
    },
  },
]

const calm: Fault = {
  name: 'none',
  does: 'nothing, for comparison: what a client waits on this machine anyway',
  limit: AGAIN,
  cuts: NONE,
  refuses: false,
  during: true,
  inflict: (ground) => hold(ground),
}

/** The first is no fault: what it takes is the machine's. */
export const FAULTS: readonly Fault[] = [calm, ...kills, ...stops, ...programs, ...lanes, ...HOST_FAULTS, ...upgrades]
