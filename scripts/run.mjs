// npm run NAME: builds what is missing, then runs the script NAME, in this process.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const top = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(top)
const [name = 'build', ...words] = process.argv.slice(2)

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`build: Node ${process.versions.node} is too old; acceptd needs 20.19 or later\n`)
  process.exit(1)
}
const { build, reasonToBuild } = await import('./build.mjs')

/** @type {Readonly<Record<string, string | undefined>>} */
const SCRIPTS = {
  start: 'dist/programs/acceptd-trial',
  test: 'dist/scripts/test.js',
  check: 'dist/scripts/check.js',
  bench: 'dist/bench/run.js',
  faults: 'dist/test/faults/run.js',
  fuzz: 'dist/test/fuzz/run.js',
  soak: 'dist/bench/soak.js',
  package: 'dist/scripts/package.js',
  release: 'dist/scripts/release.js',
}

if (name === 'start') {
  const reason = reasonToBuild(top)
  if (reason !== undefined) {
    process.stdout.write(`Building acceptd, since ${reason}:\n`)
    await build(top, { shown: true })
    process.stdout.write('\n')
  }
} else if (!words.includes('--no-build') && !(words.includes('--help') && existsSync(join(top, SCRIPTS[name] ?? '')))) {
  // A bench's stdout belongs to --json.
  await build(top, name === 'bench' ? { out: process.stderr } : {})
}

const script = SCRIPTS[name]
if (script !== undefined) {
  const file = join(top, script)
  process.argv = [process.execPath, file, ...words]
  await import(pathToFileURL(file).href)
}
