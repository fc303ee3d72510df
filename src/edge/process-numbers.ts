// This process as proc(5) and getrusage(2) have it, for the metrics whose names every Prometheus client library shares.

import { readFileSync } from 'node:fs'
import { openDescriptors } from './sizing.ts'

export interface ProcessNumbers {
  /** Since 1970. */
  readonly startSeconds: number
  readonly cpuSeconds: number
  readonly residentBytes: number
  readonly virtualBytes: number
  readonly openDescriptors: number
}

/** Said once: a clock that is set does not change when we began. */
const startSeconds = Math.round(performance.timeOrigin) / 1000
const PAGE = 4096

export function processNumbers(): ProcessNumbers {
  const { user, system } = process.cpuUsage()
  const [pages = 0] = readFileSync('/proc/self/statm', 'latin1').split(' ').map(Number)
  return {
    startSeconds,
    cpuSeconds: (user + system) / 1e6,
    residentBytes: process.memoryUsage.rss(),
    virtualBytes: pages * PAGE,
    openDescriptors: openDescriptors(),
  }
}
