// The way of one host to the engine of its fleet, which a test delays and cuts.
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { until } from './processes.ts'

/** The connection of one host to the engine. */
export interface Way {
  readonly port: number
  /** Milliseconds by which incoming data is delayed. */
  delay: number
  /** Nothing passes any more, without notice; or passes again. */
  readonly cut: (isCut: boolean) => void
}

/** Resolves when it has been asked this many times, at this interval in milliseconds. */
function turns(count: number, every: number): Promise<void> {
  let left = count
  const isOver = () => {
    left -= 1
    return left <= 0
  }
  return until('its turn', isOver, { every })
}

export async function wayTo(t: TestContext, port: number): Promise<Way> {
  const sockets = new Set<Socket>()
  let isCut = false
  const way = { port: 0, delay: 0 }
  const carry = (from: Socket, to: Socket) => {
    sockets.add(from)
    from.on('error', () => undefined).on('close', () => to.destroy())
    from.on('data', (bytes: Buffer) => {
      if (isCut) return
      if (way.delay > 0) void turns(2, way.delay).then(() => to.write(bytes))
      else to.write(bytes)
    })
  }
  const server = createServer((host) => {
    const engineSide = connect(port, '127.0.0.1')
    carry(host, engineSide)
    carry(engineSide, host)
  })
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const at = server.address()
  way.port = typeof at === 'object' && at !== null ? at.port : 0
  return Object.assign(way, {
    cut: (wanted: boolean) => {
      isCut = wanted
    },
  })
}
