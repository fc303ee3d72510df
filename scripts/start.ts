// npm start: acceptd on two loopback ports with a demo user, everything in var/, until Ctrl-C.
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { which } from './build.mjs'
import { makeHome, writeControl } from './start/control.ts'
import { Acceptd, check, freePort, serverInfo, troubleOf } from './start/daemon.ts'
import { privilegedHelper } from './start/helper.ts'
import { LONGEST, ownPlace, type Place, type RootPlace, rootPlace } from './start/place.ts'
import { giveUp, quoted, say } from './start/say.ts'

const USAGE = `usage: npm start -- [--dir DIR] [--port N] [--pop3-port N]

Starts acceptd on 127.0.0.1 for a trial: user demo, password demo, mail in a Maildir. Ctrl-C ends everything.

  --dir DIR      where control files, sockets and mail are kept (default: var, in this clone)
  --port N       the port of SMTP (default 2587); if it is taken, the next one that is not
  --pop3-port N  the port of POP3 (default 2110, or the next one after --port)
`

/** run.mjs has changed into the clone. */
const top = process.cwd()

interface Options {
  readonly dir: string
  readonly smtp: number
  /** undefined: the next one after that of SMTP. */
  readonly pop3: number | undefined
}

function portOf(name: string, text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65_535)
    throw new Error(`--${name} is a number from 1 to 65535`)
  return Number(text)
}

function options(): Options {
  try {
    const { values } = parseArgs({
      options: {
        dir: { type: 'string' },
        port: { type: 'string' },
        'pop3-port': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    const smtp = portOf('port', values.port ?? '2587')
    return {
      // npm changes into the clone and says here where it was called.
      dir: resolve(process.env.INIT_CWD ?? process.cwd(), values.dir ?? join(top, 'var')),
      smtp,
      pop3:
        values['pop3-port'] === undefined && values.port !== undefined
          ? undefined
          : portOf('pop3-port', values['pop3-port'] ?? '2110'),
    }
  } catch (error) {
    process.stderr.write(`npm start: ${(error as Error).message}\n\n${USAGE}`)
    process.exit(64)
  }
}

/** The npm that runs us, if one does: our parent, or the parent of the shell between. */
function npmAboveUs(): number | undefined {
  if (process.env.npm_lifecycle_event === undefined) return undefined
  const [comm, parent] =
    /\((.*)\) \S+ (\d+)/s.exec(readFileSync(`/proc/${process.ppid}/stat`, 'latin1'))?.slice(1) ?? []
  return /^(sh|dash|bash|ash|busybox|zsh)$/.test(comm ?? '') ? Number(parent) : process.ppid
}

/** A path as someone in the clone writes it. */
function shown(path: string): string {
  const inside = relative(top, path)
  return quoted(inside === '' || inside.startsWith('..') ? path : inside)
}

function howTo(place: Place, smtp: number, pop3: number): string {
  const usual = place.shown === join(top, 'var') && !existsSync('/run/acceptd/control.sock')
  const socket = join(Buffer.byteLength(place.shown) > LONGEST ? place.state : place.shown, 'run/control.sock')
  const acceptctl = `dist/programs/acceptctl${usual ? '' : ` --socket ${shown(socket)}`}`
  const install = (name: string): string =>
    which(name) === undefined ? ` (${name} is not installed here: apt-get install ${name})` : ''
  const control = (name: string): string => shown(join(place.shown, 'control', name))
  return `
acceptd is ready: SMTP on 127.0.0.1:${smtp}, POP3 on 127.0.0.1:${pop3}; user demo, password demo. Ctrl-C ends it.

In another terminal:

cd ${quoted(top)}

# send a message, with curl${install('curl')}
printf 'From: demo@example.org\\nTo: you@example.org\\nSubject: hello\\n\\nIt works.\\n' |
  curl -sS smtp://127.0.0.1:${smtp} --user demo:demo --mail-from demo@example.org --mail-rcpt you@example.org --upload-file -

# or with swaks${install('swaks')}
swaks --server 127.0.0.1:${smtp} --auth PLAIN --auth-user demo --auth-password demo --from demo@example.org --to you@example.org

# look at it
cat ${shown(join(place.shown, 'home/demo/Maildir/new'))}/*

# fetch it back by POP3
curl -sS --user demo:demo pop3://127.0.0.1:${pop3}/1

# list the sessions that are open (open one first, in a third terminal: curl -sS telnet://127.0.0.1:${smtp})
${acceptctl} session list

# change a rule: the answer to a client when its message has been taken; then send another one with swaks
echo 'AUTHUP_USER:in_data::250*::250 taken, by a rule of mine' >> ${control('fixsmtpio')}
${acceptctl} config reload

Every file of ${shown(join(place.shown, 'control'))} is explained in ${control('README.md')}. What acceptd logs follows.
`
}

/** Ends the start if acceptd runs in this place already. */
async function refuseSecond(dir: string): Promise<void> {
  const running = await serverInfo(join(dir, 'run/control.sock'))
  if (running === undefined) return
  const listeners = running.listeners.map(({ protocol, port }) => `${protocol} on port ${port}`).join(', ')
  giveUp(
    `one is running in ${dir} already (process ${running.pid}, ${listeners}).`,
    'End it with Ctrl-C where it was started, or start another one beside it: npm start -- --dir var2',
  )
}

interface Trial {
  readonly place: Place
  /** What acceptd is started with. */
  readonly args: readonly string[]
  readonly smtp: number
  readonly pop3: number
  /** Control files that the user has changed. */
  readonly kept: readonly string[]
}

const isRoot = (place: Place): place is RootPlace => place.ids !== undefined

/** Folders, control files, ports and the helper; says what is not as usual. */
async function prepare(wanted: Options): Promise<Trial> {
  const place = process.getuid?.() === 0 ? rootPlace(top, wanted.dir) : ownPlace(top, wanted.dir)
  const smtp = await freePort(wanted.smtp)
  const wantedPop3 = wanted.pop3 ?? Math.min(smtp + 1, 65_535)
  const pop3 = await freePort(wantedPop3, smtp)
  makeHome(place)
  const kept = writeControl({ top, place, smtp, pop3 })
  const helper = isRoot(place) ? await privilegedHelper(top, place) : join(place.program, 'dist/programs/accept-helper')
  const ports = [
    ['SMTP', wanted.smtp, smtp],
    ['POP3', wantedPop3, pop3],
  ] as const
  for (const [name, want, got] of ports)
    if (want !== got && !kept.includes('listeners')) say(`Port ${want} is taken: ${name} is on port ${got}.`)
  if (kept.length > 0)
    say(`Kept as you changed them: ${kept.map((name) => shown(join(place.shown, 'control', name))).join(' ')}`)
  say(
    isRoot(place)
      ? `Nothing but the helper is root: acceptd runs as user id ${place.ids.runtime}, the demo user's mail programs as ${place.ids.demo}; no account was made.`
      : `You are not root, so everything runs as you (${process.env['USER'] ?? process.getuid?.()}), the demo user's mail programs too.`,
  )
  const args = ['--control', join(place.state, 'control'), '--run', join(place.state, 'run'), '--helper', helper]
  return { place, args, smtp, pop3, kept }
}

/** Ends acceptd once, whatever the cause: a signal, a closed terminal, an npm that was killed. Gives what ends it, and whether it is ending. */
function endings(acceptd: Acceptd, place: Place, npm: number | undefined) {
  let stopping = false
  const stop = async (why: string): Promise<void> => {
    if (stopping) return
    stopping = true
    if (why !== '') say(why)
    await acceptd.stop()
    place.leave()
    if (why !== '') say(`Everything has ended. Mail and control files are in ${place.shown}.`)
  }
  const stopAndExit = (why: string): void => void stop(why).then(() => process.exit(0))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => stopping || stopAndExit('\nEnding acceptd ...'))
  // The terminal is gone.
  process.stdout.on('error', () => stopping || stopAndExit(''))
  // An npm that was killed by SIGKILL passes nothing on.
  if (npm !== undefined) setInterval(() => existsSync(`/proc/${npm}`) || stopping || stopAndExit(''), 500).unref()
  return { stop, isStopping: () => stopping }
}

async function main(): Promise<void> {
  const npm = npmAboveUs()
  const wanted = options()
  if (process.platform !== 'linux') giveUp('it runs on Linux only.')
  // Other ids have to read some of what is made now; what they must not read has a mode of its own.
  process.umask(0o022)
  await refuseSecond(wanted.dir)
  const { place, args, smtp, pop3, kept } = await prepare(wanted)
  const checked = await check(place, args)
  if (!checked.ok) giveUp('its control files are not right:', checked.said, 78)

  const acceptd = new Acceptd(place, args)
  const { stop, isStopping } = endings(acceptd, place, npm)
  const info = await acceptd.answer(join(place.state, 'run/control.sock'))
  if (isStopping()) return
  const here = (info?.listeners ?? []).filter(({ address }) => /^(127\.|0\.0\.0\.0$)/.test(address))
  const trouble =
    info === undefined
      ? 'it does not answer'
      : await troubleOf(here, !kept.some((name) => name === 'passwords' || name === 'chains'))
  if (isStopping()) return
  if (trouble !== undefined) {
    await stop('')
    giveUp(`${trouble}. It logged:`, acceptd.log)
  }
  const port = (protocol: string, otherwise: number): number =>
    here.find((listener) => listener.protocol === protocol)?.port ?? otherwise
  say(howTo(place, port('smtp', smtp), port('pop3', pop3)))
  // The log of the sessions that were opened to try it is not shown.
  await sleep(200)
  acceptd.showLog()
  const code = await acceptd.ended
  if (isStopping()) return
  await stop('')
  const how = code === 0 ? 'was told to stop, and has ended' : `has ended by itself, with exit code ${code}`
  say(`\nacceptd ${how}. Mail and control files are in ${place.shown}.`)
  process.exit(code)
}

void main()
