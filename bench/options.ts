// The command line of npm run bench.
import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly extent: 'quick' | 'usual' | 'full'
  readonly rows: readonly string[]
  readonly json: boolean
  readonly strict: boolean
  readonly profile: boolean
  readonly install: boolean
  readonly list: boolean
  readonly help: boolean
  /** Which side takes the place of ours. `chain` proves the bench: a ratio that is not 1 is its own error. */
  readonly ours: string
  readonly runs: number | undefined
  readonly seconds: number | undefined
}

export const help = `npm run bench -- [option ...]: acceptd against the classic chain and other servers, on this machine, side by side
  --quick          a few rows, under a minute
  --full           also the long rows: 4000 clients, cost curves
  --row NAME       only this row (may be repeated; --list names them)
  --list           the rows and what they measure
  --peers          also the other servers that are installed, under the load of \`cold\`
  --json           an array of {row, figure, clients, ours, baseline, ratio, target, aim, verdict, ...} on stdout
  --strict         exit code 2 if a target is missed
  --runs N         interleaved runs of each point (3; 1 with --quick)
  --seconds S      measured in each run (3; 0.8 with --quick)
  --ours NAME      in the place of acceptd: chain (on both sides: every ratio should be about 1), postfix, dovecot,
                   haraka, smtp-server
  --profile        writes flame graphs of acceptd's threads under the load of \`cold\` and \`warm\` to bench/results/
  --install        first installs what the other servers need (apt-get, root only)
Results of all rows go to bench/results/, unless --quick: figures.md and an SVG plot for each curve. Exit code 1 if a run had errors.
`

function number(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value >= least)) throw new Error(`--${name} takes a number from ${least}, not "${text}"`)
  return value
}

export function readOptions(argv: readonly string[]): BenchOptions {
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: flag,
      full: flag,
      row: { type: 'string', multiple: true, default: [] },
      list: flag,
      json: flag,
      strict: flag,
      runs: { type: 'string' },
      seconds: { type: 'string' },
      ours: { type: 'string', default: 'acceptd' },
      profile: flag,
      install: flag,
      help: { ...flag, short: 'h' },
    },
  })
  return {
    extent: values.quick ? 'quick' : values.full ? 'full' : 'usual',
    rows: values.row,
    json: values.json,
    strict: values.strict,
    profile: values.profile,
    install: values.install,
    list: values.list,
    help: values.help,
    ours: values.ours,
    runs: number('runs', values.runs, 1),
    seconds: number('seconds', values.seconds, 0.1),
  }
}
