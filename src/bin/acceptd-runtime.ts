// The runtime process: the main thread's own life, from the descriptors that the supervisor handed down to the last session.

import { join } from 'node:path'
import { onlyPublic } from '../edge/internals.ts'
import { logLine, openStderr } from '../edge/log.ts'
import { hearStarter, obeySignals } from '../edge/signals.ts'
import { describeError } from '../protocol/errors.ts'
import { type ControlPlane, openControlPlane } from '../rpc/open.ts'
import { createDaemon } from '../runtime/daemon.ts'
import { type RuntimeOptions, startRuntime } from '../runtime/runtime.ts'
import { watchControl } from '../runtime/watching.ts'

/** Seconds that running sessions have after TERM, and after INT. */
const GRACE = { SIGTERM: 60, SIGINT: 1 } as const

export async function runRuntime(options: RuntimeOptions, version: string): Promise<void> {
  const log = openStderr()
  // The supervisor has been killed, and the next one wants the sockets.
  hearStarter(() => log.write(logLine('error', 'supervisor-died', {})))
  const started = await startRuntime(options, log)
  if (started.isErr()) {
    for (const error of started.error.list) log.write(`${describeError(error)}\n`)
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
  const daemon = createDaemon(runtime, version, stop)
  const { statusGroup, metrics } = runtime.current().config
  // Lanes serve already: whoever stops us now has their sessions told.
  obeySignals(['SIGTERM', 'SIGINT'], (signal) => {
    runtime.log('info', 'stopping', { signal })
    stop(signal === 'SIGTERM' ? GRACE.SIGTERM : GRACE.SIGINT)
  })
  const opened = await openControlPlane(daemon, {
    control: join(options.run, 'control.sock'),
    status: { path: join(options.run, 'status.sock'), ...(statusGroup === undefined ? {} : { gid: statusGroup }) },
    ...(metrics === undefined ? {} : { metrics }),
  })
  if (opened.isErr()) {
    runtime.log('error', 'control-socket', { message: opened.error.message })
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
  const reload = { from: 'disk', apply: 'new-sessions', dryRun: false } as const
  watchControl(runtime, () => void control.inTurn(() => daemon.config.change({ ...reload, by: 'file' })))
  obeySignals(['SIGHUP'], () => {
    // Both are logged as they go; one that fails does not hold the other.
    void control.inTurn(async () => {
      const changed = await daemon.config.change({ ...reload, by: 'signal' })
      await daemon.tls.reload({ by: 'signal', dryRun: false })
      return changed
    })
  })
}
