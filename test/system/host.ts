// A Debian 13 that boots systemd in a container: nothing that happens there outlasts it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { TOP } from './machine.ts'
import { treeOf, until } from './processes.ts'
import { must, type Ran, run } from './run.ts'

export interface Host {
  readonly run: (words: readonly string[], input?: string) => Promise<Ran>
  /** A script of sh that has to succeed; returns its stdout. */
  readonly sh: (script: string) => Promise<string>
  /** Runs it again and again until it succeeds. */
  readonly until: (script: string) => Promise<string>
  readonly end: () => Promise<void>
}

/** What tells apt and the cache where they are. */
export function aptEnvironment(): Readonly<Record<string, string>> {
  const names = ['ACCEPTD_TEST_CACHE', 'http_proxy', 'https_proxy', 'no_proxy']
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  )
}

const UNDER = '--pdeathsig KILL unshare --pid --fork --kill-child --mount-proc'.split(' ')
const OPTIONS = [
  '--quiet',
  '--volatile=overlay',
  // Nobody here has to run systemd-machined.
  '--register=no',
  '--keep-unit',
  '--private-network',
  '--boot',
]

/** `share` is /mnt there; `kind` is a word of debian.sh. */
export async function bootHost(share: string, kind: 'systemd' | 'recipes' = 'systemd'): Promise<Host> {
  const maker = join(TOP, 'test/system/debian.sh')
  const root = (await must(['sh', maker, kind], { timeout: 900_000, env: aptEnvironment() })).trim()
  const name = `--machine=acceptd${process.pid}`
  const container: ChildProcess = spawn(
    // However we end, this ends too, and with it everything in its process namespace.
    'setpriv',
    [...UNDER, 'systemd-nspawn', ...OPTIONS, name, `--directory=${root}`, `--bind-ro=${share}:/mnt`],
    // Where the machine has the old cgroup hierarchy, the container still gets the one that systemd needs.
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
      detached: true,
    },
  )
  let said = ''
  for (const stream of [container.stdout, container.stderr])
    stream?.setEncoding('latin1').on('data', (text: string) => {
      said += text
    })
  const leader = await until(
    'systemd in the container',
    () => {
      if (container.exitCode !== null) throw new Error(`systemd-nspawn: exit ${container.exitCode}\n${said}`)
      return treeOf(container.pid ?? 0).find(({ comm }) => comm === 'systemd')?.pid
    },
    { timeout: 30_000, show: () => said },
  )
  const inside = (words: readonly string[], input = ''): Promise<Ran> =>
    run(
      [
        ...`nsenter -t ${leader} -m -u -i -n -p -C env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C`.split(' '),
        ...words,
      ],
      { input, timeout: 300_000 },
    )
  const sh = async (script: string): Promise<string> => {
    const ran = await inside(['sh', '-ec', script])
    if (ran.code !== 0) throw new Error(`${script}\nexit ${ran.code ?? ran.signal}\n${ran.transcript}`)
    return ran.stdout
  }
  const untilSucceeds: Host['until'] = (script) =>
    until(
      `the host to do: ${script}`,
      async () => {
        const ran = await inside(['sh', '-ec', script])
        return ran.code === 0 && { stdout: ran.stdout }
      },
      { timeout: 60_000, every: 100 },
    ).then(({ stdout }) => stdout)
  await untilSucceeds('systemctl is-system-running | grep -qE "running|degraded"')
  await sh('ip link set lo up')
  return {
    run: inside,
    sh,
    until: untilSucceeds,
    end: async () => {
      if (container.exitCode !== null) return
      container.kill('SIGKILL')
      await once(container, 'exit')
      try {
        process.kill(leader, 'SIGKILL')
      } catch {
        // It has ended with its container.
      }
    },
  }
}
