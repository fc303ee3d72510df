// npm run test:faults: what acceptd survives. test/faults/faults.ts has the faults.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { writeSection } from '../../bench/document.ts'
import { machineFacts } from '../../bench/facts.ts'
import { factsLine } from '../../bench/table.ts'
import type { Fault, Manner } from './fault.ts'
import { FAULTS } from './faults.ts'
import { prepareClock } from './host-faults.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { startPace } from './pace.ts'
import { isolate, makePlace, type Place } from './place.ts'
import { randomOf } from './random.ts'
import { baseline, type Residue } from './residue.ts'
import { round } from './round.ts'
import { type Service, startService } from './service.ts'
import { markdown, type Outcome, plainText, tableOf } from './table.ts'

const PLAIN: Manner = { log: 'file' }
const [CALM] = FAULTS

const began = performance.now()
const say = (text: string): void => {
  process.stdout.write(`faults: ${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${text}\n`)
}

function choose({ only }: Options, { has }: Place): readonly Fault[] {
  const possible = FAULTS.filter(({ needs }) => needs === undefined || has.has(needs))
  const unknown = only.find((name) => !possible.some((one) => one.name === name))
  if (unknown !== undefined) throw new Error(`there is no fault "${unknown}"; --list names them`)
  return only.length === 0 ? possible : possible.filter(({ name }) => only.includes(name))
}

/** The same kind of acceptd has the same processes and descriptors when no client is connected. */
async function restOf(service: Service, manner: Manner, known: Map<string, Residue>): Promise<Residue> {
  await service.use(manner)
  const key = JSON.stringify(manner)
  const residue = known.get(key) ?? (await baseline(service))
  known.set(key, residue)
  return residue
}

async function runAll(options: Options, place: Place, service: Service): Promise<readonly Outcome[]> {
  const { seed, minutes } = options
  const faults = choose(options, place)
  const residues = new Map<string, Residue>()
  const outcomes: Outcome[] = []
  const pace = startPace()
  let deck: readonly Fault[] = CALM === undefined || faults.includes(CALM) ? faults.slice(0, 1) : [CALM]
  // The first round of each kind of acceptd opens what stays open.
  for (let n = 0; performance.now() - began < minutes * 60_000 || n <= 1; n += 1) {
    if (deck.length === 0) deck = randomOf(seed, n).shuffled(faults)
    const [fault, ...rest] = deck
    if (fault === undefined) throw new Error('there is no fault')
    deck = rest
    const residue = await restOf(service, fault.manner ?? PLAIN, residues)
    const calm = Math.max(...outcomes.filter((one) => one.fault === CALM).map(({ longest }) => longest), 0)
    const outcome = await round(fault, { service, place, residue, seed: [seed, n], calm, pace })
    outcomes.push(outcome)
    const { longest, acknowledged, cuts, slowness, violations } = outcome
    const times = `${(longest / 1000).toFixed(2)} s, ${acknowledged} messages, ${cuts} cut, machine ${slowness.toFixed(1)}x slower`
    say(`${fault.name}: ${times}${violations.length === 0 ? '' : '  VIOLATED'}`)
    for (const text of violations) process.stdout.write(`  ${text.trimEnd().replaceAll('\n', '\n  ')}\n`)
    if (violations.length > 0) process.stdout.write(`  again: --seed ${seed} --only '${fault.name}'\n`)
    service.forget()
  }
  return outcomes
}

/** The command, the machine, the date, the commit. */
function circumstances({ seed, minutes }: Options): string {
  const changed = spawnSync('git', ['diff', '--quiet', 'HEAD']).status === 0 ? '' : ' with changes'
  return `\`npm run test:faults -- --minutes ${minutes} --seed ${seed}\`: ${factsLine(machineFacts())}${changed}.`
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2)
  const options = readOptions(argv, Math.floor(Math.random() * 1e6))
  if (options.help) process.stdout.write(USAGE)
  else if (options.list) for (const { name, does } of FAULTS) process.stdout.write(`${name.padEnd(28)} ${does}\n`)
  if (options.help || options.list) return 0
  const code = await isolate(fileURLToPath(import.meta.url), argv)
  if (code !== undefined) return code
  say(`--seed ${options.seed}, for ${options.minutes} minutes`)
  const place = await makePlace()
  choose(options, place)
  for (const { name, needs } of FAULTS)
    if (needs !== undefined && !place.has.has(needs)) say(`without ${name}: there is no ${needs}`)
  prepareClock()
  const service = await startService(place)
  const outcomes = await runAll(options, place, service)
  await service.stop()
  await place.engine?.kill()
  const table = tableOf(FAULTS, outcomes)
  process.stdout.write(`\n${plainText(table)}\n`)
  if (options.write) writeSection('faults', `${circumstances(options)}\n\n${markdown(table)}`)
  const bad = outcomes.filter(({ violations }) => violations.length > 0)
  say(
    bad.length === 0
      ? 'all is as it has to be'
      : `${bad.length} of ${outcomes.length} rounds were not as they have to be; --seed ${options.seed}`,
  )
  return bad.length === 0 ? 0 : 1
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`faults: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exit(2)
  },
)
