// One session: its two streams, joined by the actors, whose effects it performs.
//
//   streams.ts ── octets ──> session ── frames ──> the actors ── effects ──> session ──> streams.ts
//
// A message's body, and POP3 after login, go from one stream to the other and past the actors.

import { newAuthup } from '../actors/authup-state.ts'
import { newCheckpassword } from '../actors/checkpassword.ts'
import { type AskHelper, log, type Performed } from '../actors/effects.ts'
import type { Why } from '../actors/endings.ts'
import { newFixsmtpio } from '../actors/fixsmtpio.ts'
import { TAG } from '../actors/frames.ts'
import type { Actors, Front } from '../actors/pipeline.ts'
import { newReup } from '../actors/reup.ts'
import type { TlsFacts } from '../edge/tls.ts'
import type { Accepted } from '../protocol/helper.ts'
import { isInside } from '../protocol/ip.ts'
import { hasKeyword, sizeLimit } from '../protocol/mail.ts'
import { promisesStatus } from '../protocol/status.ts'
import type { ClientFacts } from '../protocol/xclient.ts'
import type { Opened, Refused } from './backends/backends.ts'
import type { Address, Arrival, Identity } from './door.ts'
import type { ServingRules, SessionHost, SessionSettings } from './host.ts'
import { Streams, type StreamsListener } from './streams.ts'

/** Times by the monotonic clock. */
export interface LoginFacts {
  user: string
  /** What the client calls itself. */
  helo: string
  mechanism: string
  chain: string
  askedAt: number
  at: number
  accepted: Accepted | undefined
  /** The program of the chain that cannot be run, and why. */
  missing: string | undefined
}

export interface VerbNote {
  readonly at: number
  readonly verb: string
  readonly code: number
}

const VERBS_KEPT = 50

export class ClientSession {
  readonly id: number
  readonly name: string
  /** Who its client is; XCLIENT changes it. */
  private identity: Identity
  readonly settings: SessionSettings
  readonly started: number
  readonly login: LoginFacts
  readonly counters = { messages: 0, recipients: 0, octets: 0 }
  readonly verbs: VerbNote[] = []
  readonly actors: Actors
  readonly streams: Streams
  front: Front = 'authup'
  private readonly host: SessionHost
  private secured: TlsFacts | undefined
  /** The reply to the client's EHLO of a backend that has been told it already. */
  private introduced = ''

  constructor(id: number, name: string, arrival: Arrival, timestamp: string, host: SessionHost) {
    const { settings, peer, local, proxy, host: client, info, variables } = arrival
    this.id = id
    this.name = name
    this.identity = { peer, local, proxy, host: client, info, variables }
    this.settings = settings
    this.host = host
    this.started = host.now()
    this.secured = arrival.tls
    this.login = newLogin(settings.chain)
    this.actors = {
      reup: newReup(settings.tries),
      authup: newAuthup(
        settings.dialogue,
        timestamp,
        arrival.tls !== undefined,
        false,
        isInside(settings.xclients, peer.ip),
        this.external(arrival.tls),
      ),
      checkpassword: newCheckpassword,
      fixsmtpio: undefined,
    }
    this.streams = new Streams(arrival.socket, settings.bareLineEnd, host.reading, this.listener())
  }

  get ip(): string {
    return this.identity.peer.ip
  }

  get port(): number {
    return this.identity.peer.port
  }

  /** Our end of the connection. It costs a system call. */
  get local(): () => Address {
    return this.identity.local
  }

  /** The balancer, or the client with XCLIENT, that brought it. */
  get proxy(): Address | undefined {
    return this.identity.proxy
  }

  get clientHost(): string {
    return this.identity.host
  }

  get clientInfo(): string {
    return this.identity.info
  }

  /** NAME=VALUE of control/access. */
  get variables(): readonly string[] {
    return this.identity.variables
  }

  becomes(identity: Identity): void {
    this.identity = identity
  }

  /** What the streams bring, as frames. */
  private listener(): StreamsListener {
    const { host, id } = this
    return {
      now: host.now,
      dialogue: (bytes) => host.post(this, [TAG.input, id, bytes]),
      requests: (bytes) => {
        host.refresh(this)
        host.post(this, [TAG.request, id, bytes])
      },
      bodyEnded: (rest, fault) => host.post(this, [TAG.bodyEnd, id, rest, fault]),
      clientEnded: () => host.post(this, [TAG.eof, id]),
      replies: (bytes) => host.post(this, [TAG.backend, id, bytes]),
      backendEnded: () => host.post(this, [TAG.backendEnd, id, -1]),
      park: (opened, greeting) => host.park(this, opened, greeting),
      over: (why) => host.ended(this, why),
    }
  }

  /** Begins: the first frame makes authup greet. */
  start(): void {
    this.host.post(this, [TAG.start, this.id])
  }

  /** What has become of the login. */
  loggedIn(outcome: Opened | Refused): void {
    const opened = 'backend' in outcome ? outcome : undefined
    if (this.streams.closing) {
      opened?.backend.discard()
      return
    }
    if (opened === undefined) this.refusedBy(outcome as Refused)
    else this.openedBy(opened)
    if (this.streams.isHalfClosed && !this.streams.closing && !this.streams.splicing)
      this.host.post(this, [TAG.eof, this.id])
    if (opened !== undefined) this.streams.catchUp(opened)
  }

  private openedBy(opened: Opened): void {
    this.streams.attach(opened)
    this.introduced = opened.introduced
    this.login.accepted = opened.accepted
    this.login.at = this.streams.seen
    this.host.post(this, [TAG.answer, this.id, 'ok', -1, ''])
  }

  private refusedBy(refused: Refused): void {
    this.login.missing = refused.is === 'missing' ? refused.text : undefined
    const code = 'code' in refused ? refused.code : -1
    const text = refused.is === 'limited' || refused.is === 'in-use' ? refused.text : ''
    this.host.post(this, [TAG.answer, this.id, refused.is, code, text])
  }

  // ---- effects

  perform(effect: Performed): void {
    const { streams } = this
    switch (effect.do) {
      case 'reply':
        streams.say(effect.text)
        break
      case 'request':
        streams.request(effect.text)
        break
      case 'hold':
        streams.hold()
        break
      case 'room':
        streams.letGo()
        break
      case 'ask-helper':
        this.askHelper(effect)
        break
      case 'switch':
        this.serve()
        break
      case 'body':
        streams.carry(effect)
        break
      case 'splice':
        streams.splice(effect)
        break
      case 'ask-limits':
        this.host.askLimits(this, effect.what)
        break
      case 'end-requests':
        streams.endRequests()
        break
      case 'close':
        streams.close(effect.why, effect.park)
        break
      case 'start-tls':
        this.startTls(effect.discarded)
        break
      case 'describe':
        this.host.describe(this, effect.client)
        break
      case 'helo':
        this.login.helo = effect.name
        this.host.observe(this, effect)
        break
      case 'note':
        this.note(effect.event, effect.code)
        this.host.observe(this, effect)
        break
      case 'hits':
      case 'sender':
      case 'log':
      case 'debug':
        this.host.observe(this, effect)
        break
    }
  }

  private askHelper({ kind, user, mechanism, credentials }: AskHelper): void {
    const { login, settings } = this
    login.askedAt = this.host.now()
    const { chain, guestChain = chain, externalChain = chain } = settings
    login.chain = { auth: chain, certificate: externalChain, guest: guestChain }[kind]
    if (kind !== 'guest') {
      login.user = user
      login.mechanism = mechanism
    }
    this.host.openBackend(this, kind, user, credentials)
  }

  /** RFC 3207 section 4.2: nothing that came before the handshake may be taken as sent in TLS. Sending it is an attack. */
  private startTls(discarded: number): void {
    if (discarded > 0) {
      this.host.observe(this, log('plaintext-before-tls', '', discarded))
      this.streams.close('plaintext-before-tls', '')
      return
    }
    this.streams.startTls((plain) =>
      this.host.startTls(this, plain, (_, outcome) => {
        if (this.streams.closing) return
        if (typeof outcome === 'string') {
          this.streams.abandon('tls-failed')
          return
        }
        this.secured = outcome
        this.streams.secured()
        this.host.post(this, [TAG.tls, this.id, true, this.external(outcome)])
      }),
    )
  }

  /** Users whom the client's certificate names. */
  private external(tls: TlsFacts | undefined): readonly string[] {
    if (tls === undefined || tls.names.length === 0 || this.settings.externalChain === undefined) return []
    return this.host.usersNamed(tls.names)
  }

  private serve(): void {
    const { rules, greeting, senders, from, debug, asks } = this.host.rulesOf(this)
    const { dialogue, longest, warm } = this.settings
    this.front = 'fixsmtpio'
    this.streams.serve()
    this.actors.fixsmtpio = newFixsmtpio({
      rules,
      greeting,
      tls: 'none',
      debug,
      classic: false,
      loggedIn: false,
      longest,
      warm: warm && this.login.user !== '',
      introduced: this.introduced,
      peer: this.ip,
      client: this.settings.tells ? this.facts() : undefined,
      trusted: this.actors.authup.trusted,
      senders,
      from,
      asks,
      enhanced: promisesStatus(dialogue.capabilities),
      chunking: hasKeyword(dialogue.capabilities, 'CHUNKING'),
      size: sizeLimit(dialogue.capabilities),
    })
  }

  /** A backend that may serve another session of the user hears nothing that differs from one to the next. */
  private facts(): ClientFacts {
    const { login, settings, actors } = this
    const warm = settings.warm && login.user !== ''
    const local = this.local()
    return {
      ip: this.ip,
      port: warm ? 0 : this.port,
      name: this.clientHost,
      helo: login.helo,
      proto: /^helo/i.test(actors.authup.helo) ? 'SMTP' : 'ESMTP',
      login: login.user,
      local: warm ? { ip: local.ip, port: 0 } : local,
      ident: '',
      source: 'REMOTE',
    }
  }

  private note(event: string, code: number): void {
    if (code >= 200 && code < 300) {
      if (event === 'in_data') this.counters.messages += 1
      else if (event === 'rcpt') this.counters.recipients += 1
    }
    if (this.verbs.length >= VERBS_KEPT) this.verbs.shift()
    this.verbs.push({ at: this.host.now(), verb: event, code })
  }

  // ---- rules that change under a running session

  /** Nothing is pending: other rules may be used from here on. */
  get isBetweenTransactions(): boolean {
    const state = this.actors.fixsmtpio
    return state?.at === 'commands' && state.awaited.length === 0 && !state.transaction && state.rest.length === 0
  }

  useRules(rules: Omit<ServingRules, 'debug'>): void {
    const state = this.actors.fixsmtpio
    if (state !== undefined) this.actors.fixsmtpio = { ...state, settings: { ...state.settings, ...rules } }
  }

  // ---- the end

  close(why: Why): void {
    this.streams.close(why, '')
  }

  /** Silent for too long: the actor that talks to the client says so. */
  timedOut(): void {
    if (this.streams.splicing) this.streams.abandon('timeout')
    else this.host.post(this, [TAG.timeout, this.id])
  }

  abandon(why: Why): void {
    this.streams.abandon(why)
  }

  get tls(): TlsFacts | undefined {
    return this.secured
  }
}

const newLogin = (chain: string): LoginFacts => ({
  user: '',
  helo: '',
  mechanism: '',
  chain,
  askedAt: 0,
  at: 0,
  accepted: undefined,
  missing: undefined,
})
