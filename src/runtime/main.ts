// The runtime process: the main thread's own life, from the descriptors that the supervisor handed down to the last session.

import { readControl } from './generations.ts'
import { describeError, type RuntimeOptions, startRuntime } from './runtime.ts'

/** Seconds that running sessions have after TERM, and after INT. */
const GRACE = { SIGTERM: 60, SIGINT: 1 } as const

export async function runRuntime(options: RuntimeOptions, _version: string): Promise<void> {
  const started = await startRuntime(options, (text) => void process.stderr.write(text))
  if (started.isErr()) {
    for (const error of started.error) process.stderr.write(`${describeError(error)}\n`)
    process.exit(78)
  }
  const runtime = started.value
  runtime.log('info', 'started', { pid: process.pid, lanes: options.lanes, ports: options.ports.join(',') })
  process.on('SIGHUP', () => {
    const read = readControl(options.control)
    void runtime.publish(read.texts, false, 'signal', undefined)
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      runtime.log('info', 'stopping', { signal })
      void runtime.stop(GRACE[signal]).then(() => process.exit(0))
    })
  }
}
