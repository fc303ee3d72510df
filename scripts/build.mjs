// npm run build: dependencies if they are missing, TypeScript, the C programs of native/, and every program in dist/programs/.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeWithCache } from './code-cache.mjs'

const top = dirname(dirname(fileURLToPath(import.meta.url)))
process.chdir(top)

/** Runs one step, showing what it is and how long it took; a failure ends the build with its exit code. */
function step(name, command, args, env = {}) {
  const started = Date.now()
  const quiet = process.env.CI !== 'true' && !process.stdout.isTTY
  if (!quiet) process.stdout.write(`${name} ... `)
  const ran = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } })
  if (ran.status !== 0) {
    process.stdout.write(`failed\n${ran.error?.message ?? ''}${ran.stdout ?? ''}${ran.stderr ?? ''}\n`)
    process.stderr.write(`build: ${name}: ${command} ${args.join(' ')} exited ${ran.status ?? ran.signal}\n`)
    process.exit(ran.status || 1)
  }
  if (ran.stderr?.includes('warning')) process.stdout.write(`\n${ran.stderr}`)
  if (!quiet) process.stdout.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`)
}

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`build: Node ${process.versions.node} is too old; acceptd needs 20.19 or later\n`)
  process.exit(1)
}
if (!existsSync('node_modules/.package-lock.json')) step('npm ci', 'npm', ['ci', '--no-progress'])
step('typescript', 'node_modules/.bin/tsc', ['-b'])
if (existsSync('native/Makefile')) step('native', 'make', ['-C', 'native', '-s', 'OUT=../dist/programs'])

const { programs } = JSON.parse(readFileSync('scripts/programs.json', 'utf8'))
mkdirSync('dist/programs', { recursive: true })
const { buildSync } = await import('esbuild')
const started = Date.now()
for (const [name, { entry, bundle = true, aliases = [], session }] of Object.entries(programs)) {
  const file = join('dist/programs', name)
  if (entry) {
    rmSync(file, { force: true })
    const compiled = join('dist', entry.replace(/\.ts$/, '.js'))
    if (entry.endsWith('.sh')) copyFileSync(entry, file)
    else if (bundle) {
      // One file a program: a classic program is started for every session, and one file loads in half the time of thirty.
      buildSync({
        entryPoints: [compiled],
        outfile: `${file}.cjs`,
        bundle: true,
        platform: 'node',
        target: 'node20',
        format: 'cjs',
        // Without its native half msgpackr loads in a third of the time, and a classic program decodes a few dozen frames.
        alias: { msgpackr: join(top, 'node_modules/msgpackr/index.js') },
        define: { 'import.meta.url': 'acceptdProgramUrl' },
        banner: { js: "const acceptdProgramUrl = require('node:url').pathToFileURL(__filename).href;" },
        minify: session !== undefined,
        minifySyntax: true,
        legalComments: 'none',
        logLevel: 'error',
      })
      const text = readFileSync(`${file}.cjs`, 'utf8')
      rmSync(`${file}.cjs`)
      if (session === undefined) writeFileSync(file, `#!${process.execPath}\n${text}`)
      else if (!writeWithCache(join(top, file), text, session))
        process.stdout.write(`build: ${name} has no code cache\n`)
    } else {
      writeFileSync(
        file,
        `#!${process.execPath}\nimport(require('node:url').pathToFileURL(require('node:path').join(require('node:fs').realpathSync(__dirname), '..', ${JSON.stringify(compiled.slice(5))})))\n`,
      )
    }
    chmodSync(file, 0o755)
  }
  for (const alias of aliases) {
    rmSync(join('dist/programs', alias), { force: true })
    symlinkSync(name, join('dist/programs', alias))
  }
}
writeFileSync('dist/programs/package.json', '{ "type": "commonjs" }\n')
if (process.env.CI === 'true' || process.stdout.isTTY)
  process.stdout.write(`programs ... ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
