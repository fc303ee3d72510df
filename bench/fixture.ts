// What every side needs: built programs, a temporary directory, the users' password file, control files, free ports.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Hash } from './side.ts'

/** The clone: this file runs as dist/bench/fixture.js. */
export const top = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const benchPrograms = join(top, 'dist/bench/native')

export const builtProgram = (name: string): string => join(top, 'dist/programs', name)
export const benchProgram = (name: string): string => join(benchPrograms, name)

/** Compiles bench/native into dist/bench/native: all but what needs OpenSSL, or programs by their names. */
export function buildPrograms(...names: readonly string[]): void {
  const targets = names.map((name) => benchProgram(name))
  execFileSync('make', ['-s', '-C', join(top, 'bench/native'), `OUT=${benchPrograms}`, ...targets], {
    stdio: ['ignore', 2, 2],
  })
}

/** The recommended rules and, after them, rules of the same events whose glob matches no reply of the backend. */
export function ruleLines(count: number): string {
  const file = join(top, 'control/fixsmtpio')
  const recommended = existsSync(file) ? readFileSync(file, 'latin1').trimEnd().split('\n') : recommendedRules
  const lines = recommended.filter((line) => line !== '' && !line.startsWith('#'))
  const events = ['mail', 'rcpt', 'data', 'in_data']
  for (let i = lines.length; i < count; i++) lines.push(`:${events[i % 4]}::55? never ${i}*::550 never`)
  return `${lines.join('\n')}\n`
}

const recommendedRules = [
  ':help::*::&fixsmtpio_fixup',
  ':greeting::2*::&fixsmtpio_fixup',
  ':helo::2*::&fixsmtpio_fixup',
  ':ehlo::2*::&fixsmtpio_fixup',
  ':quit::2*::&fixsmtpio_fixup',
  'AUTHUP_USER:greeting::2*::235 ok, go ahead (#2.0.0)',
  'AUTHUP_USER:clienteof::*:0:',
  'AUTHUP_USER:greeting::4*:14:&fixsmtpio_noop',
  'AUTHUP_USER:greeting::5*:15:&fixsmtpio_noop',
  'AUTHUP_USER:timeout::*:16:',
  'AUTHUP_USER:ehlo::250?AUTH*::',
  'AUTHUP_USER:auth:NOOP :*::503 already authenticated (#5.5.1)',
]

export interface Pair {
  readonly certificate: string
  readonly key: string
}

export interface Fixture {
  readonly directory: string
  /** A copy of a program of bench/native or of dist/programs that every user can run, wherever the clone is. */
  program(name: string): string
  /** user:hash:uid:gid:gecos:home:shell, as native/checkpassword and Dovecot's passwd-file read it. */
  users(count: number, hash: Hash): string
  /** A certificate (P-256, self-signed) and its key, which its owner alone may read; a copy for each name. */
  pair(name: string): Pair
  /** A directory with control/me, control/smtpcapabilities and so many rules; everybody may read it. */
  home(rules: number): string
  remove(): void
}

/** The first numeric uid of the users. Run by an ordinary user, everybody is that user. */
const FIRST_UID = 40_000

export function makeFixture(parent = tmpdir()): Fixture {
  const directory = mkdtempSync(join(parent, 'acceptd-bench-'))
  chmodSync(directory, 0o755)
  let homes = 0
  const remove = (): void => rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  process.once('exit', () => {
    endAllPrograms()
    remove()
  })
  return {
    directory,
    program(name) {
      const file = join(directory, name)
      if (!existsSync(file)) {
        copyFileSync(existsSync(benchProgram(name)) ? benchProgram(name) : builtProgram(name), file)
        chmodSync(file, 0o755)
      }
      return file
    },
    users(count, hash) {
      const file = join(directory, `users-${count}-${hash}`)
      if (existsSync(file)) return file
      let text = execFileSync(benchProgram('mkusers'), [String(count), String(FIRST_UID), '/', hash], {
        encoding: 'utf8',
        maxBuffer: 1 << 28,
      })
      const uid = process.getuid?.() ?? 0
      const gid = process.getgid?.() ?? 0
      if (uid !== 0) text = text.replace(/^([^:]+:[^:]+):\d+:\d+:/gm, `$1:${uid}:${gid}:`)
      writeFileSync(file, text, { mode: 0o644 })
      return file
    },
    pair: (name) => makePair(join(directory, 'tls'), name),
    home(rules) {
      const home = join(directory, `home-${homes++}`)
      mkdirSync(join(home, 'control'), { recursive: true })
      writeFileSync(join(home, 'control/me'), 'bench.invalid\n')
      writeFileSync(join(home, 'control/smtpcapabilities'), 'PIPELINING\n8BITMIME\n')
      writeFileSync(join(home, 'control/fixsmtpio'), ruleLines(rules))
      return home
    },
    remove,
  }
}

function makePair(directory: string, name: string): Pair {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const made = { certificate: join(directory, 'made.pem'), key: join(directory, 'made.key') }
  const pair = { certificate: made.certificate, key: join(directory, `${name}.key`) }
  if (!existsSync(made.key)) {
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
    const subject = ['-subj', '/CN=bench.invalid', '-addext', 'subjectAltName=DNS:bench.invalid']
    const files = ['-keyout', made.key, '-out', made.certificate]
    execFileSync('openssl', ['req', '-x509', '-noenc', '-days', '2', ...curve, ...subject, ...files], {
      stdio: 'ignore',
    })
  }
  if (!existsSync(pair.key)) copyFileSync(made.key, pair.key)
  return pair
}

/** Below those that the kernel gives to clients: one of thousands of connections would take it before the server does. */
const PORTS = { from: 20_000, count: 12_000 }

export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = PORTS.from + Math.floor(Math.random() * PORTS.count)
    if (await isFree(port)) return port
  }
  throw new Error('no port for the bench')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

/** Resolves when the port greets; says why not after `seconds`, and ends `child` then, or when it ends by itself. */
export const greets = (port: number, child: ChildProcess | undefined, seconds = 15): Promise<void> =>
  reached(port, child, seconds, 'data')

/** The same where a client has to speak first: when somebody accepts. */
export const listens = (port: number, child: ChildProcess | undefined, seconds = 15): Promise<void> =>
  reached(port, child, seconds, 'connect')

async function reached(
  port: number,
  child: ChildProcess | undefined,
  seconds: number,
  event: 'data' | 'connect',
): Promise<void> {
  const until = Date.now() + seconds * 1000
  for (;;) {
    if (child && (child.exitCode !== null || child.signalCode !== null))
      throw new Error(`${child.spawnfile} ended with ${child.exitCode ?? child.signalCode} before it listened`)
    if (await reachedNow(port, event)) return
    if (Date.now() > until) {
      if (child) await endProgram(child)
      throw new Error(`nobody is on port ${port} after ${seconds} s`)
    }
    await sleep(50)
  }
}

function reachedNow(port: number, event: 'data' | 'connect'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.setTimeout(2000, () => socket.destroy())
    socket.once(event, () => {
      resolve(true)
      socket.end('QUIT\r\n')
    })
    socket.on('error', () => resolve(false))
    socket.on('close', () => resolve(false))
  })
}

/** Processes that must not outlive the bench, however it ends. */
const running = new Set<number>()
export const endAtExit = (pid: number): void => void running.add(pid)
export const endedNow = (pid: number): void => void running.delete(pid)

export function endAllPrograms(): void {
  for (const pid of running) {
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      // It has ended by itself.
    }
  }
}

export interface ProgramOptions {
  readonly log: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Starts a server with its output in a file of the fixture. Give the file's text to people when it fails. */
export function startProgram(command: string, args: readonly string[], options: ProgramOptions): ChildProcess {
  const log = openSync(options.log, 'a')
  const child = spawn(command, args, {
    stdio: ['ignore', log, log],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  })
  closeSync(log)
  // A program that cannot be run is reported where its greeting is waited for.
  child.on('error', () => undefined)
  if (child.pid !== undefined) endAtExit(child.pid)
  child.on('exit', () => running.delete(child.pid ?? 0))
  return child
}

export async function endProgram(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
  })
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(timer)
}

/** Is there such a program on PATH (or in the directories where Debian keeps servers)? */
export function findProgram(name: string): string | undefined {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/lib/postfix/sbin']
  return places.map((place) => join(place, name)).find((path) => existsSync(path))
}
