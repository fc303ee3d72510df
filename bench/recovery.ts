// How long something is missing that has died or been deleted: a control socket, the runtime.
import { existsSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import type { Context, Outcome } from './context.ts'
import { askControl } from './control.ts'
import { sleep } from './fixture.ts'
import { figure, onSide, type Problems } from './holding.ts'
import type { Running } from './side.ts'

/** Resolves with the first octets that a client hears; undefined: it was refused, or cut. */
const greeting = (port: number): Promise<string | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('data', (bytes: Buffer) => {
      resolve(bytes.toString('latin1'))
      socket.destroy()
    })
    socket.on('error', () => resolve(undefined))
    socket.on('close', () => resolve(undefined))
  })

/** Milliseconds until it holds, to a hundredth of a second. */
async function untilHolds(holds: () => boolean | Promise<boolean>): Promise<number> {
  const begun = performance.now()
  while (!(await holds())) await sleep(10)
  return performance.now() - begun
}

async function deletedSocket({ controlSocket = '' }: Running): Promise<number> {
  unlinkSync(controlSocket)
  return await untilHolds(() => existsSync(controlSocket))
}

async function killedRuntime({ controlSocket = '', port }: Running): Promise<number> {
  const { result } = await askControl(controlSocket, 'server.info', {})
  process.kill((result as { readonly pid: number }).pid, 'SIGKILL')
  return await untilHolds(async () => (await greeting(port))?.startsWith('220 ') ?? false)
}

export async function recovery(context: Context): Promise<Outcome> {
  const problems: Problems = []
  const side = context.ours
  if (!side) return { figures: [], problems }
  const clients = 1
  context.progress('recovery: a deleted control socket, a killed runtime')
  return await onSide(side, { clients }, async (running) => {
    const sockets: number[] = []
    for (let round = 0; round < 5; round++) sockets.push(await deletedSocket(running))
    const runtime = [await killedRuntime(running)]
    const parts = { row: 'recovery', unit: 'ms', clients }
    return {
      figures: [
        figure({ ...parts, figure: 'deleted control socket', ours: sockets, target: { of: 'ours', least: 1000 } }),
        figure({ ...parts, figure: 'killed runtime', ours: runtime, target: { of: 'ours', least: 2000 } }),
      ],
      problems,
    }
  })
}
