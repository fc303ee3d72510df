// The stream to one backend. Whoever has it hears it: first the login that asked for it, then its session, then the parking place.
// It has one set of listeners for its whole life: to exchange them at each step costs more than what they are told.

import type { Socket } from 'node:net'

export interface BackendHearer {
  /** What it said, in the lane's buffer: gone when this returns. */
  fromBackend(bytes: Uint8Array): void
  /** Nothing more comes from it: its end of file, an error, its close. Called at each of them. */
  backendEnded(): void
  /** It has taken what had to wait. */
  backendDrained(): void
}

const NOBODY: BackendHearer = { fromBackend() {}, backendEnded() {}, backendDrained() {} }

export class Backend {
  /** Sessions that it has served to their end, and was parked after. */
  uses = 0
  readonly stream: Socket
  private hearer: BackendHearer

  constructor(stream: Socket, hearer: BackendHearer) {
    this.stream = stream
    this.hearer = hearer
    stream.on('data', (bytes: Buffer) => this.hearer.fromBackend(bytes))
    stream.on('drain', () => this.hearer.backendDrained())
    const ended = () => this.hearer.backendEnded()
    stream.on('end', ended)
    // Without a listener an error would end the lane.
    stream.on('error', ended)
    stream.on('close', ended)
  }

  handTo(hearer: BackendHearer): void {
    this.hearer = hearer
  }

  /** Nothing can come from it any more. */
  get isOver(): boolean {
    return this.stream.readableEnded || this.stream.destroyed
  }

  /** Closes it; nobody hears of it again. */
  discard(): void {
    this.hearer = NOBODY
    this.stream.destroy()
  }
}
