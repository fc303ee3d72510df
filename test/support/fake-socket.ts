// A net.Socket for tests: nothing happens until pump() lets it, in the order in which Node does it.

import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import type { End } from './transcript.ts'

type Incoming = { readonly bytes: Buffer } | 'end' | 'reset'

export class FakeSocket extends EventEmitter implements End {
  remoteAddress: string | undefined
  remotePort: number | undefined
  localAddress = '192.0.2.1'
  localPort = 587
  destroyed = false
  writableEnded = false
  writableFinished = false
  writableNeedDrain = false
  writableLength = 0
  readableEnded = false
  paused = false
  /** write() answers false until unblock(). */
  blocked = false
  _destroy = (): void => undefined
  private written: Buffer[] = []
  private readonly incoming: Incoming[] = []
  private finishDue = false
  private closeDue = false

  constructor(remoteAddress = '192.0.2.7', remotePort = 40_000) {
    super()
    this.remoteAddress = remoteAddress
    this.remotePort = remotePort
  }

  /** As the code under test takes it. */
  get socket(): Socket {
    return this as unknown as Socket
  }

  // ---- what the code under test calls

  write(bytes: Uint8Array | string, encoding: BufferEncoding = 'utf8'): boolean {
    if (this.destroyed || this.writableEnded) throw new Error('write after end')
    this.written.push(typeof bytes === 'string' ? Buffer.from(bytes, encoding) : Buffer.from(bytes))
    if (this.blocked) {
      this.writableNeedDrain = true
      this.writableLength += this.written.at(-1)?.length ?? 0
    }
    return !this.blocked
  }
  end(): void {
    if (this.writableEnded || this.destroyed) return
    this.writableEnded = true
    this.finishDue = true
  }
  destroy(): this {
    if (this.destroyed) return this
    this.destroyed = true
    this.closeDue = true
    return this
  }
  pause(): this {
    this.paused = true
    return this
  }
  resume(): this {
    this.paused = false
    return this
  }
  isPaused(): boolean {
    return this.paused
  }
  setNoDelay(): this {
    return this
  }
  cork(): void {}
  uncork(): void {}

  // ---- what the peer does

  send(text: string): void {
    this.incoming.push({ bytes: Buffer.from(text, 'latin1') })
  }
  close(): void {
    this.incoming.push('end')
  }
  reset(): void {
    this.incoming.length = 0
    this.incoming.push('reset')
  }
  heard(): string {
    return Buffer.concat(this.written).toString('latin1')
  }
  closed(): boolean {
    return this.writableFinished || this.destroyed
  }
  unblock(): void {
    this.blocked = false
    this.writableNeedDrain = false
    this.writableLength = 0
    this.emit('drain')
  }

  /** One thing happens, if one can. */
  pump(): boolean {
    if (this.closeDue) {
      this.closeDue = false
      this.emit('close')
      return true
    }
    if (this.destroyed) return false
    if (this.finishDue && !this.blocked) {
      this.finishDue = false
      this.writableFinished = true
      this.emit('finish')
      if (this.readableEnded) this.destroy()
      return true
    }
    const next = this.incoming[0]
    if (next === undefined) return false
    if (next === 'reset') {
      this.incoming.shift()
      this.destroy()
      this.emit('error', new Error('read ECONNRESET'))
      return true
    }
    if (next === 'end') {
      // Node emits `end` of a paused socket that has nothing else to read.
      this.incoming.shift()
      this.readableEnded = true
      this.emit('end')
      if (this.writableFinished) this.destroy()
      return true
    }
    if (this.paused) return false
    this.incoming.shift()
    this.emit('data', next.bytes)
    return true
  }
}
