// npm run check: everything cheap first, and stops at the first thing that fails.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const steps = [
  ...(existsSync('node_modules/.package-lock.json') ? [] : [['packages', 'npm', ['ci', '--no-progress']]]),
  ['format and imports', 'node_modules/.bin/biome', ['check', '--error-on-warnings', '.']],
  ['build', process.execPath, ['scripts/build.mjs']],
  ['lint', 'node_modules/.bin/oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts']],
  ['tests', process.execPath, ['scripts/test.mjs', '--no-build']],
]
for (const [name, command, args] of steps) {
  process.stdout.write(`== ${name}\n`)
  const ran = spawnSync(command, args, { stdio: 'inherit' })
  if (ran.status !== 0) {
    process.stderr.write(`check: ${name} failed: ${command} ${args.join(' ')}\n`)
    process.exit(ran.status || 1)
  }
}
