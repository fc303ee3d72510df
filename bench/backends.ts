// The programs that serve a session after its login, the same on both sides.
import { type ChildProcess, execFileSync } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  endAtExit,
  endedNow,
  type Fixture,
  findProgram,
  makeFixture,
  type ProgramOptions,
  sleep,
  startProgram,
} from './fixture.ts'
import { mainCf, masterCf } from './peers/postfix-files.ts'
import type { Setup } from './side.ts'

export interface Backend {
  /** The program and its arguments. */
  readonly argv: readonly string[]
  /** What a side's command goes behind: mounts that only the side sees. */
  readonly within: readonly string[]
  /** Of processes that have begun with the side: the system that takes the messages. */
  readonly pids: () => readonly number[]
  readonly stop: () => Promise<void>
}

const plain = (...argv: readonly string[]): Backend => ({
  argv,
  within: [],
  pids: () => [],
  stop: async () => undefined,
})

/** On tmpfs, so that no disk is measured; the users write into it. */
function memory(fixture: Fixture, name: string): string {
  const directory = join(onTmpfs(fixture), name)
  mkdirSync(directory, { recursive: true })
  return directory
}

const onMemory = new Map<Fixture, string>()

function onTmpfs(fixture: Fixture): string {
  const known = onMemory.get(fixture)
  if (known !== undefined) return known
  const { directory } = existsSync('/dev/shm') ? makeFixture('/dev/shm') : fixture
  onMemory.set(fixture, directory)
  return directory
}

/** Starts a side's command where its backend finds what it needs. */
export function startWith({ within }: Backend, argv: readonly string[], options: ProgramOptions): ChildProcess {
  const [program = '', ...words] = [...within, ...argv]
  return startProgram(program, words, options)
}

/** `greets`: not after a server that has said itself what the client waits for. */
export function backendOf(fixture: Fixture, setup: Setup, greets = true): Backend {
  const discard = [fixture.program('discard'), setup.protocol, ...(greets ? [] : ['-n'])]
  if (setup.backend === 'discard') return plain(...discard)
  if (setup.backend === 'queue') {
    const queue = memory(fixture, 'queue')
    chmodSync(queue, 0o1777)
    return plain(...discard, '-q', fixture.program('queue'), queue)
  }
  return process.env.QMAIL === undefined ? sendmail(fixture) : qmail(fixture, process.env.QMAIL)
}

/** What `real` is here. */
export const realBackend = (): string =>
  process.env.QMAIL === undefined ? 'sendmail -bs of Postfix' : 'ofmipd and qmail-queue'

export function realBackendAbsent(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can give a mail system a queue that ends with the bench'
  const home = process.env.QMAIL
  if (home === undefined)
    return findProgram('postfix')
      ? undefined
      : 'neither does QMAIL name a qmail, nor is Postfix installed (Debian: postfix)'
  const missing = [ofmipdOf(home), join(home, 'bin/qmail-queue')].find((file) => !existsSync(file))
  return missing && `${missing} of QMAIL=${home} does not exist`
}

const ofmipdOf = (home: string): string =>
  [join(home, 'bin/ofmipd'), '/usr/local/bin/ofmipd'].find((file) => existsSync(file)) ??
  findProgram('ofmipd') ??
  join(home, 'bin/ofmipd')

let instances = 0

/** The mounts are the side's alone, and end with it: nobody else's queue or configuration is touched. */
const mounted = (mounts: readonly (readonly [from: string, to: string])[], first = ''): readonly string[] => [
  'unshare',
  '--mount',
  '--propagation',
  'private',
  'sh',
  '-ec',
  `${mounts.map(([from, to]) => `mount --bind ${from} ${to}`).join('\n')}\n${first}\nexec "$@"`,
  'sh',
]

/** ofmipd(8) with the qmail-queue that it was built for; the queue is an empty copy on tmpfs, which nobody delivers from. */
function qmail(fixture: Fixture, home: string): Backend {
  const queue = memory(fixture, `qmail-${instances++}`)
  const copy = 'find . ! -type f -print0 | tar --no-recursion --null -T - -cf - | tar -xpf - -C "$1"'
  execFileSync('sh', ['-ec', copy, 'sh', queue], { cwd: join(home, 'queue') })
  return { ...plain(ofmipdOf(home)), within: mounted([[queue, join(home, 'queue')]]) }
}

/** Postfix as it delivers what `sendmail -bs` has taken, to discard(8); with a configuration and a queue of its own. */
function sendmail(fixture: Fixture): Backend {
  const directory = memory(fixture, `postfix-${instances++}`)
  for (const name of ['queue', 'data']) mkdirSync(join(directory, name))
  // As the installation has it: the owner of the lock file.
  const { uid, gid } = statSync('/var/lib/postfix')
  chownSync(join(directory, 'data'), uid, gid)
  // Beside main.cf and master.cf there is what Postfix knows of its own installation.
  cpSync('/etc/postfix', join(directory, 'etc'), { recursive: true, dereference: true })
  const places = { queue: '/var/spool/postfix', data: '/var/lib/postfix' }
  writeFileSync(join(directory, 'etc/main.cf'), mainCf({ ...places, log: join(directory, 'log') }))
  writeFileSync(join(directory, 'etc/master.cf'), masterCf([]))
  const mounts: [string, string][] = [
    [join(directory, 'etc'), '/etc/postfix'],
    [join(directory, 'queue'), places.queue],
    [join(directory, 'data'), places.data],
  ]
  chmodSync(directory, 0o755)
  const master = (): number => {
    const file = join(directory, 'queue/pid/master.pid')
    return existsSync(file) ? Number(readFileSync(file, 'latin1').trim()) : 0
  }
  return {
    ...plain(findProgram('sendmail') ?? '/usr/sbin/sendmail', '-bs'),
    within: mounted(mounts, `${findProgram('postfix') ?? 'postfix'} start`),
    pids() {
      const pid = master()
      if (pid > 0) endAtExit(pid)
      return pid > 0 ? [pid] : []
    },
    async stop() {
      const pid = master()
      if (pid === 0 || !existsSync(`/proc/${pid}`)) return
      process.kill(pid, 'SIGTERM')
      for (let tries = 0; tries < 100 && existsSync(`/proc/${pid}`); tries++) await sleep(50)
      endedNow(pid)
    },
  }
}
