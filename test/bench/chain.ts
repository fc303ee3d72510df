// The baseline's chain for each connection of a listener, without tcpserver.
import { spawn } from 'node:child_process'
import { benchProgram, ruleLines } from '../../bench/fixture.ts'
import { attach, controlHome, fakeCheckpassword, listen, temporary } from './programs.ts'

export interface ChainServer {
  readonly port: number
  readonly close: () => Promise<void>
  /** The lines that the stages wrote to stderr. */
  readonly log: () => string
}

export async function chainServer(protocol: 'smtp' | 'pop3'): Promise<ChainServer> {
  const home = controlHome(ruleLines(12))
  const check = fakeCheckpassword(temporary())
  const filter = protocol === 'smtp' ? [benchProgram('base-fixsmtpio')] : []
  const ended: Promise<unknown>[] = []
  let log = ''
  const { port, server } = await listen((socket) => {
    const child = spawn(
      benchProgram('base-reup'),
      ['-t', '5', benchProgram('base-authup'), protocol, check, ...filter, benchProgram('discard'), protocol],
      { env: { ...process.env, BASEHOME: home } },
    )
    child.stderr.setEncoding('latin1').on('data', (text: string) => {
      log += text
    })
    ended.push(
      new Promise((resolve) => {
        child.on('close', resolve)
      }),
    )
    attach(socket, child)
  })
  return {
    port,
    log: () => log,
    async close() {
      await Promise.all(ended)
      server.close()
    },
  }
}
