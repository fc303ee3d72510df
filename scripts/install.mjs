// What npm runs after it has unpacked a package: its C programs are compiled for this host, its scripts get this Node, and the programs
// their other names. In a clone there is nothing to do; the build does it.
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const top = dirname(dirname(fileURLToPath(import.meta.url)))
const programs = join(top, 'dist/programs')

if (!existsSync(join(top, 'src'))) {
  execFileSync('make', ['-s', '-C', join(top, 'native'), `OUT=${programs}`], { stdio: 'inherit' })
  for (const name of readdirSync(programs)) {
    const file = join(programs, name)
    const text = lstatSync(file).isFile() ? readFileSync(file, 'latin1') : ''
    if (/^#!.*\/node\n/.test(text))
      writeFileSync(
        file,
        text.replace(/^#!.*/, () => `#!${process.execPath}`),
        'latin1',
      )
  }
  /** @type {{ programs: Record<string, { aliases?: readonly string[] }> }} */
  const table = JSON.parse(readFileSync(join(top, 'scripts/programs.json'), 'utf8'))
  for (const [name, { aliases = [] }] of Object.entries(table.programs))
    for (const alias of aliases) {
      rmSync(join(programs, alias), { force: true })
      symlinkSync(name, join(programs, alias))
    }
}
