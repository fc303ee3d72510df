// npm run fuzz: each target for some time, two at a time. What does not hold, crashes or hangs is put into the corpus, as small as it can be
// made, and from then on npm test runs it.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../scripts/command.mjs'
import { fuzzerArguments, NATIVE_TARGETS } from './native.ts'
import { CORPUS } from './target.ts'
import { targets } from './targets.ts'

const USAGE = `usage: npm run fuzz -- [--seconds N] [--seed N] [--jobs N] [NAME ...]
       npm run fuzz -- --list

Runs each target, or those named, for some time: random input, what it grows into, and the corpus in ${CORPUS}. The targets in C
are run by libFuzzer under the address and undefined-behaviour sanitizers; what has been found to reach new code is kept in dist/fuzz.

  --seconds N  for each target (60)
  --seed N     what the random numbers begin with; every run prints its own
  --jobs N     targets at a time (2)
  --list       prints the names, and what each is about
`

interface Named {
  readonly name: string
  readonly about: string
}

interface Run {
  readonly seconds: number
  readonly seed: number
}

interface Ran {
  readonly runs: string
  /** What was found, in the corpus now; undefined: nothing. */
  readonly found?: string
}

/** Seconds in which a process ends after its time is over, before it counts as hanging: on a busy machine 60 were not enough. */
const GRACE = 300

function fail(problem: string): never {
  process.stderr.write(`fuzz: ${problem}\n`)
  process.exit(2)
}

const scratchOf = (name: string): string => {
  const folder = join('dist/fuzz', name)
  mkdirSync(join(folder, 'grown'), { recursive: true })
  mkdirSync(join(CORPUS, name), { recursive: true })
  return folder
}

/** Its exit code is 124 if it had to be ended. */
const timed = (seconds: number, command: string, args: readonly string[]) =>
  run('timeout', ['-k', '5', String(seconds + GRACE), command, ...args])

/** The report of a sanitizer or a harness, without the progress messages of libFuzzer. */
const reportOf = (output: string): string =>
  output
    .split('\n')
    .filter(
      (line) => !/^(#\d|INFO|MERGE|NEW_FUNC|stat::|NOTE|"| *#\d+ 0x\w+ in (fuzzer|__libc|_start|main) )/.test(line),
    )
    .join('\n')
    .slice(-4000)

/** Moves a value that hung or killed its process. */
function keepFile(name: string, from: string, suffix: string): string {
  const to = join(CORPUS, name, `found-${Date.now().toString(36)}${suffix}`)
  copyFileSync(from, to)
  return to
}

const ONE = fileURLToPath(new URL('one.js', import.meta.url))

async function runProperty({ name }: Named, { seconds, seed }: Run): Promise<Ran> {
  const current = join(scratchOf(name), 'current.json')
  const args = ['--expose-gc', ONE, name, String(seconds), String(seed), current]
  const { code, output } = await timed(seconds, process.execPath, args)
  const runs = /^runs (\d+)$/m.exec(output)?.[1] ?? '?'
  if (code === 0) return { runs }
  if (/^does not hold for/m.test(output)) return { runs, found: output }
  const how = code === 124 ? 'hangs' : `ends with ${code}`
  return { runs, found: `${how} at ${keepFile(name, current, '.json')}:\n${output}` }
}

async function runNative({ name }: Named, { seconds, seed }: Run): Promise<Ran> {
  const scratch = scratchOf(name)
  const program = join(scratch, 'fuzzer')
  const built = await run('clang', fuzzerArguments(name, program))
  if (built.code !== 0) return { runs: '0', found: built.output }
  for (const file of readdirSync(scratch)) if (/^(crash|leak|oom|timeout)-/.test(file)) rmSync(join(scratch, file))
  const limits = [
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-max_len=4096',
    '-detect_leaks=0',
    `-artifact_prefix=${scratch}/`,
  ]
  const time = [`-max_total_time=${seconds}`, `-seed=${seed}`, '-print_final_stats=1']
  const { code, output } = await timed(seconds, program, [
    ...limits,
    ...time,
    join(scratch, 'grown'),
    join(CORPUS, name),
  ])
  const runs = /number_of_executed_units: (\d+)/.exec(output)?.[1] ?? '?'
  if (code === 0) return { runs }
  const artifact = readdirSync(scratch).find((file) => /^(crash|leak|oom|timeout)-/.test(file))
  if (artifact === undefined) return { runs, found: reportOf(output) }
  const smaller = join(scratch, 'smaller')
  rmSync(smaller, { force: true })
  await timed(30, program, [
    '-minimize_crash=1',
    '-max_total_time=20',
    ...limits,
    `-exact_artifact_path=${smaller}`,
    join(scratch, artifact),
  ])
  const kept = keepFile(name, existsSync(smaller) ? smaller : join(scratch, artifact), '')
  return { runs, found: `${kept}:\n${reportOf(output)}` }
}

/** What is missing for the targets in C, and the package that has it. */
function missing(): string | undefined {
  const clang = spawnSync('clang', ['-print-file-name=libclang_rt.fuzzer-x86_64.a'], { encoding: 'utf8' })
  if (clang.error !== undefined) return 'there is no clang. On Debian or Ubuntu: apt-get install clang'
  const tried = spawnSync('clang', ['-fsanitize=fuzzer,address', '-x', 'c', '-', '-o', '/dev/null'], {
    encoding: 'utf8',
    input: 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return (void)data, (void)size, 0; }',
  })
  if (tried.status === 0) return undefined
  const version = /clang version (\d+)/.exec(spawnSync('clang', ['--version'], { encoding: 'utf8' }).stdout)?.[1] ?? ''
  return `clang cannot link libFuzzer. On Debian or Ubuntu: apt-get install libclang-rt-${version}-dev\n${tried.stderr}`
}

function readOptions(words: readonly string[]) {
  const options: Record<string, number> = { seconds: 60, jobs: 2, seed: Math.floor(Math.random() * 2 ** 31) }
  const names: string[] = []
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    const option = /^--(seconds|seed|jobs)$/.exec(word)?.[1]
    if (option !== undefined) {
      at += 1
      if (!/^[1-9]\d{0,8}$/.test(words[at] ?? '')) fail(`${word} takes a number\n${USAGE}`)
      options[option] = Number(words[at])
    } else if (word.startsWith('-')) fail(`there is no option ${word}\n${USAGE}`)
    else names.push(word)
  }
  const { seconds = 0, seed = 0, jobs = 0 } = options
  return { seconds, seed, jobs, names }
}

const KINDS = [
  { kind: 'C', all: NATIVE_TARGETS as readonly Named[], run: runNative },
  { kind: 'TypeScript', all: targets as readonly Named[], run: runProperty },
] as const
const rows = KINDS.flatMap(({ kind, all, run: runIt }) => all.map((one) => ({ ...one, kind, run: runIt })))

const words = process.argv.slice(2).filter((word) => word !== '--no-build')
if (words.includes('--help') || words.includes('--list')) {
  const list = rows.map(({ name, kind, about }) => `${name.padEnd(16)} ${kind.padEnd(11)} ${about}\n`).join('')
  process.stdout.write(words.includes('--list') ? list : USAGE)
  process.exit(0)
}
const { names, jobs, ...options } = readOptions(words)
const unknown = names.find((name) => !rows.some((row) => row.name === name))
if (unknown !== undefined) fail(`there is no target ${unknown}; --list names them`)
const chosen = rows.filter(({ name }) => names.length === 0 || names.includes(name))
const problem = chosen.some(({ kind }) => kind === 'C') ? missing() : undefined
if (problem !== undefined) fail(problem)

process.stdout.write(`${chosen.length} targets, ${options.seconds} s each, ${jobs} at a time, seed ${options.seed}\n`)
let found = 0
const waiting = [...chosen]
async function work(): Promise<void> {
  for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
    const began = Date.now()
    const ran = await row.run(row, options)
    const seconds = Math.round((Date.now() - began) / 1000)
    const end = ran.found === undefined ? 'nothing found' : 'FOUND'
    process.stdout.write(
      `${row.name.padEnd(16)} ${String(seconds).padStart(5)} s ${ran.runs.padStart(12)} runs  ${end}\n`,
    )
    if (ran.found === undefined) continue
    found += 1
    process.stdout.write(`${ran.found}\n`)
  }
}
await Promise.all(Array.from({ length: jobs }, work))
process.exit(found === 0 ? 0 : 1)
