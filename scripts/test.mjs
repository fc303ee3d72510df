// npm test: builds, then runs every test/**/*.test.ts outside test/system; --system runs those inside; words narrow the files down.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const system = process.argv.includes('--system')

if (!process.argv.includes('--no-build')) {
  const built = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' })
  if (built.status !== 0) process.exit(built.status || 1)
}
if (system) {
  // Installs the Debian packages that the system tests drive, and fails when they cannot be had.
  const bed = spawnSync('sh', ['test/system/packages.sh'], { stdio: 'inherit' })
  if (bed.status !== 0) process.exit(bed.status || 1)
}

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
const ran = spawnSync(
  process.execPath,
  ['--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec', ...files],
  {
    stdio: 'inherit',
  },
)
process.exit(ran.status ?? 1)
