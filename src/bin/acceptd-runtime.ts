// The runtime process: the main thread's own life, from the descriptors that the supervisor handed down to the last session.

import { dirname, join } from 'node:path'
import type { Daemon } from '../contract/daemon.ts'
import { onlyPublic } from '../edge/internals.ts'
import { logLine, openStderr } from '../edge/log.ts'
import { openServiceManager } from '../edge/service-manager.ts'
import { hearStarter, obeySignals } from '../edge/signals.ts'
import { refuse } from '../edge/succession.ts'
import { describeError } from '../protocol/errors.ts'
import { type ControlPlane, openControlPlane } from '../rpc/open.ts'
import { createDaemon } from '../runtime/daemon.ts'
import { type RuntimeOptions, startRuntime } from '../runtime/runtime.ts'
import { watchControl } from '../runtime/watching.ts'

/** Seconds that running sessions have after TERM, and after INT. */
const GRACE = { SIGTERM: 60, SIGINT: 1 } as const

/** What questions have to be answered in after another runtime has taken over: each lane has two seconds for its part. */
const LAST_REPLIES_MILLISECONDS = 4000

const FROM_DISK = { from: 'disk', apply: 'new-sessions', dryRun: false } as const

export async function runRuntime(options: RuntimeOptions, version: string): Promise<void> {
  const log = openStderr()
  // The supervisor has been killed, and the next one wants the sockets.
  hearStarter(() => log.write(logLine('error', 'supervisor-died', {})))
  const started = await startRuntime(options, log)
  if (started.isErr()) {
    const { list, count } = started.error
    for (const error of list) log.write(`${describeError(error)}\n`)
    if (options.standby) await refuse({ message: `the new runtime finds ${count} errors in control/`, errors: list })
    process.exit(78)
  }
  const runtime = started.value
  let stopping = false
  let plane: ControlPlane | undefined
  const stop = (grace: number) => {
    if (stopping) return
    stopping = true
    // A thread that does not end must not keep the process: its sessions have had their time.
    setTimeout(() => process.exit(0), (grace + 10) * 1000).unref()
    void Promise.all([plane?.close(), runtime.stop(grace)]).then(() => process.exit(0))
  }
  const notifier = join(dirname(process.argv[1] ?? ''), 'acceptd-notify')
  const manager = openServiceManager(notifier, (message) => runtime.log('warn', 'not-notified', { message }))
  const serving = () => `generation ${runtime.current().generation}, ports ${options.ports.join(', ')}`
  const daemon = createDaemon(runtime, version, stop)
  const { statusGroup, metrics } = runtime.current().config
  // Lanes serve already: if we are stopped now, their sessions are told with 421.
  obeySignals(['SIGTERM', 'SIGINT'], (signal) => {
    runtime.log('info', 'stopping', { signal })
    manager.stopping(signal === 'SIGTERM' ? 'Sessions finish' : 'Sessions are cut')
    stop(signal === 'SIGTERM' ? GRACE.SIGTERM : GRACE.SIGINT)
  })
  const { succession } = runtime
  if (options.standby) await succession.takeOver(version)
  const opened = await openControlPlane(daemon, {
    replaces: options.standby === true,
    control: join(options.run, 'control.sock'),
    status: { path: join(options.run, 'status.sock'), ...(statusGroup === undefined ? {} : { gid: statusGroup }) },
    ...(metrics === undefined ? {} : { metrics }),
  })
  if (opened.isErr()) {
    runtime.log('error', 'control-socket', { message: opened.error.message })
    if (options.standby) await refuse({ message: opened.error.message })
    process.exit(71)
  }
  const control = opened.value
  plane = control
  if (stopping) {
    await control.close()
    return
  }
  const why = onlyPublic()
  if (why !== undefined) runtime.log('warn', 'public-interfaces', { message: why })
  runtime.log('info', 'started', {
    pid: process.pid,
    lanes: options.lanes,
    ports: options.ports.join(','),
    control: control.addresses.join(','),
  })
  watchControl(runtime, () => void control.inTurn(() => daemon.config.change({ ...FROM_DISK, by: 'file' })))
  obeySignals(['SIGHUP'], () => {
    manager.reloading()
    void reload(daemon, control).then((failed) => manager.ready(`${serving()}${failed}`))
  })
  obeySignals(['SIGUSR2'], (signal) => {
    void control.inTurn(() => daemon.server.upgrade({ dryRun: false, reason: signal }))
  })
  succession.controlledBy({
    release: () => control.release(),
    reclaim: () => control.reclaim(),
    leave() {
      manager.end()
      setTimeout(() => void control.close(), LAST_REPLIES_MILLISECONDS)
    },
  })
  await succession.serve()
  manager.ready(serving())
}

/** Gives what a status says of it, if it has failed. */
async function reload(daemon: Daemon, { inTurn }: ControlPlane): Promise<string> {
  // Both are logged as they go; one that fails does not hold the other.
  const changed = await inTurn(async () => {
    const published = await daemon.config.change({ ...FROM_DISK, by: 'signal' })
    const loaded = await daemon.tls.reload({ by: 'signal', dryRun: false })
    return published.andThen(() => loaded)
  })
  return changed.isErr() ? `; the last reload failed: ${changed.error.message}` : ''
}
