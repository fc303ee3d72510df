// All sockets of a lane read into one buffer, or into one of a few others: what one of them receives must not change what another has
// yet to send.
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { onlyPublic } from '../../src/edge/internals.ts'
import { listenOn } from '../../src/edge/listening.ts'
import { Reading } from '../../src/edge/reading.ts'
import { bindAddress } from '../support/binding.ts'
import { until } from '../support/until.ts'

const reading = new Reading()

/** Only sockets that are made from handles have their own buffers. */
function inBuffers(sentence: string, test: () => Promise<void>): void {
  if (onlyPublic() === undefined) void it(sentence, test)
}

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A listener whose sockets send back what they receive. */
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
        if (!reading.writeOn(socket, bytes)) socket.pause()
      })
      socket.on('drain', () => socket.resume())
      socket.on('end', () => socket.end())
    },
    (error) => assert.fail(error),
    reading,
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
    setImmediate(() => client.resume())
  })
  const ended = new Promise((resolve, reject) => {
    client.on('end', resolve).on('error', reject)
  })
  client.end(bytes)
  await ended
  return hash(Buffer.concat(heard))
}

void describe('reading into common memory', () => {
  void it('gives each of eight slow peers back what it sent, 2 MB each at the same time', async () => {
    const server = echo()
    try {
      const sent = Array.from({ length: 8 }, () => randomBytes(2_000_000))
      const heard = await Promise.all(sent.map((bytes) => lazily(server.port, bytes)))
      assert.deepEqual(heard, sent.map(hash))
    } finally {
      server.close()
    }
  })

  inBuffers(
    'gives more peers than there are buffers back what they sent, and has all buffers free afterwards',
    async () => {
      const server = echo()
      try {
        const sent = Array.from({ length: 14 }, (_, n) => randomBytes(3_000_000 + n))
        const heard = Promise.all(sent.map((bytes) => lazily(server.port, bytes)))
        let fewest = reading.freeBuffers()
        const watch = setInterval(() => {
          fewest = Math.min(fewest, reading.freeBuffers())
        }, 1)
        assert.deepEqual(await heard, sent.map(hash))
        clearInterval(watch)
        assert.ok(fewest < 8, 'some were in use')
        assert.equal(reading.freeBuffers(), 8)
      } finally {
        server.close()
      }
    },
  )

  inBuffers(
    'has a buffer back when its socket is destroyed, but not before what was written from it is gone',
    async () => {
      const server = echo()
      try {
        const sent = randomBytes(3_000_000)
        const deaf = Array.from({ length: 10 }, () => {
          const client = connect(server.port, '127.0.0.1')
          client.on('error', () => undefined)
          client.pause()
          client.write(sent)
          return client
        })
        const inUse = 'every buffer to have something that its client does not take'
        await until(inUse, () => reading.freeBuffers() === 0)
        assert.equal(await lazily(server.port, sent), hash(sent))
        for (const client of deaf.slice(0, 5)) client.destroy()
        for (const socket of server.sockets.slice(5, 10)) socket.destroy()
        await until('all buffers', () => reading.freeBuffers() === 8)
        assert.equal(await lazily(server.port, sent), hash(sent))
        for (const client of deaf) client.destroy()
      } finally {
        server.close()
      }
    },
  )

  void it('keeps only the octets of what has to wait', async () => {
    const server = echo()
    try {
      const client = connect(server.port, '127.0.0.1')
      client.pause()
      await once(client, 'connect')
      await until('its other end', () => server.sockets.length > 0)
      const socket = server.sockets[0] ?? assert.fail()
      client.write('x')
      const [read] = (await once(socket, 'data')) as [Buffer]
      while (socket.writableLength === 0) socket.write(Buffer.alloc(1_000_000))
      const before = process.memoryUsage().arrayBuffers
      for (let n = 0; n < 5000; n += 1) reading.writeOn(socket, read)
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
      // What another client sends later comes back.
      await lazily(server.port, Buffer.from('x'))
      assert.equal(text, 'one')
      server.sockets[0]?.resume()
      await new Promise((resolve) => client.on('end', resolve))
      assert.equal(text, 'onetwo')
    } finally {
      server.close()
    }
  })
})
