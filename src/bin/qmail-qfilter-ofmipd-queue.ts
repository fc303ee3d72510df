// qmail-qfilter-ofmipd-queue, qmail-qfilter-queue: takes the place of qmail-queue(8), for QMAILQUEUE. Runs the filters of a file, one
// command a line; then qmail-queue, or the program named in control/ofmipqueue.

import { accessSync, constants, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Controls, controlsOf, homeOf, Unreadable } from '../classic/control.ts'
import { calledAs, tell } from '../classic/process.ts'
import { filterAndQueue, QUEUE, QueueFailure } from '../classic/queue.ts'

/** Called by this name the program has no filters but those of QMAILQUEUEFILTERS. */
const WITHOUT_FILTERS = 'qmail-qfilter-queue'

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Command lines. A file that was asked for must be there: without it mail would go out unfiltered. */
function filtersOf(controls: Controls, home: string, named: string | undefined): readonly (readonly string[])[] {
  if (named === undefined && calledAs() === WITHOUT_FILTERS) return []
  // Names of files are the home's, as for every program of qmail.
  const path = resolve(home, named ?? 'control/ofmipfilters')
  const lines = controls.linesOf(path)
  if (lines === undefined && named !== undefined) throw new Unreadable(`QMAILQUEUEFILTERS: there is no ${path}`)
  return (lines ?? []).map((line) => line.trim().split(/[ \t]+/))
}

function main(): number {
  const home = homeOf(process.env)
  const controls = controlsOf(home)
  // The next program must not run this one again.
  const { QMAILQUEUE: _us, QMAILQUEUEFILTERS: named, QQF_QMAILQUEUE: wanted, ...env } = process.env
  const queue = resolve(home, controls.line('ofmipqueue') || wanted || 'bin/qmail-queue')
  const filters = filtersOf(controls, home, named || undefined)
  if (executable(queue) && realpathSync(queue) === realpathSync(process.argv[1] ?? ''))
    throw new QueueFailure(QUEUE.config, `${queue} is this program itself`)
  return filterAndQueue({ filters, queue, env })
}

try {
  process.exitCode = main()
} catch (error) {
  tell(`${calledAs()}: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof QueueFailure) process.exitCode = error.code
  else if (error instanceof Unreadable) process.exitCode = QUEUE.config
  else process.exitCode = error instanceof RangeError ? QUEUE.memory : QUEUE.internal
}
