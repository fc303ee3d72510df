// npm run bench: chooses rows and sides, runs them, shows the table, writes bench/results/.
import { execFileSync } from 'node:child_process'
import { realBackend, realBackendAbsent } from './backends.ts'
import { baselineSide } from './baseline.ts'
import type { Problem } from './compare.ts'
import type { Context, Outcome } from './context.ts'
import { type Facts, machineFacts } from './facts.ts'
import { type Figure, toJson, verdictOf } from './figures.ts'
import { buildPrograms, endAllPrograms, makeFixture } from './fixture.ts'
import { limitSides } from './limits.ts'
import { type BenchOptions, help, readOptions } from './options.ts'
import { oursSide } from './ours.ts'
import { peerSides } from './peers/all.ts'
import { writeFlameGraphs } from './profile.ts'
import { keepRun, keptRuns, resultsDirectory, writeResults, writeTable } from './results.ts'
import { rows } from './rows.ts'
import { pointsOf, runRow } from './runner.ts'
import type { Side } from './side.ts'
import { specialRows } from './special.ts'
import { factsLine, textTable } from './table.ts'

interface AnyRow {
  readonly row: string
  readonly sentence: string
  readonly absent?: () => string | undefined
  readonly run: (context: Context) => Promise<Outcome>
}

function chooseRows(options: BenchOptions): readonly AnyRow[] {
  const ofLoad = rows.map((row) => ({
    row: row.row,
    sentence: row.sentence,
    ...(row.absent && { absent: row.absent }),
    usual: options.extent === 'full' || (!row.full && pointsOf(row, options.extent).length > 0),
    // A row that was asked for by name has its points whatever the extent.
    run: (context: Context) =>
      runRow(row, pointsOf(row, context.extent).length > 0 ? context : { ...context, extent: 'full' }),
  }))
  const others = specialRows.map((row) => ({
    ...row,
    usual: options.extent === 'full' || (!row.full && (options.extent === 'usual' || row.quick === true)),
  }))
  const all = [...ofLoad, ...others]
  const begins = (row: string, word: string): boolean => row === word || row.startsWith(`${word}-`)
  const unknown =
    options.rows.find((name) => !all.some(({ row }) => row === name)) ??
    options.words.find((word) => !all.some(({ row }) => begins(row, word)))
  if (unknown !== undefined)
    throw new Error(`there is no row "${unknown}"; there are ${all.map(({ row }) => row).join(', ')}`)
  if (options.rows.length + options.words.length === 0) return all.filter(({ usual }) => usual)
  return all.filter(({ row }) => options.rows.includes(row) || options.words.some((word) => begins(row, word)))
}

const listText = (): string =>
  [...rows, ...specialRows].map(({ row, sentence }) => `${row.padEnd(28)} ${sentence}\n`).join('')

function install(sides: readonly Side[]): void {
  const packages = [...new Set(sides.flatMap((side) => side.packages ?? []))]
  execFileSync('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...packages], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
}

/** With the cause: that a server did not listen says less than what it wrote before. */
const describe = (error: unknown): string =>
  error instanceof Error
    ? `${error.message.trim()}${error.cause === undefined ? '' : ` (${describe(error.cause)})`}`
    : String(error)

async function runAll(chosen: readonly AnyRow[], context: Context, notes: string[]): Promise<Outcome> {
  const figures: Figure[] = []
  const problems: Problem[] = []
  for (const row of chosen) {
    if (interrupted) break
    const why = row.absent?.()
    if (why !== undefined) {
      notes.push(`row ${row.row}: absent, ${why}`)
      continue
    }
    try {
      const outcome = await row.run(context)
      figures.push(...outcome.figures.filter(({ ours, baseline }) => ours || baseline))
      problems.push(...outcome.problems)
      notes.push(...(outcome.notes ?? []))
    } catch (error) {
      problems.push({ side: row.row, text: describe(error) })
    }
  }
  return { figures, problems }
}

let interrupted = false

function endWhenInterrupted(): void {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.once(signal, () => {
      interrupted = true
      endAllPrograms()
      // They still write into the directory that goes away with the bench.
      setTimeout(() => process.exit(code), 1500)
    })
}

interface Setting {
  readonly context: Context
  readonly peers: readonly Side[]
  readonly problems: Problem[]
  readonly notes: string[]
}

function prepare(options: BenchOptions): Setting {
  const started = Date.now()
  const progress = (text: string): void => {
    process.stderr.write(`bench: ${((Date.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}\n`)
  }
  buildPrograms()
  const fixture = makeFixture()
  endWhenInterrupted()
  const chain = baselineSide(fixture)
  const peers = peerSides(fixture)
  if (options.install) install([chain, ...peers])
  const sides = [oursSide(fixture), chain, ...peers]
  const ours = sides.find(({ name }) => name === options.ours)
  if (!ours) throw new Error(`--ours takes ${sides.map(({ name }) => name).join(', ')}, not "${options.ours}"`)

  const problems: Problem[] = []
  const notes: string[] = []
  const usable = (side: Side, needed: boolean): Side | undefined => {
    const why = side.absent()
    notes.push(why === undefined ? `${side.name}: ${side.what}` : `${side.name}: absent, ${why}`)
    if (why === undefined) {
      if (side.raised !== undefined) notes.push(`raised for the run, ${side.name}: ${side.raised}`)
      return side
    }
    if (needed) problems.push({ side: side.name, text: why })
    return undefined
  }
  notes.push(`real backend: ${realBackendAbsent() ?? realBackend()}`)
  const quick = options.extent === 'quick'
  const context: Context = {
    fixture,
    ours: usable(options.ours === 'acceptd' ? ours : { ...ours, name: `${ours.name}, as ours` }, true),
    chain: usable(chain, true),
    limits: limitSides(fixture),
    peers: peers.flatMap((side) => usable(side, false) ?? []),
    extent: options.extent,
    runs: options.runs ?? (quick ? 1 : 3),
    seconds: options.seconds ?? (quick ? 0.8 : 3),
    warmup: quick ? 0.2 : 0.5,
    settling: options.settle ?? 8,
    clients: options.clients,
    progress,
  }
  return { context, peers, problems, notes }
}

/** To stdout the table or the figures, to stderr what was missed and what went wrong. */
function tell(options: BenchOptions, figures: readonly Figure[], facts: Facts, { notes, problems }: Setting): void {
  const table = `${textTable(figures)}\n\n${factsLine(facts)}\n${notes.map((note) => `  ${note}\n`).join('')}`
  if (options.json) process.stdout.write(`${JSON.stringify(figures.map(toJson), undefined, 1)}\n`)
  else process.stdout.write(table)
  for (const figure of figures)
    if (verdictOf(figure) === 'missed')
      process.stderr.write(`bench: missed: ${figure.row}, ${figure.figure}, ${figure.clients} clients\n`)
  for (const problem of problems) process.stderr.write(`bench: error: ${problem.side}: ${problem.text}\n`)
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options.help || options.list) {
    process.stdout.write(options.help ? help : listText())
    return 0
  }
  if (options.table) {
    writeTable(keptRuns())
    return 0
  }
  const chosen = chooseRows(options)
  const setting = prepare(options)
  const { context, peers, problems, notes } = setting
  const { figures, problems: more } = await runAll(chosen, context, notes)
  problems.push(...more)
  if (options.profile) {
    const flames = await writeFlameGraphs(context)
    problems.push(...flames.problems)
    for (const file of flames.files) context.progress(`wrote ${file}`)
  }
  // What another server cannot do is said, and is no failure of the bench.
  const serious = problems.filter(({ side }) => !peers.some(({ name }) => name === side))
  notes.push(...problems.filter((each) => !serious.includes(each)).map(({ side, text }) => `${side}, errors: ${text}`))
  const facts = machineFacts()
  // Short runs count for nothing, and a part of the rows does not replace the whole table.
  const sound = options.extent !== 'quick' && options.settle === undefined && options.ours === 'acceptd'
  const whole = options.rows.length + options.words.length === 0 && options.clients === undefined
  if (sound && serious.length === 0 && (whole || options.keep)) {
    if (whole) writeResults(facts, figures, notes, 'acceptd')
    keepRun({ facts, notes, figures })
    context.progress(`wrote ${resultsDirectory}`)
  }
  tell(options, figures, facts, setting)
  if (serious.length > 0) return 1
  return options.strict && figures.some((figure) => verdictOf(figure) === 'missed') ? 2 : 0
}

main().then(
  (code) => {
    if (!interrupted) process.exit(code)
  },
  (error: unknown) => {
    if (interrupted) return
    process.stderr.write(`bench: ${describe(error)}\n`)
    process.exit(1)
  },
)
