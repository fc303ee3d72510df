// npm run check, after the build: everything cheap first, and stops at the first thing that fails.
import { run } from './command.mjs'

const STEPS: readonly (readonly [name: string, command: string, args: readonly string[]])[] = [
  ['format and imports', 'node_modules/.bin/biome', ['check', '--error-on-warnings', '.']],
  ['lint', 'node_modules/.bin/oxlint', ['--type-aware', '--deny-warnings', 'src', 'test', 'bench', 'scripts']],
  ['tests', process.execPath, ['scripts/run.mjs', 'test', '--no-build']],
]

for (const [name, command, args] of STEPS) {
  process.stdout.write(`== ${name}\n`)
  const { code } = await run(command, args, { stdio: 'inherit' })
  if (code !== 0) {
    process.stderr.write(`check: ${name} failed: ${command} ${args.join(' ')}\n`)
    process.exit(code ?? 1)
  }
}
