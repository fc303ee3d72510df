// Dovecot on the bench's password file: its authentication service, for Postfix, and its submission service in front of a server that
// discards. No password cache, as in its defaults.
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { endProgram, type Fixture, findProgram, freePort, greets, sleep, startProgram } from '../fixture.ts'
import type { Side } from '../side.ts'

let instances = 0

/** Starts Dovecot in a directory of its own: Unix socket paths must be short. */
function startDovecot(
  fixture: Fixture,
  users: number,
  more: (directory: string) => string,
): { directory: string; child: ChildProcess } {
  const directory = join(fixture.directory, `dovecot-${instances++}`)
  mkdirSync(directory)
  const file = join(directory, 'dovecot.conf')
  writeFileSync(
    file,
    `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {
  driver = passwd-file
  args = ${fixture.users(users, 'sha256')}
}
userdb {
  driver = passwd-file
  args = ${fixture.users(users, 'sha256')}
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
${more(directory)}`,
  )
  const child = startProgram(findProgram('dovecot') ?? 'dovecot', ['-F', '-c', file], { log: join(directory, 'out') })
  return { directory, child }
}

export interface DovecotAuth {
  readonly socket: string
  readonly child: ChildProcess
}

export async function dovecotAuth(fixture: Fixture, users: number): Promise<DovecotAuth> {
  const { directory, child } = startDovecot(
    fixture,
    users,
    (place) => `protocols =
service auth {
  client_limit = 5000
  unix_listener ${place}/auth {
    mode = 0666
  }
}
`,
  )
  const socket = join(directory, 'auth')
  for (let tries = 0; tries < 100 && !existsSync(socket); tries++) await sleep(50)
  if (!existsSync(socket)) {
    await endProgram(child)
    throw new Error(`dovecot did not open ${socket}`)
  }
  return { socket, child }
}

const submissionModule = '/usr/lib/dovecot/submission'

export const dovecotSide = (fixture: Fixture): Side & { readonly name: 'dovecot' } => ({
  name: 'dovecot',
  what: 'Dovecot submission (login processes reused, then a process per session as the user; no TLS): relays each message to a process of the same discarding backend under tcpserver',
  packages: ['dovecot-core', 'dovecot-submissiond', 'ucspi-tcp'],
  absent() {
    if (process.getuid?.() !== 0) return 'Dovecot can be started by root only'
    if (!existsSync(submissionModule)) return 'dovecot submission is not installed (Debian: dovecot-submissiond)'
    return findProgram('tcpserver') ? undefined : 'tcpserver is not installed (Debian: ucspi-tcp)'
  },
  async start(setup) {
    const [port, relayPort] = [await freePort(), await freePort()]
    const limit = String(setup.clients * 2 + 100)
    const relay = startProgram(
      'tcpserver',
      ['-H', '-R', '-l0', '-c', limit, '-b', '4096', '127.0.0.1', String(relayPort), fixture.program('discard')],
      { log: join(fixture.directory, `relay-${relayPort}.log`) },
    )
    await greets(relayPort, relay)
    const { directory, child } = startDovecot(
      fixture,
      setup.users,
      (place) => `protocols = submission
hostname = dovecot.invalid
submission_relay_host = 127.0.0.1
submission_relay_port = ${relayPort}
submission_relay_trusted = no
submission_max_mail_size = 50M
mail_location = maildir:${place}/mail/%u
default_client_limit = 10000
mail_max_userip_connections = 0
service submission-login {
  service_count = 0
  process_min_avail = 2
  inet_listener submission {
    address = 127.0.0.1
    port = ${port}
  }
}
service submission {
  process_limit = ${limit}
}
service anvil {
  client_limit = 10000
}
`,
    )
    const stop = async (): Promise<void> => {
      await endProgram(child)
      await endProgram(relay)
    }
    try {
      await greets(port, child)
    } catch (error) {
      await stop()
      throw new Error(`dovecot: ${readFileSync(join(directory, 'log'), 'utf8')}`, { cause: error })
    }
    return { port, controlSocket: undefined, pids: [child.pid ?? 0, relay.pid ?? 0], isOwn: () => true, stop }
  },
})
