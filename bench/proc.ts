// CPU, memory and listen queues as the kernel counts them in /proc.
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ of /proc/PID/stat: 100 on every Linux architecture that Node runs on. */
const TICKS = 100

export interface ProcessUsage {
  readonly pid: number
  readonly parent: number
  readonly command: string
  /** CPU seconds of the process itself. */
  readonly own: number
  /** CPU seconds of the children it has waited for. */
  readonly reaped: number
}

/**
 * Exact, where stat has whole hundredths of a second: a thousand parked backends with five milliseconds each would count as none.
 * The kernel gives it for one thread only.
 */
function singleThreadSeconds(pid: string): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[0]) / 1e9
  } catch {
    return undefined
  }
}

function readUsage(pid: string): ProcessUsage | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // The command's name is in parentheses and may itself hold spaces and parentheses.
  const end = text.lastIndexOf(')')
  const fields = text.slice(end + 2).split(' ')
  const number = (index: number): number => Number(fields[index])
  return {
    pid: Number(pid),
    parent: number(1),
    command: text.slice(text.indexOf('(') + 1, end),
    own: (number(17) === 1 ? singleThreadSeconds(pid) : undefined) ?? (number(11) + number(12)) / TICKS,
    reaped: (number(13) + number(14)) / TICKS,
  }
}

/** The processes of `roots` and all below them that live now. */
export function processTree(roots: readonly number[]): readonly ProcessUsage[] {
  const children = new Map<number, ProcessUsage[]>()
  const byPid = new Map<number, ProcessUsage>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const usage = readUsage(name)
    if (!usage) continue
    byPid.set(usage.pid, usage)
    const siblings = children.get(usage.parent)
    if (siblings) siblings.push(usage)
    else children.set(usage.parent, [usage])
  }
  const found = new Map<number, ProcessUsage>()
  const waiting = roots.flatMap((pid) => byPid.get(pid) ?? [])
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    if (found.has(next.pid)) continue
    found.set(next.pid, next)
    waiting.push(...(children.get(next.pid) ?? []))
  }
  return [...found.values()]
}

export interface CpuSeconds {
  /** Everything: the server, what it started and waited for, what it started and still runs. */
  readonly total: number
  /** Of that, the processes that are the server's own. */
  readonly own: number
}

export function cpuOf(roots: readonly number[], isOwn: (command: string) => boolean): CpuSeconds {
  let total = 0
  let own = 0
  for (const each of processTree(roots)) {
    total += each.own + each.reaped
    if (isOwn(each.command)) own += each.own
  }
  return { total, own }
}

/** Proportional set size of a process tree in KB: shared pages are divided among those that share them. */
export function pssOf(roots: readonly number[]): number {
  let kilobytes = 0
  for (const { pid } of processTree(roots)) {
    try {
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ?? 0)
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return kilobytes
}

/** Connections that the kernel turned away because a listen queue was full, since boot. */
export function listenOverflows(): number {
  const lines = readFileSync('/proc/net/netstat', 'latin1').split('\n')
  const names = lines.find((line) => line.startsWith('TcpExt:'))?.split(' ') ?? []
  const values = lines.filter((line) => line.startsWith('TcpExt:'))[1]?.split(' ') ?? []
  return Number(values[names.indexOf('ListenOverflows')] ?? 0)
}

export { descriptorLimit } from '../src/edge/sizing.ts'
