// The control directory of acceptd under the bench: the recommended one; only what limits how many may come is raised.
import { execFileSync } from 'node:child_process'
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { featureFiles } from './features.ts'
import { type Fixture, ruleLines, top } from './fixture.ts'
import type { Setup } from './side.ts'

const ATTEMPTS = 100_000
const LIMIT = 1_000_000

/** What writeControl sets higher than it is by default. */
export const RAISED = `max-processes to twice the clients and 4000, attempts-per-second to ${ATTEMPTS}, each line of control/limits to ${LIMIT}, no timeoutlogin`

/** The same limits, so that each is counted, with so much room that nobody meets one: all clients of the bench have few addresses. */
const raisedLimits = (text: string): string =>
  text.replace(/^(?!#)(\S+[ \t]+\S+[ \t]+\S+[ \t]+)\d+/gm, (_all, before: string) => `${before}${LIMIT}`)

export interface Wish {
  readonly setup: Setup
  readonly backend: readonly string[]
  readonly account: number
  readonly port: number
  readonly tlsPort: number
  readonly metricsPort: number
  readonly enginePort: number
}

function chainLines(directory: string, programs: string, users: string, wish: Wish): readonly string[] {
  const { setup, backend } = wish
  const account = process.getuid?.() === 0 ? wish.account : process.getuid?.()
  const checkpassword =
    setup.chain === 'builtin' ? `builtin ${users}` : `${join(programs, 'checkpassword')} -f ${users}`
  return [
    `account ${account}`,
    `socket ${join(directory, 'helper/helper.sock')}`,
    `max-processes ${setup.clients * 2 + 4000}`,
    `attempts-per-second ${ATTEMPTS}`,
    'chain bench',
    `  checkpassword ${checkpassword}`,
    ...(setup.verified ? ['  verified 3600'] : []),
    ...(setup.warm ? ['  warm 60'] : []),
    `  backend ${backend.join(' ')}`,
  ]
}

export function writeControl(
  fixture: Fixture,
  { directory, programs }: { readonly directory: string; readonly programs: string },
  wish: Wish,
): string {
  const { setup, port, tlsPort, metricsPort, enginePort } = wish
  const control = join(directory, 'control')
  rmSync(control, { recursive: true, force: true })
  if (existsSync(join(top, 'control'))) cpSync(join(top, 'control'), control, { recursive: true })
  else mkdirSync(control)
  // Beside chains: what a builtin checkpassword reads must lie where only root can write.
  const users = join(control, 'users')
  cpSync(fixture.users(setup.users, setup.hash), users)
  const limits = join(control, 'limits')
  const features = featureFiles(setup.features, enginePort)
  const pair = setup.tls ? fixture.pair('acceptd') : undefined
  if (pair && process.getuid?.() === 0) chownSync(pair.key, wish.account, wish.account)
  const listeners = [
    `127.0.0.1:${port} ${setup.protocol} bench tls=off`,
    ...(setup.tls ? [`127.0.0.1:${tlsPort} ${setup.protocol} bench tls=implicit`] : []),
  ]
  for (const [name, text] of Object.entries({
    me: 'bench.invalid\n',
    smtpcapabilities: 'PIPELINING\n8BITMIME\n',
    pop3capabilities: 'UIDL\n',
    fixsmtpio: ruleLines(setup.rules),
    // Thousands of idle clients are measured for longer than a login may take.
    timeoutlogin: '0\n',
    metrics: `127.0.0.1:${metricsPort}\n`,
    listeners: `${listeners.join('\n')}\n`,
    ...(pair && { tls: `bench.invalid ${pair.certificate} ${pair.key}\n` }),
    chains: `${chainLines(directory, programs, users, wish).join('\n')}\n`,
    ...(setup.lanes === undefined ? {} : { lanes: `${setup.lanes}\n` }),
    ...features,
    limits: `${existsSync(limits) ? raisedLimits(readFileSync(limits, 'latin1')) : ''}${features.limits ?? ''}`,
  }))
    writeFileSync(join(control, name), text)
  execFileSync('chmod', ['-R', 'go-w,a+rX', control])
  return control
}
