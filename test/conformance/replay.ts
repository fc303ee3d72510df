// Plays a recorded case against the programs of a directory and returns the outcome.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { until, within } from '../support/until.ts'
import type { Case, FakeRun, Result, Step } from './case.ts'

/** A pause in a case gives a program time to get on; on a busy machine it takes longer. */
const patienceFor = (): number => Math.min(6, Math.max(3, (loadavg()[0] ?? 0) / availableParallelism()))

export interface Played {
  /** A step that went differently. */
  readonly trouble: readonly string[]
  readonly result: Result
}

/** Process ids, times and addresses of home pages differ from run to run. */
const NORMALISED: readonly (readonly [RegExp, string])[] = [
  [/^reup \d+ (\S+) \d+ /gm, 'reup PID $1 PID '],
  [/\b(authup|checkpassword|fixsmtpio) \d+/g, '$1 PID'],
  [/^(fixsmtpio PID \S+) \d+ /gm, '$1 PID '],
  [/<\d+\.\d+@/g, '<PID.TIME@'],
  [/home page: \S+/g, 'home page: URL'],
]

const CONTROL = 60
const READ = 61
const WRITE = 62

const idOf = (flag: string, user: string): number => Number(execFileSync('id', [flag, user], { encoding: 'latin1' }))

/** State, parent, group and so on of proc(5), without what is before them. */
function fieldsOf(stat: string): readonly string[] {
  try {
    return readFileSync(stat, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}

/** State and number of context switches of each thread of a process. */
function tasksOf(pid: string): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => {
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'latin1')
      return [/^State:\t(\w)/m, /^voluntary_ctxt_switches:\t(\d+)/m].map((field) => field.exec(status)?.[1]).join(' ')
    })
  } catch {
    return []
  }
}

class Playing {
  private readonly played: Case
  private readonly bin: string
  private readonly fakes: string
  private readonly patience: number
  private readonly directory = mkdtempSync(join(tmpdir(), 'conformance.'))
  private readonly home = join(this.directory, 'home')
  private readonly process: ChildProcess
  private input: Duplex
  private out = ''
  private err = ''
  private taken = 0
  private changed: () => void = () => undefined
  private readonly over: Promise<number | string>
  private readonly closed: Promise<unknown>

  constructor(played: Case, bin: string, fakes: string, patience: number) {
    this.played = played
    this.bin = bin
    this.fakes = fakes
    this.patience = patience
    this.prepare()
    this.process = this.start()
    this.input = this.stream(0)
    this.over = once(this.process, 'exit').then(([code, signal]) =>
      signal === null ? Number(code) : `signal:${signal}`,
    )
    this.closed = once(this.process, 'close')
    this.listen(1)
    this.stream(2).on('data', (bytes: Buffer) => {
      this.err += bytes.toString('latin1')
    })
  }

  private prepare(): void {
    const { control } = this.played
    chmodSync(this.directory, 0o777)
    mkdirSync(this.home)
    if (control !== null && control !== undefined) {
      mkdirSync(join(this.home, 'control'))
      for (const [name, text] of Object.entries(control)) {
        const path = join(this.home, 'control', name)
        if (typeof text === 'string') writeFileSync(path, text, 'latin1')
        else if (text !== null) mkdirSync(path)
      }
    }
    for (const role of ['backend', 'child'] as const) {
      const path = join(this.directory, role)
      writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${this.fakes} ${role} ${this.directory} "$@"\n`)
      chmodSync(path, 0o755)
      if (this.played[role] !== undefined) writeFileSync(`${path}.json`, JSON.stringify(this.played[role]))
    }
    writeFileSync(join(this.directory, 'noexec'), 'x')
  }

  private readonly filled = (text: string): string =>
    text
      .replaceAll('{backend}', join(this.directory, 'backend'))
      .replaceAll('{child}', join(this.directory, 'child'))
      .replaceAll('{dir}', this.directory)
      .replaceAll('{bin}', this.bin)

  private start(): ChildProcess {
    const { program, args, env, tls, user } = this.played
    const stdio: ('pipe' | 'ignore')[] = ['pipe', 'pipe', 'pipe']
    if (tls === true) {
      while (stdio.length < CONTROL) stdio.push('ignore')
      stdio.push('pipe', 'pipe', 'pipe')
    }
    const becomes = user !== undefined && process.getuid?.() === 0
    return spawn(join(this.bin, program), args.map(this.filled), {
      stdio,
      cwd: this.directory,
      detached: true,
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin',
        // So that a run finds what the one before has left.
        ACCEPTD_TEST_RUN: process.env['ACCEPTD_TEST_RUN'],
        QMAILHOME: this.home,
        ...(tls === true ? { SSLCTLFD: `${CONTROL}`, SSLREADFD: `${READ}`, SSLWRITEFD: `${WRITE}` } : {}),
        ...env,
      },
      ...(becomes ? { uid: idOf('-u', user), gid: idOf('-g', user) } : {}),
    })
  }

  private stream(fd: number): Duplex {
    const stream = this.process.stdio[fd] as unknown as Duplex
    stream.on('error', () => undefined)
    return stream
  }

  private listen(fd: number): void {
    this.stream(fd).on('data', (bytes: Buffer) => {
      this.out += bytes.toString('latin1')
      this.changed()
    })
  }

  private readonly normal = (text: string): string => {
    let out = text.replaceAll(this.directory, '{dir}').replaceAll(this.bin, '{bin}')
    for (const [pattern, by] of NORMALISED) out = out.replace(pattern, by)
    return out
  }

  private async step(step: Step): Promise<string | undefined> {
    if ('send' in step) this.input.write(Buffer.from(step.send, 'latin1'))
    else if ('eof' in step) this.input.end()
    // The recordings have pauses, and some programs of theirs are slow on purpose.
    else if ('sleep_ms' in step) await sleep(step.sleep_ms * patienceFor())
    else if ('settled' in step) await this.settled()
    else if ('expect' in step) return this.expect(step.expect)
    else return this.tls(step.tls, step.got)
    return undefined
  }

  private async expect(wanted: string): Promise<string | undefined> {
    const late = AbortSignal.timeout(this.patience)
    for (;;) {
      const unread = this.normal(this.out.slice(this.taken))
      if (unread === wanted) {
        this.taken = this.out.length
        return undefined
      }
      if (unread.startsWith(wanted) && wanted !== '') {
        this.taken += wanted.length
        return undefined
      }
      if (late.aborted) return `wanted ${JSON.stringify(wanted)}, got ${JSON.stringify(unread)}`
      await new Promise<void>((resolve) => {
        this.changed = resolve
        late.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }

  /** All threads of the program and of what it has started, with what shows that one has run. */
  private threads(): readonly string[] {
    const group = String(this.process.pid)
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && fieldsOf(`/proc/${name}/stat`)[2] === group)
      .flatMap((pid) => tasksOf(pid))
  }

  private async settled(): Promise<void> {
    let before: readonly string[] = []
    await until('the program to wait', () => {
      const now = this.threads()
      const isSame = now.join() === before.join()
      before = now
      return isSame && now.every((thread) => /^[SZ] /.test(thread))
    })
  }

  private async tls(answer: string, wanted: string): Promise<string | undefined> {
    const control = this.stream(CONTROL)
    const [got] = (await within('the control descriptor', once(control, 'data')).catch(() => [''])) as [Buffer | string]
    if (String(got) !== wanted) return `on the control descriptor: wanted ${wanted}, got ${String(got)}`
    control.write(Buffer.from(answer, 'latin1'))
    this.input = this.stream(READ)
    this.listen(WRITE)
    return undefined
  }

  private runsOf(role: 'backend' | 'child'): readonly FakeRun[] {
    const path = join(this.directory, `${role}.runs`)
    if (!existsSync(path)) return []
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
    return lines
      .map((line) => JSON.parse(line) as FakeRun)
      .map((run) => ({
        ...run,
        argv: run.argv.map(this.normal),
        ...(typeof run.fd3 === 'string' ? { fd3: this.normal(run.fd3) } : {}),
      }))
  }

  private async finish(patience: number): Promise<Result> {
    const exit = await within('its end', this.over, patience).catch(() => 'hang')
    // What is still on its way to us.
    if (exit !== 'hang') await within('the end of its streams', this.closed, 1000).catch(() => undefined)
    try {
      process.kill(-(this.process.pid ?? 0), 'SIGKILL')
    } catch {
      // Nobody is left.
    }
    const log = join(this.directory, 'backend.log')
    const { backend, child } = this.played
    const result: Result = {
      exit,
      stdout: this.normal(this.out),
      stderr: this.normal(this.err),
      ...(backend === undefined
        ? {}
        : {
            backend_runs: this.runsOf('backend'),
            backend_received: existsSync(log) ? readFileSync(log, 'latin1') : '',
          }),
      ...(child === undefined ? {} : { child_runs: this.runsOf('child') }),
    }
    rmSync(this.directory, { recursive: true, force: true })
    return result
  }

  async play(): Promise<Played> {
    const trouble: string[] = []
    for (const [i, step] of this.played.steps.entries()) {
      const bad = await this.step(step)
      if (bad === undefined) continue
      trouble.push(`step ${i}: ${bad}`)
      this.input.end()
      break
    }
    return { trouble, result: await this.finish(trouble.length === 0 ? this.patience : 1000) }
  }
}

/** `fakes`: the compiled fakes.js. `patience`: milliseconds for each expectation. */
export const play = (played: Case, bin: string, fakes: string, patience = 9000): Promise<Played> =>
  new Playing(played, bin, fakes, patience).play()
