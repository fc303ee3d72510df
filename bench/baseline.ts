// The classic chain under Debian's tcpserver: one C process per stage, four forks and six execs a session.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { backendOf, startWith } from './backends.ts'
import {
  buildPrograms,
  builtProgram,
  endProgram,
  type Fixture,
  findProgram,
  freePort,
  greets,
  listens,
} from './fixture.ts'
import type { Side } from './side.ts'

/** Our own in C with OpenSSL, which stands where sslserver would: it forks, and its child carries TLS for the chain on pipes. */
function tlsParent(fixture: Fixture, port: number, most: string): readonly string[] {
  buildPrograms('base-tls')
  const { certificate, key } = fixture.pair('chain')
  return [fixture.program('base-tls'), String(port), most, certificate, key]
}

export const baselineSide = (fixture: Fixture): Side => ({
  name: 'chain',
  what: 'the classic chain under tcpserver: reup, authup, checkpassword, checknotroot, fixsmtpio, backend, a C process each; the same backend; with TLS under a parent of bench/native with OpenSSL, a process a session',
  raised: 'tcpserver -c to twice the clients and 100, -b 4096',
  packages: ['ucspi-tcp'],
  absent() {
    if (!findProgram('tcpserver')) return 'tcpserver is not installed (Debian: ucspi-tcp)'
    return existsSync(builtProgram('checkpassword'))
      ? undefined
      : 'dist/programs/checkpassword is not built (npm run build)'
  },
  async start(setup) {
    const port = await freePort()
    const home = fixture.home(setup.rules)
    // Room for the processes of sessions that have just ended.
    const most = String(setup.clients * 2 + 100)
    const backend = backendOf(fixture, setup)
    const login = [fixture.program('base-reup'), '-t', '5', fixture.program('base-authup'), setup.protocol]
    const check = [
      fixture.program('checkpassword'),
      '-f',
      fixture.users(setup.users, setup.hash),
      fixture.program('base-checknotroot'),
    ]
    const filter = setup.protocol === 'smtp' ? [fixture.program('base-fixsmtpio')] : []
    const chain = [...login, ...check, ...filter, ...backend.argv]
    const parent = setup.tls
      ? tlsParent(fixture, port, most)
      : ['tcpserver', '-H', '-R', '-l0', '-c', most, '-b', '4096', '127.0.0.1', String(port)]
    const child = startWith(backend, [...parent, ...chain], {
      log: join(fixture.directory, `chain-${port}.log`),
      cwd: home,
      env: { BASEHOME: home },
    })
    if (setup.tls) await listens(port, child)
    else await greets(port, child)
    return {
      port,
      controlSocket: undefined,
      tlsPort: port,
      pids: [child.pid ?? 0, ...backend.pids()],
      isOwn: (command) =>
        ['tcpserver', 'base-tls', 'base-reup', 'base-authup', 'base-checknotroot', 'base-fixsmtpio'].includes(command),
      async stop() {
        await endProgram(child)
        await backend.stop()
      },
    }
  },
})
