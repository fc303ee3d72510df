// npm test, after the build: every test/**/*.test.ts outside test/system; --system runs those inside; words narrow the files down.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'

const USAGE = `usage: npm test [-- [--no-build] WORD ...]
       npm run test:system [-- [--no-build] WORD ...]

Runs the tests whose file name, seen from test/, contains one of the words; without a word all of them. test:system runs those in
test/system, as root on Debian: it installs the packages that they drive (test/system/packages.sh), makes users and takes them away.

  --no-build  runs what was built before
  --help      prints this
`

const OPTIONS = ['--system', '--no-build', '--help']
const given = process.argv.slice(2)
const words = given.filter((word) => !word.startsWith('-'))
const system = given.includes('--system')
const unknown = given.find((word) => word.startsWith('-') && !OPTIONS.includes(word))
if (unknown !== undefined || given.includes('--help')) {
  if (unknown !== undefined) process.stderr.write(`test: there is no option ${unknown}\n${USAGE}`)
  else process.stdout.write(USAGE)
  process.exit(unknown === undefined ? 0 : 2)
}

/** Milliseconds for a file; what hangs fails. */
const LONGEST = system ? 1_200_000 : 300_000

/** In the environment of all that a run starts, so that it can be found. */
const MARK = `ACCEPTD_TEST_RUN=${process.pid}.${Date.now()}`

/** Whether it was started with the mark in its environment, or below something that was: a backend's environment is made for it. */
function isOurs(pid: string): boolean {
  for (let next = pid; Number(next) > 1; ) {
    if (Number(next) === process.pid) return false
    if (read(`/proc/${next}/environ`).split('\0').includes(MARK)) return true
    next = /\) \S+ (\d+)/.exec(read(`/proc/${next}/stat`))?.[1] ?? ''
  }
  return false
}

/** Of a process that has ended meanwhile, or is not ours to read, nothing. */
function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

/** Ends what tests have left: a test that fails does not clean up after itself. */
function endLeftovers(): void {
  const left = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isOurs(name))
  for (const pid of left) {
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
}
process.on('exit', endLeftovers)
// The first signal is for what runs; when that has ended, `run` sends it to us again.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  let times = 0
  process.on(signal, () => {
    times += 1
    if (times > 1) process.exit(130)
  })
}

/** Its exit code. */
async function marked(command: string, args: readonly string[]): Promise<number> {
  const [name = '', value] = MARK.split('=')
  const { code } = await run(command, args, { stdio: 'inherit', env: { ...process.env, [name]: value } })
  return code ?? 1
}

// Installs the Debian packages that the system tests drive, and fails when they cannot be had.
if (system && (await marked('sh', ['test/system/packages.sh'])) !== 0) process.exit(1)

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && name.startsWith('system/') === system)
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)))
  .map((name) => join('dist/test', name.replace(/\.ts$/, '.js')))
  .toSorted()
const missing = files.filter((file) => !existsSync(file))
if (files.length === 0 || missing.length > 0) {
  process.stderr.write(
    files.length === 0 ? `test: no test file matches ${words.join(' ')}\n` : `test: not built: ${missing.join(' ')}\n`,
  )
  process.exit(1)
}
const concurrency = system ? 1 : 2
// A file ends with its last test, whatever that has left open.
const limits = ['--test-force-exit', `--test-timeout=${LONGEST}`]
// The native tests watch processes by the second, and come by themselves; the others follow even if they fail.
const isNative = (file: string): boolean => file.startsWith('dist/test/native/')
let failed = 0
for (const part of [files.filter(isNative), files.filter((file) => !isNative(file))]) {
  if (part.length === 0) continue
  const options = ['--test', ...limits, `--test-concurrency=${concurrency}`, '--test-reporter=spec']
  const code = await marked(process.execPath, [...options, ...part])
  failed ||= code
}
process.exitCode = failed
