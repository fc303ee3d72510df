// A helper for one test file. As root: installed 4750 below a root-owned folder, started by an unprivileged account, with
// users that exist as numbers only. As anybody else: the same helper without privileges, every chain running as ourselves.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../support/until.ts'

export { until } from '../support/until.ts'

export const isRoot = process.getuid?.() === 0
const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
export const account = isRoot ? { uid: 54321, gid: 54321 } : own
export const user = isRoot ? { uid: 54322, gid: 54322 } : own
export const guest = isRoot ? { uid: 54323, gid: 54324 } : own
export const privilege = isRoot ? 'privileged' : 'unprivileged'

// crypt(3) of "secret", with the cheapest cost: these tests are about what follows
const hash = '$5$rounds=1000$acceptd$FJ68jbbmLzBIIbt0HgQlZ/Pv681t24c0tIFq1EDCNVA'

const scripts: Readonly<Record<string, string>> = {
  backend: `echo "220 ready"
while read -r verb rest; do case $verb in
  env) env | sort; echo . ;;
  ids) echo "$(id -u) $(id -g) $(id -G)" ;;
  fds) ls -C -w 200 /proc/$$/fd ;;
  limits) echo "$(ulimit -n) $(umask) $(pwd)" ;;
  fork) sleep 300 & echo $! ;;
  exit) exit "$rest" ;;
esac; done`,
  foreign: `exec ${isRoot ? `setpriv --reuid ${user.uid} --regid ${user.gid} --clear-groups ` : ''}"$@"`,
  careless: 'exec "$@"',
  tempfail: 'exit 111',
  misused: 'exit 2',
  crash: 'kill -SEGV $$',
  hang: 'trap "" TERM; sleep 300 & wait; sleep 300',
  talker: 'echo "ok 0 0 1"; cat <&3 >/dev/null; exit 1',
  reads: 'test "$(tail -c 4 <&3 | tr "\\0" .)" = "xx.." && exit 1; exit 3',
  imposter: 'printf "*%064d" 0 >/proc/self/fd/11; exit 1',
}

export interface Answer {
  readonly line: string
  readonly rest: string
}

/** A stream to the helper whose lines can be awaited one by one. */
export class Lines {
  readonly socket: Socket
  #text = ''
  #ended = false
  #wake: () => void = () => {}
  constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding('latin1')
    socket.on('data', (data) => {
      this.#text += String(data)
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', end).on('error', end).on('close', end)
  }
  /** The next line without its LF, or what was left at the end of the stream. */
  async line(): Promise<string> {
    while (!this.#text.includes('\n') && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const at = this.#text.indexOf('\n')
    const line = at < 0 ? this.#text : this.#text.slice(0, at)
    this.#text = at < 0 ? '' : this.#text.slice(at + 1)
    return line
  }
  async ask(request: string): Promise<string> {
    this.socket.write(`${request}\n`)
    return this.line()
  }
  async toEnd(): Promise<string> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#text
  }
}

export interface Request {
  readonly kind?: string
  readonly session?: string
  readonly chain: string
  readonly env?: readonly string[]
  readonly name?: string
  readonly password?: string
}

export function frame(body: Uint8Array | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : Buffer.from(body)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

export function loginFrame({ kind = 'auth', session = 's1', chain, env = [], name, password }: Request): Buffer {
  const strings = [kind, session, chain, ...env, ''].map((text) => `${text}\0`).join('')
  return frame(
    strings + (kind === 'guest' ? '' : `${name ?? 'demo'}\0${password ?? (kind === 'auth' ? 'secret' : '')}\0\0`),
  )
}

export class Fixture {
  readonly folder: string
  readonly bin: string
  readonly chainsPath: string
  readonly socketPath: string
  #helpers: ChildProcess[] = []

  constructor(make: readonly string[] = []) {
    const above = isRoot ? '/opt' : tmpdir()
    mkdirSync(above, { recursive: true })
    this.folder = mkdtempSync(join(above, 'acceptd-native-'))
    chmodSync(this.folder, 0o755)
    this.bin = join(this.folder, 'bin')
    this.chainsPath = join(this.folder, 'chains')
    this.socketPath = join(this.folder, 'run', 'helper.sock')
    const made = spawnSync('make', ['-s', '-C', 'native', `OUT=${this.bin}`, `CHAINS=${this.chainsPath}`, ...make], {
      encoding: 'utf8',
    })
    if (made.status !== 0) throw new Error(`make: ${made.stdout}${made.stderr}`)
    if (isRoot) {
      chownSync(this.helperPath, 0, account.gid)
      chmodSync(this.helperPath, 0o4750)
    }
    for (const [name, body] of Object.entries(scripts)) {
      writeFileSync(join(this.folder, name), `#!/bin/sh\n${body}\n`)
      chmodSync(join(this.folder, name), 0o755)
    }
    const entries = [
      `demo:${hash}:${user.uid}:${user.gid}:Demo:/tmp:/bin/sh`,
      `root:${hash}:0:0:Root:/root:/bin/sh`,
      `locked:!${hash}:${user.uid}:${user.gid}::/:/bin/sh`,
      `empty::${user.uid}:${user.gid}::/:/bin/sh`,
      `nopassword:*:${user.uid}:${user.gid}::/tmp:/bin/sh`,
      `homeless:${hash}:${user.uid}:${user.gid}::/nonexistent:/bin/sh`,
    ]
    writeFileSync(join(this.folder, 'passwd'), `${entries.join('\n')}\n`, { mode: 0o600 })
    this.chains()
  }

  get helperPath(): string {
    return join(this.bin, 'accept-helper')
  }

  /** Writes the chains file; the words of `more` come before the chains. */
  chains(more = '', chains = ''): void {
    const check = `${this.bin}/checkpassword -f ${this.folder}/passwd`
    const chain = (name: string, checkpassword: string, backend = `${this.folder}/backend a b`) =>
      `chain ${name}\n  checkpassword ${checkpassword}\n  set RELAYCLIENT=\n  backend ${backend}\n`
    const file = [
      `# chains of a test\naccount ${account.uid}\ngroup ${account.gid}\nsocket ${this.socketPath}\nlogin-timeout 1\n${more}\n`,
      chain('submission', check),
      chain('builtin', `builtin ${this.folder}/passwd`),
      ...['foreign', 'careless', 'tempfail', 'misused', 'crash', 'hang', 'talker', 'imposter'].map((name) =>
        chain(name, `${this.folder}/${name}`),
      ),
      chain('certificate', `builtin ${this.folder}/passwd\n  kind certificate`),
      chain('looksup', `${this.folder}/foreign\n  kind certificate`),
      chain('long', `${this.folder}/reads\n  credentials 8192`),
      chain('nothing', '/nonexistent/checkpassword'),
      chain('nobackend', check, '/nonexistent/backend'),
      chain('nobackend-builtin', `builtin ${this.folder}/passwd`, '/nonexistent/backend'),
      `chain guest\n  kind guest ${guest.uid || 1} ${guest.gid || 1}\n  backend ${this.folder}/backend\n`,
      chains,
    ]
    writeFileSync(this.chainsPath, file.join('\n'), { mode: 0o644 })
  }

  /** Starts accept-helper as the account, from a shell that has run `first`; resolves when it serves. */
  async serve(first = ':'): Promise<Helper> {
    const args = isRoot ? ['serve'] : ['serve', '-c', this.chainsPath]
    const child = spawn(
      '/bin/sh',
      ['-c', `${first}; LD_PRELOAD=/nonexistent.so exec "$0" "$@"`, this.helperPath, ...args],
      {
        ...account,
        stdio: ['pipe', 'ignore', 'pipe'],
      },
    )
    this.#helpers.push(child)
    const helper = new Helper(this, child)
    await helper.stderrHas('serving')
    return helper
  }

  /** Runs accept-helper to its end as the account, or as somebody else. */
  run(args: readonly string[], who: { uid: number; gid: number } = account, helper = this.helperPath) {
    const all = isRoot ? args : [...args, '-c', this.chainsPath]
    return spawnSync(helper, all, {
      ...who,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 10_000,
    })
  }

  /** Has another chains file checked, with the rights of the user who runs the tests. */
  check(path: string) {
    return spawnSync(this.helperPath, ['check', '-c', path], { encoding: 'utf8' })
  }

  remove(): void {
    for (const child of this.#helpers) child.stdin?.end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The builds that must do the same, with the arguments of make. */
export const BUILDS = [
  ['as installed', []],
  ['under the sanitizers', ['sanitized']],
] as const

/** Ends a helper, which must exit 0 and must not have made a sanitizer report anything. */
export async function endWell(fixture: Fixture, helper: Helper): Promise<void> {
  const code = await helper.stop()
  fixture.remove()
  assert.equal(code, 0)
  assert.doesNotMatch(helper.stderr, /Sanitizer|runtime error/)
}

export class Helper {
  readonly child: ChildProcess
  readonly #fixture: Fixture
  stderr = ''
  constructor(fixture: Fixture, child: ChildProcess) {
    this.#fixture = fixture
    this.child = child
    child.stderr?.on('data', (data) => {
      this.stderr += String(data)
    })
  }

  async stderrHas(text: string, times = 1): Promise<void> {
    await until(`${JSON.stringify(text)} on the helper's stderr`, () => this.stderr.split(text).length > times)
  }

  /** A connection made as the account (the kernel notes the effective ids of connect). */
  connect(who: { uid: number; gid: number } = account): Lines {
    if (isRoot) {
      process.setegid?.(who.gid)
      process.seteuid?.(who.uid)
    }
    try {
      // Node's own default grows with its versions, and what waits there is read.
      const options = { path: this.#fixture.socketPath, highWaterMark: 16_384 }
      return new Lines(connect(options as NetConnectOpts))
    } finally {
      if (isRoot) {
        process.seteuid?.(0)
        process.setegid?.(0)
      }
    }
  }

  send(bytes: Uint8Array): Lines {
    const lines = this.connect()
    lines.socket.write(bytes)
    return lines
  }

  login(request: Request): Lines {
    return this.send(loginFrame(request))
  }

  /** The first line of a login's answer; the stream is closed then. */
  async answer(request: Request): Promise<string> {
    const session = this.login(request)
    const line = await session.line()
    session.socket.destroy()
    return line
  }

  async watch(): Promise<Lines> {
    const lines = this.send(frame('watch\0'))
    assert.equal(await lines.line(), 'watching')
    return lines
  }

  /** Pids of the server, or of the connections that it serves. */
  children(of = this.child.pid ?? 0): readonly number[] {
    return childrenOf(of).filter((pid) => !isClerk(pid))
  }

  clerk(): number {
    return childrenOf(this.server()).find(isClerk) ?? 0
  }

  server(): number {
    // Whoever started the helper may have left it other children.
    return this.children().find((pid) => contents(`/proc/${pid}/comm`) === 'accept-helper\n') ?? 0
  }

  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode
    const ended = new Promise<number | null>((resolve) => this.child.once('exit', resolve))
    this.child.stdin?.end()
    return ended
  }
}

const isClerk = (pid: number): boolean => contents(`/proc/${pid}/comm`) === 'accept-clerk\n'

const childrenOf = (parent: number): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === parent)
    .map(Number)

function parentOf(pid: number): number {
  const ran = contents(`/proc/${pid}/stat`)
  return Number(/\) \S+ (\d+)/.exec(ran)?.[1] ?? -1)
}

export function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

export const gone = (pid: number): boolean => !existsSync(`/proc/${pid}`) || / Z /.test(contents(`/proc/${pid}/stat`))

/** The next end of a session whose name begins so: those of earlier tests may still be ending. */
export async function newsOf(watcher: Lines, name: string): Promise<string> {
  for (;;) {
    const line = await watcher.line()
    if (line === '' || line.startsWith(`end ${name}`)) return line
  }
}
