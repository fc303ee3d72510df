// npm test, after the build: every test/**/*.test.ts outside test/system; --system runs those inside; words narrow the files down.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'

const words = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const system = process.argv.includes('--system')

async function must(command: string, args: readonly string[]): Promise<void> {
  const { code } = await run(command, args, { stdio: 'inherit' })
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
await must(process.execPath, ['--test', `--test-concurrency=${concurrency}`, '--test-reporter=spec', ...files])
