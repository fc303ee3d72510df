// The command line of npm run bench.
import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly extent: 'quick' | 'usual' | 'full'
  readonly rows: readonly string[]
  /** Of rows that begin so. */
  readonly words: readonly string[]
  readonly json: boolean
  readonly strict: boolean
  readonly profile: boolean
  readonly install: boolean
  readonly list: boolean
  readonly table: boolean
  readonly keep: boolean
  readonly help: boolean
  /** Which side takes the place of ours. `chain` proves the bench: a ratio that is not 1 is its own error. */
  readonly ours: string
  readonly runs: number | undefined
  readonly seconds: number | undefined
  readonly settle: number | undefined
  readonly clients: number | undefined
}

export const help = `npm run bench -- [option ...] [WORD ...]: acceptd against the classic chain and other servers, on this machine, side by side
  WORD             only rows of this name, and of those that begin with it: tls is tls, tls-warm, tls-cold, ...
  --quick          a few rows, some minutes
  --full           also the long rows: 4000 clients, cost curves
  --row NAME       only this row (may be repeated; --list names them)
  --list           the rows and what they measure
  --json           an array of {row, figure, clients, ours, baseline, ratio, target, aim, verdict, ...} on stdout
  --strict         exit code 2 if a target is missed
  --runs N         interleaved runs of each point (3; 1 with --quick)
  --seconds S      measured in each run (3; 0.8 with --quick)
  --settle S       of load before a server in Node is measured (8)
  --clients N      only the points with so many clients
  --ours NAME      in the place of acceptd: chain (on both sides: every ratio should be about 1), postfix,
                   "postfix, discarding", dovecot, haraka, smtp-server
  --profile        writes flame graphs of acceptd's threads under the load of \`cold\` and \`warm\` to bench/results/
  --install        first installs what the other servers need (apt-get, root only)
  --keep           chosen rows are kept as a run too, where a whole one takes too long at a time
  --table          measures nothing: writes README's table anew from the runs in bench/results/runs
Results of all rows go to bench/results/, unless --quick: figures.md, an SVG plot for each curve, and the run itself in runs/, with its
commit and date; README's table shows the range of all of them. Exit code 1 if a run had errors.
`

function number(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value >= least)) throw new Error(`--${name} takes a number from ${least}, not "${text}"`)
  return value
}

export function readOptions(argv: readonly string[]): BenchOptions {
  const flag = { type: 'boolean', default: false } as const
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      quick: flag,
      full: flag,
      row: { type: 'string', multiple: true, default: [] },
      list: flag,
      table: flag,
      keep: flag,
      json: flag,
      strict: flag,
      runs: { type: 'string' },
      seconds: { type: 'string' },
      settle: { type: 'string' },
      clients: { type: 'string' },
      ours: { type: 'string', default: 'acceptd' },
      profile: flag,
      install: flag,
      help: { ...flag, short: 'h' },
    },
  })
  return {
    extent: values.quick ? 'quick' : values.full ? 'full' : 'usual',
    rows: values.row,
    words: positionals,
    json: values.json,
    strict: values.strict,
    profile: values.profile,
    install: values.install,
    list: values.list,
    table: values.table,
    keep: values.keep,
    help: values.help,
    ours: values.ours,
    runs: number('runs', values.runs, 1),
    seconds: number('seconds', values.seconds, 0.1),
    settle: number('settle', values.settle, 0.1),
    clients: number('clients', values.clients, 1),
  }
}
