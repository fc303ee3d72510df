// A worker thread for lanes of tests: one at a time or several, each with its own port.
import { parentPort } from 'node:worker_threads'
import lane, { type LaneTask } from '../../src/lane/lane.ts'

parentPort?.on('message', (task: LaneTask) => {
  void lane(task)
})
