// acceptd: `acceptd [--control DIR] [--run DIR] [--check]`; with ACCEPTD_RUNTIME in its environment it is the runtime of a supervisor.

import { realpathSync, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { compileConfig } from '../config/config.ts'
import { readControl } from '../config/generations.ts'
import { logLine } from '../edge/log.ts'
import { hostFacts, sizingWarnings } from '../edge/sizing.ts'
import { checkHelper, findAccount, supervise } from '../edge/supervisor.ts'
import type { ConfigError } from '../protocol/errors.ts'
import { describeError, type RuntimeOptions } from '../runtime/runtime.ts'
import { runRuntime } from './acceptd-runtime.ts'

const OPTIONS = {
  control: { type: 'string', short: 'C' },
  run: { type: 'string' },
  helper: { type: 'string' },
  check: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

const USAGE = `usage: acceptd [--control DIR] [--run DIR] [--helper FILE] [--check]

Authenticated mail submission and POP3 in front of any mail program that speaks on stdin and stdout.

  -C, --control DIR  the control directory (default $ACCEPTD_CONTROL or /etc/acceptd)
      --run DIR      where the sockets are made (default $ACCEPTD_RUN or /run/acceptd)
      --helper FILE  accept-helper (default: beside this program)
      --check        read everything, say all that is wrong, and end with 0 or 78
      --version      the version
  -h, --help         this

Signals: HUP reads the control directory again, TERM lets the running sessions finish and stops, INT stops.
Exit codes: 0 stopped, 1 error, 64 usage, 71 an address cannot be bound, 78 the configuration is wrong.
Manual: acceptd(8), acceptd-control(5), acceptctl(1).
`

export const VERSION = '0.1.0'

interface Values {
  readonly control?: string
  readonly run?: string
  readonly helper?: string
  readonly check?: boolean
  readonly help?: boolean
  readonly version?: boolean
}

function main(): void {
  const handed = process.env.ACCEPTD_RUNTIME
  if (handed !== undefined) {
    void runRuntime(JSON.parse(handed) as RuntimeOptions, VERSION)
    return
  }
  let values: Values
  try {
    values = parseArgs({ options: OPTIONS, strict: true }).values
  } catch (error) {
    process.stderr.write(`acceptd: ${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
    process.exit(64)
  }
  if (values.help) process.stdout.write(USAGE)
  else if (values.version) process.stdout.write(`acceptd ${VERSION}\n`)
  else run(values)
}

function run(values: Values): void {
  const program = realpathSync(process.argv[1] ?? '')
  const control = resolve(values.control ?? process.env.ACCEPTD_CONTROL ?? '/etc/acceptd')
  const runDirectory = resolve(values.run ?? process.env.ACCEPTD_RUN ?? '/run/acceptd')
  const helper = values.helper ?? process.env.ACCEPTD_HELPER ?? join(dirname(program), 'accept-helper')
  const read = readControl(control)
  const compiled = compileConfig(read.texts)
  const errors: readonly ConfigError[] = [...read.errors, ...(compiled.isErr() ? compiled.error : [])]
  if (errors.length > 0 || compiled.isErr()) {
    for (const error of errors) process.stderr.write(`${describeError(error).replace(/^control/, control)}\n`)
    process.stderr.write(
      `acceptd: ${errors.length} error${errors.length === 1 ? '' : 's'} in ${control}; nothing was started\n`,
    )
    process.exit(78)
  }
  const config = compiled.value
  const root = process.getuid?.() === 0
  if (values.check) {
    const checked = checkHelper(
      helper,
      root ? undefined : join(control, 'chains'),
      root ? findAccount(config.chains.account) : undefined,
    )
    const { rules, listeners, chains } = config
    process.stdout.write(`${checked.said}\n`)
    process.stdout.write(
      `acceptd: ${control}: ${checked.ok ? 'ok' : 'the helper refuses its chains'}: ${listeners.length} listeners, ${chains.chains.length} chains, ${rules.rules.length} rules\n`,
    )
    const demand = {
      maxSessions: config.maxSessions,
      lanes: config.lanes === 0 ? availableParallelism() : config.lanes,
      listeners: listeners.length,
      maxProcesses: chains.maxProcesses,
    }
    for (const warning of sizingWarnings(demand, hostFacts())) process.stdout.write(`acceptd: warning: ${warning}\n`)
    process.exit(checked.ok ? 0 : 78)
  }
  supervise(
    {
      control,
      run: runDirectory,
      helper,
      helperSocket: config.chains.socket,
      helperMode: config.helper,
      account: config.chains.account,
      group: config.chains.group,
      listeners: config.listeners,
      lanes: config.lanes === 0 ? availableParallelism() : config.lanes,
      statusGroup: config.statusGroup,
      runtimeProgram: [process.execPath, ...process.execArgv, program],
    },
    (event, fields) => void writeSync(2, logLine('info', event, fields)),
  )
}

main()
