// The fixsmtpio actor's effects, performed on a client's descriptors and the two ends of one backend: for the program fixsmtpio,
// and for authup while it serves a peer that has not authenticated.

import type { Socket } from 'node:net'
import type { Ask, Body, Debug, EndRequests, Hold, Resume, Say, StartTls } from '../actors/effects.ts'
import {
  type FixsmtpioFrame,
  type FixsmtpioSettings,
  type FixsmtpioState,
  NO_ASKS,
  newFixsmtpio,
} from '../actors/fixsmtpio.ts'
import { TAG } from '../actors/frames.ts'
import { bytesOf, concat, copyOf, textOf } from '../protocol/bytes.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import { createLineEndSearch } from '../protocol/line-ends.ts'
import { REQUEST_LIMIT } from '../protocol/lines.ts'
import { BodyCarrier } from '../session/body.ts'
import type { Client } from './client.ts'

/** Both may be one stream. */
export interface Backend {
  readonly input: Socket
  readonly output: Socket
}

/** What is done on the two ends; all else is the program's to do. */
export type RelayEffect = Say | Ask | Hold | Resume | Body | EndRequests | Debug | StartTls

export interface RelayHost {
  readonly client: Client
  readonly bareLineEnd: BareLineEnd
  readonly post: (frame: FixsmtpioFrame) => void
  /** The client is to have TLS, and has the reply that says so by then. */
  readonly beginTls: () => void
  /** Something went by: the timeout starts over. */
  readonly seen: () => void
  /** FIXSMTPIODEBUG; undefined without it. */
  readonly debug: ((mark: '1' | '2' | '3' | '4' | 'D', text: string) => void) | undefined
}

const SESSION = 0

/** What an actor of a program never has: no limits, no senders, no parked backends. */
const WITHOUT = {
  longest: REQUEST_LIMIT,
  warm: false,
  introduced: '',
  client: undefined,
  trusted: false,
  senders: undefined,
  from: undefined,
  asks: NO_ASKS,
} as const satisfies Partial<FixsmtpioSettings>

export const relayActor = (settings: Omit<FixsmtpioSettings, keyof typeof WITHOUT>): FixsmtpioState =>
  newFixsmtpio({ ...WITHOUT, ...settings })

export class Relay {
  private mode: 'requests' | 'body' | 'closing' = 'requests'
  private backend: Backend | undefined
  private held = false
  private wantTls = false
  /** How the backend has ended, until the last it said has been posted. */
  private exit: number | undefined
  private requests: Uint8Array[] = []
  private readonly body: BodyCarrier
  private readonly host: RelayHost

  constructor(host: RelayHost) {
    this.host = host
    const { debug } = host
    this.body = new BodyCarrier(host.bareLineEnd, createLineEndSearch(), {
      write: (pieces) => {
        for (const piece of pieces) this.toBackend(piece)
      },
      cut: () => {
        this.backend?.input.destroy()
        this.backend?.output.resume()
      },
      show: debug && ((bytes) => debug('D', textOf(bytes))),
      ended: (rest, fault) => {
        this.mode = 'requests'
        host.post([TAG.bodyEnd, SESSION, rest, fault])
      },
    })
  }

  /** A backend is ready; requests that came before it go to it first. */
  attach(backend: Backend): void {
    this.backend = backend
    const { input, output } = backend
    output.on('data', (bytes: Buffer) => {
      if (this.backend === backend) this.fromBackend(bytes)
    })
    output.on('error', () => undefined)
    input.on('error', () => undefined)
    input.on('drain', () => this.pauseOrResume())
    // One that reads no more takes nothing more, and the client is not to wait for it.
    input.on('close', () => this.pauseOrResume())
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
    this.host.seen()
    switch (this.mode) {
      case 'requests':
        this.host.post([TAG.request, SESSION, bytes])
        break
      case 'body':
        this.body.carry(bytes)
        break
      case 'closing':
        break
    }
  }

  clientDrained(): void {
    this.backend?.output.resume()
  }

  private pauseOrResume(): void {
    const { client } = this.host
    if (this.mode === 'closing' || this.held || (this.backend?.input.writableNeedDrain ?? false)) client.pause()
    else client.resume()
  }

  // ---- the backend's side

  private fromBackend(bytes: Uint8Array): void {
    this.host.seen()
    if (this.mode !== 'closing' && !this.body.isCut) this.host.post([TAG.backend, SESSION, bytes])
    this.endOnceRead()
  }

  /** The backend's last byte has left the kernel, and how it ended is known: 256 and more for a signal. */
  ended(exit: number): void {
    this.exit = exit
    this.endOnceRead()
  }

  /** While the client is slow, some of what the backend said is still in its stream. */
  private endOnceRead(): void {
    const { exit } = this
    if (exit === undefined || (this.backend?.output.readableLength ?? 0) > 0) return
    this.exit = undefined
    if (this.mode !== 'closing' && !this.body.isCut) this.host.post([TAG.backendEnd, SESSION, exit])
  }

  private toBackend(bytes: Uint8Array): void {
    if (this.backend === undefined) {
      this.requests.push(copyOf(bytes))
      return
    }
    const { input } = this.backend
    if (!input.destroyed && !input.writableEnded && !input.write(bytes)) this.pauseOrResume()
  }

  // ---- effects

  perform(effect: RelayEffect): void {
    const { client } = this.host
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
        this.mode = 'body'
        this.body.begin(effect)
        break
      case 'end-requests':
        this.backend?.input.end()
        break
      case 'start-tls':
        this.wantTls = true
        break
      case 'debug':
        this.host.debug?.(effect.mark, effect.text)
        break
    }
  }

  /** Said what was to be said: neither end has anything more to tell. `done`: the client has what was said, and may be left. */
  close(done: () => void): void {
    const { client } = this.host
    const inMessage = this.mode === 'body'
    this.mode = 'closing'
    client.pause()
    this.detach()
    if (inMessage) client.whenHeard(done)
    else client.whenWritten(done)
  }

  /** After the replies of one turn: TLS, where it was asked for; and a client that does not take them stops the backend. */
  settle(): void {
    if (this.wantTls) {
      this.wantTls = false
      this.host.beginTls()
    } else if (!this.host.client.flush()) this.backend?.output.pause()
  }
}
