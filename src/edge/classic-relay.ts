// The fixsmtpio actor's effects, performed on a client's descriptors and the two ends of one backend: for the program fixsmtpio,
// and for authup while it serves a peer that has not authenticated.

import type { Socket } from 'node:net'
import type { Effect } from '../actors/effects.ts'
import { type Frame, TAG } from '../actors/frames.ts'
import { bytesOf, concat, textOf } from '../protocol/bytes.ts'
import { type BareLineEnd, type BodyState, bodyStart, scanBody } from '../protocol/end-of-data.ts'
import type { Client } from './classic-client.ts'

/** Both may be one stream. */
export interface Backend {
  readonly input: Socket
  readonly output: Socket
}

export interface RelaySurroundings {
  readonly client: Client
  readonly bareLineEnd: BareLineEnd
  readonly post: (frame: Frame) => void
  /** Something went by: the timeout begins anew. */
  readonly seen: () => void
  /** FIXSMTPIODEBUG; undefined without it. */
  readonly debug: ((mark: '1' | '2' | '3' | '4' | 'D', text: string) => void) | undefined
}

const SESSION = 0

export class Relay {
  private mode: 'requests' | 'body' | 'octets' | 'closing' = 'requests'
  private backend: Backend | undefined
  private held = false
  private body: BodyState = bodyStart
  private octetsLeft = 0
  private discarding = false
  private cut = false
  private requests: Uint8Array[] = []
  private readonly around: RelaySurroundings

  constructor(around: RelaySurroundings) {
    this.around = around
  }

  /** A backend stands ready; what was asked for before goes to it first. */
  attach(backend: Backend): void {
    this.backend = backend
    const { input, output } = backend
    output.on('data', (bytes: Buffer) => {
      if (this.backend === backend) this.fromBackend(bytes)
    })
    output.on('error', () => undefined)
    input.on('error', () => undefined)
    input.on('drain', () => this.pauseOrResume())
    if (this.requests.length > 0) input.write(concat(this.requests))
    this.requests = []
    this.pauseOrResume()
  }

  /** The backend is given up: what it still says is not for the client. */
  detach(): void {
    const { backend } = this
    this.backend = undefined
    backend?.input.end()
    backend?.output.resume()
  }

  // ---- the client's side

  fromClient(bytes: Uint8Array): void {
    this.around.seen()
    switch (this.mode) {
      case 'requests':
        this.around.post([TAG.request, SESSION, bytes])
        break
      case 'body':
        this.carryBody(bytes)
        break
      case 'octets':
        this.carryOctets(bytes)
        break
      case 'closing':
        break
    }
  }

  clientDrained(): void {
    this.backend?.output.resume()
  }

  private pauseOrResume(): void {
    const { client } = this.around
    if (this.mode === 'closing' || this.held || (this.backend?.input.writableNeedDrain ?? false)) client.pause()
    else client.resume()
  }

  // ---- the backend's side

  private fromBackend(bytes: Uint8Array): void {
    this.around.seen()
    if (this.mode !== 'closing' && !this.cut) this.around.post([TAG.backend, SESSION, bytes])
  }

  /** The backend's last byte has been posted, and how it ended is known: 256 and more for a signal. */
  ended(exit: number): void {
    if (this.mode !== 'closing' && !this.cut) this.around.post([TAG.backendEnd, SESSION, exit])
  }

  private toBackend(bytes: Uint8Array): void {
    if (this.backend === undefined) {
      this.requests.push(bytes.slice())
      return
    }
    const { input } = this.backend
    if (!input.destroyed && !input.writableEnded && !input.write(bytes)) this.pauseOrResume()
  }

  // ---- message bodies

  private carryBody(bytes: Uint8Array): void {
    const scanned = scanBody(this.body, bytes, this.around.bareLineEnd)
    this.body = scanned.state
    this.around.debug?.('D', textOf(bytes.subarray(0, scanned.end ?? bytes.length)))
    if (!this.cut) for (const piece of scanned.out) this.toBackend(piece)
    if (scanned.bareSeen && this.around.bareLineEnd === 'refuse' && !this.cut) {
      // The backend never sees an end of data, so nothing is queued; the client's own final dot is waited for.
      this.cut = true
      this.backend?.input.destroy()
      this.backend?.output.resume()
    }
    if (scanned.end !== undefined) this.bodyEnded(bytes.subarray(scanned.end))
  }

  private carryOctets(bytes: Uint8Array): void {
    const taken = Math.min(this.octetsLeft, bytes.length)
    this.octetsLeft -= taken
    this.around.debug?.('D', textOf(bytes.subarray(0, taken)))
    if (!this.discarding) this.toBackend(bytes.subarray(0, taken))
    if (this.octetsLeft === 0) this.bodyEnded(bytes.subarray(taken))
  }

  private bodyEnded(rest: Uint8Array): void {
    this.mode = 'requests'
    this.around.post([TAG.bodyEnd, SESSION, rest, this.cut])
  }

  // ---- effects

  perform(effect: Effect): void {
    const { client } = this.around
    switch (effect.do) {
      case 'reply':
        client.say(effect.text)
        break
      case 'request':
        if (effect.text !== '') this.toBackend(bytesOf(effect.text))
        break
      case 'hold':
      case 'room':
        this.held = effect.do === 'hold'
        this.pauseOrResume()
        break
      case 'body':
        this.held = false
        this.pauseOrResume()
        this.body = bodyStart
        this.discarding = effect.discard
        this.octetsLeft = effect.octets ?? 0
        this.mode = effect.octets === undefined ? 'body' : 'octets'
        if (effect.rest.length === 0) break
        if (this.mode === 'body') this.carryBody(effect.rest)
        else this.carryOctets(effect.rest)
        break
      case 'end-requests':
        this.backend?.input.end()
        break
      case 'debug':
        this.around.debug?.(effect.mark, effect.text)
        break
      // What only acceptd needs, or the program sees to before it comes here.
      case 'note':
      case 'helo':
      case 'hits':
      case 'log':
      case 'close':
      case 'send':
      case 'switch':
      case 'splice':
      case 'start-tls':
      case 'ask-helper':
      case 'restart-backend':
        break
    }
  }

  /** Said what was to be said: neither end has anything more to tell. */
  close(): void {
    this.mode = 'closing'
    this.around.client.pause()
    this.detach()
  }

  /** After the replies of one turn: a client that does not take them stops the backend. */
  settle(): void {
    if (!this.around.client.flush()) this.backend?.output.pause()
  }
}
