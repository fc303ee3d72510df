// acceptd/client as an installation has it: dist/client/client.js, one module, and client.d.ts, all its types in one file.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSync } from 'esbuild'

const OUT = 'dist/client'

/** Lines that say where a name of ours comes from: in one file all are there. */
const ELSEWHERE = /^(?:import|export) .*from '\.{1,2}\/.*';\n/gm
const INLINE = /import\("\.[^"]*"\)\./g

export function writeClient(): void {
  const entry = 'src/client/client.ts'
  buildSync({
    entryPoints: [entry],
    outfile: join(OUT, 'client.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    legalComments: 'none',
    logLevel: 'error',
  })
  const scratch = mkdtempSync('dist/.client-')
  const how =
    '--declaration --emitDeclarationOnly --skipLibCheck --strict --target es2023 --module nodenext --types node'
  const args = [entry, '--ignoreConfig', '--outDir', scratch, '--allowImportingTsExtensions', ...how.split(' ')]
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the types of ${entry}: ${stdout}`)
  const table = readdirSync(join(scratch, 'table')).filter((name) => name !== 'index.d.ts')
  const files = [...table.map((name) => join('table', name)), 'options.d.ts', 'errors.d.ts', 'client.d.ts']
  const text = files.map((name) => readFileSync(join(scratch, name), 'utf8').replace(ELSEWHERE, '').replace(INLINE, ''))
  rmSync(scratch, { recursive: true })
  writeFileSync(join(OUT, 'client.d.ts'), `${text.join('')}export {};\n`)
}
