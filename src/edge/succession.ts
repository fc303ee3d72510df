// An upgrade, as acceptd sees it: a runtime of the program as it is on the disk by now takes over from the one that serves.
//
//   serving                     acceptd                         next
//   { upgrade }           ->    starts it                  ->   reads control/, starts lanes that do not listen yet
//                         <-    { handOver }               <-   { ready }
//   { baton }             ->                               ->   takes counts, limits, keys and orders; control sockets; listens
//   closes its listeners  <-    { retire }                 <-   { serving }
//
// Whatever goes wrong before { serving } ends the next one, and the other hears { keepOn }. After it the lanes of the former runtime finish
// their sessions; what they and the serving main thread say to each other goes through acceptd: { toServing } and { toFormer }.

import type { ChildProcess } from 'node:child_process'
import { LOG_ERRORS_KEPT, type LogError } from '../contract/log.ts'

/** Why a runtime does not serve: a sentence, and what was found wrong with the configuration. */
export interface NotTaken {
  readonly message: string
  readonly errors?: readonly unknown[]
}

export type ToAcceptd =
  /** Lanes are numbered on from `lastLane`. A trial ends when the next one is ready. */
  | { readonly upgrade: { readonly lastLane: number; readonly trial: boolean } }
  | { readonly ready: { readonly version: string } }
  | { readonly refused: NotTaken }
  | { readonly baton: unknown }
  | { readonly serving: true }
  | { readonly toServing: unknown }
  | { readonly toFormer: { readonly pid: number; readonly message: unknown } }

export type FromAcceptd =
  | { readonly handOver: { readonly version: string } }
  | { readonly tried: { readonly version: string } }
  | { readonly baton: unknown }
  | { readonly retire: { readonly pid: number } }
  | { readonly keepOn: NotTaken }
  /** To a former one: a runtime serves that does not know its lanes. */
  | { readonly announce: true }
  | { readonly fromServing: unknown }
  /** Undefined: it has ended. */
  | { readonly fromFormer: { readonly pid: number; readonly message?: unknown } }
  /** Warnings and errors of acceptd itself. */
  | { readonly errors: readonly LogError[] }

/** What a runtime says to the process that started it, and hears. */
export interface AcceptdChannel {
  readonly send: (message: ToAcceptd) => void
  readonly hear: (hear: (message: FromAcceptd) => void) => void
}

/** Undefined where nobody has. */
export function channelToAcceptd(): AcceptdChannel | undefined {
  if (process.send === undefined) return undefined
  return {
    // It may have ended meanwhile, which is heard of elsewhere.
    send: (message) => void process.send?.(message, undefined, {}, () => undefined),
    hear: (hear) => {
      process.on('message', (message: unknown) => {
        if (typeof message === 'object' && message !== null) hear(message as FromAcceptd)
      })
      process.channel?.unref()
    },
  }
}

/** For one that waits for the baton and will not serve; resolves when acceptd has been told. */
export const refuse = (why: NotTaken): Promise<void> =>
  new Promise((resolve) => {
    const message: ToAcceptd = { refused: why }
    if (process.send === undefined) resolve()
    else process.send(message, undefined, {}, () => resolve())
  })

/** What it needs of the supervisor. */
export interface SuccessionHost {
  readonly serving: () => ChildProcess | undefined
  /** Starts a runtime that waits for the baton. */
  readonly start: () => ChildProcess
  /** It serves now; the one before is no longer kept. */
  readonly adopt: (runtime: ChildProcess) => void
  readonly log: (event: string, fields: Record<string, string | number>) => void
}

/** What the log calls a runtime that finishes its sessions. */
export const FORMER = 'former-runtime'

/** From its start to its first client. */
const PATIENCE_MILLISECONDS = 60_000
/** Runtimes that finish their sessions: each is a process. */
const MOST_FORMERS = 16

export class Succession {
  private readonly host: SuccessionHost
  private readonly formers = new Map<number, ChildProcess>()
  private next: ChildProcess | undefined
  private trial = false
  private timer: NodeJS.Timeout | undefined
  /** A runtime that has said that it serves, and what none has been told. */
  private listener: ChildProcess | undefined
  private untold: LogError[] = []
  /** The highest number that a lane has had. */
  lastLane = 0

  constructor(host: SuccessionHost) {
    this.host = host
  }

  /** From the start of a runtime to its end. */
  follow(runtime: ChildProcess): void {
    runtime.on('message', (message: unknown) => {
      if (typeof message === 'object' && message !== null) this.heard(runtime, message as ToAcceptd)
    })
    runtime.on('close', (code, signal) => this.closed(runtime, signal ?? `exit ${code}`))
    runtime.on('error', (error) => {
      if (runtime === this.next) this.failed({ message: `the new runtime: ${error.message}` })
    })
  }

  /** For log.errors: the runtime that serves hears it, or the next one, if there is none. */
  report(error: LogError): void {
    this.untold = [...this.untold, error].slice(-LOG_ERRORS_KEPT)
    this.tell()
  }

  private tell(): void {
    if (this.listener?.connected !== true || this.untold.length === 0) return
    send(this.listener, { errors: this.untold })
    this.untold = []
  }

  /** acceptd stops: the next one will not serve. */
  stop(): void {
    if (this.next !== undefined) this.failed({ message: 'acceptd stops' })
  }

  /** Tells the former ones to end now, and calls when they have. */
  endFormers(done: () => void): void {
    const left = new Set(this.formers.values())
    if (left.size === 0) done()
    for (const former of left) {
      former.on('close', () => {
        if (left.delete(former) && left.size === 0) done()
      })
      former.stdin?.write('SIGINT\n')
    }
  }

  private heard(runtime: ChildProcess, message: ToAcceptd): void {
    const { pid = 0 } = runtime
    if (runtime === this.next) this.fromNext(runtime, message)
    else if (runtime === this.host.serving()) this.fromServing(runtime, message)
    else if (this.formers.has(pid) && 'toServing' in message)
      send(this.host.serving(), { fromFormer: { pid, message: message.toServing } })
  }

  private fromServing(runtime: ChildProcess, message: ToAcceptd): void {
    if ('upgrade' in message) this.begin(runtime, message.upgrade)
    else if ('baton' in message) send(this.next, { baton: message.baton })
    else if ('toFormer' in message)
      send(this.formers.get(message.toFormer.pid), { fromServing: message.toFormer.message })
    // One that was started because another had died.
    else if ('ready' in message) {
      for (const former of this.formers.values()) send(former, { announce: true })
      this.tellFrom(runtime)
    }
  }

  private tellFrom(runtime: ChildProcess): void {
    this.listener = runtime
    this.tell()
  }

  private begin(
    runtime: ChildProcess,
    { lastLane, trial }: { readonly lastLane: number; readonly trial: boolean },
  ): void {
    if (this.next !== undefined || this.formers.size >= MOST_FORMERS) {
      const message = `${this.formers.size} former runtimes still finish their sessions`
      send(runtime, { keepOn: { message: this.next === undefined ? message : 'an upgrade is under way' } })
      return
    }
    this.lastLane = Math.max(this.lastLane, lastLane)
    this.trial = trial
    const next = this.host.start()
    this.next = next
    this.follow(next)
    this.host.log('child-started', { name: 'next-runtime', pid: next.pid ?? -1 })
    const late = `the new runtime did not serve within ${PATIENCE_MILLISECONDS / 1000} s`
    this.timer = setTimeout(() => this.failed({ message: late }), PATIENCE_MILLISECONDS)
  }

  private fromNext(runtime: ChildProcess, message: ToAcceptd): void {
    const serving = this.host.serving()
    if ('refused' in message) this.failed(message.refused)
    else if ('ready' in message && this.trial) {
      this.over()?.kill('SIGKILL')
      send(serving, { tried: message.ready })
    } else if ('ready' in message) send(serving, { handOver: message.ready })
    else if ('serving' in message) {
      this.over()
      this.host.adopt(runtime)
      this.tellFrom(runtime)
      if (serving?.pid === undefined || serving.exitCode !== null || serving.signalCode !== null) return
      this.formers.set(serving.pid, serving)
      send(serving, { retire: { pid: runtime.pid ?? 0 } })
    }
  }

  private failed(why: NotTaken): void {
    this.over()?.kill('SIGKILL')
    send(this.host.serving(), { keepOn: why })
  }

  private over(): ChildProcess | undefined {
    const { next } = this
    clearTimeout(this.timer)
    this.next = undefined
    return next
  }

  private closed(runtime: ChildProcess, how: string): void {
    const { pid = 0 } = runtime
    if (runtime === this.next)
      this.failed({ message: `the new runtime ended with ${how} before it served; the log says why` })
    else if (this.formers.delete(pid)) {
      this.host.log('child-ended', { name: FORMER, pid, how })
      send(this.host.serving(), { fromFormer: { pid } })
    } else if (this.next !== undefined && runtime === this.host.serving())
      this.failed({ message: 'the runtime that serves has died' })
  }
}

/** It may have ended, which is heard of elsewhere. */
function send(runtime: ChildProcess | undefined, message: FromAcceptd): void {
  if (runtime?.connected === true) runtime.send(message, () => undefined)
}
