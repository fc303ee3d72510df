// Preloaded into every thread of a profiled acceptd (NODE_OPTIONS=--import): samples it between the appearance of the files `start` and
// `stop` in a directory, and leaves a .cpuprofile there. Node 20 takes --cpu-prof neither from NODE_OPTIONS nor per thread.
import { existsSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'

const directory = process.env.ACCEPTD_BENCH_PROFILE
// The supervisor, which has nothing to do under load, is no runtime.
if (directory !== undefined && process.env.ACCEPTD_RUNTIME !== undefined) {
  const session = new Session()
  session.connect()
  let state: 'waiting' | 'sampling' = 'waiting'
  const timer = setInterval(() => {
    if (state === 'waiting' && existsSync(join(directory, 'start'))) {
      state = 'sampling'
      session.post('Profiler.enable')
      session.post('Profiler.setSamplingInterval', { interval: 500 })
      session.post('Profiler.start')
    } else if (state === 'sampling' && existsSync(join(directory, 'stop'))) {
      clearInterval(timer)
      session.post('Profiler.stop', (error, result) => {
        const name = `${process.pid}-${isMainThread ? 'main' : `thread-${threadId}`}.cpuprofile`
        if (!error) writeFileSync(join(directory, name), JSON.stringify(result.profile))
        session.disconnect()
      })
    }
  }, 100)
  timer.unref()
}
