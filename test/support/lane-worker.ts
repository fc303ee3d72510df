// A worker thread for lanes of tests: one at a time or several, each with its own port.
import { parentPort } from 'node:worker_threads'
import lane, { type LaneTask } from '../../src/lane/lane.ts'
import { stepClock } from './clock.ts'

/** A lane to run, or milliseconds that have passed. */
export type ToWorker = LaneTask | { readonly advance: number }

const advance = stepClock({ runs: true })

parentPort?.on('message', (message: ToWorker) => {
  if (!('advance' in message)) return void lane(message)
  advance(message.advance)
  parentPort?.postMessage('advanced')
})
