// Handshakes of TLS that end after each of the client's octets, from the first to the last that it takes.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'

const AT_ONCE = 8

/** A stream over this socket whose writing side ends, closed or reset, after so many octets. `cut` is called when that happens. */
function cutting(socket: Socket, octets: number, reset: boolean, cut: () => void): Duplex {
  let left = octets
  return Object.assign(
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        const part = chunk.subarray(0, left)
        left -= part.length
        if (part.length > 0) socket.write(part)
        if (part.length < chunk.length) {
          cut()
          if (reset) socket.resetAndDestroy()
          else socket.end()
        }
        done()
      },
    }),
    { socket },
  )
}

/** True: the handshake was over before that. */
async function attempt(port: number, octets: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined)
  let wasCut = false
  const stream = cutting(socket, octets, octets % 2 === 0, () => (wasCut = true))
  socket.on('data', (bytes: Buffer) => stream.push(bytes))
  const tls = connectTls({ socket: stream, rejectUnauthorized: false })
  tls.on('error', () => undefined)
  socket.once('close', () => tls.destroy())
  tls.once('secureConnect', () => {
    // The client's last octets may still be on their way into the stream.
    setImmediate(() => {
      if (!wasCut) socket.end()
    })
  })
  if (!socket.destroyed) await once(socket, 'close').catch(() => undefined)
  tls.destroy()
  return !wasCut
}

/** Returns how many octets a whole handshake takes. */
export async function cutEverywhere(port: number): Promise<number> {
  for (let octets = 0; ; octets += AT_ONCE) {
    const whole = await Promise.all(Array.from({ length: AT_ONCE }, (_none, n) => attempt(port, octets + n)))
    const first = whole.indexOf(true)
    if (first >= 0) return octets + first
  }
}
