// The stream to one backend. It has one listener at a time: first the login that asked for it, then its session, then the parking place.
// It has one set of listeners for its whole life: to replace them at each step costs more than what they do.

import { readSync } from 'node:fs'
import type { Socket } from 'node:net'

export interface BackendListener {
  /** What it said, in the lane's buffer: gone when this returns. */
  fromBackend(bytes: Uint8Array): void
  /** Nothing more comes from it: its end of file, an error, its close. Called at each of them. */
  backendEnded(): void
  /** It has taken what had to wait. */
  backendDrained(): void
}

const NOBODY: BackendListener = { fromBackend() {}, backendEnded() {}, backendDrained() {} }

const READ_OCTETS = 65_536

/** 0: there is nothing, and perhaps there never will be. */
function readNow(fd: number, bytes: Uint8Array): number {
  try {
    return readSync(fd, bytes)
  } catch {
    return 0
  }
}

export class Backend {
  /** Sessions that it has served to their end, and was parked after. */
  uses = 0
  readonly stream: Socket
  private listener: BackendListener

  constructor(stream: Socket, listener: BackendListener) {
    this.stream = stream
    this.listener = listener
    stream.on('data', (bytes: Buffer) => this.listener.fromBackend(bytes))
    stream.on('drain', () => this.listener.backendDrained())
    const ended = () => this.listener.backendEnded()
    stream.on('end', ended)
    // Without a listener an error would end the lane.
    stream.on('error', ended)
    stream.on('close', ended)
    const destroy = stream._destroy.bind(stream)
    stream._destroy = (error, done) => {
      if (error !== null) this.hearLast()
      destroy(error, done)
    }
  }

  /**
   * A backend that ends in the middle of a message, with 552 perhaps, fails our next write, and Node would close the stream with what it
   * said still unread.
   */
  private hearLast(): void {
    const { _handle: handle } = this.stream as Socket & { readonly _handle?: { readonly fd: number } | null }
    for (let more = handle !== undefined && handle !== null && handle.fd >= 0; more; ) {
      const bytes = Buffer.allocUnsafe(READ_OCTETS)
      const octets = readNow(handle?.fd ?? -1, bytes)
      more = octets > 0
      if (more) this.listener.fromBackend(bytes.subarray(0, octets))
    }
  }

  handTo(listener: BackendListener): void {
    this.listener = listener
  }

  /** No more octets can come from it. */
  get isOver(): boolean {
    return this.stream.readableEnded || this.stream.destroyed
  }

  /** Closes it; nobody hears of it again. */
  discard(): void {
    this.listener = NOBODY
    this.stream.destroy()
  }
}
