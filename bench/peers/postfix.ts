// Postfix submission with Dovecot SASL, in an instance of its own: queue on tmpfs, messages queued and then dropped by discard(8).
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  endAtExit,
  endedNow,
  endProgram,
  type Fixture,
  findProgram,
  freePort,
  greets,
  makeFixture,
  type Pair,
  sleep,
  startProgram,
} from '../fixture.ts'
import { processTree } from '../proc.ts'
import type { Side } from '../side.ts'
import { dovecotAuth } from './dovecot.ts'
import { mainCf, masterCf } from './postfix-files.ts'

/** Postfix' own default is 100 processes a service. With fewer than clients its short listen queue overflows and clients wait in vain. */
const processesFor = (clients: number): number => Math.max(100, clients)

interface Settings {
  readonly auth: string
  readonly processes: number
  readonly pair: Pair | undefined
  readonly how: How
}

/** `discarding`: the smtpd itself says that each message is to be thrown away, and cleanup drops it as soon as it has it. */
type How = 'queueing' | 'discarding'

const submission = ({
  auth,
  processes,
  pair,
  how,
}: Settings): string => `smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = ${how === 'discarding' ? 'check_recipient_access static:DISCARD, ' : ''}permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${auth}
default_process_limit = ${processes}
${pair === undefined ? 'smtpd_tls_security_level = none' : `smtpd_tls_chain_files = ${pair.key}, ${pair.certificate}`}
`

const NAMES = { queueing: 'postfix', discarding: 'postfix, discarding' } as const

const WHAT = {
  queueing: 'messages written to a queue on tmpfs, then dropped by discard(8)',
  discarding: 'each message dropped when it has come (check_recipient_access static:DISCARD), never queued',
} as const

export const postfixSide = (fixture: Fixture, how: How): Side & { readonly name: (typeof NAMES)[How] } => ({
  name: NAMES[how],
  what: `Postfix submission with Dovecot SASL (a process for each client, at least 100; TLS where the row says so): ${WHAT[how]}`,
  raised: 'default_process_limit to the clients, at least 100',
  packages: ['postfix', 'dovecot-core'],
  absent() {
    if (process.getuid?.() !== 0) return 'Postfix can be started by root only'
    if (!findProgram('postfix')) return 'postfix is not installed'
    if (!findProgram('dovecot')) return 'dovecot is not installed (Debian: dovecot-core)'
    return undefined
  },
  async start(setup) {
    const memory = makeFixture(existsSync('/dev/shm') ? '/dev/shm' : undefined)
    const [port, tlsPort] = [await freePort(), await freePort()]
    const auth = await dovecotAuth(fixture, setup.users)
    const etc = join(memory.directory, 'etc')
    for (const name of ['etc', 'queue']) mkdirSync(join(memory.directory, name))
    const pair = setup.tls ? fixture.pair('postfix') : undefined
    const settings = { auth: auth.socket, processes: processesFor(setup.clients), pair, how }
    const [queue, data] = [join(memory.directory, 'queue'), join(memory.directory, 'data')]
    writeFileSync(
      join(etc, 'main.cf'),
      mainCf({ queue, data, log: join(memory.directory, 'log') }, submission(settings)),
    )
    const smtps = `127.0.0.1:${tlsPort} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes`
    writeFileSync(
      join(etc, 'master.cf'),
      masterCf([`127.0.0.1:${port} inet n - n - - smtpd`, ...(pair ? [smtps] : [])]),
    )
    const command = findProgram('postfix') ?? 'postfix'
    const log = join(fixture.directory, `postfix-${port}.log`)
    const starting = startProgram(command, ['-c', etc, 'start'], { log })
    let master = 0
    const stop = async (): Promise<void> => {
      const stopping = startProgram(command, ['-c', etc, 'stop'], { log })
      await new Promise((resolve) => stopping.once('exit', resolve))
      if (master > 0) endedNow(master)
      await endProgram(auth.child)
      memory.remove()
    }
    try {
      await new Promise((resolve) => starting.once('exit', resolve))
      await greets(port, undefined)
    } catch (error) {
      await stop()
      throw new Error(`postfix: ${existsSync(log) ? readFileSync(log, 'utf8') : 'no log'}`, { cause: error })
    }
    master = Number(readFileSync(join(memory.directory, 'queue/pid/master.pid'), 'utf8').trim())
    while (processTree([master]).length === 0) await sleep(50)
    endAtExit(master)
    return { port, tlsPort, controlSocket: undefined, pids: [master, auth.child.pid ?? 0], isOwn: () => true, stop }
  },
})
