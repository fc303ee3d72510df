// What a host needs for the load that control/ asks for: docs/sizing.md has the sums, `acceptd --check` warns from them.

import { readdirSync, readFileSync } from 'node:fs'
import { descriptorsAtStart } from './descriptors.ts'

export interface HostFacts {
  readonly descriptors: number
  readonly somaxconn: number
  readonly pidMax: number
  readonly memoryBytes: number
}

export interface Demand {
  /** control/maxsessions; 0: as many as descriptors allow. */
  readonly maxSessions: number
  readonly lanes: number
  readonly listeners: number
  /** max-processes of control/chains. */
  readonly maxProcesses: number
}

/** Descriptors for everything but sessions: control sockets, modules, the helper, and each listener's own and spare ones. */
export const otherDescriptors = (listeners: number, lanes: number): number =>
  512 + listeners * descriptorsAtStart(lanes)

/** Sessions and backends get as many of a limit as is left by everything else, and at least so many. */
const LEAST_FOR_SESSIONS = 64

/** With fewer acceptd does not start. Node takes 24, and 4 for each lane, of which twice as many may be there for a while. */
export const leastDescriptors = (listeners: number, lanes: number): number =>
  64 + 8 * lanes + listeners * descriptorsAtStart(lanes) + LEAST_FOR_SESSIONS

/** Of this limit, which is not below the least. */
export function descriptorsForSessions(limit: number, listeners: number, lanes: number): number {
  const spare = limit - leastDescriptors(listeners, lanes)
  return Math.max(Math.min(LEAST_FOR_SESSIONS + spare, 128), limit - otherDescriptors(listeners, lanes))
}

/** An authenticated session with its backend, measured with a small C backend: docs/sizing.md. */
const BYTES_A_SESSION = 200 * 1024

export function hostFacts(): HostFacts {
  const meminfo = /^MemTotal:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'latin1'))
  const number = (path: string): number => Number(readFileSync(path, 'latin1'))
  return {
    descriptors: descriptorLimit(),
    somaxconn: number('/proc/sys/net/core/somaxconn'),
    pidMax: number('/proc/sys/kernel/pid_max'),
    memoryBytes: Number(meminfo?.[1] ?? 0) * 1024,
  }
}

/** How many this process and its children may have. Node raises the soft limit to the hard one at its start. */
export function descriptorLimit(): number {
  const hard = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
  return hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard)
}

/** Of this process, at this moment. */
export const openDescriptors = (): number => readdirSync('/proc/self/fd').length

/** Sentences for the operator; none if the host fits. */
export function sizingWarnings(demand: Demand, host: HostFacts): readonly string[] {
  const warnings: string[] = []
  const other = otherDescriptors(demand.listeners, demand.lanes)
  // All of them logged in, and 5 % kept for those who have yet to: lane/state.ts.
  const possible = Math.max(64, Math.floor((0.95 * (host.descriptors - other)) / 2))
  if (demand.maxSessions > possible) {
    warnings.push(
      `control/maxsessions: ${demand.maxSessions} sessions need ${demand.maxSessions * 2 + other} descriptors, the hard limit is ${host.descriptors}: ${possible} will be taken; raise nofile`,
    )
  }
  const sessions = Math.min(demand.maxSessions === 0 ? possible : demand.maxSessions, possible)
  if (demand.maxProcesses < sessions && demand.maxSessions !== 0) {
    warnings.push(
      `control/chains: max-processes ${demand.maxProcesses} is less than ${sessions} sessions: logins beyond it are answered 454`,
    )
  }
  if (demand.maxProcesses + 1000 > host.pidMax) {
    warnings.push(`control/chains: max-processes ${demand.maxProcesses} does not fit kernel.pid_max ${host.pidMax}`)
  }
  if (host.somaxconn < 4096) {
    warnings.push(`net.core.somaxconn is ${host.somaxconn}: a burst of more clients is lost; set it to 4096 or more`)
  }
  const memory = Math.min(demand.maxProcesses, sessions) * BYTES_A_SESSION
  if (memory > host.memoryBytes) {
    warnings.push(
      `control/chains: ${Math.min(demand.maxProcesses, sessions)} sessions with their backends take about ${Math.ceil(memory / 2 ** 20)} MB, the host has ${Math.floor(host.memoryBytes / 2 ** 20)}`,
    )
  }
  return warnings
}
