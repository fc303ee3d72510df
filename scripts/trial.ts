// acceptd-trial: what `npm start` runs in a clone, and what an installed package has in its place.
import { realpathSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'

// dist/programs/acceptd-trial
const top = resolve(dirname(realpathSync(process.argv[1] ?? '')), '../..')

// A package's own folder is npm's: the files of the trial are where it was called.
if (basename(dirname(top)) === 'node_modules') {
  process.env['INIT_CWD'] = process.cwd()
  if (!process.argv.some((word) => /^--dir(=|$)/.test(word))) process.argv.push('--dir', 'var')
}
process.chdir(top)
void import('./start.ts')
