// npm test, after the build: every test/**/*.test.ts outside test/system; --system runs those inside; words narrow the files down.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const system = process.argv.includes('--system')

/** Milliseconds for a file; what hangs fails. */
const LONGEST = system ? 1_200_000 : 300_000

/** In the environment of all that a run starts, so that it can be found. */
const MARK = `ACCEPTD_TEST_RUN=${process.pid}.${Date.now()}`

/** Ends what tests have left: a test that fails does not clean up after itself. */
function endLeftovers(): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      if (readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(MARK))
        process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended meanwhile, or is not ours.
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

async function must(command: string, args: readonly string[]): Promise<void> {
  const [name = '', value] = MARK.split('=')
  const { code } = await run(command, args, { stdio: 'inherit', env: { ...process.env, [name]: value } })
  if (code !== 0) process.exit(code ?? 1)
}

// Installs the Debian packages that the system tests drive, and fails when they cannot be had.
if (system) await must('sh', ['test/system/packages.sh'])

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
// The native tests watch processes by the second, and come by themselves.
const isNative = (file: string): boolean => file.startsWith('dist/test/native/')
for (const part of [files.filter(isNative), files.filter((file) => !isNative(file))]) {
  if (part.length === 0) continue
  await must(process.execPath, [
    '--test',
    ...limits,
    `--test-concurrency=${concurrency}`,
    '--test-reporter=spec',
    ...part,
  ])
}
