// What a host does to a daemon: full disks, no descriptors, no memory, clock changes, signals, clients that disconnect.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { descriptors, isAlive, until } from '../system/processes.ts'
import {
  AGAIN,
  ALL,
  addressSpace,
  type Fault,
  type Ground,
  hold,
  lasting,
  limited,
  NONE,
  type one,
  pass,
  RUNTIME,
} from './fault.ts'
import type { Disk } from './place.ts'
import type { Role } from './service.ts'
import { cutEverywhere } from './tls-cuts.ts'

const full = (disk: Disk, name: string, also: (ground: Ground) => Promise<void> = async () => undefined): Fault => ({
  name,
  ...(disk === 'maildrop' && { needs: 'postfix' as const }),
  does: `no room on the disk of the ${name.replace(' full', '')}`,
  limit: AGAIN,
  cuts: NONE,
  refuses: !(disk === 'log' || disk === 'state'),
  during: disk === 'log' || disk === 'state',
  inflict: async (ground) => {
    const free = ground.place.fill(disk)
    try {
      await also(ground)
      await hold(ground)
    } finally {
      free()
    }
  },
})

/** A change to be kept. */
const tell = async ({ service }: Ground): Promise<void> => {
  await service.call('user.block', { user: 'nobody-such' })
  await service.call('user.unblock', { user: 'nobody-such' })
}

const disks: readonly Fault[] = [
  full('homes', 'Maildirs full'),
  full('maildrop', "Postfix's queue full"),
  full('log', 'log full'),
  full('state', 'state full', tell),
]

/** Names of prlimit(1). */
const shortage = (
  name: string,
  does: string,
  limit: number,
  cuts: number,
  [role, resource, value]: readonly [Role, string, (pid: Awaited<ReturnType<typeof one>>) => number],
): Fault => ({
  name,
  does,
  limit,
  cuts,
  refuses: true,
  during: false,
  inflict: async (ground) => {
    const process = await lasting(ground, role)
    await limited(ground, process, resource, value(process), async () => {
      const milliseconds = ground.random.between(500, 2000)
      const end = performance.now() + milliseconds
      await until('the time', () => performance.now() > end || !isAlive(process.pid), { every: 10 })
      ground.note(isAlive(process.pid) ? `for ${milliseconds} ms` : 'it ended')
    })
  },
})

const shortages: readonly Fault[] = [
  shortage('runtime without descriptors', 'no further descriptor for the runtime', RUNTIME, ALL, [
    'runtime',
    'nofile',
    ({ pid }) => descriptors(pid),
  ]),
  shortage('helper without descriptors', 'no further descriptor for the helper', AGAIN, NONE, [
    'server',
    'nofile',
    ({ pid }) => descriptors(pid),
  ]),
  shortage('users without processes', 'no process for any user', AGAIN, ALL, ['server', 'nproc', () => 0]),
  shortage('runtime without memory', 'no further page for the runtime', RUNTIME, ALL, [
    'runtime',
    'as',
    (process) => addressSpace(process) + 2 ** 20,
  ]),
  shortage('helper without memory', 'no further page for the helper and what it runs', AGAIN, ALL, [
    'server',
    'as',
    addressSpace,
  ]),
]

const removed = (name: string, path: (ground: Ground) => string): Fault => ({
  name: `${name} removed`,
  does: `rm of ${name}`,
  limit: AGAIN,
  cuts: NONE,
  refuses: name === 'helper.sock',
  during: true,
  inflict: async (ground) => {
    rmSync(path(ground))
    await until(`another ${name}`, () => existsSync(path(ground)))
  },
})

const sockets: readonly Fault[] = [
  removed('helper.sock', ({ place }) => place.installation.helperSocket),
  removed('control.sock', ({ place }) => join(place.installation.run, 'control.sock')),
  removed('status.sock', ({ place }) => join(place.installation.run, 'status.sock')),
]

const CLOCK = '/mnt/clock'
const setClock = (seconds: number): void => writeFileSync(CLOCK, `${seconds < 0 ? '' : '+'}${seconds}\n`)

const others: readonly Fault[] = [
  {
    name: 'log reader killed',
    does: 'kill -9 of the program that reads the log, and a new one',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    manner: { log: 'pipe' },
    inflict: async (ground) => {
      process.kill(ground.service.reader(), 'SIGKILL')
      await hold(ground)
      ground.service.startReader()
    },
  },
  {
    name: 'log reader stopped',
    does: 'SIGSTOP of the program that reads the log, then SIGCONT',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    manner: { log: 'pipe' },
    inflict: async (ground) => {
      const reader = ground.service.reader()
      process.kill(reader, 'SIGSTOP')
      await hold(ground)
      process.kill(reader, 'SIGCONT')
    },
  },
  {
    name: 'clock stepped',
    does: 'the wall clock set forward or back by up to a day, and right again',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    manner: { log: 'file', clock: CLOCK },
    needs: 'faketime',
    inflict: async (ground) => {
      const seconds = ground.random.between(-86_400, 86_400)
      ground.note(`by ${seconds} s`)
      setClock(seconds)
      await hold(ground)
      setClock(0)
    },
  },
  {
    name: 'engine of the fleet killed',
    does: 'kill -9 of the Redis between hosts, and a new one that has forgotten',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    needs: 'redis-server',
    inflict: async (ground) => {
      await ground.place.engine?.kill()
      await hold(ground)
      await ground.place.engine?.start()
    },
  },
  {
    name: 'HUP storm',
    does: 'a hundred HUPs while control/ changes, with an error now and then',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: async ({ service, place, random }) => {
      for (let n = 0; n < 100; n += 1) {
        place.installation.write('timeoutsmtpd', random.below(5) === 0 ? 'soon\n' : `${1200 + n}\n`)
        service.signal('SIGHUP')
        if (n % 10 === 0) await pass(random.below(30))
      }
      place.installation.write('timeoutsmtpd', '1200\n')
      await service.call('config.reload')
    },
  },
  {
    name: 'TLS cut',
    does: 'handshakes that end after each of the client\u2019s octets',
    limit: AGAIN,
    cuts: NONE,
    refuses: false,
    during: true,
    inflict: async ({ place, note }) => {
      const target = place.targets.find(({ tls }) => tls)
      note(`${await cutEverywhere(target?.port ?? 0)} octets`)
    },
  },
]

export const HOST_FAULTS: readonly Fault[] = [...disks, ...shortages, ...sockets, ...others]

export const prepareClock = (): void => setClock(0)
