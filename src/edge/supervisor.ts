// acceptd itself: starts and restarts helper and runtime. It reads nothing from a client.
//
//   root      native/acceptd.c: binds, becomes the account of control/chains, passes signals on
//   account   this: accept-helper serve (setuid root)      runtime (one Node process, listening descriptors in its stdio)

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HelperMode } from '../protocol/helper.ts'
import { monotonic } from './clock.ts'
import { descriptorsAtStart, socketOn, supplyDescriptors } from './descriptors.ts'
import type { Bound } from './launcher.ts'
import { hearStarter, obeySignals } from './signals.ts'
import { descriptorLimit } from './sizing.ts'

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
  /** Where the runtime keeps what it is told. */
  readonly state: string
  readonly lastGood: boolean
}

type Log = (event: string, fields: Record<string, string | number>) => void

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

export function supervise(options: SupervisorOptions, log: Log): void {
  const { root, bound } = options
  gatherEvents(log)

  const sockets = bound.map(({ fd }) => socketOn(fd))
  let stopping = false
  const children: { helper?: ChildProcess; runtime?: ChildProcess } = {}

  /** Runs a program for as long as acceptd runs, with growing pauses if it does not last. */
  function keep(name: 'helper' | 'runtime', start: () => ChildProcess): void {
    let pause = 100
    const run = () => {
      if (stopping) return
      const began = monotonic()
      const child = start()
      children[name] = child
      child.stdin?.on('error', () => undefined)
      child.on('error', (error) => log('child-failed', { name, message: error.message }))
      child.on('close', (code, signal) => {
        if (stopping) {
          // Whoever stops a whole group may end a runtime that has only begun to start.
          if (name === 'runtime') end(code ?? (signal === 'SIGTERM' || signal === 'SIGINT' ? 0 : 1))
          return
        }
        // 0: it was told to stop. 71, 78: it has said what is wrong with the control socket or the configuration, and would say so again.
        if (name === 'runtime' && (code === 0 || code === 71 || code === 78)) {
          end(code)
          return
        }
        // A helper that was asked to end ends with 0.
        pause = code === 0 || monotonic() - began > 10_000 ? 100 : Math.min(pause * 2, 5000)
        log('child-ended', { name, pid: child.pid ?? -1, how: signal ?? `exit ${code}`, restart_ms: pause })
        setTimeout(run, pause)
      })
      log('child-started', { name, pid: child.pid ?? -1 })
    }
    run()
  }

  function end(code: number): void {
    stopping = true
    children.helper?.stdin?.end()
    const last = children.helper
    if (last === undefined || last.exitCode !== null || last.signalCode !== null) process.exit(code)
    last.on('close', () => process.exit(code))
    setTimeout(() => process.exit(code), 2000)
  }

  const chains = join(options.control, 'chains')
  const borrowed = root ? [] : ['-c', chains]
  const checked = checkHelper(options.helper, root ? undefined : chains)
  if (!checked.ok) log('helper-refuses', { said: checked.said })
  if (options.helperMode === 'serve') {
    keep('helper', () =>
      // The helper ends when its standard input does: it never outlives the daemon that it serves.
      spawn(options.helper, root ? ['serve'] : ['serve', '-c', chains, '-s', options.helperSocket], {
        stdio: ['pipe', 'inherit', 'inherit'],
      }),
    )
    whenDeleted(options.helperSocket, () => {
      log('helper-socket-gone', { path: options.helperSocket })
      // Nobody can connect to it any more. Backends that run stay: they have their streams.
      children.helper?.stdin?.end()
    })
  }

  let restarts = -1
  keep('runtime', () => {
    restarts += 1
    const each = descriptorsAtStart(options.lanes)
    // Like the helper it ends when its standard input does.
    const stdio: ('pipe' | 'inherit' | 'ipc' | number)[] = ['pipe', 'inherit', 'inherit']
    const descriptors = bound.map((one) =>
      Array.from({ length: each }, () => {
        stdio.push(one.fd)
        return stdio.length - 1
      }),
    )
    const handed = {
      control: options.control,
      run: options.run,
      helper: {
        mode: options.helperMode,
        place:
          options.helperMode === 'run' ? { program: options.helper, args: borrowed } : { socket: options.helperSocket },
        privileged: checked.privileged,
      },
      descriptors,
      ports: bound.map((one) => one.port),
      lanes: options.lanes,
      descriptorLimit: descriptorLimit(),
      state: options.state,
      restarts,
      lastGood: options.lastGood,
    }
    const [program = process.execPath, ...args] = options.runtimeProgram
    stdio.push('ipc')
    const runtime = spawn(program, args, { stdio, env: { ...process.env, ACCEPTD_RUNTIME: JSON.stringify(handed) } })
    supplyDescriptors(runtime, sockets)
    return runtime
  })

  hearStarter(() => log('launcher-died', {}))
  obeySignals(['SIGTERM', 'SIGINT', 'SIGHUP'], (signal) => {
    if (signal !== 'SIGHUP') stopping = true
    const { runtime } = children
    if (runtime === undefined || runtime.exitCode !== null || runtime.signalCode !== null) {
      if (stopping) end(0)
    } else runtime.stdin?.write(`${signal}\n`)
  })
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
 * SCHED_BATCH (sched(7)) for this process, and so for its children: who is woken waits until what runs has had its turn, and finds more events
 * than the one that woke it. Any other policy than the usual one is kept: whoever started acceptd has chosen it.
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
