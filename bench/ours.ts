// Everything the bench knows about installing and starting acceptd.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { builtProgram, endProgram, type Fixture, freePort, greets, ruleLines, startProgram, top } from './fixture.ts'
import type { Setup, Side } from './side.ts'

/** Who runs acceptd: a number without an account. */
const ACCOUNT = 39_999

interface Installation {
  readonly directory: string
  readonly programs: string
  readonly helper: string
  busy: boolean
}

/** As root: a copy that belongs to root all the way up and has a setuid helper of its own, for its chains file is compiled in. */
function installAsRoot(): Installation {
  const directory = mkdtempSync('/var/lib/acceptd-bench-')
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  chmodSync(directory, 0o755)
  const home = join(directory, 'acceptd')
  const programs = join(home, 'dist/programs')
  cpSync(join(top, 'dist/programs'), programs, { recursive: true, verbatimSymlinks: true })
  execFileSync('make', [
    '-s',
    '-C',
    join(top, 'native'),
    `OUT=${programs}`,
    `CHAINS=${join(directory, 'control/chains')}`,
  ])
  execFileSync('chown', ['-R', 'root:root', home])
  execFileSync('chmod', ['-R', 'go-w,a+rX', home])
  const helper = join(programs, 'accept-helper')
  chownSync(helper, 0, ACCOUNT)
  chmodSync(helper, 0o4750)
  return { directory, programs, helper, busy: false }
}

function installAsUser(fixture: Fixture): Installation {
  return {
    directory: mkdtempSync(join(fixture.directory, 'acceptd-')),
    programs: join(top, 'dist/programs'),
    helper: builtProgram('accept-helper'),
    busy: false,
  }
}

/** The same limits, so that each is counted, with so much room that nobody meets one: all clients of the bench have few addresses. */
const raisedLimits = (file: string): string =>
  existsSync(file)
    ? readFileSync(file, 'latin1').replace(
        /^(?!#)(\S+[ \t]+\S+[ \t]+\S+[ \t]+)\d+/gm,
        (_all, before: string) => `${before}1000000`,
      )
    : ''

/** The recommended control directory; only what limits how many may come is raised to what the row asks for. */
function writeControl(
  fixture: Fixture,
  { directory, programs }: Installation,
  setup: Setup,
  port: number,
  tlsPort: number,
): string {
  const control = join(directory, 'control')
  rmSync(control, { recursive: true, force: true })
  if (existsSync(join(top, 'control'))) cpSync(join(top, 'control'), control, { recursive: true })
  else mkdirSync(control)
  // Beside chains: what a builtin checkpassword reads must lie where only root can write.
  const users = join(control, 'users')
  cpSync(fixture.users(setup.users), users)
  const account = process.getuid?.() === 0 ? ACCOUNT : process.getuid?.()
  const checkpassword =
    setup.chain === 'builtin' ? `builtin ${users}` : `${join(programs, 'checkpassword')} -f ${users}`
  const chains = [
    `account ${account}`,
    `socket ${join(directory, 'helper/helper.sock')}`,
    `max-processes ${setup.clients * 2 + 4000}`,
    'attempts-per-second 100000',
    'chain bench',
    `  checkpassword ${checkpassword}`,
    ...(setup.warm ? ['  warm 60'] : []),
    `  backend ${fixture.program('discard')} ${setup.protocol}`,
  ]
  for (const [name, text] of Object.entries({
    me: 'bench.invalid\n',
    smtpcapabilities: 'PIPELINING\n8BITMIME\n',
    pop3capabilities: 'UIDL\n',
    fixsmtpio: ruleLines(setup.rules),
    // Thousands of idle clients are measured for longer than a login may take.
    timeoutlogin: '0\n',
    limits: raisedLimits(join(control, 'limits')),
    listeners: `127.0.0.1:${port} ${setup.protocol} bench tls=off
${setup.tls === undefined ? '' : `127.0.0.1:${tlsPort} ${setup.protocol} bench tls=implicit\n`}`,
    ...(setup.tls === undefined ? {} : { tls: `bench.invalid ${setup.tls.certificate} ${setup.tls.key}\n` }),
    chains: `${chains.join('\n')}\n`,
    ...(setup.lanes === undefined ? {} : { lanes: `${setup.lanes}\n` }),
  }))
    writeFileSync(join(control, name), text)
  execFileSync('chmod', ['-R', 'go-w,a+rX', control])
  return control
}

export function oursSide(fixture: Fixture): Side {
  const installations: Installation[] = []
  /** One that no running acceptd uses; two run at the same time where acceptd is compared with itself. */
  const take = (): Installation => {
    let free = installations.find(({ busy }) => !busy)
    if (!free) {
      free = process.getuid?.() === 0 ? installAsRoot() : installAsUser(fixture)
      installations.push(free)
    }
    free.busy = true
    return free
  }
  return {
    name: 'acceptd',
    settling: 8,
    what: 'acceptd with rules, logs and metrics on, without TLS; messages discarded by the same backend',
    absent() {
      const missing = ['acceptd', 'accept-helper'].find((name) => !existsSync(builtProgram(name)))
      return missing && `dist/programs/${missing} is not built (npm run build)`
    },
    async start(setup) {
      const installation = take()
      const port = await freePort()
      const tlsPort = await freePort()
      if (setup.tls !== undefined && process.getuid?.() === 0) chownSync(setup.tls.key, ACCOUNT, ACCOUNT)
      const control = writeControl(fixture, installation, setup, port, tlsPort)
      const run = join(installation.directory, 'run')
      const log = join(fixture.directory, `acceptd-${port}.log`)
      const child = startProgram(
        join(installation.programs, 'acceptd'),
        ['--control', control, '--run', run, '--helper', installation.helper],
        { log, cwd: '/', env: profileEnvironment(fixture, setup.profile) },
      )
      const stop = async (): Promise<void> => {
        await endProgram(child)
        installation.busy = false
      }
      try {
        await greets(port, child)
      } catch (error) {
        await stop()
        throw new Error(`acceptd: ${readFileSync(log, 'utf8').slice(-2000)}`, { cause: error })
      }
      return {
        port,
        tlsPort,
        controlSocket: join(run, 'control.sock'),
        control,
        pids: [child.pid ?? 0],
        isOwn: (command) => ['node', 'acceptd.js', 'accept-helper', 'accept-clerk'].includes(command),
        stop,
      }
    },
  }
}

function profileEnvironment(fixture: Fixture, directory: string | undefined): Readonly<Record<string, string>> {
  if (directory === undefined) return {}
  const hook = join(fixture.directory, 'profile-hook.mjs')
  copyFileSync(join(top, 'dist/bench/profile-hook.js'), hook)
  return { ACCEPTD_BENCH_PROFILE: directory, NODE_OPTIONS: `--import=${pathToFileURL(hook).href}` }
}
