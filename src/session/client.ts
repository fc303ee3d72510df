// The client's side of a session: its socket, plain or in TLS, and how much of what was written to it has left.

import type { ClientSocket } from '../edge/listening.ts'
import { type Reading, unsentOf } from '../edge/reading.ts'

export interface ClientListener {
  /** What one read delivered: gone when this returns. */
  fromClient(bytes: Buffer): void
  /** It takes octets again. */
  clientDrained(): void
  /** Its end of file, or an error. Called at each of them. */
  clientEnded(): void
  /** The socket is closed. */
  clientGone(): void
}

export class ClientStream {
  private socket: ClientSocket
  private readonly reading: Reading
  private readonly listener: ClientListener
  /** Octets that were written; not all of them may have left. */
  private queued = 0
  /** How many had not left when it was looked last. */
  private unsent = 0
  private pausedAt: number | undefined
  private pausedFor = 0

  constructor(socket: ClientSocket, reading: Reading, listener: ClientListener) {
    this.socket = socket
    this.reading = reading
    this.listener = listener
    this.listenTo(socket)
    // A step of the door that has read from it holds it.
    if (socket.isPaused()) socket.resume()
  }

  /** What a socket says counts as long as it is the session's: TLS takes the place of the plain one. */
  private listenTo(socket: ClientSocket): void {
    const { listener } = this
    socket.on('data', (bytes: Buffer) => {
      if (socket === this.socket) listener.fromClient(bytes)
    })
    socket.on('drain', () => listener.clientDrained())
    const ended = () => {
      if (socket === this.socket) listener.clientEnded()
    }
    socket.on('end', ended)
    socket.on('error', ended)
    socket.on('close', () => {
      if (socket === this.socket) listener.clientGone()
    })
  }

  /** `begin` answers the socket that takes the plain one's place; what it reads is heard once `secured` is called. */
  startTls(begin: (plain: ClientSocket) => ClientSocket): void {
    this.socket = begin(this.socket)
  }

  secured(): void {
    this.listenTo(this.socket)
  }

  /** False: the sender should wait for clientDrained. */
  say(text: string): boolean {
    if (text === '' || this.isClosed) return true
    this.queued += text.length
    if (this.socket.write(text, 'latin1')) return true
    this.unsent = unsentOf(this.socket)
    return false
  }

  write(bytes: Uint8Array): boolean {
    if (this.isClosed) return true
    this.queued += bytes.length
    if (this.reading.writeOn(this.socket, bytes)) return true
    this.unsent = unsentOf(this.socket)
    return false
  }

  pause(now: number): void {
    this.pausedAt ??= now
    this.socket.pause()
  }

  resume(now: number): void {
    if (!this.socket.isPaused()) return
    if (this.pausedAt !== undefined) this.pausedFor += now - this.pausedAt
    this.pausedAt = undefined
    this.socket.resume()
  }

  /** Milliseconds in which it was not read, as of `now`. */
  unheard(now: number): number {
    return this.pausedFor + (this.pausedAt === undefined ? 0 : now - this.pausedAt)
  }

  /** Closes our side once everything has left; what still comes is read and not heard, so that no reset destroys our last words. */
  end(): void {
    this.socket.end()
    this.socket.resume()
  }

  destroy(): void {
    this.look()
    this.socket.destroy()
  }

  onFinish(finished: () => void): void {
    this.socket.once('finish', finished)
  }

  private look(): void {
    if (this.socket.writableFinished) this.unsent = 0
    else if (!this.socket.destroyed) this.unsent = unsentOf(this.socket)
  }

  /** Whether more has left since the last call; cheap where nothing waits. */
  progressed(): boolean {
    const before = this.unsent
    if (before === 0 && this.socket.writableLength === 0) return false
    this.look()
    return this.unsent < before
  }

  /** Octets that have left for the client. */
  get bytesOut(): number {
    this.look()
    return this.queued - this.unsent
  }

  /** As of the last look. */
  get owes(): boolean {
    return this.unsent > 0
  }

  get isDeaf(): boolean {
    return this.socket.writableNeedDrain
  }

  get isDestroyed(): boolean {
    return this.socket.destroyed
  }

  get isFinished(): boolean {
    return this.socket.writableFinished
  }

  private get isClosed(): boolean {
    return this.socket.destroyed || this.socket.writableEnded
  }

  /** Octets that wait for the client to take them. */
  get waiting(): number {
    return this.socket.writableLength
  }
}
