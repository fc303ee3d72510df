// acceptd as a service manager runs it: started again when its first process ends, with whatever that left behind.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { type Daemon, startDaemon } from '../system/daemon.ts'
import {
  endAll,
  everyone,
  isAlive,
  type Process,
  picture,
  runtimeOf,
  supervisorOf,
  treeOf,
  until,
} from '../system/processes.ts'
import { must } from '../system/run.ts'
import { fakeTime, type Place } from './place.ts'

/** RestartSec= of packaging/acceptd.service. */
const RESTART_MILLISECONDS = 200
const LOOK_MILLISECONDS = 20
/** How long the rest of an acceptd that has lost its first process may take to end without help. */
const END_MILLISECONDS = 5000

export const ROLES = ['launcher', 'supervisor', 'runtime', 'helper', 'server', 'clerk', 'watcher'] as const
export type Role = (typeof ROLES)[number]

/** How acceptd is to run; a change restarts it. */
export interface Manner {
  /** Standard error: a file on the small disk, or a pipe to a program that writes it. */
  readonly log: 'file' | 'pipe'
  /** Under libfaketime, which sets the clock as this file says. */
  readonly clock?: string
}

export interface Service {
  readonly role: (role: Role) => Process | undefined
  readonly call: (method: string, params?: Readonly<Record<string, unknown>>) => Promise<unknown>
  readonly signal: (name: NodeJS.Signals) => void
  readonly use: (manner: Manner) => Promise<void>
  /** What it has written since the last `forget`. */
  readonly log: () => string
  readonly forget: () => void
  /** Of this runtime's inspector, for inOneLane. */
  readonly inspectorLog: () => string
  /** All processes but our own. */
  readonly processes: () => readonly Process[]
  /** Complaints since the last call: what did not end, or did not start. */
  readonly complaints: () => readonly string[]
  readonly reader: () => number
  readonly startReader: () => void
  readonly stop: () => Promise<void>
}

const ended = (name: string, { argv }: Process): boolean => argv[0]?.endsWith(name) === true

function find(daemon: number, role: Role): Process | undefined {
  const all = treeOf(daemon)
  const supervisor = supervisorOf(daemon)
  const helper = all.find((one) => ended('/accept-helper', one) && one.ppid === supervisor?.pid)
  const server = all.find((one) => one.ppid === helper?.pid)
  const ofServer = all.filter((one) => one.ppid === server?.pid && one.uid === supervisor?.uid)
  return {
    launcher: all[0],
    supervisor,
    runtime: runtimeOf(daemon),
    helper,
    server,
    clerk: ofServer.find(({ comm }) => comm === 'accept-clerk'),
    watcher: ofServer.find(({ comm }) => comm === 'accept-helper'),
  }[role]
}

/** The first process of the isolated ones, this one, and what this one runs beside acceptd. */
const isOurs = (one: Process, beside: readonly number[]): boolean =>
  one.pid === 1 || one.pid === process.pid || beside.includes(one.pid) || one.state === 'Z'

const fakeClock = (clock: string): readonly string[] => {
  const settings = {
    LD_PRELOAD: fakeTime(),
    FAKETIME_TIMESTAMP_FILE: clock,
    FAKETIME_NO_CACHE: 1,
    DONT_FAKE_MONOTONIC: 1,
  }
  return ['/usr/bin/env', ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)]
}

export async function startService(place: Place): Promise<Service> {
  const { installation: installed, listeners, log } = place
  const pipe = join(installed.dir, 'pipe')
  const piped = join(installed.dir, 'piped.log')
  await must(['mkfifo', pipe])
  let manner: Manner = { log: 'file' }
  let complaints: string[] = []
  let daemon: Daemon | undefined
  let reader: ChildProcess | undefined
  let inspected = { runtime: 0, text: '' }
  let busy = false

  const startReader = (): void => {
    reader = spawn('sh', ['-c', 'exec cat <"$1" >>"$2"', 'sh', pipe, piped], { stdio: 'ignore' })
  }
  const processes = (): readonly Process[] =>
    everyone().filter((one) => !isOurs(one, [reader?.pid ?? 0, place.engine?.pid() ?? 0]))
  const text = (): string => [log, piped].map((file) => (existsSync(file) ? readFileSync(file, 'latin1') : '')).join('')

  async function start(): Promise<void> {
    if (manner.log === 'pipe' && reader === undefined) startReader()
    const stderr = openSync(manner.log === 'pipe' ? pipe : log, 'a')
    const under = manner.clock === undefined ? [] : fakeClock(manner.clock)
    try {
      daemon = await startDaemon(installed, listeners, { stderr, under })
    } finally {
      closeSync(stderr)
    }
  }

  async function stop(): Promise<void> {
    const one = daemon
    daemon = undefined
    await one?.stop()
    reader?.kill()
    reader = undefined
  }

  /** Everything of one whose first process has ended. */
  async function end(): Promise<void> {
    await until('the rest to end', () => processes().length === 0, { timeout: END_MILLISECONDS, every: 20 }).catch(
      () => {
        complaints.push(`left of one whose first process had ended:\n${picture(processes())}`)
      },
    )
    await endAll(processes())
  }

  const keeper = setInterval(() => {
    if (busy || daemon === undefined || isAlive(daemon.pid)) return
    busy = true
    daemon = undefined
    const began = performance.now()
    end()
      .then(() => until('the pause', () => performance.now() - began > RESTART_MILLISECONDS))
      .then(start)
      .catch((error: unknown) => complaints.push(`a restart: ${String(error)}`))
      .finally(() => (busy = false))
  }, LOOK_MILLISECONDS)

  await start()
  const pid = (): number => daemon?.pid ?? -1
  return {
    role: (role) => find(pid(), role),
    call: (method, params = {}) => daemon?.call(method, params) ?? Promise.reject(new Error('acceptd does not run')),
    signal: (name) => {
      if (daemon !== undefined && isAlive(daemon.pid)) process.kill(daemon.pid, name)
    },
    use: async (wanted) => {
      if (wanted.log === manner.log && wanted.clock === manner.clock) return
      await stop()
      manner = wanted
      await start()
    },
    log: text,
    forget: () => {
      const runtime = find(pid(), 'runtime')?.pid ?? 0
      const found = [...text().matchAll(/Debugger listening on .*\n/g)].join('')
      inspected = { runtime, text: inspected.runtime === runtime ? inspected.text + found : found }
      for (const file of [log, piped]) if (existsSync(file)) truncateSync(file)
    },
    inspectorLog: () => (inspected.runtime === find(pid(), 'runtime')?.pid ? inspected.text : '') + text(),
    processes,
    complaints: () => {
      const all = complaints
      complaints = []
      return all
    },
    reader: () => reader?.pid ?? 0,
    startReader,
    stop: async () => {
      clearInterval(keeper)
      await until('a restart to be over', () => !busy, { timeout: 30_000 })
      await stop()
      rmSync(pipe)
    },
  }
}
