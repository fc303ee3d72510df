// The bench's C programs, built once, and servers and conversations for their tests.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { benchProgram, buildPrograms } from '../../bench/fixture.ts'

buildPrograms()

const temporaries: string[] = []

/** A directory that is removed when the process exits. */
export function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'acceptd-bench-test-'))
  if (temporaries.length === 0)
    process.once('exit', () => {
      for (const one of temporaries) rmSync(one, { recursive: true, force: true })
    })
  temporaries.push(directory)
  return directory
}

/** Listens on a free port of 127.0.0.1 until the test is over. */
export async function listen(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer(serve)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no address')
  return { port: address.port, server }
}

/** A socket's bytes through a program's stdin and stdout. */
export function attach(socket: Socket, child: ChildProcess): void {
  socket.on('error', () => child.kill())
  child.stdin?.on('error', () => undefined)
  if (child.stdin) socket.pipe(child.stdin)
  child.stdout?.pipe(socket)
}

/** Runs the load generator to its end; the options are in one string, none with a space in its value. */
export function loadgen(
  port: number,
  options: string,
  address = '127.0.0.1',
): Promise<{ code: number; err: string; report: Report }> {
  return new Promise((resolve, reject) => {
    const words = options.split(' ').filter((word) => word !== '')
    const child = spawn(benchProgram('loadgen'), ['--target', `${address}:${port}`, ...words])
    let out = ''
    let err = ''
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      err += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? -1, err, report: out === '' ? {} : JSON.parse(out) }))
  })
}

// biome-ignore lint/suspicious/noExplicitAny: the tests look at single fields of it
export type Report = any

/** A checkpassword(8) that accepts `secretN` for `userN`, in shell; `-f` and its file are taken and not read. */
export function fakeCheckpassword(directory: string): string {
  const file = join(directory, 'checkpassword')
  writeFileSync(
    file,
    `#!/bin/sh
pair=$(tr '\\000' '\\n' <&3 | head -n 2 | tr '\\n' ' ')
exec 3<&-
set -- "$pair" "$@"
case "$1" in
  "user\${1#user}") user=\${1%% *} password=\${1#* } ;;
  *) exit 1 ;;
esac
[ "\${password% }" = "secret\${user#user}" ] || exit 1
shift
exec "$@"
`,
  )
  chmodSync(file, 0o755)
  return file
}

/** control/ with the recommended rules, for the baseline's programs. */
export function controlHome(rules: string): string {
  const home = temporary()
  mkdirSync(join(home, 'control'))
  writeFileSync(join(home, 'control/me'), 'bench.invalid\n')
  writeFileSync(join(home, 'control/smtpcapabilities'), 'PIPELINING\n')
  writeFileSync(join(home, 'control/fixsmtpio'), rules)
  return home
}

/** The output of a program for this much input on stdin. */
export function converse(
  command: string,
  args: readonly string[],
  input: string,
  env: Readonly<Record<string, string>> = {},
): { out: string; err: string; code: number | null } {
  const ran = spawnSync(command, args, { input, encoding: 'latin1', env: { ...process.env, ...env }, timeout: 20_000 })
  return { out: ran.stdout, err: ran.stderr, code: ran.status }
}
