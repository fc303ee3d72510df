// Builds the clone if a program is missing, or older than a source.
import { spawnSync } from 'node:child_process'
import { accessSync, chmodSync, chownSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { giveUp, say } from './say.mjs'

const PROGRAMS = ['acceptd', 'acceptctl', 'acceptd-maildir', 'accept-helper', 'checknotroot']
const SOURCES = ['src', 'native', 'scripts/programs.json', 'scripts/build.mjs', 'package-lock.json']

/** Where the shell would find it. */
export function which(name) {
  return (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** Milliseconds: of this file, or of the youngest file in this folder. */
function newest(path) {
  const at = statSync(path)
  return at.isDirectory() ? Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name)))) : at.mtimeMs
}

function reasonToBuild(top) {
  const files = PROGRAMS.map((name) => join(top, 'dist/programs', name))
  if (!existsSync(join(top, 'node_modules'))) return 'its packages are not installed yet'
  if (files.some((file) => !existsSync(file))) return 'it is not built yet'
  if (!readFileSync(files[0], 'latin1').startsWith(`#!${process.execPath}\n`)) return 'it was built for another Node'
  // Written last by the build.
  const built = statSync(join(top, 'dist/programs/package.json')).mtimeMs
  return SOURCES.some((name) => newest(join(top, name)) > built) ? 'its sources have changed' : undefined
}

export function build(top) {
  const reason = reasonToBuild(top)
  if (reason === undefined) return
  for (const tool of ['make', 'cc']) {
    if (which(tool) === undefined)
      giveUp(
        `its helper is a C program, and there is no ${tool} here.`,
        'On Debian or Ubuntu: apt-get install gcc make libc6-dev',
      )
  }
  say(`Building acceptd, since ${reason}:`)
  // CI: the steps are shown, terminal or not.
  const built = spawnSync(process.execPath, [join(top, 'scripts/build.mjs')], {
    stdio: 'inherit',
    env: { ...process.env, CI: 'true' },
  })
  if (built.status !== 0) giveUp('the build failed (see above).')
  say()
}

/** The helper with this place's chains compiled in, setuid root for the runtime's group; gives its path. */
export function privilegedHelper(top, { state, ids }) {
  const out = join(state, 'programs')
  if (!existsSync(join(out, 'accept-helper')))
    say(`Building the setuid helper for ${join(state, 'control/chains')} ...`)
  const made = spawnSync(
    'make',
    ['-s', '-C', join(top, 'native'), `OUT=${out}`, `CHAINS=${join(state, 'control/chains')}`],
    {
      encoding: 'utf8',
    },
  )
  if (made.status !== 0)
    giveUp('the helper could not be built:', `${made.stdout ?? ''}${made.stderr ?? ''}${made.error?.message ?? ''}`)
  chmodSync(out, 0o755)
  for (const name of ['accept-helper', 'checknotroot', 'checkpassword', 'reup']) {
    const file = join(out, name)
    const helper = name === 'accept-helper'
    // Giving a file away takes the setuid bit from it.
    chownSync(file, 0, helper ? ids.runtime : 0)
    chmodSync(file, helper ? 0o4750 : 0o755)
  }
  return join(out, 'accept-helper')
}
