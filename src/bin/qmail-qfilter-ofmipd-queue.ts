// qmail-qfilter-ofmipd-queue: stands in for qmail-queue(8), for QMAILQUEUE. Runs the filters of control/ofmipfilters, or of the file
// that QMAILQUEUEFILTERS names, one command a line; then qmail-queue, or the program named in control/ofmipqueue.

import { accessSync, constants, realpathSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { controlsOf, homeOf, Unreadable } from '../classic/control.ts'
import { tell } from '../classic/process.ts'
import { filterAndQueue, QUEUE, QueueFailure, run } from '../classic/queue.ts'

const NAME = 'qmail-qfilter-ofmipd-queue'

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function inPath(name: string, places: readonly string[]): string | undefined {
  return places
    .filter(isAbsolute)
    .map((place) => join(place, name))
    .find(executable)
}

function main(): number {
  const home = homeOf(process.env)
  const named = process.env['QMAILQUEUEFILTERS'] || 'control/ofmipfilters'
  // Names of files are the home's, as for every program of qmail.
  const path = resolve(home, named)
  const controls = controlsOf(home)
  const queue = resolve(home, controls.line('ofmipqueue') || 'bin/qmail-queue')
  const filters = (controls.linesOf(path) ?? []).map((line) => line.trim().split(/[ \t]+/))
  if (executable(queue) && realpathSync(queue) === realpathSync(process.argv[1] ?? ''))
    throw new QueueFailure(QUEUE.config, `control/ofmipqueue names ${NAME} itself`)
  // Who comes behind us must not come back here.
  const { QMAILQUEUE: _us, QMAILQUEUEFILTERS: _filters, ...env } = process.env
  const qfilter = inPath('qmail-qfilter', [join(home, 'bin'), ...(env['PATH'] ?? '').split(':')])
  if (qfilter === undefined || filters.length === 0 || filters.flat().includes('--'))
    return filterAndQueue({ filters, queue, env })
  const words = filters.flatMap((filter, i) => (i === 0 ? filter : ['--', ...filter]))
  return run(qfilter, words, ['inherit', 'inherit', 'inherit'], { ...env, QQF_QMAILQUEUE: queue })
}

try {
  process.exitCode = main()
} catch (error) {
  tell(`${NAME}: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof QueueFailure) process.exitCode = error.code
  else if (error instanceof Unreadable) process.exitCode = QUEUE.config
  else process.exitCode = error instanceof RangeError ? QUEUE.memory : QUEUE.internal
}
