// npm run bench: builds, then runs dist/bench/run.js with the same arguments.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
if (!process.argv.includes('--help') || !existsSync('dist/bench/run.js')) {
  // The build speaks on stderr here: stdout belongs to --json.
  const built = spawnSync(process.execPath, ['scripts/build.mjs'], { stdio: ['ignore', 2, 2] })
  if (built.status !== 0) process.exit(built.status || 1)
}
const ran = spawnSync(process.execPath, ['dist/bench/run.js', ...process.argv.slice(2)], { stdio: 'inherit' })
process.exit(ran.status ?? 1)
