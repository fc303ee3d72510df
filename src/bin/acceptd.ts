// acceptd: `acceptd [--control DIR] [--run DIR] [--check]`, run by native/acceptd.c; with ACCEPTD_RUNTIME in its environment it is the
// runtime of a supervisor.

import { realpathSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Config } from '../config/config.ts'
import { hostTroubles } from '../config/host.ts'
import type { Findings } from '../config/plan.ts'
import { VERSION } from '../contract/version.ts'
import { type Launch, PLAN_FD, parseLaunch, planText } from '../edge/launcher.ts'
import { openStderr, useLogFormat } from '../edge/log.ts'
import { hostFacts, leastDescriptors, sizingWarnings } from '../edge/sizing.ts'
import { leftIn } from '../edge/store.ts'
import { checkHelper, type HelperCheck, supervise } from '../edge/supervisor.ts'
import { limitsOff } from '../limits/limit.ts'
import { type ConfigError, describeError } from '../protocol/errors.ts'
import { begin } from '../runtime/beginning.ts'
import { recall } from '../runtime/memory.ts'
import type { RuntimeOptions } from '../runtime/runtime.ts'

const OPTIONS = {
  control: { type: 'string', short: 'C' },
  run: { type: 'string' },
  helper: { type: 'string' },
  check: { type: 'boolean' },
  'last-good': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

const USAGE = `usage: acceptd [--control DIR] [--run DIR] [--helper FILE] [--check | --last-good]

Authenticated mail submission and POP3 in front of any mail program that speaks on stdin and stdout.

  -C, --control DIR  the control directory (default $ACCEPTD_CONTROL or /etc/acceptd)
      --run DIR      where the sockets are made (default $ACCEPTD_RUN or /run/acceptd)
      --helper FILE  accept-helper (default: beside this program)
      --check        read everything, say all that is wrong, and end with 0 or 78
      --last-good    if the control directory has an error, start with the last configuration that had none
      --version      the version
  -h, --help         this

Signals: HUP reads the control directory again, USR2 upgrades to the installed program, TERM lets the running sessions finish and
stops, INT stops.
Exit codes: 0 stopped, 1 error, 64 usage, 71 an address cannot be bound, 78 the configuration is wrong.
Manual: acceptd(8), acceptd-control(5), acceptctl(1).
`

interface Values {
  readonly control?: string
  readonly run?: string
  readonly helper?: string
  readonly check?: boolean
  readonly 'last-good'?: boolean
  readonly help?: boolean
  readonly version?: boolean
}

function main(): void {
  const handed = process.env.ACCEPTD_RUNTIME
  if (handed !== undefined) {
    // Loaded here only: the supervisor needs a third of it, and few may be its open files.
    void import('./acceptd-runtime.ts').then(({ runRuntime }) =>
      runRuntime(JSON.parse(handed) as RuntimeOptions, VERSION),
    )
    return
  }
  const launch = parseLaunch(process.env.ACCEPTD_LAUNCHER ?? '')
  // It is for us, not for our children.
  delete process.env.ACCEPTD_LAUNCHER
  if (launch === undefined) fail(64, 'this is run by the program acceptd beside it: start that')
  let values: Values
  try {
    values = parseArgs({ options: OPTIONS, strict: true }).values
  } catch (error) {
    process.stderr.write(`acceptd: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    process.exit(64)
  }
  if (values.help) process.stdout.write(USAGE)
  else if (values.version) process.stdout.write(`acceptd ${VERSION}\n`)
  else run(values, launch)
}

function run(values: Values, launch: Launch): void {
  const log = openStderr()
  const program = realpathSync(process.argv[1] ?? '')
  const control = resolve(values.control ?? process.env.ACCEPTD_CONTROL ?? '/etc/acceptd')
  const runDirectory = resolve(values.run ?? process.env.ACCEPTD_RUN ?? '/run/acceptd')
  const helper = values.helper ?? process.env.ACCEPTD_HELPER ?? join(dirname(program), 'accept-helper')
  const state = resolve(process.env.ACCEPTD_STATE ?? '')
  const lastGood = values['last-good'] === true && values.check !== true
  const kept = lastGood ? recall(leftIn(state)).memory.generations : []
  const start = begin(control, kept, lastGood ? 'disk-or-kept' : 'disk')
  if (start.isErr()) {
    const { list, count } = start.error
    for (const error of list) log.write(`${describeIn(control, error)}\n`)
    log.write(`acceptd: ${count} error${count === 1 ? '' : 's'} in ${control}; nothing was started\n`)
    process.exit(78)
  }
  const {
    current: { config },
    warnings,
  } = start.value
  if (launch.step === 'serve') {
    useLogFormat(config.logFormat)
    const { root, bound } = launch
    const moved = bound.findIndex(
      ({ address, port }, i) => address !== config.listeners[i]?.address || port !== config.listeners[i]?.port,
    )
    if (moved >= 0 || bound.length !== config.listeners.length)
      fail(78, `${control}/listeners has changed during the start`)
    supervise(
      {
        root,
        control,
        run: runDirectory,
        helper,
        helperSocket: config.chains.socket,
        helperMode: config.helper,
        bound: bound.map(({ got }) => got),
        lanes: lanesOf(config),
        state,
        lastGood,
        runtimeProgram: [process.execPath, ...process.execArgv, program],
      },
      log.write,
    )
    return
  }
  if (launch.problem !== undefined) fail(78, launch.problem)
  const chains = launch.root ? undefined : join(control, 'chains')
  if (values.check) {
    void hostTroubles(config, { root: launch.root, run: runDirectory, helper }).then((troubles) =>
      check(config, warnings, control, checkHelper(helper, chains), troubles),
    )
  } else {
    const { descriptors } = hostFacts()
    const least = leastDescriptors(config.listeners.length, lanesOf(config))
    if (descriptors < least)
      fail(
        78,
        `${descriptors} open files (nofile, ulimit -Hn) are too few: at least ${least} for listeners: ${config.listeners.length}, lanes: ${lanesOf(config)}`,
      )
    writeSync(PLAN_FD, planText(config.listeners))
  }
}

const lanesOf = ({ lanes }: Config): number => (lanes === 0 ? availableParallelism() : lanes)

const describeIn = (control: string, error: ConfigError): string => describeError(error).replace(/^control/, control)

function check(
  config: Config,
  { list, count }: Findings,
  control: string,
  { ok, said }: HelperCheck,
  troubles: readonly string[],
): void {
  const { rules, listeners, chains, maxSessions } = config
  const verdict = !ok ? 'the helper refuses its chains' : troubles.length > 0 ? 'the host is not ready for it' : 'ok'
  process.stdout.write(`${said}\n`)
  for (const trouble of troubles) process.stdout.write(`${trouble.replace(/^control/, control)}\n`)
  process.stdout.write(
    `acceptd: ${control}: ${verdict}: ${listeners.length} listeners, ${chains.chains.length} chains, ${rules.count} rules\n`,
  )
  const demand = {
    maxSessions,
    lanes: lanesOf(config),
    listeners: listeners.length,
    maxProcesses: chains.maxProcesses,
  }
  for (const warning of list) process.stdout.write(`acceptd: warning: ${describeIn(control, warning)}\n`)
  if (count > list.length) process.stdout.write(`acceptd: ${count - list.length} more warnings\n`)
  const off = limitsOff(config.limits)
  if (off.length > 0) process.stdout.write(`acceptd: limits that are off: ${off.join(', ')}\n`)
  for (const warning of sizingWarnings(demand, hostFacts())) process.stdout.write(`acceptd: warning: ${warning}\n`)
  process.exit(ok && troubles.length === 0 ? 0 : 78)
}

function fail(code: number, message: string): never {
  openStderr().write(`acceptd: ${message}\n`)
  process.exit(code)
}

main()
