// Runs the commands of a build, of the tests and of the trial. Nothing that we have started works on after we have ended.
import { spawn } from 'node:child_process'

/** @typedef {{ readonly code: number | null, readonly signal: NodeJS.Signals | null, readonly output: string }} Ran */

/** @type {readonly NodeJS.Signals[]} */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** How long a command may clean up, in milliseconds: an interrupted npm removes what it has unpacked. */
const PATIENCE = 5000

/**
 * Runs a command to its end; a program that cannot be started has code null. If a signal arrives meanwhile, the command ends first,
 * and then this process by the same signal.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {import('node:child_process').SpawnOptions} [options] with pipes for stdout and stderr their text is the output
 * @returns {Promise<Ran>}
 */
export function run(command, args, options = {}) {
  let output = ''
  /** @type {NodeJS.Signals | undefined} */
  let interrupted
  /** @type {NodeJS.Timeout[]} */
  let timers = []
  /** @param {NodeJS.Signals} signal */
  const interrupt = (signal) => {
    if (interrupted !== undefined) return
    interrupted = signal
    // A terminal has sent SIGINT to the command too, and a second one would keep npm from cleaning up.
    if (signal !== 'SIGINT') child.kill(signal)
    timers = [setTimeout(() => child.kill('SIGTERM'), PATIENCE), setTimeout(() => child.kill('SIGKILL'), 2 * PATIENCE)]
  }
  // First: the command may have begun, and somebody may have seen that, before spawn returns.
  for (const signal of SIGNALS) process.on(signal, interrupt)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  return new Promise((resolve) => {
    /** @param {Ran} ran */
    const end = (ran) => {
      for (const signal of SIGNALS) process.removeListener(signal, interrupt)
      for (const timer of timers) clearTimeout(timer)
      if (interrupted === undefined) resolve(ran)
      else process.kill(process.pid, interrupted)
    }
    child.on('error', (error) => end({ code: null, signal: null, output: `${error.message}\n` }))
    child.on('close', (code, signal) => end({ code, signal, output }))
  })
}
