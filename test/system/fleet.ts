// Several acceptd on this machine that form a fleet, each as an administrator would install it, and Debian's redis-server between them.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type Daemon, startDaemon } from './daemon.ts'
import { type Installation, install } from './installation.ts'
import { type Claim, claimMachine } from './machine.ts'
import { until } from './processes.ts'
import { makeRecorder, type Recorder } from './recorder.ts'
import { makeUsers, removeUsers, type TestUser } from './users.ts'

export const PREFIX = 'acceptd-test'
export const PASSWORD_OF_ENGINE = 'only for hosts of the fleet'

export interface Engine {
  readonly port: number
  readonly pid: () => number
  readonly start: () => Promise<void>
  /** Sends KILL, and waits for its end. */
  readonly kill: () => Promise<void>
}

export interface FleetHost {
  readonly name: string
  readonly place: Installation
  readonly daemon: Daemon
}

export interface FleetFixture {
  readonly claim: Claim
  readonly people: readonly [TestUser, TestUser, TestUser]
  readonly engine: Engine
  readonly hosts: readonly FleetHost[]
  readonly recorder: Recorder
  readonly end: () => Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const at = server.address()
      server.close(() => resolve(typeof at === 'object' && at !== null ? at.port : 0))
    })
  })

/** It keeps nothing on disk: the hosts have to know what it forgets. */
export async function engineIn(dir: string): Promise<Engine> {
  const port = await freePort()
  let child: ChildProcess | undefined
  const configuration = join(dir, 'redis.conf')
  writeFileSync(
    configuration,
    `bind 127.0.0.1\nport ${port}\nsave ""\nappendonly no\ndir ${dir}\nrequirepass "${PASSWORD_OF_ENGINE}"\n`,
    { mode: 0o600 },
  )
  const answers = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => resolve(false))
      socket.on('data', () => {
        socket.destroy()
        resolve(true)
      })
      socket.write('PING\r\n')
    })
  return {
    port,
    pid: () => child?.pid ?? 0,
    async start() {
      child = spawn('redis-server', [configuration], { stdio: 'ignore' })
      await until('redis-server to answer', answers)
    },
    async kill() {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** `control`: files of the control directories; `fleet`: further lines of control/fleet. */
export async function makeFleet(
  names: readonly string[],
  control: Readonly<Record<string, string>>,
  fleet = '',
): Promise<FleetFixture> {
  const claim = await claimMachine()
  const hosts: FleetHost[] = []
  let engine: Engine | undefined
  const end = async (): Promise<void> => {
    try {
      for (const { daemon } of hosts) await daemon.stop()
    } finally {
      await engine?.kill()
      await removeUsers()
      claim.release()
    }
  }
  try {
    const { people, account } = await makeUsers()
    const recorder = await makeRecorder(claim.dir, people)
    engine = await engineIn(claim.dir)
    await engine.start()
    const secret = join(claim.dir, 'fleet.key')
    writeFileSync(secret, `${PASSWORD_OF_ENGINE}\n`, { mode: 0o600 })
    chownSync(secret, account.uid, account.gid)
    for (const name of names) {
      const dir = join(claim.dir, name)
      mkdirSync(dir)
      const place = await install(dir, account)
      place.writeChains([recorder.chain])
      place.write('lanes', '1\n')
      place.write(
        'fleet',
        `engine redis://127.0.0.1:${engine.port}\npassword ${secret}\nname ${name}\nprefix ${PREFIX}\n${fleet}`,
      )
      for (const [file, text] of Object.entries(control)) place.write(file, text)
      hosts.push({ name, place, daemon: await startDaemon(place, ['127.0.0.1:0 smtp mail']) })
    }
    const made = { claim, people, engine, hosts, recorder, end }
    await together(made)
    return made
  } catch (error) {
    await end()
    throw error
  }
}

interface Health {
  readonly checks: readonly {
    readonly name: string
    readonly state: string
    readonly detail: string
    readonly value?: number
  }[]
}

/** What the health of a host says about its fleet. */
export async function fleetHealth({ daemon }: FleetHost): Promise<Health['checks'][number]> {
  const { checks } = (await daemon.call('server.health')) as Health
  const found = checks.find(({ name }) => name === 'fleet')
  if (found === undefined) throw new Error('health says nothing of a fleet')
  return found
}

/** Every host receives from all others. */
export async function together({ hosts }: Pick<FleetFixture, 'hosts'>): Promise<void> {
  for (const host of hosts)
    await until(
      `${host.name} to hear the others`,
      async () => {
        const { state, value } = await fleetHealth(host)
        return state === 'ok' && value === hosts.length
      },
      { every: 50, show: () => host.daemon.log() },
    )
}
