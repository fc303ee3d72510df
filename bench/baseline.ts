// The classic chain under Debian's tcpserver: one C process per stage, four forks and six execs a session.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Bed, builtProgram, endProgram, findProgram, freePort, greets, startProgram } from './bed.ts'
import type { Side } from './side.ts'

export const baselineSide = (bed: Bed): Side => ({
  name: 'chain',
  what: 'the classic chain under tcpserver: reup, authup, checkpassword, checknotroot, fixsmtpio, backend, a C process each; messages discarded by the backend',
  packages: ['ucspi-tcp'],
  absent() {
    if (!findProgram('tcpserver')) return 'tcpserver is not installed (Debian: ucspi-tcp)'
    return existsSync(builtProgram('checkpassword'))
      ? undefined
      : 'dist/programs/checkpassword is not built (npm run build)'
  },
  async start(wish) {
    const port = await freePort()
    const home = bed.home(wish.rules)
    // -c has room for the processes of sessions that have just ended.
    const listen = ['-H', '-R', '-l0', '-c', String(wish.clients * 2 + 100), '-b', '4096', '127.0.0.1', String(port)]
    const login = [bed.program('base-reup'), '-t', '5', bed.program('base-authup'), wish.protocol]
    const check = [bed.program('checkpassword'), '-f', bed.users(wish.users), bed.program('base-checknotroot')]
    const filter = wish.protocol === 'smtp' ? [bed.program('base-fixsmtpio')] : []
    const child = startProgram(
      'tcpserver',
      [...listen, ...login, ...check, ...filter, bed.program('discard'), wish.protocol],
      { log: join(bed.directory, `chain-${port}.log`), cwd: home, env: { BASEHOME: home } },
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
