// The two streams of a session, joined: who is read and who is held, a message's body on its way, and how both are closed.
// Nothing here knows an actor or a frame.

import type { Body, Splice } from '../actors/effects.ts'
import type { Why } from '../actors/endings.ts'
import type { BackendListener } from '../edge/backend.ts'
import type { ClientSocket } from '../edge/listening.ts'
import type { Reading } from '../edge/reading.ts'
import type { BareLineEnd, BodyFault } from '../protocol/end-of-data.ts'
import type { Opened } from './backends/backends.ts'
import { BodyCarrier } from './body.ts'
import { type ClientListener, ClientStream } from './client.ts'

export interface StreamsListener {
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  /** What one read delivered, gone when this returns: before login, and requests after it. */
  readonly dialogue: (bytes: Uint8Array) => void
  readonly requests: (bytes: Uint8Array) => void
  readonly bodyEnded: (rest: Uint8Array, fault: BodyFault) => void
  readonly clientEnded: () => void
  readonly replies: (bytes: Uint8Array) => void
  readonly backendEnded: () => void
  /** Takes over an idle backend for a later login. */
  readonly park: (opened: Opened, greeting: string) => boolean
  /** Both streams are closed. Called once. */
  readonly over: (why: Why) => void
}

export class Streams implements ClientListener, BackendListener {
  private readonly listener: StreamsListener
  private readonly bareLineEnd: BareLineEnd
  private readonly reading: Reading
  private readonly client: ClientStream
  private opened: Opened | undefined
  /** What the client's octets are now. */
  /** Sees what is spliced, for a trace. */
  watch: ((from: 'client' | 'backend', bytes: Uint8Array) => void) | undefined
  private mode: 'dialogue' | 'requests' | 'body' | 'splice' | 'closing' = 'dialogue'
  private held = false
  private body: BodyCarrier | undefined
  private silent = ''
  private backendSpoke = false
  private backendClosed = true
  private clientClosed = false
  private why: Why = 'client-eof'
  private isOver = false
  /** When client or backend last said something. */
  private seenAt: number
  /** When it was closed, when its client last said something after that, and whether it was in a message. */
  private closedAt = 0
  private heardAt = 0
  private cutInBody = false
  /** When the body began, and what had come and how long the client had been held by then. */
  private bodyBegan = { at: 0, bytesIn: 0, unheard: 0 }
  /** Octets from the client while it was listened to. */
  bytesIn = 0

  constructor(socket: ClientSocket, bareLineEnd: BareLineEnd, reading: Reading, listener: StreamsListener) {
    this.reading = reading
    this.listener = listener
    this.bareLineEnd = bareLineEnd
    this.seenAt = listener.now()
    this.client = new ClientStream(socket, reading, this)
  }

  // ---- the client's side

  fromClient(bytes: Buffer): void {
    if (this.mode === 'closing') {
      this.heardAt = this.listener.now()
      return
    }
    this.seenAt = this.listener.now()
    this.bytesIn += bytes.length
    switch (this.mode) {
      case 'dialogue':
        this.listener.dialogue(bytes)
        break
      case 'requests':
        this.listener.requests(bytes)
        break
      case 'body':
        this.body?.carry(bytes)
        break
      case 'splice':
        this.watch?.('client', bytes)
        this.toBackend(bytes)
        break
    }
  }

  clientDrained(): void {
    this.opened?.backend.stream.resume()
    this.pauseOrResume()
  }

  clientEnded(): void {
    if (this.clientClosed) return
    this.clientClosed = true
    if (this.mode === 'closing') this.finish()
    else if (this.mode === 'splice') this.opened?.backend.stream.end()
    else this.listener.clientEnded()
  }

  clientGone(): void {
    this.clientEnded()
    if (this.mode === 'closing') this.finish()
    else if (this.backendClosed) this.close('client-eof', '')
    // What a POP3 server has still to say is lost, and it must not delete what it could not say.
    else if (this.mode === 'splice') this.abandon('client-eof')
    // Replies that wait for the client would block the backend, which otherwise ends at the end of its input.
    else this.opened?.backend.stream.resume()
  }

  private pauseOrResume(): void {
    if (this.client.isDestroyed || this.mode === 'closing') return
    // A client that takes no replies is not heard further; a message must go on, since its sender reads nothing before its end.
    const deaf = this.client.isDeaf && (this.mode === 'dialogue' || this.mode === 'requests')
    const now = this.listener.now()
    if (this.held || deaf || (this.opened?.backend.stream.writableNeedDrain ?? false)) this.client.pause(now)
    else this.client.resume(now)
  }

  say(text: string): void {
    if (this.client.say(text)) return
    this.opened?.backend.stream.pause()
    this.pauseOrResume()
  }

  hold(): void {
    this.held = true
    this.pauseOrResume()
  }

  letGo(): void {
    if (!this.held) return
    this.held = false
    this.pauseOrResume()
  }

  /** `begin` answers the socket that takes the plain one's place; it is heard once `secured` is called. */
  startTls(begin: (plain: ClientSocket) => ClientSocket): void {
    this.client.startTls(begin)
  }

  secured(): void {
    this.seenAt = this.listener.now()
    this.client.secured()
  }

  // ---- the backend's side

  attach(opened: Opened): void {
    this.seenAt = this.listener.now()
    this.opened = opened
    this.backendClosed = false
    opened.backend.handTo(this)
  }

  /** What it had said before it was attached, and that it may have ended since. */
  catchUp({ said, backend }: Opened): void {
    if (this.opened?.backend !== backend) return
    if (said.length > 0) this.fromBackend(said)
    if (backend.isOver) this.backendEnded()
  }

  fromBackend(bytes: Uint8Array): void {
    if (this.mode === 'closing') return
    this.seenAt = this.listener.now()
    this.backendSpoke = true
    if (this.mode === 'splice') {
      this.watch?.('backend', bytes)
      if (!this.client.write(bytes)) this.opened?.backend.stream.pause()
    } else if (!this.cut) this.listener.replies(bytes)
  }

  backendEnded(): void {
    if (this.backendClosed) return
    this.backendClosed = true
    // Its end of file is the end of it; our half would stay open.
    this.opened?.backend.stream.destroy()
    if (this.mode === 'splice') {
      if (!this.backendSpoke) this.client.say(this.silent)
      this.close('backend-end', '')
    } else if (this.mode === 'closing') this.finish()
    else if (!this.cut) this.listener.backendEnded()
  }

  backendDrained(): void {
    this.pauseOrResume()
  }

  request(text: string): void {
    const stream = this.opened?.backend.stream
    if (text === '' || stream === undefined || stream.writableEnded) return
    if (!stream.write(text, 'latin1')) this.pauseOrResume()
  }

  private toBackend(bytes: Uint8Array): void {
    const stream = this.opened?.backend.stream
    if (stream === undefined || stream.destroyed || stream.writableEnded) return
    if (!this.reading.writeOn(stream, bytes)) this.pauseOrResume()
  }

  // ---- what the client's octets are

  /** Requests from here on. */
  serve(): void {
    this.mode = 'requests'
  }

  carry(body: Body): void {
    this.letGo()
    this.mode = 'body'
    const now = this.listener.now()
    this.bodyBegan = { at: now, bytesIn: this.bytesIn, unheard: this.client.unheard(now) }
    this.carrier().begin(body)
  }

  splice({ ifSilent, rest }: Splice): void {
    this.mode = 'splice'
    this.silent = ifSilent
    this.letGo()
    if (rest.length > 0) {
      this.watch?.('client', rest)
      this.toBackend(rest)
    }
    if (this.clientClosed) this.opened?.backend.stream.end()
  }

  /** Made for the first message: most sessions of an attack, and all idle ones, have none. */
  private carrier(): BodyCarrier {
    this.body ??= new BodyCarrier(this.bareLineEnd, this.reading.search, {
      write: (pieces) => {
        const stream = pieces.length > 1 ? this.opened?.backend.stream : undefined
        stream?.cork()
        for (const piece of pieces) this.toBackend(piece)
        stream?.uncork()
      },
      cut: () => this.opened?.backend.stream.destroy(),
      show: undefined,
      ended: (rest, fault) => {
        this.mode = 'requests'
        this.listener.bodyEnded(rest, fault)
      },
    })
    return this.body
  }

  private get cut(): boolean {
    return this.body?.isCut ?? false
  }

  // ---- the end

  /** The client has closed its side: so do we to the backend, and deliver what it still says. */
  endRequests(): void {
    if (this.opened === undefined || this.backendClosed || this.cut) this.close('client-eof', '')
    else this.opened.backend.stream.end()
  }

  /** Writes out what is left to the client, then closes both sides. `park`: the greeting of a backend that may be kept, or empty. */
  close(why: Why, park: string): void {
    if (this.isOver || this.mode === 'closing') return
    this.cutInBody = this.mode === 'body'
    this.mode = 'closing'
    this.closedAt = this.listener.now()
    this.heardAt = this.closedAt
    this.why = why
    if (this.opened !== undefined && !this.backendClosed) this.closeBackend(this.opened, park)
    this.held = false
    this.client.end()
    this.finish()
  }

  private closeBackend(opened: Opened, park: string): void {
    const { stream } = opened.backend
    if (park !== '' && this.listener.park(opened, park)) {
      this.opened = undefined
      this.backendClosed = true
    } else if (this.why === 'quit' || this.why === 'client-eof') {
      stream.end()
      stream.resume()
    } else stream.destroy()
  }

  /** Past its time: a peer that does not take its last octets, a backend that does not end. */
  abandon(why: Why): void {
    if (this.mode !== 'closing') this.why = why
    this.mode = 'closing'
    this.client.destroy()
    this.opened?.backend.stream.destroy()
    this.backendClosed = true
    this.finish()
  }

  private finish(): void {
    if (this.isOver) return
    const { client } = this
    // The client's end of file says that it has everything; without it the lane's tick abandons the session.
    const clientDone = client.isDestroyed || (this.clientClosed && client.isFinished)
    if (this.clientClosed && !clientDone) {
      client.onFinish(() => this.finish())
      return
    }
    if (!clientDone || !this.backendClosed) return
    this.isOver = true
    client.destroy()
    this.listener.over(this.why)
  }

  // ---- time, and what may be seen

  /** A body that is on its way: for how many seconds it could have come, and how many octets have. */
  bodyPace(now: number): { readonly seconds: number; readonly octets: number } | undefined {
    if (this.mode !== 'body') return undefined
    const { at, bytesIn, unheard } = this.bodyBegan
    return { seconds: (now - at - (this.client.unheard(now) - unheard)) / 1000, octets: this.bytesIn - bytesIn }
  }

  /** Once a second: a client that takes what waits for it is not silent. */
  noticeProgress(now: number): void {
    if (this.client.progressed()) this.seenAt = now
  }

  /**
   * Seconds, for streams that are closing: how long the client has sent and taken nothing. What it still sends is read, so that no
   * reset destroys our last words, but counts only for the first `longest` seconds.
   */
  lingering(now: number, longest: number): number {
    const heard = now - this.closedAt < longest * 1000 ? this.heardAt : this.closedAt
    return (now - Math.max(this.seenAt, heard)) / 1000
  }

  /** Not all has left for the client, or it still sends the message that it was stopped in: it may be slow, and is not to lose a reply. */
  get owes(): boolean {
    return this.client.owes || this.cutInBody
  }

  get seen(): number {
    return this.seenAt
  }

  /** Octets that have left for the client. */
  get bytesOut(): number {
    return this.client.bytesOut
  }

  get closing(): boolean {
    return this.mode === 'closing'
  }

  get splicing(): boolean {
    return this.mode === 'splice'
  }

  /** The client has closed its side. */
  get isHalfClosed(): boolean {
    return this.clientClosed
  }

  /** Octets waiting to be taken by either side. */
  get waiting(): number {
    return this.client.waiting + (this.opened?.backend.stream.writableLength ?? 0)
  }
}
