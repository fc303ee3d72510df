// Dovecot's authentication service on the bench's password file, for Postfix; its defaults, no cache.
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Bed, endProgram, findProgram, sleep, startProgram } from '../bed.ts'

export interface DovecotAuth {
  readonly socket: string
  readonly child: ChildProcess
}

export async function dovecotAuth(bed: Bed, users: number): Promise<DovecotAuth> {
  // Unix socket paths are short: a directory of its own, beside the bed.
  const directory = join(bed.directory, `dovecot-${Date.now() % 1_000_000}`)
  mkdirSync(directory)
  const socket = join(directory, 'auth')
  const file = join(directory, 'dovecot.conf')
  writeFileSync(
    file,
    `base_dir = ${directory}/run
state_dir = ${directory}/state
log_path = ${directory}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
passdb {
  driver = passwd-file
  args = ${bed.users(users)}
}
userdb {
  driver = passwd-file
  args = ${bed.users(users)}
}
service auth {
  client_limit = 5000
  unix_listener ${socket} {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
`,
  )
  const child = startProgram(findProgram('dovecot') ?? 'dovecot', ['-F', '-c', file], { log: join(directory, 'out') })
  for (let tries = 0; tries < 100 && !existsSync(socket); tries++) await sleep(50)
  if (!existsSync(socket)) {
    await endProgram(child)
    throw new Error(`dovecot did not open ${socket}`)
  }
  return { socket, child }
}
