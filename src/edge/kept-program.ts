// A program that runs for as long as acceptd does: when it ends it is started again, after growing pauses if it does not last.

import type { ChildProcess } from 'node:child_process'
import { monotonic } from './clock.ts'

type Log = (event: string, fields: Record<string, string | number>) => void

const SHORTEST_PAUSE = 100
const LONGEST_PAUSE = 5000
/** Milliseconds after which a program has lasted. */
const LASTED = 10_000

export class KeptProgram {
  private readonly name: string
  private readonly log: Log
  private readonly start: () => ChildProcess
  /** Told of each end; true: it is not started again. */
  private readonly ended: (code: number | null, signal: NodeJS.Signals | null) => boolean
  private child: ChildProcess | undefined
  private pause = SHORTEST_PAUSE
  private stopping = false

  constructor(
    name: string,
    log: Log,
    start: () => ChildProcess,
    ended: (code: number | null, signal: NodeJS.Signals | null) => boolean = () => false,
  ) {
    this.name = name
    this.log = log
    this.start = start
    this.ended = ended
  }

  run(): void {
    if (this.stopping) return
    const child = this.start()
    this.keep(child)
    this.log('child-started', { name: this.name, pid: child.pid ?? -1 })
  }

  get running(): ChildProcess | undefined {
    return this.child
  }

  /** This one runs in the place of the one before, whose end is nobody's business here. */
  keep(child: ChildProcess): void {
    const { name, log } = this
    const began = monotonic()
    this.child = child
    child.stdin?.on('error', () => undefined)
    child.on('error', (error) => log('child-failed', { name, message: error.message }))
    child.on('close', (code, signal) => {
      if (this.child !== child || this.ended(code, signal) || this.stopping) return
      // A program that was asked to end ends with 0.
      const lasted = code === 0 || monotonic() - began > LASTED
      this.pause = lasted ? SHORTEST_PAUSE : Math.min(this.pause * 2, LONGEST_PAUSE)
      log('child-ended', { name, pid: child.pid ?? -1, how: signal ?? `exit ${code}`, restart_ms: this.pause })
      setTimeout(() => this.run(), this.pause)
    })
  }

  /** Does not start it again. */
  stop(): void {
    this.stopping = true
  }

  /** False: there is no process that could hear it. */
  write(line: string): boolean {
    if (!this.isRunning) return false
    this.child?.stdin?.write(line)
    return true
  }

  /** Both programs end when their standard input does: they never outlive the daemon. */
  endInput(): void {
    this.child?.stdin?.end()
  }

  /** Calls once it has ended, now or later. */
  whenEnded(done: () => void): void {
    if (this.isRunning) this.child?.on('close', done)
    else done()
  }

  private get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }
}
