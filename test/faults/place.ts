// Where the faults happen: mounts, processes and accounts that nobody else sees, with acceptd installed and three small disks.
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../bench/fixture.ts'
import { run as runToEnd } from '../../scripts/command.mjs'
import { makeCertificate, tlsLine } from '../system/certificate.ts'
import { type Engine, engineIn, PASSWORD_OF_ENGINE, PREFIX } from '../system/fleet.ts'
import { type Chain, type Installation, install } from '../system/installation.ts'
import { PROGRAMS } from '../system/machine.ts'
import { must } from '../system/run.ts'
import { type TestUser, writePasswordFile } from '../system/users.ts'
import type { Filed } from './message.ts'

/** Numbers without accounts. */
const ACCOUNT = { name: '39998', uid: 39_998, gid: 39_998 }
const FIRST_USER = 41_000
/** Empty on most hosts, and root's all the way up, which the helper asks of everything it trusts. */
const TOP = '/mnt'
const MAILDROP = '/var/spool/postfix/maildrop'
const INSIDE = 'ACCEPTD_FAULTS'

/** Megabytes of the disks that a fault can fill. */
const DISKS = { homes: 48, state: 4, log: 8 } as const
export type Disk = keyof typeof DISKS | 'maildrop'

/** Debian packages. */
export type Need = 'postfix' | 'redis-server' | 'faketime'

/**
 * Runs this program again where it can do no harm: what it mounts, starts or leaves is gone with it. Undefined: it is there already;
 * otherwise its exit code.
 */
export async function isolate(file: string, argv: readonly string[]): Promise<number | undefined> {
  if (process.env[INSIDE] !== undefined) return undefined
  if (process.getuid?.() !== 0) throw new Error('it mounts disks and becomes other users: run it as root')
  const apart = '--mount --propagation private --pid --fork --kill-child --mount-proc'.split(' ')
  // The shell is the first process there, and waits for whatever loses its parent.
  const shell = ['sh', '-c', '"$@"; exit $?', 'sh', process.execPath, file, ...argv]
  const { code } = await runToEnd('unshare', [...apart, ...shell], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: 'inside' },
  })
  return code ?? 1
}

export interface Target {
  readonly chain: string
  readonly port: number
  readonly tls: boolean
}

export interface Place {
  readonly installation: Installation
  readonly people: readonly TestUser[]
  readonly targets: readonly Target[]
  /** Lines of control/listeners. */
  readonly listeners: readonly string[]
  readonly log: string
  /** Fills a disk to its last octet; call the result to free the space again. */
  readonly fill: (disk: Disk) => () => void
  /** The Redis of a fleet of one; undefined where there is none. */
  readonly engine: Engine | undefined
  /** What this host has of what a fault may need. */
  readonly has: ReadonlySet<Need>
  /** Everything that is filed now; forgets it. */
  readonly takeFiled: () => readonly Filed[]
}

const mounted = async (path: string, megabytes: number, options = 'mode=755'): Promise<void> => {
  mkdirSync(path, { recursive: true })
  await must(['mount', '-t', 'tmpfs', '-o', `size=${megabytes}m,${options}`, 'acceptd-faults', path])
}

function fill(path: string): () => void {
  const file = join(path, 'filler')
  const fd = openSync(file, 'w')
  const block = Buffer.alloc(65_536)
  try {
    for (;;) writeSync(fd, block)
  } catch {
    // It is full.
  }
  closeSync(fd)
  return () => rmSync(file)
}

const namesIn = (folder: string): readonly string[] => (existsSync(folder) ? readdirSync(folder) : [])

function takeMaildir({ home }: TestUser): readonly Filed[] {
  const folder = join(home, 'Maildir/new')
  return namesIn(folder).map((name) => {
    const file = join(folder, name)
    const content = readFileSync(file, 'latin1')
    rmSync(file)
    return { file, content }
  })
}

/** The lines of a file in Postfix's queue: records of a letter, a length in groups of seven bits, and so many octets; N ends a line, L does not. */
function textOf(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const kind = bytes.toString('latin1', at, at + 1)
    let length = 0
    at += 1
    for (let shift = 0; ; shift += 7) {
      const octet = bytes[at] ?? 0
      at += 1
      length |= (octet & 0x7f) << shift
      if (octet < 0x80) break
    }
    const content = bytes.toString('latin1', at, at + length)
    if (kind === 'N') text += `${content}\n`
    else if (kind === 'L') text += content
    at += length
  }
  return text
}

/** A file that is not executable is not complete, and Postfix ignores it. */
function takeMaildrop(): readonly Filed[] {
  return namesIn(MAILDROP).flatMap((name) => {
    const file = join(MAILDROP, name)
    const complete = (statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o100
    if (complete === 0) return []
    const content = textOf(readFileSync(file))
    rmSync(file)
    return [{ file, content }]
  })
}

async function makePeople(): Promise<readonly TestUser[]> {
  const people: TestUser[] = []
  for (const n of [0, 1, 2]) {
    const home = join(TOP, 'homes', `user${n}`)
    const id = FIRST_USER + n
    mkdirSync(home, { mode: 0o700 })
    chownSync(home, id, id)
    people.push({ name: `user${n}`, uid: id, gid: id, home, password: `right ${n}` })
  }
  return people
}

const LIMITS = `addresses address sessions 1000
mail user messages 100000000/hour
guesses address failed-logins 100000000/hour
`

/** A fleet of this host alone: it counts in the engine what control/limits limits. */
async function makeEngine(installation: Installation): Promise<Engine> {
  const dir = join(TOP, 'engine')
  mkdirSync(dir)
  const engine = await engineIn(dir)
  await engine.start()
  const secret = join(TOP, 'fleet.key')
  writeFileSync(secret, `${PASSWORD_OF_ENGINE}\n`, { mode: 0o600 })
  chownSync(secret, ACCOUNT.uid, ACCOUNT.gid)
  const lines = [`engine redis://127.0.0.1:${engine.port}`, `password ${secret}`, 'name mx1', `prefix ${PREFIX}`, '']
  installation.write('fleet', lines.join('\n'))
  return engine
}

/** Where Debian has it, or undefined. */
export const fakeTime = (): string | undefined =>
  namesIn('/usr/lib')
    .map((name) => join('/usr/lib', name, 'faketime/libfaketimeMT.so.1'))
    .find((file) => existsSync(file))

export async function makePlace(): Promise<Place> {
  await mounted(TOP, 512)
  for (const [name, megabytes] of Object.entries(DISKS)) await mounted(join(TOP, name), megabytes)
  chownSync(join(TOP, 'state'), ACCOUNT.uid, ACCOUNT.gid)
  chmodSync(join(TOP, 'state'), 0o700)
  const people = await makePeople()
  const installation = await install(TOP, ACCOUNT)
  const passwords = join(TOP, 'passwords')
  await writePasswordFile(passwords, people)
  const maildir = join(TOP, 'acceptd-maildir')
  copyFileSync(join(PROGRAMS, 'acceptd-maildir'), maildir)
  const hasPostfix = existsSync(MAILDROP) && existsSync('/usr/sbin/sendmail')
  if (hasPostfix) {
    const { uid, gid } = statSync(MAILDROP)
    await mounted(MAILDROP, 16, `mode=1730,uid=${uid},gid=${gid}`)
  }
  const program = [join(installation.programs, 'checkpassword'), '-f', passwords]
  const chains: readonly Chain[] = [
    { name: 'maildir', checkpassword: ['builtin', passwords], backend: [maildir, 'smtp'] },
    { name: 'program', checkpassword: program, backend: [maildir, 'smtp'] },
    ...(hasPostfix
      ? [{ name: 'postfix', checkpassword: ['builtin', passwords], backend: ['/usr/sbin/sendmail', '-bs'] }]
      : []),
  ]
  installation.writeChains(chains, { 'attempts-per-second': 100_000 })
  installation.write('lanes', '2\n')
  installation.write('limits', LIMITS)
  const engine = existsSync('/usr/bin/redis-server') ? await makeEngine(installation) : undefined
  installation.write('state', `${join(TOP, 'state/acceptd')}\n`)
  installation.write('tls', tlsLine(await makeCertificate(TOP, 'mx.acceptd.test', ACCOUNT)))
  const targets: Target[] = []
  for (const { name } of chains) targets.push({ chain: name, port: await freePort(), tls: false })
  targets.push({ chain: 'maildir', port: await freePort(), tls: true })
  return {
    installation,
    people,
    targets,
    listeners: targets.map(({ chain, port, tls }) => `127.0.0.1:${port} smtp ${chain} tls=${tls ? 'implicit' : 'off'}`),
    log: join(TOP, 'log/acceptd.log'),
    engine,
    has: new Set([
      ...(hasPostfix ? (['postfix'] as const) : []),
      ...(engine === undefined ? [] : (['redis-server'] as const)),
      ...(fakeTime() === undefined ? [] : (['faketime'] as const)),
    ]),
    fill: (disk) => fill(disk === 'maildrop' ? MAILDROP : join(TOP, disk)),
    takeFiled: () => [...people.flatMap(takeMaildir), ...takeMaildrop()],
  }
}
