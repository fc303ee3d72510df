// Everything the bench knows about installing and starting acceptd.
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { backendOf, startWith } from './backends.ts'
import { startEngine, watch } from './features.ts'
import { builtProgram, endProgram, type Fixture, freePort, greets, top } from './fixture.ts'
import { RAISED, writeControl } from './ours-control.ts'
import type { Side } from './side.ts'

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
    what: 'acceptd with rules, logs and metrics on, without TLS where the row does not say so; the same backend as on the other side',
    raised: RAISED,
    absent() {
      const missing = ['acceptd', 'accept-helper'].find((name) => !existsSync(builtProgram(name)))
      return missing && `dist/programs/${missing} is not built (npm run build)`
    },
    async start(setup) {
      const installation = take()
      const port = await freePort()
      const tlsPort = await freePort()
      const metricsPort = await freePort()
      const backend = backendOf(fixture, setup)
      const engine = await startEngine(fixture, setup.features)
      const control = writeControl(fixture, installation, {
        setup,
        backend: backend.argv,
        account: ACCOUNT,
        port,
        tlsPort,
        metricsPort,
        enginePort: engine.port,
      })
      const run = join(installation.directory, 'run')
      const log = join(fixture.directory, `acceptd-${port}.log`)
      const acceptd = [join(installation.programs, 'acceptd'), '--control', control, '--run', run]
      const env = profileEnvironment(fixture, setup.profile)
      const child = startWith(backend, [...acceptd, '--helper', installation.helper], { log, cwd: '/', env })
      const stop = async (): Promise<void> => {
        await endProgram(child)
        await backend.stop()
        await engine.stop()
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
        pids: [child.pid ?? 0, ...backend.pids(), ...engine.pids],
        meanwhile: () => watch(setup.features, join(run, 'control.sock'), metricsPort),
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
