// The last step of the build: every program of scripts/programs.json in dist/programs, from what TypeScript has compiled.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import { writeClient } from './clients/package.ts'
import { type Session, writeWithCache } from './code-cache.ts'

interface Program {
  /** Under src/; without one, native/ builds the program. */
  readonly entry?: string
  /** Files that it loads by itself: path below dist/programs -> what is bundled there. */
  readonly parts?: Readonly<Record<string, string>>
  /** native/ builds the program of this name, which runs NAME.js. */
  readonly launched?: boolean
  readonly aliases?: readonly string[]
  readonly session?: Session
}

const OUT = 'dist/programs'

/**
 * One file loads in half the time of thirty, and a classic program is started for every session. A part that is loaded by a URL beside its
 * folder in src is found beside a folder of dist/programs.
 */
function bundled(compiled: string, minify: boolean): string {
  const file = join(OUT, '.bundle.cjs')
  buildSync({
    entryPoints: [compiled],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // Without its native half msgpackr loads in a third of the time, and a classic program decodes a few dozen frames.
    alias: { msgpackr: resolve('node_modules/msgpackr/index.js') },
    define: { 'import.meta.url': 'acceptdProgramUrl' },
    banner: {
      js: "const acceptdProgramUrl = require('node:url').pathToFileURL(require('node:path').dirname(__filename) + '/src/').href;",
    },
    // The runtime is a part of its own; piscina has a native package only for nice(2), which nobody asks it for.
    external: ['*/acceptd-runtime.js', '@napi-rs/nice'],
    minify,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'error',
  })
  const text = readFileSync(file, 'utf8')
  rmSync(file)
  return text
}

const compiledFrom = (entry: string): string =>
  entry.startsWith('node_modules/') ? entry : join('dist', entry.replace(/\.ts$/, '.js'))

function writeProgram(name: string, entry: string, { parts = {}, launched = false, session }: Program): void {
  const file = join(OUT, launched ? `${name}.js` : name)
  rmSync(file, { force: true })
  const compiled = compiledFrom(entry)
  if (entry.endsWith('.sh')) copyFileSync(entry, file)
  else if (session === undefined) writeFileSync(file, `#!${process.execPath}\n${bundled(compiled, false)}`)
  else if (!writeWithCache({ program: resolve(OUT, name), file: resolve(file) }, bundled(compiled, true), session))
    process.stdout.write(`warning: ${file} has no code cache\n`)
  chmodSync(file, 0o755)
  for (const [part, source] of Object.entries(parts)) {
    mkdirSync(dirname(join(OUT, part)), { recursive: true })
    writeFileSync(join(OUT, part), bundled(compiledFrom(source), false))
  }
}

const { programs } = JSON.parse(readFileSync('scripts/programs.json', 'utf8')) as {
  readonly programs: Readonly<Record<string, Program>>
}
mkdirSync(OUT, { recursive: true })
writeClient()
// Before the programs: those with a code cache are run to make it.
writeFileSync(join(OUT, 'package.json'), '{ "type": "commonjs" }\n')
for (const [name, program] of Object.entries(programs)) {
  if (program.entry !== undefined) writeProgram(name, program.entry, program)
  for (const alias of program.aliases ?? []) {
    rmSync(join(OUT, alias), { force: true })
    symlinkSync(name, join(OUT, alias))
  }
}
