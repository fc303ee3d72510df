// The command line of npm run test:faults.
import { parseArgs } from 'node:util'

export const USAGE = `usage: npm run test:faults [-- [--minutes N] [--seed N] [--only FAULT ...] [--write]]

Runs acceptd as root under a load of sessions, does to it what a host does to a daemon on a bad day, one thing after the other at random,
and compares after each what clients were told with what was filed. It sees only processes, accounts and disks of its own: needs
root, unshare(1) and tmpfs. Exit code 1 if anything was lost, doubled, cut, left or late; 2 if it cannot run.

  --minutes N   how long (10)
  --seed N      repeats the order and the times of an earlier run
  --only FAULT  only this one; may be repeated
  --list        the faults and what each does
  --write       writes the table into docs/reliability.md
  --help        prints this
`

export interface Options {
  readonly minutes: number
  readonly seed: number
  readonly only: readonly string[]
  readonly list: boolean
  readonly write: boolean
  readonly help: boolean
}

function number(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (text.trim() === '' || !(value >= 0)) throw new Error(`--${name} takes a number, not "${text}"`)
  return value
}

/** Throws a sentence about what is wrong. */
export function readOptions(argv: readonly string[], seed: number): Options {
  const flag = { type: 'boolean', default: false } as const
  const { values } = parseArgs({
    args: argv.filter((word) => word !== '--no-build'),
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      list: flag,
      write: flag,
      help: flag,
    },
  })
  return {
    ...values,
    minutes: number('minutes', values.minutes, 10),
    seed: number('seed', values.seed, seed),
  }
}
