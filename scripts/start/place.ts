// Where the trial lives and whose it is. As root: two unused ids, and folders that the helper trusts and the two ids can enter.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { giveUp, say } from './say.ts'

/** A Unix socket's path has at most 107 bytes, the helper's 100; `helper/helper.sock` is the longest path in the place. */
export const LONGEST = 100 - '/helper/helper.sock'.length
const HOMES = ['/var/lib', '/opt', '/usr/local/lib', '/srv']

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)

interface Ids {
  readonly runtime: number
  readonly demo: number
}

export interface Place {
  /** Holds control, run and home: the path that acceptd is given, short and without blanks. */
  readonly state: string
  /** Holds dist/programs; a path of the same kind. */
  readonly program: string
  /** Where the user finds the state. */
  readonly shown: string
  /** undefined: everything belongs to the caller. */
  readonly ids: Ids | undefined
  /** Called at the end. */
  readonly leave: () => void
}

export interface RootPlace extends Place {
  readonly ids: Ids
}

// ---- as an ordinary user

export function ownPlace(top: string, wanted: string): Place {
  try {
    mkdirSync(wanted, { recursive: true })
    accessSync(wanted, constants.W_OK)
    for (const part of ['control', 'run', 'home'].map((name) => join(wanted, name)))
      if (existsSync(part)) accessSync(part, constants.W_OK | constants.X_OK)
  } catch (error) {
    giveUp(
      `${wanted} cannot be written by you (${(error as NodeJS.ErrnoException).code}); perhaps it was started by root before.`,
      'Start it as root again, or in another place: npm start -- --dir var-mine',
    )
  }
  const place = { state: wanted, program: top, shown: wanted, ids: undefined, leave() {} }
  const long = Buffer.byteLength(wanted) > LONGEST
  if (!long && !/\s/.test(`${wanted}${top}`)) return place
  const short = join(tmpdir(), `acceptd-${process.getuid?.()}-${hashOf(`${top}\n${wanted}`)}`)
  if (Buffer.byteLength(short) + '/var'.length > LONGEST || /\s/.test(short))
    giveUp(
      `the path of ${tmpdir()} is too long for a Unix socket too.`,
      'Set TMPDIR to a shorter folder, e.g. TMPDIR=/tmp npm start',
    )
  try {
    mkdirSync(short, { mode: 0o700 })
  } catch {
    const found = lstatSync(short)
    if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o77) !== 0)
      giveUp(`${short} exists and is not a private folder of yours.`, 'Remove it, or set TMPDIR to another folder.')
  }
  const links = { var: wanted, program: top }
  for (const [name, target] of Object.entries(links)) {
    rmSync(join(short, name), { force: true })
    symlinkSync(target, join(short, name))
  }
  say(
    `The path of ${long ? wanted : top} ${long ? 'is too long for a Unix socket' : 'has blanks'}: acceptd is told ${short}/var, a link to it.`,
  )
  return {
    ...place,
    state: join(short, 'var'),
    program: join(short, 'program'),
    leave: () => rmSync(short, { recursive: true, force: true }),
  }
}

// ---- as root

/** Why the helper would not trust this folder, or others could not pass through it. */
function objection(path: string): string | undefined {
  let at = '/'
  for (const name of ['', ...path.split('/').filter(Boolean)]) {
    at = join(at, name)
    const found = lstatSync(at, { throwIfNoEntry: false })
    if (found === undefined) return undefined
    if (found.isSymbolicLink()) return `${at} is a link`
    if (!found.isDirectory()) return `${at} is not a folder`
    if (found.uid !== 0) return `${at} does not belong to root`
    if ((found.mode & 0o22) !== 0) return `${at} can be written by others than root`
    if ((found.mode & 0o1) === 0) return `${at} cannot be entered by others than root`
  }
  return undefined
}

/** The options of the file system that holds this path or will hold it. */
function mountOptions(path: string): readonly string[] {
  let there = path
  while (!existsSync(there)) there = dirname(there)
  const real = realpathSync(there)
  let best: { readonly length: number; readonly options: readonly string[] } = { length: 0, options: [] }
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , , point = '', options = ''] = line.split(' ')
    const mounted = point.replace(/\\(\d{3})/g, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 8)))
    const inside = real === mounted || real.startsWith(mounted === '/' ? '/' : `${mounted}/`)
    // Of two mounts on one point the later one counts.
    if (mounted !== '' && inside && mounted.length >= best.length)
      best = { length: mounted.length, options: options.split(',') }
  }
  return best.options
}

function objectionToState(path: string): string | undefined {
  if (/\s/.test(path) || Buffer.byteLength(path) > LONGEST)
    return `the path ${path} ${/\s/.test(path) ? 'has blanks' : 'is too long for a Unix socket'}`
  const why = objection(path)
  if (why !== undefined) return why
  const bad = mountOptions(path).find((option) => option === 'nosuid' || option === 'noexec')
  return bad === undefined ? undefined : `${path} is on a file system mounted ${bad}`
}

/** Two ids that nobody has: not in passwd or group, of no process, and known to this user namespace. */
function unusedIds(before: Ids | undefined): Ids {
  const used = new Set<number>()
  for (const file of ['/etc/passwd', '/etc/group'])
    for (const line of existsSync(file) ? readFileSync(file, 'latin1').split('\n') : [])
      used.add(Number(line.split(':')[2]))
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1')
      for (const id of (/^Uid:\s+(.*)$/m.exec(status)?.[1] ?? '').split('\t')) used.add(Number(id))
    } catch {
      // It ended while we looked.
    }
  }
  const ranges = ['uid', 'gid'].map((kind) =>
    readFileSync(`/proc/self/${kind}_map`, 'latin1')
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).map(Number)),
  )
  const known = (id: number): boolean =>
    ranges.every((maps) => maps.some(([from = 0, , count = 0]) => id >= from && id < from + count))
  const free = (id: number): boolean => !used.has(id) && known(id)
  if (before !== undefined && before.runtime !== before.demo && free(before.runtime) && free(before.demo)) return before
  const [runtime, demo] = Array.from({ length: 60_000 }, (_, i) => 64_900 - i).filter(free)
  if (runtime === undefined || demo === undefined)
    giveUp('there are no two unused user ids in this container or namespace.', 'Start it as an ordinary user.')
  return { runtime, demo }
}

function savedIds(state: string): Ids | undefined {
  try {
    const [, runtime, demo] = /^runtime (\d+)\ndemo (\d+)\n$/.exec(readFileSync(join(state, 'ids'), 'utf8')) ?? []
    return runtime === undefined ? undefined : { runtime: Number(runtime), demo: Number(demo) }
  } catch {
    return undefined
  }
}

/** Runs as nobody we know, from /, with nothing of ours. */
const runsAs = (id: number, [command = '', ...args]: readonly string[], code: number): boolean =>
  spawnSync(command, args, { uid: id, gid: id, cwd: '/', env: {}, stdio: 'ignore' }).status === code

function forAll(path: string, step: (path: string, found: Stats) => void): void {
  step(path, lstatSync(path))
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) forAll(join(path, name), step)
}

function copyProgram(top: string, to: string, node: string): void {
  const fresh = `${to}.new`
  rmSync(fresh, { recursive: true, force: true })
  cpSync(join(top, 'dist/programs'), join(fresh, 'dist/programs'), { recursive: true, verbatimSymlinks: true })
  const programs = join(fresh, 'dist/programs')
  for (const name of readdirSync(programs)) {
    const text = lstatSync(join(programs, name)).isFile() ? readFileSync(join(programs, name), 'latin1') : ''
    if (text.startsWith('#!')) writeFileSync(join(programs, name), text.replace(/^#!.*/, `#!${node}`), 'latin1')
  }
  forAll(fresh, (path, found) => {
    lchownSync(path, 0, 0)
    if (found.isDirectory()) chmodSync(path, 0o755)
    else if (found.isFile()) chmodSync(path, (found.mode & 0o100) === 0 ? 0o644 : 0o755)
  })
  rmSync(to, { recursive: true, force: true })
  cpSync(fresh, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
  rmSync(fresh, { recursive: true, force: true })
}

/** A directory of root's own, made when the first thing needs it. */
interface TrialFolder {
  readonly path: () => string
  /** undefined: nothing needed it. */
  readonly made: () => string | undefined
}

function trialFolder(wanted: string): TrialFolder {
  let trial: string | undefined
  const make = (): string => {
    const home = HOMES.find((folder) => existsSync(folder) && objectionToState(folder) === undefined)
    if (home === undefined)
      giveUp(
        `the helper has to be setuid root, and ${HOMES.map((folder) => `${folder} cannot hold it (${objectionToState(folder) ?? 'missing'})`).join(', ')}.`,
        'Give it a folder of root on a file system without nosuid and noexec: npm start -- --dir /some/folder/var\nOr start it as an ordinary user.',
      )
    const made = join(home, `acceptd-trial-${hashOf(wanted)}`)
    mkdirSync(made, { recursive: true })
    chmodSync(made, 0o755)
    return made
  }
  return {
    path: () => {
      trial ??= make()
      return trial
    },
    made: () => trial,
  }
}

/** Makes the place for the state: where it is wanted, or a link there to the trial folder if root cannot use that. */
function makeState(wanted: string, real: string, why: string | undefined, folder: TrialFolder): string {
  if (why !== undefined && existsSync(real) && readdirSync(real).length > 0)
    giveUp(
      `${wanted} has files in it and cannot be used by root: ${why}.`,
      `Move it away (mv ${wanted} ${wanted}.old), or use another place (npm start -- --dir DIR).`,
    )
  const state = why === undefined ? real : join(folder.path(), 'var')
  mkdirSync(state, { recursive: true })
  chmodSync(state, 0o755)
  if (state !== real) {
    rmSync(wanted, { recursive: true, force: true })
    mkdirSync(dirname(wanted), { recursive: true })
    symlinkSync(state, wanted)
  }
  return state
}

/** A Node that the demo user can run: ours, or a copy of it. */
function nodeFor(ids: Ids, folder: TrialFolder): string {
  if (runsAs(ids.demo, [process.execPath, '-e', ''], 0)) return process.execPath
  const node = join(folder.path(), 'node')
  cpSync(process.execPath, node)
  chmodSync(node, 0o755)
  if (!runsAs(ids.demo, [node, '-e', ''], 0))
    giveUp(
      `Node (${process.execPath}) cannot be run by other users, nor can a copy of it in ${node}.`,
      'Install Node where everybody can run it, e.g. below /usr/local.',
    )
  return node
}

/** The built program that both ids can run: this clone, or a copy of what runs. */
function programFor(top: string, ids: Ids, node: string, folder: TrialFolder): string {
  const maildir = join(top, 'dist/programs/acceptd-maildir')
  const inPlace =
    node === process.execPath &&
    !/\s/.test(top) &&
    runsAs(ids.runtime, [join(top, 'dist/programs/acceptd'), '--version'], 0) &&
    // Without arguments it prints its usage.
    runsAs(ids.demo, [maildir], 100) &&
    (statSync(maildir).mode & 0o22) === 0
  if (inPlace) return top
  const program = join(folder.path(), 'program')
  copyProgram(top, program, node)
  return program
}

export function rootPlace(top: string, wanted: string): RootPlace {
  if (/^NoNewPrivs:\s+1$/m.test(readFileSync('/proc/self/status', 'latin1')))
    giveUp(
      'no program can become root here (NoNewPrivs), so its helper could not switch users.',
      'Start it as an ordinary user.',
    )
  const linked = lstatSync(wanted, { throwIfNoEntry: false })?.isSymbolicLink() === true
  if (linked && !existsSync(wanted)) unlinkSync(wanted)
  const real = existsSync(wanted)
    ? realpathSync(wanted)
    : join(realpathOf(dirname(wanted)), wanted.slice(dirname(wanted).length))
  const folder = trialFolder(wanted)
  const whyState = objectionToState(real)
  const state = makeState(wanted, real, whyState, folder)
  const ids = unusedIds(savedIds(state))
  writeFileSync(join(state, 'ids'), `runtime ${ids.runtime}\ndemo ${ids.demo}\n`)
  const node = nodeFor(ids, folder)
  const program = programFor(top, ids, node, folder)

  const trial = folder.made()
  if (trial !== undefined) {
    const moved = [
      ...(node === process.execPath ? [] : [`Node (${process.execPath})`]),
      ...(program === top ? [] : ['the built program']),
      ...(state === real ? [] : [`${wanted} (now a link)`]),
    ]
    const reach =
      node === process.execPath
        ? (objection(top) ?? `other users cannot run what is in ${top}`)
        : 'other users cannot run it where it is'
    say(
      `For the unprivileged ids ${moved.join(' and ')} ${moved.length > 1 ? 'are' : 'is'} in ${trial}: ${whyState ?? reach}.`,
    )
  }
  return { state, program, shown: wanted, ids, leave() {} }
}

/** The real path of a folder that may not exist yet. */
function realpathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realpathOf(dirname(path)), path.slice(dirname(path).length))
}
