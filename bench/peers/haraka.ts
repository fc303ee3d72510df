// Haraka with its flat-file authentication and its discarding queue plugin, as many processes as there are cores.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { endProgram, type Fixture, findProgram, freePort, greets, startProgram } from '../fixture.ts'
import type { Setup, Side } from '../side.ts'

// Haraka fills nothing in where this file or a section of it is missing.
const connectionIni = `[main]
[haproxy]
hosts[] =
[headers]
max_lines=1000
max_received=100
[max]
bytes=50000000
mime_parts=1000
line_length=512
data_line_length=992
[message]
helo=Haraka is at your service.
close=closing connection.
[uuid]
banner_chars=6
deny_chars=0
`

function writeConfig(directory: string, port: number, setup: Setup): void {
  const config = join(directory, 'config')
  mkdirSync(config, { recursive: true })
  const users = Array.from({ length: setup.users }, (_, index) => `user${index}=secret${index}`)
  for (const [name, text] of Object.entries({
    'smtp.ini': `listen=127.0.0.1:${port}\nnodes=${cpus().length}\n`,
    plugins: 'auth/flat_file\nqueue/discard\n',
    'auth_flat_file.ini': `[core]\nmethods=PLAIN,LOGIN\n\n[users]\n${users.join('\n')}\n`,
    me: 'haraka.invalid\n',
    'connection.ini': connectionIni,
    loglevel: 'WARN\n',
    'log.ini': '[main]\nlevel=WARN\n',
  }))
    writeFileSync(join(config, name), text)
  chmodSync(directory, 0o755)
}

export const harakaSide = (fixture: Fixture): Side & { readonly name: 'haraka' } => ({
  name: 'haraka',
  settling: 8,
  what: 'Haraka, a Node process per core: compares passwords in memory without a hash (auth/flat_file), drops messages (queue/discard)',
  absent: () => (findProgram('haraka') ? undefined : 'haraka is not installed (npm install -g Haraka)'),
  async start(setup) {
    const port = await freePort()
    const directory = join(fixture.directory, `haraka-${port}`)
    writeConfig(directory, port, setup)
    const child = startProgram(findProgram('haraka') ?? 'haraka', ['-c', directory], {
      log: join(directory, 'log'),
      // Without this its discarding plugin refuses to discard.
      env: { YES_REALLY_DO_DISCARD: '1' },
    })
    await greets(port, child, 30)
    return {
      port,
      controlSocket: undefined,
      pids: [child.pid ?? 0],
      isOwn: () => true,
      stop: () => endProgram(child, 'SIGTERM'),
    }
  },
})
