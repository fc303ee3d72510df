// The classic chain under Debian's tcpserver: one C process per stage, four forks and six execs a session.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { builtProgram, endProgram, type Fixture, findProgram, freePort, greets, startProgram } from './fixture.ts'
import type { Side } from './side.ts'

export const baselineSide = (fixture: Fixture): Side => ({
  name: 'chain',
  what: 'the classic chain under tcpserver: reup, authup, checkpassword, checknotroot, fixsmtpio, backend, a C process each; messages discarded by the backend',
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
    // -c has room for the processes of sessions that have just ended.
    const listen = ['-H', '-R', '-l0', '-c', String(setup.clients * 2 + 100), '-b', '4096', '127.0.0.1', String(port)]
    const login = [fixture.program('base-reup'), '-t', '5', fixture.program('base-authup'), setup.protocol]
    const check = [
      fixture.program('checkpassword'),
      '-f',
      fixture.users(setup.users),
      fixture.program('base-checknotroot'),
    ]
    const filter = setup.protocol === 'smtp' ? [fixture.program('base-fixsmtpio')] : []
    const child = startProgram(
      'tcpserver',
      [...listen, ...login, ...check, ...filter, fixture.program('discard'), setup.protocol],
      { log: join(fixture.directory, `chain-${port}.log`), cwd: home, env: { BASEHOME: home } },
    )
    await greets(port, child)
    return {
      port,
      controlSocket: undefined,
      pids: [child.pid ?? 0],
      isOwn: (command) =>
        ['tcpserver', 'base-reup', 'base-authup', 'base-checknotroot', 'base-fixsmtpio'].includes(command),
      stop: () => endProgram(child),
    }
  },
})
