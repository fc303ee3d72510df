// The pages of docs/recipes as steps: files to write and commands to type, in their order.
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { blocksOf } from '../support/markdown.ts'
import { bootHost, type Host } from './host.ts'
import { type Claim, claimMachine, TOP } from './machine.ts'
import { must } from './run.ts'

export interface Packaged {
  readonly claim: Claim
  readonly host: Host
  /** /mnt there. */
  readonly share: string
  readonly end: () => Promise<void>
}

/** The machine claimed, and on it a host with acceptd's package in /mnt, and in apt's cache everything that docs/recipes installs. */
export async function packagedHost(): Promise<Packaged> {
  const claim = await claimMachine()
  try {
    await must([process.execPath, 'scripts/run.mjs', 'package', '--no-build'], { cwd: TOP, timeout: 120_000 })
    const share = join(claim.dir, 'share')
    mkdirSync(share)
    const { version } = JSON.parse(readFileSync(join(TOP, 'package.json'), 'utf8')) as { readonly version: string }
    for (const name of readdirSync(join(TOP, 'dist')).filter((one) => one.startsWith(`acceptd_${version}_`)))
      cpSync(join(TOP, 'dist', name), join(share, name))
    const host = await bootHost(share, 'recipes')
    await host.sh('echo 127.0.0.1 localhost mail.example.org smarthost.example.org >>/etc/hosts')
    const end = async (): Promise<void> => {
      await host.end()
      claim.release()
    }
    return { claim, host, share, end }
  } catch (error) {
    claim.release()
    throw error
  }
}

export type Step = { readonly section: string } & (
  | { readonly do: 'write'; readonly file: string; readonly text: string }
  | { readonly do: 'run'; readonly script: string }
)

/** A block under the name of a file is that file; one of `sh` is run. Others, and what is marked so, only show something. */
export function stepsOf(page: string): readonly Step[] {
  const text = readFileSync(join(TOP, 'docs/recipes', page), 'utf8')
  return blocksOf(text).flatMap(({ info, section, before, content }): readonly Step[] => {
    if (info === 'sh') return [{ section, do: 'run', script: content }]
    const [, file] = /^`(\/\S+)`:$/.exec(before) ?? []
    return info === '' && file !== undefined ? [{ section, do: 'write', file, text: content }] : []
  })
}

/** The block after a line, e.g. of another version of a program. */
export function blockAfter(page: string, line: RegExp): string {
  const text = readFileSync(join(TOP, 'docs/recipes', page), 'utf8')
  const found = blocksOf(text).find(({ before }) => line.test(before))
  if (found === undefined) throw new Error(`docs/recipes/${page} has no block after ${line}`)
  return found.content
}

/** Who submits in every page; swaks would ask for the password. */
export const PASSWORD = 'right %1+="x'
const ENVIRONMENT = `export DEBIAN_FRONTEND=noninteractive SWAKS_OPT_auth_password='${PASSWORD}'`

/** Does what the page says; returns the output of the last commands. */
export async function follow(host: Host, steps: readonly Step[]): Promise<string> {
  let said = ''
  if (steps.length === 0) throw new Error('there is nothing to do')
  for (const step of steps)
    if (step.do === 'run') said = await host.sh(`exec 2>&1; ${ENVIRONMENT}\n${step.script}`)
    else {
      const { code, transcript } = await host.run(
        ['sh', '-ec', 'mkdir -p "$(dirname "$1")"; cat >"$1"', 'sh', step.file],
        step.text,
      )
      if (code !== 0) throw new Error(transcript)
    }
  return said
}
