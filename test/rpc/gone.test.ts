// Clients of the control sockets that are idle, too many, or have disconnected.
import assert from 'node:assert/strict'
import { existsSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { createContext } from '../../src/rpc/context.ts'
import type { SocketClock } from '../../src/rpc/line-connection.ts'
import { listenSocket } from '../../src/rpc/socket.ts'
import { until } from '../support/lane.ts'
import { fixture } from './fixture.ts'
import { type Wire, wire } from './wire.ts'

const BATCH = JSON.stringify(Array.from({ length: 50 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'lane.list' })))

/** How many connections control.sock has. */
async function clients(watcher: Wire): Promise<number> {
  const { result } = await watcher.call('server.metrics')
  return Number(/^acceptd_control_clients\{socket="control"\} (\d+)$/m.exec(result.text)?.[1])
}

void describe('a client that has disconnected', () => {
  const asks = {
    'by lines': `${BATCH}\n`,
    'by HTTP': `POST / HTTP/1.1\r\nHost: acceptd\r\nContent-Length: ${BATCH.length}\r\n\r\n${BATCH}`,
  }
  for (const [how, text] of Object.entries(asks))
    void it(`ends its batch ${how}`, async (t) => {
      const { control, host } = await fixture(t)
      let [asked, go] = [0, (): void => undefined]
      const released = new Promise<void>((resolve) => {
        go = resolve
      })
      Object.assign(host.daemon.lanes, {
        list: async () => {
          asked += 1
          await released
          return []
        },
      })
      const watcher = wire(control)
      t.after(() => watcher.socket.destroy())
      const client = connect(control)
      client.write(text)
      await until('the first of the batch', () => asked === 1)
      assert.equal(await clients(watcher), 2)
      client.destroy()
      while ((await clients(watcher)) > 1);
      go()
      // Asked by another one, after whatever the batch still does.
      for (let i = 0; i < 20; i++) await watcher.call('server.ping')
      assert.equal(asked, 1)
    })

  void it('ends its stream, also when nothing happens; one that still reads keeps it', async (t) => {
    const { control, host } = await fixture(t)
    const ask = `${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'event.subscribe', params: { topics: ['tls'] } })}\n`
    const [reading, gone, watcher] = [wire(control), wire(control), wire(control)]
    for (const one of [reading, watcher]) t.after(() => one.socket.destroy())
    for (const one of [reading, gone]) one.write(ask)
    for (const one of [reading, gone]) assert.ok((await one.next()).result.subscription)
    reading.end()
    gone.socket.destroy()
    while ((await clients(watcher)) > 2);
    host.runtime.emit({ at: Date.now(), topic: 'tls', name: 'failed', data: { by: 'test', errors: 1 } })
    assert.equal((await reading.next()).params.data.by, 'test')
    reading.socket.destroy()
    await until('the end of both', () => host.listening() === 0)
  })
})

/** A time that the test moves; calls are made when it has passed them. */
function steppedClock(): SocketClock & { step(milliseconds: number): void } {
  let now = 0
  const calls = new Set<{ at: number; readonly every: number; readonly run: () => void }>()
  const put = (run: () => void, milliseconds: number, every: number) => {
    const call = { at: now + milliseconds, every, run }
    calls.add(call)
    return () => void calls.delete(call)
  }
  return {
    now: () => now,
    later: (run, milliseconds) => put(run, milliseconds, Number.POSITIVE_INFINITY),
    again: (run, milliseconds) => put(run, milliseconds, milliseconds),
    step(milliseconds) {
      now += milliseconds
      for (const call of calls) {
        if (call.at > now) continue
        call.at = now + call.every
        call.run()
      }
    },
  }
}

async function pings(client: Wire | undefined): Promise<void> {
  assert.ok(client)
  assert.equal((await client.call('server.ping')).result.pong, true)
}

async function listening(t: TestContext) {
  const { host, directory } = await fixture(t)
  const clock = steppedClock()
  const path = join(directory, 'private', 'stepped.sock')
  const context = createContext(host.daemon)
  const opened = await listenSocket(context, { path, level: 'control', clock })
  assert.ok(opened.isOk())
  t.after(async () => {
    await opened.value.close()
    context.close()
  })
  const dialled = async (): Promise<Wire> => {
    const client = wire(path)
    t.after(() => client.socket.destroy())
    await pings(client)
    return client
  }
  return { clock, path, dialled }
}

void describe('a socket that is deleted', () => {
  void it('is made again within a second of its own clock', async (t) => {
    const { clock, path, dialled } = await listening(t)
    unlinkSync(path)
    clock.step(1000)
    await until('another socket', () => existsSync(path))
    await dialled()
  })
})

void describe('a client that is idle', () => {
  void it('is closed after ten minutes, unless it follows something', async (t) => {
    const { clock, dialled } = await listening(t)
    const [idle, following] = [await dialled(), await dialled()]
    assert.ok((await following.call('event.subscribe', { topics: ['tls'] })).result)
    clock.step(599_000)
    await pings(idle)
    clock.step(599_000)
    await pings(idle)
    clock.step(600_000)
    assert.equal(await idle.next(), undefined)
    await pings(following)
  })

  void it('gives way, when all connections are taken, to a client with a request', async (t) => {
    const { clock, dialled } = await listening(t)
    const idle: Wire[] = []
    for (let i = 0; i < 64; i++) idle.push(await dialled())
    clock.step(10_000)
    await pings(idle[0])
    await dialled()
    for (const one of idle.slice(1)) assert.equal(await one.next(), undefined)
    await pings(idle[0])
  })

  void it('cannot lock anybody out: four more are served, each for half a minute', async (t) => {
    const { clock, dialled, path } = await listening(t)
    for (let i = 0; i < 64; i++) assert.ok((await (await dialled()).call('event.subscribe')).result)
    const reserved: Wire[] = []
    for (let i = 0; i < 4; i++) reserved.push(await dialled())
    const late = wire(path)
    t.after(() => late.socket.destroy())
    assert.equal((await late.next()).error.data.reason, 'too-many-clients')
    await pings(reserved[0])
    clock.step(29_000)
    await pings(reserved[1])
    clock.step(1000)
    for (const one of reserved) while ((await one.next()) !== undefined);
    await dialled()
  })
})
