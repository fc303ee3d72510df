// All sockets of a lane read into one buffer: what one of them has heard must not change what another has still to say.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bindAddress } from '../../src/edge/binding.ts'
import { listenOn } from '../../src/edge/listening.ts'
import { socketOptions, writeOn } from '../../src/edge/reading.ts'

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A listener whose sockets say what they hear. */
function echo(): { port: number; sockets: Socket[]; close: () => void } {
  const bound = bindAddress('127.0.0.1', 0)
  assert.ok(bound !== undefined)
  const sockets: Socket[] = []
  const listening = listenOn(
    bound.fd,
    (socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.on('data', (bytes: Buffer) => {
        if (!writeOn(socket, bytes)) socket.pause()
      })
      socket.on('drain', () => socket.resume())
      socket.on('end', () => socket.end())
    },
    (error) => assert.fail(error),
  )
  return {
    port: bound.port,
    sockets,
    close: () => {
      listening.close()
      bound.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Sends everything, and reads only now and then. */
async function lazily(port: number, bytes: Uint8Array): Promise<string> {
  const client = connect(port, '127.0.0.1')
  const heard: Buffer[] = []
  client.on('data', (piece: Buffer) => {
    heard.push(piece)
    client.pause()
    setTimeout(() => client.resume(), 1)
  })
  const ended = new Promise((resolve, reject) => {
    client.on('end', resolve).on('error', reject)
  })
  client.end(bytes)
  await ended
  return hash(Buffer.concat(heard))
}

void describe('reading into one buffer', () => {
  void it('gives each of eight slow peers back what it sent, 2 MB each at once', async () => {
    const server = echo()
    try {
      const sent = Array.from({ length: 8 }, () => randomBytes(2_000_000))
      const heard = await Promise.all(sent.map((bytes) => lazily(server.port, bytes)))
      assert.deepEqual(heard, sent.map(hash))
    } finally {
      server.close()
    }
  })

  void it('keeps of what has to wait no more than its octets', async () => {
    const server = echo()
    try {
      const client = connect(server.port, '127.0.0.1')
      client.pause()
      client.write('x')
      while (server.sockets.length === 0) await sleep(5)
      const socket = server.sockets[0] ?? assert.fail()
      while (socket.writableLength === 0) socket.write(Buffer.alloc(1_000_000))
      const before = process.memoryUsage().arrayBuffers
      const octet = socketOptions.onread.buffer.subarray(0, 1)
      for (let n = 0; n < 5000; n += 1) writeOn(socket, octet)
      assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000)
      client.destroy()
    } finally {
      server.close()
    }
  })

  void it('ends a socket that is paused, and reads what came meanwhile when it goes on', async () => {
    const server = echo()
    try {
      const client = connect(server.port, '127.0.0.1')
      client.write('one')
      client.setEncoding('latin1')
      let text = ''
      client.on('data', (more: string) => {
        text += more
      })
      await once(client, 'data')
      assert.equal(text, 'one')
      server.sockets[0]?.pause()
      client.end('two')
      await sleep(50)
      assert.equal(text, 'one')
      server.sockets[0]?.resume()
      await new Promise((resolve) => client.on('end', resolve))
      assert.equal(text, 'onetwo')
    } finally {
      server.close()
    }
  })
})
