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
  sleep,
  startProgram,
} from '../fixture.ts'
import { processTree } from '../proc.ts'
import type { Side } from '../side.ts'
import { dovecotAuth } from './dovecot.ts'

/** Postfix' own default is 100 processes a service. With fewer than clients its short listen queue overflows and clients wait in vain. */
const processesFor = (clients: number): number => Math.max(100, clients)

const mainCf = (directory: string, authSocket: string, processes: number): string => `
compatibility_level = 3.6
queue_directory = ${directory}/queue
data_directory = ${directory}/data
maillog_file = ${directory}/log
maillog_file_prefixes = ${directory}
myhostname = postfix.invalid
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
default_transport = discard:
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = ${authSocket}
smtpd_tls_security_level = none
message_size_limit = 50000000
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
default_process_limit = ${processes}
max_use = 1000
`

const masterCf = (port: number): string => `
127.0.0.1:${port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
proxymap  unix  - - n - - proxymap
anvil     unix  - - n - 1 anvil
pickup    unix  n - n 60 1 pickup
postlog   unix-dgram n - n - 1 postlogd
showq     unix  n - n - - showq
flush     unix  n - n 1000? 0 flush
`

export const postfixSide = (fixture: Fixture): Side => ({
  name: 'postfix',
  what: 'Postfix submission with Dovecot SASL (a process for each client, at least 100; no TLS): messages written to a queue on tmpfs, then dropped by discard(8)',
  packages: ['postfix', 'dovecot-core'],
  absent() {
    if (process.getuid?.() !== 0) return 'Postfix can be started by root only'
    if (!findProgram('postfix')) return 'postfix is not installed'
    if (!findProgram('dovecot')) return 'dovecot is not installed (Debian: dovecot-core)'
    return undefined
  },
  async start(setup) {
    const memory = makeFixture(existsSync('/dev/shm') ? '/dev/shm' : undefined)
    const port = await freePort()
    const auth = await dovecotAuth(fixture, setup.users)
    const etc = join(memory.directory, 'etc')
    for (const name of ['etc', 'queue']) mkdirSync(join(memory.directory, name))
    writeFileSync(join(etc, 'main.cf'), mainCf(memory.directory, auth.socket, processesFor(setup.clients)))
    writeFileSync(join(etc, 'master.cf'), masterCf(port))
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
    return { port, controlSocket: undefined, pids: [master, auth.child.pid ?? 0], isOwn: () => true, stop }
  },
})
