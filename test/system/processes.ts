// Who runs as whom and with what, straight from /proc.
import { readdirSync, readFileSync } from 'node:fs'
import { until } from '../support/until.ts'

export { until } from '../support/until.ts'

export interface Process {
  readonly pid: number
  readonly ppid: number
  /** The four of /proc/PID/status: real, effective, saved, file system. */
  readonly uids: readonly number[]
  /** The effective uid, what ps shows. */
  readonly uid: number
  readonly comm: string
  readonly argv: readonly string[]
  /** R, S, D, T, Z, as in ps. */
  readonly state: string
  readonly threads: number
}

function look(pid: number): Process | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const field = (name: string): string => new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status)?.[1] ?? ''
    const uids = field('Uid').split('\t').map(Number)
    return {
      pid,
      ppid: Number(field('PPid')),
      uids,
      uid: uids[1] ?? -1,
      comm: field('Name'),
      argv: readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').slice(0, -1),
      state: field('State').slice(0, 1),
      threads: Number(field('Threads')),
    }
  } catch {
    return undefined // it ended while we looked
  }
}

export const SCHED_BATCH = 3

/** Of the first thread. */
export function schedulingOf({ pid }: Process): { readonly nice: number; readonly policy: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return { nice: Number(fields[16]), policy: Number(fields[38]) }
}

export function everyone(): readonly Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => look(Number(name)) ?? [])
}

export function ofUser(uid: number): readonly Process[] {
  return everyone().filter((one) => one.uids.includes(uid))
}

/** The process and everything below it, parents first; empty when it is gone. */
export function treeOf(pid: number): readonly Process[] {
  const all = everyone()
  const below = (parent: number): readonly Process[] =>
    all.filter((one) => one.ppid === parent).flatMap((one) => [one, ...below(one.pid)])
  return [...all.filter((one) => one.pid === pid), ...below(pid)]
}

const isNode = ({ argv }: Process): boolean => argv[0]?.endsWith('node') === true

/** The supervisor of an acceptd: the child of its first process. */
export const supervisorOf = (daemon: number): Process | undefined => treeOf(daemon).find(isNode)

/** The runtime of an acceptd: the child of its supervisor that is node. */
export function runtimeOf(daemon: number): Process | undefined {
  const supervisor = supervisorOf(daemon)?.pid
  return treeOf(daemon).find((one) => one.ppid === supervisor && isNode(one))
}

/** As ps prints it, for messages of failed tests. */
export function picture(list: readonly Process[]): string {
  return list
    .map((one) => `${one.uid}\t${one.pid}\t${one.ppid}\t${one.state}\t${one.argv.join(' ') || `[${one.comm}]`}`)
    .join('\n')
}

export function isAlive(pid: number): boolean {
  const found = look(pid)
  return found !== undefined && found.state !== 'Z'
}

export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Kilobytes: resident, and with shared pages divided among those who share them. */
export function memory(pid: number): { readonly rss: number; readonly pss: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0)
  return { rss: field('Rss'), pss: field('Pss') }
}

/** Seconds of processor time so far, user and system; `ended`: of its children that have ended as well. */
export function cpuSeconds(pid: number, { ended = false } = {}): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return fields.slice(11, ended ? 15 : 13).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
}

export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (isAlive(pid)) throw error
  }
}

/** Kills these and waits until they are gone. Only for processes that the test made. */
export async function endAll(list: readonly Process[]): Promise<void> {
  for (const one of list) signal(one.pid, 'SIGKILL')
  await until('killed processes to go', () => list.every((one) => !isAlive(one.pid)), {
    show: () => picture(list.filter((one) => isAlive(one.pid))),
  })
}
