// One session: the client's socket, the backend's stream, and the actors' effects carried out on them.

import { newAuthup } from '../actors/authup.ts'
import { newCheckpassword } from '../actors/checkpassword.ts'
import { log, type Performed } from '../actors/effects.ts'
import type { Why } from '../actors/endings.ts'
import { type FixsmtpioState, newFixsmtpio } from '../actors/fixsmtpio.ts'
import { TAG } from '../actors/frames.ts'
import type { Actors } from '../actors/pipeline.ts'
import { newReup } from '../actors/reup.ts'
import type { Backend, BackendHearer } from '../edge/backend.ts'
import type { ClientSocket } from '../edge/listening.ts'
import { unsentOf, writeOn } from '../edge/reading.ts'
import type { TlsFacts, TlsFailure } from '../edge/tls.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import type { Accepted, HelperStatus } from '../protocol/helper.ts'
import type { Network } from '../protocol/ip.ts'
import { promisesStatus } from '../protocol/status.ts'
import type { SessionRules } from '../rules/rewrite.ts'
import { BodyCarrier } from './body.ts'
import type { Address, Arrival } from './door.ts'

/** What a lane gives its sessions. */
export interface Surroundings {
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly post: (session: ClientSession, frame: import('../actors/frames.ts').Frame) => void
  readonly askHelper: (session: ClientSession, kind: 'auth' | 'guest', user: string, credentials: Uint8Array) => void
  readonly rulesOf: (session: ClientSession) => { rules: SessionRules; greeting: string }
  /** Moves a running session to the published generation, if it is between transactions. */
  readonly refresh: (session: ClientSession) => void
  readonly ended: (session: ClientSession, why: Why) => void
  /** Begins TLS on the client's socket; answers the socket that takes its place. `done` is called once. */
  readonly startTls: (
    session: ClientSession,
    socket: ClientSocket,
    done: (secured: ClientSocket, outcome: TlsFacts | TlsFailure) => void,
  ) => ClientSocket
  /** Takes over an idle backend for a later login; false if it does not want it. */
  readonly park: (session: ClientSession, backend: Backend, greeting: string) => boolean
  readonly observe: (session: ClientSession, effect: Performed) => void
}

export interface SessionSettings {
  readonly listener: string
  /** TLS from the first octet. */
  readonly implicitTls: boolean
  /** Peers that send a PROXY header first. */
  readonly proxies: readonly Network[]
  readonly dialogue: DialogueSettings
  readonly tries: number
  readonly chain: string
  readonly guestChain: string | undefined
  readonly warm: boolean
  readonly bareLineEnd: BareLineEnd
  readonly longest: number
}

export interface VerbNote {
  readonly at: number
  readonly verb: string
  readonly code: number
}

const VERBS_KEPT = 50

export class ClientSession implements BackendHearer {
  readonly actors: Actors
  front: 'authup' | 'fixsmtpio' = 'authup'

  readonly started: number
  seen: number
  user = ''
  helo = ''
  mechanism = ''
  loginAt = 0
  askedAt = 0
  accepted: Accepted | undefined
  /** The program of the chain that cannot be run, and why. */
  missing: string | undefined
  chain: string
  /** Number of the generation that it uses; its lane's. */
  generation = 0
  /** What each of its log lines says of it, once there is one: nearly every session has two. */
  logFields = ''
  messages = 0
  recipients = 0
  bytesIn = 0
  /** Octets for the client; not all of them may have left. */
  private queued = 0
  /** How many had not left when it was looked last. */
  private unsent = 0
  verbs: VerbNote[] = []
  backend: Backend | undefined
  /** A newer generation is to be used from the next transaction on. */
  stale = false
  /** session.trace follows it. */
  traced = false
  /** HMAC of what must be the same for a parked backend to serve. */
  warmKey = ''
  /** The backend's reply to the client's EHLO, which it has been told already (a warm login); else empty. */
  introduced = ''

  /** What the client's bytes are now. */
  mode: 'dialogue' | 'requests' | 'body' | 'splice' | 'closing' = 'dialogue'
  private held = false
  private body: BodyCarrier | undefined
  private silent = ''
  private backendSpoke = false
  clientClosed = false
  /** When it was closed, and what it was closed in the middle of. */
  private closedAt = 0
  private heardAt = 0
  private cutInBody = false
  private backendClosed = true
  private why: Why = 'client-eof'
  private over = false

  readonly id: number
  readonly name: string
  readonly ip: string
  readonly port: number
  readonly settings: SessionSettings
  /** Our end of the connection. It costs a system call. */
  readonly local: () => Address
  /** The balancer that brought it. */
  readonly proxy: Address | undefined
  /** TLS with the client, once it is on. */
  tls: TlsFacts | undefined
  private socket: ClientSocket
  private readonly around: Surroundings

  constructor(id: number, name: string, arrival: Arrival, timestamp: string, around: Surroundings) {
    const { socket, settings } = arrival
    this.id = id
    this.name = name
    this.socket = socket
    this.settings = settings
    this.around = around
    this.chain = settings.chain
    this.ip = arrival.peer.ip
    this.port = arrival.peer.port
    this.local = arrival.local
    this.proxy = arrival.proxy
    this.tls = arrival.tls
    this.started = around.now()
    this.seen = this.started
    this.actors = {
      reup: newReup(settings.tries),
      authup: newAuthup(settings.dialogue, timestamp, arrival.tls !== undefined),
      checkpassword: newCheckpassword,
      fixsmtpio: undefined,
    }
    this.listenTo(socket)
    // A step of the door that has read from it holds it.
    if (socket.isPaused()) socket.resume()
  }

  /** What the socket says counts as long as it is the session's: TLS takes the place of the plain one. */
  private listenTo(socket: ClientSocket): void {
    socket.on('data', (bytes: Buffer) => {
      if (socket === this.socket) this.fromClient(bytes)
    })
    socket.on('drain', () => {
      this.backend?.stream.resume()
      this.pauseOrResume()
    })
    socket.on('end', () => {
      if (socket === this.socket) this.clientEnded()
    })
    socket.on('error', () => {
      if (socket === this.socket) this.clientEnded()
    })
    socket.on('close', () => {
      if (socket === this.socket) this.clientGone()
    })
  }

  /** Begins: the first frame makes authup greet. */
  start(): void {
    this.around.post(this, [TAG.start, this.id])
  }

  // ---- the client's side

  private fromClient(bytes: Buffer): void {
    if (this.mode === 'closing') {
      this.heardAt = this.around.now()
      return
    }
    this.seen = this.around.now()
    this.bytesIn += bytes.length
    switch (this.mode) {
      case 'dialogue':
        this.around.post(this, [TAG.input, this.id, bytes])
        break
      case 'requests':
        if (this.stale) this.around.refresh(this)
        this.around.post(this, [TAG.request, this.id, bytes])
        break
      case 'body':
        this.body?.carry(bytes)
        break
      case 'splice':
        this.toBackend(bytes)
        break
    }
  }

  private clientEnded(): void {
    if (this.clientClosed) return
    this.clientClosed = true
    if (this.mode === 'closing') this.finish()
    else if (this.mode === 'splice') this.backend?.stream.end()
    else this.around.post(this, [TAG.eof, this.id])
  }

  private clientGone(): void {
    this.clientEnded()
    // Nobody hears replies any more; the backend still ends by itself on its closed input.
    if (this.mode === 'closing') this.finish()
    else if (this.backendClosed) this.close('client-eof', '')
  }

  private pauseOrResume(): void {
    if (this.socket.destroyed || this.mode === 'closing') return
    // Who does not take its replies is not heard further; a message must go on, since its sender reads nothing before its end.
    const deaf = this.socket.writableNeedDrain && (this.mode === 'dialogue' || this.mode === 'requests')
    if (this.held || deaf || (this.backend?.stream.writableNeedDrain ?? false)) this.socket.pause()
    else if (this.socket.isPaused()) this.socket.resume()
  }

  // ---- the backend's side

  /** The helper's answer. After `ok` there is a backend; `rest` was read behind the line. */
  answered(status: HelperStatus, backend: Backend | undefined, rest: Uint8Array): void {
    if (this.over || this.closing) {
      backend?.discard()
      return
    }
    this.seen = this.around.now()
    this.accepted = status.is === 'ok' ? status.accepted : undefined
    this.missing = status.is === 'missing' ? status.text : undefined
    if (this.accepted !== undefined && backend !== undefined) {
      this.backend = backend
      this.backendClosed = false
      this.loginAt = this.seen
      backend.handTo(this)
    } else backend?.discard()
    this.around.post(this, [TAG.answer, this.id, status.is, 'code' in status ? status.code : -1])
    if (this.clientClosed && !this.closing && !this.splicing) this.around.post(this, [TAG.eof, this.id])
    if (this.backend === undefined || backend === undefined) return
    if (rest.length > 0) this.fromBackend(rest)
    if (backend.isOver) this.backendEnded()
  }

  fromBackend(bytes: Uint8Array): void {
    if (this.mode === 'closing') return
    this.seen = this.around.now()
    this.backendSpoke = true
    if (this.mode === 'splice') this.toClient(bytes)
    else if (!this.cut) this.around.post(this, [TAG.backend, this.id, bytes])
  }

  backendEnded(): void {
    if (this.backendClosed) return
    this.backendClosed = true
    // Its end of file is the end of it; our half would stay open.
    this.backend?.stream.destroy()
    if (this.mode === 'splice') {
      if (!this.backendSpoke) this.toClient(Buffer.from(this.silent, 'latin1'))
      this.close('backend-end', '')
    } else if (this.mode === 'closing') this.finish()
    else if (!this.cut) this.around.post(this, [TAG.backendEnd, this.id, -1])
  }

  backendDrained(): void {
    this.pauseOrResume()
  }

  private toBackend(bytes: Uint8Array): void {
    const stream = this.backend?.stream
    if (stream === undefined || stream.destroyed || stream.writableEnded) return
    if (!writeOn(stream, bytes)) this.pauseOrResume()
  }

  private toClient(bytes: Uint8Array): void {
    if (this.socket.destroyed || this.socket.writableEnded) return
    this.queued += bytes.length
    if (writeOn(this.socket, bytes)) return
    this.unsent = unsentOf(this.socket)
    this.backend?.stream.pause()
  }

  /** Made for the first message: most sessions of an attack, and all idle ones, have none. */
  private carrier(): BodyCarrier {
    this.body ??= new BodyCarrier(this.settings.bareLineEnd, {
      write: (pieces) => {
        if (pieces.length > 1) this.backend?.stream.cork()
        for (const piece of pieces) this.toBackend(piece)
        if (pieces.length > 1) this.backend?.stream.uncork()
      },
      cut: () => this.backend?.stream.destroy(),
      show: undefined,
      ended: (rest, fault) => {
        this.mode = 'requests'
        this.around.post(this, [TAG.bodyEnd, this.id, rest, fault])
      },
    })
    return this.body
  }

  private get cut(): boolean {
    return this.body?.isCut ?? false
  }

  // ---- effects

  perform(effect: Performed): void {
    switch (effect.do) {
      case 'reply':
        if (effect.text !== '' && !this.socket.destroyed && !this.socket.writableEnded) {
          this.queued += effect.text.length
          if (!this.socket.write(effect.text, 'latin1')) {
            this.unsent = unsentOf(this.socket)
            this.backend?.stream.pause()
            this.pauseOrResume()
          }
        }
        break
      case 'request':
        if (effect.text !== '' && this.backend !== undefined && !this.backend.stream.writableEnded) {
          if (!this.backend.stream.write(effect.text, 'latin1')) this.pauseOrResume()
        }
        break
      case 'hold':
        this.held = true
        this.pauseOrResume()
        break
      case 'room':
        if (!this.held) break
        this.held = false
        this.pauseOrResume()
        break
      case 'ask-helper':
        this.askedAt = this.around.now()
        if (effect.kind === 'guest') this.chain = this.settings.guestChain ?? this.settings.chain
        else {
          this.user = effect.user
          this.mechanism = effect.mechanism
        }
        this.around.askHelper(this, effect.kind, effect.user, effect.credentials)
        break
      case 'switch':
        this.serve()
        break
      case 'body':
        this.held = false
        this.pauseOrResume()
        this.carrier().begin(effect.octets, effect.discard)
        this.mode = 'body'
        if (effect.rest.length > 0) this.carrier().carry(effect.rest)
        break
      case 'splice':
        this.mode = 'splice'
        this.silent = effect.ifSilent
        this.held = false
        this.pauseOrResume()
        if (effect.rest.length > 0) this.toBackend(effect.rest)
        if (this.clientClosed) this.backend?.stream.end()
        break
      case 'end-requests':
        if (this.backend === undefined || this.backendClosed || this.cut) this.close('client-eof', '')
        else this.backend.stream.end()
        break
      case 'helo':
        this.helo = effect.name
        this.around.observe(this, effect)
        break
      case 'note':
        this.note(effect.event, effect.code)
        this.around.observe(this, effect)
        break
      case 'close':
        this.close(effect.why, effect.park)
        break
      case 'start-tls':
        this.startTls(effect.discarded)
        break
      case 'hits':
      case 'log':
      case 'debug':
        this.around.observe(this, effect)
        break
    }
  }

  /** RFC 3207 section 4.2: nothing that came before the handshake may be taken as sent in TLS. Who sends it attacks somebody. */
  private startTls(discarded: number): void {
    if (discarded > 0) {
      this.around.observe(this, log('plaintext-before-tls', '', discarded))
      this.close('plaintext-before-tls', '')
      return
    }
    const plain = this.socket
    this.socket = this.around.startTls(this, plain, (secured, outcome) => {
      if (this.over || this.closing) return
      this.seen = this.around.now()
      if (typeof outcome === 'string') {
        this.abandon('tls-failed')
        return
      }
      this.tls = outcome
      this.listenTo(secured)
      this.around.post(this, [TAG.tls, this.id, true])
    })
  }

  private serve(): void {
    const { rules, greeting } = this.around.rulesOf(this)
    this.front = 'fixsmtpio'
    this.mode = 'requests'
    const state: FixsmtpioState = newFixsmtpio({
      rules,
      greeting,
      tls: 'none',
      debug: this.traced,
      classic: false,
      loggedIn: false,
      longest: this.settings.longest,
      warm: this.settings.warm && this.user !== '',
      introduced: this.introduced,
      peer: this.ip,
      enhanced: promisesStatus(this.settings.dialogue.capabilities),
    })
    this.actors.fixsmtpio = state
  }

  private note(event: string, code: number): void {
    if (event === 'in_data' && code >= 200 && code < 300) this.messages += 1
    else if (event === 'rcpt' && code >= 200 && code < 300) this.recipients += 1
    if (this.verbs.length >= VERBS_KEPT) this.verbs.shift()
    this.verbs.push({ at: this.around.now(), verb: event, code })
  }

  // ---- the end

  /** Writes out what is left to the client, then closes both sides. */
  close(why: Why, park: string): void {
    if (this.over || this.mode === 'closing') return
    this.cutInBody = this.mode === 'body'
    this.mode = 'closing'
    this.closedAt = this.around.now()
    this.heardAt = this.closedAt
    this.why = why
    const { backend } = this
    if (backend !== undefined && !this.backendClosed) {
      if (park !== '' && this.around.park(this, backend, park)) {
        this.backend = undefined
        this.backendClosed = true
      } else if (why === 'quit' || why === 'client-eof') {
        backend.stream.end()
        backend.stream.resume()
      } else backend.stream.destroy()
    }
    this.held = false
    this.socket.end()
    this.socket.resume()
    this.finish()
  }

  /** Silent for too long: whoever talks to the client says so. */
  timedOut(): void {
    if (this.mode === 'splice') this.abandon('timeout')
    else this.around.post(this, [TAG.timeout, this.id])
  }

  /** Past its time: a peer that does not take its last bytes, a backend that does not end. */
  abandon(why: Why): void {
    this.why = this.mode === 'closing' ? this.why : why
    this.mode = 'closing'
    this.look()
    this.socket.destroy()
    this.backend?.stream.destroy()
    this.backendClosed = true
    this.finish()
  }

  private finish(): void {
    if (this.over) return
    // The client's end of file says that it has everything; without it the lane's tick abandons the session.
    const clientDone = this.socket.destroyed || (this.clientClosed && this.socket.writableFinished)
    if (this.clientClosed && !this.socket.destroyed && !this.socket.writableFinished) {
      this.socket.once('finish', () => this.finish())
      return
    }
    if (!clientDone || !this.backendClosed) return
    this.over = true
    this.socket.destroy()
    this.around.ended(this, this.why)
  }

  private look(): void {
    if (this.socket.writableFinished) this.unsent = 0
    else if (!this.socket.destroyed) this.unsent = unsentOf(this.socket)
  }

  /** Octets that have left for the client. */
  get bytesOut(): number {
    this.look()
    return this.queued - this.unsent
  }

  /** Once a second: a client that takes what waits for it is not silent. */
  noticeProgress(now: number): void {
    const before = this.unsent
    if (before === 0 && this.socket.writableLength === 0) return
    this.look()
    if (this.unsent < before) this.seen = now
  }

  /**
   * Seconds, for a session that is closing: its client has said and taken nothing for so long. What it goes on to say is read, so that no
   * reset destroys our last words, but counts only for the first `longest` seconds.
   */
  lingering(now: number, longest: number): number {
    const heard = now - this.closedAt < longest * 1000 ? this.heardAt : this.closedAt
    return (now - Math.max(this.seen, heard)) / 1000
  }

  /** Not all has left for the client, or it still sends the message that it was stopped in: it may be slow, and is not to lose a reply. */
  get owes(): boolean {
    return this.unsent > 0 || this.cutInBody
  }

  get closing(): boolean {
    return this.mode === 'closing'
  }

  get splicing(): boolean {
    return this.mode === 'splice'
  }

  /** Octets waiting to be taken by either side. */
  get waiting(): number {
    return this.socket.writableLength + (this.backend?.stream.writableLength ?? 0)
  }
}
