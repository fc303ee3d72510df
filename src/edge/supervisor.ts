// acceptd itself: starts and restarts helper and runtime. It reads nothing from a client.
//
//   root      native/acceptd.c: binds, becomes the account of control/chains, passes signals on
//   account   this: accept-helper serve (setuid root)      runtime (one Node process, listening descriptors in its stdio)

import { type ChildProcess, type SendHandle, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LogLevel } from '../contract/daemon.ts'
import type { LogError } from '../contract/log.ts'
import type { HelperMode } from '../protocol/helper.ts'
import { closeDescriptors, descriptorsAtStart, hearStopping, socketOn, supplyDescriptors } from './descriptors.ts'
import { KeptProgram } from './kept-program.ts'
import type { Bound } from './launcher.ts'
import { logError, logLine } from './log.ts'
import { hearStarter, obeySignals } from './signals.ts'
import { descriptorLimit } from './sizing.ts'
import { FORMER, Succession } from './succession.ts'

export interface SupervisorOptions {
  /** Started by root: the helper has its own chains. */
  readonly root: boolean
  readonly control: string
  readonly run: string
  readonly helper: string
  readonly helperSocket: string
  readonly helperMode: HelperMode
  readonly bound: readonly Bound[]
  readonly lanes: number
  readonly runtimeProgram: readonly string[]
  /** Where the runtime keeps what was set over the control socket. */
  readonly state: string
  readonly lastGood: boolean
}

type Log = (event: string, fields: Record<string, string | number>) => void

/** Of events that are no mere information. */
const LEVELS: Readonly<Record<string, LogLevel>> = {
  'child-failed': 'error',
  'helper-refuses': 'error',
  'launcher-died': 'error',
  'child-ended': 'warn',
  'helper-socket-gone': 'warn',
}

/** Of proc_pid_stat(5), counted from the state, which follows the command's name; the number that sched(7) gives the usual policy. */
const POLICY_FIELD = 38
const SCHED_OTHER = '0'

/** A deleted socket is back within a second. */
const LOOK_MILLISECONDS = 300

export interface HelperCheck {
  readonly ok: boolean
  readonly privileged: boolean
  readonly said: string
}

/** What `accept-helper check` says of the chains file and of its own privileges. */
export function checkHelper(helper: string, chains: string | undefined): HelperCheck {
  const ran = spawnSync(helper, chains === undefined ? ['check'] : ['check', '-c', chains], { encoding: 'utf8' })
  const said = `${ran.stdout ?? ''}${ran.stderr ?? ''}${ran.error?.message ?? ''}`.trim()
  return { ok: ran.status === 0, privileged: /(^|[^n])privileged/.test(said) && !/unprivileged/.test(said), said }
}

/** 0: it was told to stop. 71, 78: it has said what is wrong with the control socket or the configuration, and would say so again. */
const LAST_WORDS: readonly (number | null)[] = [0, 71, 78]
/** Milliseconds that the helper has to end in. */
const HELPER_END = 2000

/** `write` gets lines of the log. */
export function supervise(options: SupervisorOptions, write: (text: string) => void): void {
  /** Before there is somebody to report to. */
  const early: LogError[] = []
  let report = (error: LogError): void => void early.push(error)
  const log: Log = (event, fields) => {
    // Its end is what was wanted.
    const level = fields['name'] === FORMER ? 'info' : (LEVELS[event] ?? 'info')
    write(logLine(level, event, fields))
    const error = logError(level, event, fields)
    if (error !== undefined) report(error)
  }
  gatherEvents(log)
  const checked = checkHelper(options.helper, options.root ? undefined : chainsOf(options))
  if (!checked.ok) log('helper-refuses', { said: checked.said })

  let stopping = false
  const sockets = options.bound.map(({ fd }) => socketOn(fd))
  const helper = new KeptProgram('helper', log, () => startHelper(options))
  const start = runtimeStarter(options, checked.privileged, sockets, (child) => {
    // A former one stops for itself alone.
    if (child === runtime.running) stop()
  })
  const runtime = new KeptProgram('runtime', log, startServing, (code, signal) => {
    // A signal to the whole group may end a runtime that has only begun to start.
    if (stopping) end(code ?? (signal === 'SIGTERM' || signal === 'SIGINT' ? 0 : 1))
    else if (LAST_WORDS.includes(code)) end(code ?? 0)
    return stopping
  })
  const succession = new Succession({
    serving: () => runtime.running,
    start: () => start({ firstLane: succession.lastLane, standby: true }),
    adopt: (child) => runtime.keep(child),
    log,
  })
  report = (error) => succession.report(error)
  early.forEach(report)

  function startServing(): ChildProcess {
    const child = start({ firstLane: succession.lastLane, standby: false })
    succession.follow(child)
    return child
  }

  function stop(): void {
    if (!stopping) closeDescriptors(options.bound.map(({ fd }) => fd))
    stopping = true
    sockets.length = 0
    helper.stop()
    runtime.stop()
    succession.stop()
  }

  function end(code: number): void {
    stop()
    succession.endFormers(() => {
      helper.endInput()
      helper.whenEnded(() => process.exit(code))
    })
    setTimeout(() => process.exit(code), HELPER_END)
  }

  if (options.helperMode === 'serve') {
    helper.run()
    whenDeleted(options.helperSocket, () => {
      log('helper-socket-gone', { path: options.helperSocket })
      // No new connections; running backends keep their streams.
      helper.endInput()
    })
  }
  runtime.run()
  hearStarter(() => log('launcher-died', {}))
  obeySignals(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'], (signal) => {
    if (signal === 'SIGTERM' || signal === 'SIGINT') stop()
    if (!runtime.write(`${signal}\n`) && stopping) end(0)
  })
}

const chainsOf = ({ control }: SupervisorOptions): string => join(control, 'chains')

const startHelper = (options: SupervisorOptions): ChildProcess =>
  spawn(options.helper, options.root ? ['serve'] : ['serve', '-c', chainsOf(options), '-s', options.helperSocket], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })

/** Starts a runtime, which finds what it is given in ACCEPTD_RUNTIME, with listening descriptors for its lanes. */
function runtimeStarter(
  options: SupervisorOptions,
  privileged: boolean,
  sockets: readonly (SendHandle | undefined)[],
  stopping: (runtime: ChildProcess) => void,
): (of: { readonly firstLane: number; readonly standby: boolean }) => ChildProcess {
  const { bound, helperMode: mode, root } = options
  const place =
    mode === 'run'
      ? { program: options.helper, args: root ? [] : ['-c', chainsOf(options)] }
      : { socket: options.helperSocket }
  let restarts = -1
  return ({ firstLane, standby }) => {
    if (!standby) restarts += 1
    const each = descriptorsAtStart(options.lanes)
    const stdio: ('pipe' | 'inherit' | 'ipc' | number)[] = ['pipe', 'inherit', 'inherit']
    const descriptors = bound.map(({ fd }) => Array.from({ length: each }, () => stdio.push(fd) - 1))
    const handed = {
      control: options.control,
      run: options.run,
      helper: { mode, place, privileged, root, program: options.helper },
      descriptors,
      ports: bound.map((one) => one.port),
      lanes: options.lanes,
      descriptorLimit: descriptorLimit(),
      state: options.state,
      restarts,
      lastGood: options.lastGood,
      firstLane,
      standby,
    }
    const [program = process.execPath, ...args] = options.runtimeProgram
    stdio.push('ipc')
    const runtime = spawn(program, args, { stdio, env: { ...process.env, ACCEPTD_RUNTIME: JSON.stringify(handed) } })
    supplyDescriptors(runtime, sockets)
    hearStopping(runtime, () => stopping(runtime))
    return runtime
  }
}

/** Calls each time that the file was there and is gone. */
function whenDeleted(path: string, gone: () => void): void {
  let seen = false
  setInterval(() => {
    const there = existsSync(path)
    if (seen && !there) gone()
    seen = there
  }, LOOK_MILLISECONDS).unref()
}

/**
 * SCHED_BATCH (sched(7)) for this process, and so for its children: a process that is woken waits until the running one has had its turn, and
 * finds more events than the one that woke it. Any other policy than the usual one is kept, since acceptd was started with it.
 */
function gatherEvents(log: Log): void {
  const fields = readFileSync('/proc/self/stat', 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  if (fields[POLICY_FIELD] !== SCHED_OTHER) return
  // Node has no call for it; chrt belongs to util-linux.
  const ran = spawnSync('chrt', ['-b', '-p', '0', String(process.pid)], { encoding: 'latin1' })
  if (ran.status !== 0) log('not-batch', { message: (ran.error?.message ?? ran.stderr).trim() })
}
