// nodemailer's smtp-server in a Node process of its own (smtp-server-main.ts).
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endProgram, type Fixture, freePort, greets, startProgram } from '../fixture.ts'
import type { Side } from '../side.ts'

export const smtpServerSide = (fixture: Fixture): Side & { readonly name: 'smtp-server' } => ({
  name: 'smtp-server',
  settling: 8,
  what: "nodemailer's smtp-server, one Node process of one user: compares passwords in memory without a hash, greets at once instead of after its 100 ms, reads messages and drops them",
  absent() {
    try {
      createRequire(import.meta.url).resolve('smtp-server')
      return undefined
    } catch {
      return 'the npm package smtp-server is not installed'
    }
  },
  async start(setup) {
    const port = await freePort()
    const main = fileURLToPath(new URL('./smtp-server-main.js', import.meta.url))
    const child = startProgram(process.execPath, [main, String(port), String(setup.users)], {
      log: join(fixture.directory, `smtp-server-${port}.log`),
    })
    await greets(port, child)
    return {
      port,
      controlSocket: undefined,
      pids: [child.pid ?? 0],
      isOwn: () => true,
      stop: () => endProgram(child),
    }
  },
})
