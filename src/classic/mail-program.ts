// The mail program of the program fixsmtpio: a child on a pair of pipes, which is started again once TLS is on.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Backend } from './relay.ts'

/** How it ended is its exit code, or this for a signal. */
export const SIGNALLED = 256
/** A child that does not end on TERM is killed. */
const KILL_AFTER = 5_000

export interface MailProgramListener {
  /** It has been waited for. Called again when the last of its output has been read. */
  readonly ended: (how: number, outputEnded: boolean) => void
  readonly unableToExec: () => void
}

export class MailProgram {
  private readonly argv: readonly string[]
  private readonly listener: MailProgramListener
  private child: ChildProcess | undefined
  private gone = true

  constructor(argv: readonly string[], listener: MailProgramListener) {
    this.argv = argv
    this.listener = listener
  }

  /** Its two ends; undefined if it cannot be run, after which the listener hears unableToExec. */
  start(): Backend | undefined {
    const [path = '', ...words] = this.argv
    const child = spawn(path, words, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.child = child
    this.gone = false
    let outputEnded = false
    let how: number | undefined
    const settle = (): void => {
      if (how === undefined || this.child !== child) return
      this.gone = true
      this.listener.ended(how, outputEnded)
    }
    child.on('error', () => {
      if (child.pid === undefined) this.listener.unableToExec()
    })
    child.on('exit', (code, signal) => {
      how = signal === null ? (code ?? 0) : SIGNALLED
      settle()
    })
    if (child.pid === undefined) return undefined
    const output = child.stdout as unknown as Socket
    output.on('close', () => {
      outputEnded = true
      settle()
    })
    return { input: child.stdin as unknown as Socket, output }
  }

  /** TERM, now or after so many milliseconds, and then KILL. */
  stop(delay: number): void {
    const { child } = this
    const term = (): void => {
      child?.kill('SIGTERM')
      setTimeout(() => child?.kill('SIGKILL'), KILL_AFTER).unref()
    }
    if (delay === 0) term()
    else setTimeout(term, delay)
  }

  /** It has been waited for; the last of its output may still be on the way. */
  get isGone(): boolean {
    return this.gone
  }

  get pid(): number {
    return this.child?.pid ?? 0
  }
}
