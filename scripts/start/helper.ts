// The helper of a trial by root.
import { chmodSync, chownSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { COMPILER } from '../build.mjs'
import { run } from '../command.mjs'
import type { RootPlace } from './place.ts'
import { giveUp, say } from './say.ts'

const PROGRAMS = ['accept-helper', 'checknotroot', 'checkpassword', 'reup']

/** The helper with this place's chains compiled in, setuid root for the runtime's group; gives its path. */
export async function privilegedHelper(top: string, { state, ids }: RootPlace): Promise<string> {
  const out = join(state, 'programs')
  const chains = join(state, 'control/chains')
  if (!existsSync(join(out, 'accept-helper'))) say(`Building the setuid helper for ${chains} ...`)
  const made = await run('make', ['-s', '-C', join(top, 'native'), `OUT=${out}`, `CHAINS=${chains}`])
  if (made.code !== 0) giveUp('the helper could not be built:', `${made.output}${COMPILER}`)
  chmodSync(out, 0o755)
  for (const name of PROGRAMS) {
    const file = join(out, name)
    const helper = name === 'accept-helper'
    // Giving a file away takes the setuid bit from it.
    chownSync(file, 0, helper ? ids.runtime : 0)
    chmodSync(file, helper ? 0o4750 : 0o755)
  }
  return join(out, 'accept-helper')
}
