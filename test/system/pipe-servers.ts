// Ports that run one program for each client, as inetd does, to test programs without acceptd in front.
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Certificate } from './certificate.ts'
import { TOP } from './machine.ts'
import { endAll, treeOf } from './processes.ts'
import { must, quoted } from './run.ts'
import type { TestUser } from './users.ts'

export interface PipeServer {
  readonly port: number
  readonly pid: number
  /** What the server and its programs wrote to stderr so far. */
  readonly log: () => string
  readonly stop: () => Promise<void>
}

let count = 0
const running = new Set<number>()

function end(pid: number): Promise<void> {
  running.delete(pid)
  return endAll(treeOf(pid))
}

/** Those that a failed test left. */
export async function stopPipeServers(): Promise<void> {
  for (const pid of running) await end(pid)
}

/** A script that becomes the user as checkpassword does (ids, groups, home, USER, HOME, SHELL, nothing else), then runs argv. */
export function asUser(user: TestUser, argv: readonly string[], dir: string): string {
  count += 1
  const file = join(dir, `as-${user.name}-${count}`)
  const settings = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', `USER=${user.name}`, `HOME=${user.home}`, 'SHELL=/bin/sh']
  const become = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--init-groups', 'env', '-i', ...settings]
  writeFileSync(file, `#!/bin/sh\ncd ${quoted(user.home)}\nexec ${[...become, ...argv].map(quoted).join(' ')}\n`)
  chmodSync(file, 0o755)
  return file
}

async function serve(argv: readonly string[], from: 'stdout' | 'stderr', listening: RegExp): Promise<PipeServer> {
  const child = spawn(argv[0] ?? '', argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' })
  let log = ''
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    log += text
  })
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${argv.join(' ')}: exit ${code}\n${log}`)))
    createInterface(child[from]).on('line', (line) => {
      const found = listening.exec(line)?.[1]
      if (found !== undefined) resolve(Number(found))
    })
  })
  const pid = child.pid ?? 0
  running.add(pid)
  return { port, pid, log: () => log, stop: () => end(pid) }
}

/** Debian's tcpserver: the program has the TCP socket itself on 0 and 1. */
export function tcpserver(program: readonly string[], options: readonly string[] = []): Promise<PipeServer> {
  return serve(['tcpserver', '-1HRl0', ...options, '127.0.0.1', '0', ...program], 'stdout', /^(\d+)$/)
}

/** blocking-tls.c: as under s6-ucspitlsd, with a handshake that does not wait where a read would block. */
export async function blockingTls(
  program: readonly string[],
  { certificate, key }: Certificate,
  dir: string,
): Promise<PipeServer> {
  const parent = join(dir, 'blocking-tls')
  const source = join(TOP, 'test/system/blocking-tls.c')
  if (!existsSync(parent))
    await must(['cc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', parent, source, '-lssl', '-lcrypto'])
  return serve([parent, certificate, key, ...program], 'stdout', /^(\d+)$/)
}

/** socat: the program has a Unix stream socket on 0 and 1, as behind acceptd. */
export function socat(program: string): Promise<PipeServer> {
  const listen = 'TCP-LISTEN:0,bind=127.0.0.1,reuseaddr,fork'
  return serve(['socat', '-d', '-d', listen, `EXEC:${program}`], 'stderr', / listening on \S+ \S+:(\d+)$/)
}
