// What a fault is, and what it needs to happen.
import { readFileSync } from 'node:fs'
import { everyone, isAlive, type Process, until } from '../system/processes.ts'
import { must } from '../system/run.ts'
import type { Load } from './load.ts'
import type { Need, Place } from './place.ts'
import type { Random } from './random.ts'
import type { Manner, Role, Service } from './service.ts'

export type { Manner } from './service.ts'

export interface Ground {
  readonly service: Service
  readonly place: Place
  readonly load: Load
  readonly random: Random
  /** For the transcript. */
  readonly note: (text: string) => void
}

export interface Fault {
  readonly name: string
  readonly does: string
  /** Seconds within which clients are served again. */
  readonly limit: number
  /** How many logged-in sessions it may end. */
  readonly cuts: number
  /** Whether a new client may get 4xx, or be disconnected. */
  readonly refuses: boolean
  /** Clients have to be served even while it lasts; otherwise the time counts from its end. */
  readonly during: boolean
  readonly manner?: Manner
  /** Without it, this host cannot cause the fault. */
  readonly needs?: Need
  /** Resolves when it is over. */
  readonly inflict: (ground: Ground) => Promise<void>
}

/**
 * Seconds. Without its first two processes acceptd ends, and a service manager starts all of it again; a lane that spins is recognised by three
 * pings that it has missed.
 */
export const [AGAIN, RUNTIME, WHOLE, PINGS] = [1, 2, 4, 5]
/** Sessions that may end. */
export const NONE = 0
export const ALL = Number.POSITIVE_INFINITY

/** A program that has not lasted ten seconds is started again after growing pauses. */
const LASTED = 10.5

export const pass = (milliseconds: number): Promise<void> => {
  const end = performance.now() + milliseconds
  return until('the time', () => performance.now() > end, { timeout: milliseconds + 10_000, every: 10 })
}

/** A part of two seconds, or of `most` milliseconds. */
export async function hold({ random, note }: Ground, most = 2000): Promise<void> {
  const milliseconds = random.between(200, most)
  note(`for ${milliseconds} ms`)
  await pass(milliseconds)
}

function age(pid: number): number {
  const started =
    Number(
      readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ')[19],
    ) / 100
  return Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) - started
}

export async function one({ service, note }: Ground, role: Role): Promise<Process> {
  const found = await until(`the ${role}`, () => service.role(role))
  note(`${role} ${found.pid}`)
  return found
}

/** The same, once it has lasted. */
export async function lasting(ground: Ground, role: Role): Promise<Process> {
  const found = await until(`the ${role}`, () => ground.service.role(role))
  await until('it to have lasted', () => age(found.pid) > LASTED, { timeout: 15_000, every: 50 })
  return one(ground, role)
}

/** Backends, and what they have started. */
export const backends = ({ service, place }: Ground): readonly Process[] =>
  service.processes().filter(({ uid }) => place.people.some((person) => person.uid === uid))

export const someBackend = (ground: Ground): Promise<Process> =>
  until('a backend', () => {
    const all = backends(ground)
    return all.length > 0 && ground.random.pick(all)
  })

export const checkpassword = (): Promise<Process> =>
  until('a checkpassword', () => everyone().find(({ comm, state }) => comm === 'checkpassword' && state !== 'Z'), {
    timeout: 30_000,
    every: 1,
  })

export async function stopped(ground: Ground, { pid, comm }: Process): Promise<void> {
  ground.note(`STOP ${comm} ${pid}`)
  if (isAlive(pid)) process.kill(pid, 'SIGSTOP')
  await hold(ground, 1500)
  if (isAlive(pid)) process.kill(pid, 'SIGCONT')
}

export function kill({ note }: Ground, { pid, comm }: Process): void {
  note(`KILL ${comm} ${pid}`)
  if (isAlive(pid)) process.kill(pid, 'SIGKILL')
}

/** A process that may not override limits may set them for processes of the same ids. */
const prlimit = ({ pid, uid }: Process, ...options: readonly string[]): Promise<string> =>
  must(['prlimit', '--pid', String(pid), ...options], { uid, gid: uid })

/** Soft limits of prlimit(1), by its names, for as long as `then` lasts, of a process and of backends that it starts meanwhile. */
export async function limited(
  ground: Ground,
  limitedOne: Process,
  name: string,
  value: number,
  then: () => Promise<void>,
): Promise<void> {
  const said = await prlimit(limitedOne, `--${name}`, '--noheadings', '-o', 'RESOURCE,SOFT')
  const [, soft = 'unlimited'] = said.trim().split(/\s+/)
  ground.note(`${name} of ${limitedOne.pid}: ${value} in the place of ${soft}`)
  await prlimit(limitedOne, `--${name}=${value}:`)
  await then()
  // It may have ended some.
  for (const each of [limitedOne, ...backends(ground)]) await prlimit(each, `--${name}=${soft}:`).catch(() => undefined)
}

/** Octets of address space. */
export const addressSpace = ({ pid }: Process): number =>
  Number(/^VmSize:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
