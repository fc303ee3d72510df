// The program fixsmtpio: client on descriptors 0 and 1, the mail program as a child.
//
//   0, 1 (after STARTTLS: SSLREADFD, SSLWRITEFD) ══> fixsmtpio actor <══ stdin and stdout of the child

import { spawn } from 'node:child_process'
import type { FixsmtpioEffect } from '../actors/effects.ts'
import { type FixsmtpioFrame, type FixsmtpioState, fixsmtpio } from '../actors/fixsmtpio.ts'
import { TAG } from '../actors/frames.ts'
import { fieldsText } from '../edge/log.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import type { SessionRules } from '../rules/rewrite.ts'
import { Client } from './client.ts'
import { MailProgram, SIGNALLED } from './mail-program.ts'
import { die, tell } from './process.ts'
import { Relay, relayActor } from './relay.ts'
import { startTls, type TlsLevel, tlsDescriptors } from './ucspi.ts'

export interface FixsmtpioProgram {
  readonly argv: readonly string[]
  readonly rules: SessionRules
  readonly greeting: string
  /** Seconds that client and backend may both be silent. */
  readonly timeout: number
  readonly tls: TlsLevel
  readonly bareLineEnd: BareLineEnd
  /** AUTHUP_USER is set. */
  readonly loggedIn: boolean
  readonly debug: boolean
}

const NAME = 'fixsmtpio'
const SESSION = 0
const CRASHED = 1
/** A child that does not end on the end of its input gets TERM. */
const TERM_AFTER = 30_000

const plaintextDropped = (octets: number): void =>
  tell(`${NAME} ${process.pid} attack: discarded ${octets} octets of plaintext sent before TLS`)

export function runFixsmtpio(program: FixsmtpioProgram): void {
  new Fixsmtpio(program).begin()
}

class Fixsmtpio {
  private readonly program: FixsmtpioProgram
  private readonly client: Client
  private readonly relay: Relay
  private readonly mail: MailProgram
  /** Milliseconds that nothing may be said for. The mail program counts the same seconds and has the better last words, so it goes first. */
  private readonly silence: number
  private readonly timer: NodeJS.Timeout
  private state: FixsmtpioState
  private readonly inbox: FixsmtpioFrame[] = []
  private delivering = false
  /** The mail program is to be started again. */
  private restart = false
  private clientGone = false
  private exit: number | undefined
  private finishing = false
  /** It has what was said. */
  private clientDone = false

  constructor(program: FixsmtpioProgram) {
    this.program = program
    this.state = actorOf(program)
    this.silence = program.timeout * 1000 + Math.min(10_000, program.timeout * 100 + 50)
    this.timer = setTimeout(() => this.post([TAG.timeout, SESSION]), Math.min(this.silence, 2 ** 31 - 1))
    this.client = new Client(0, 1, 'stream', {
      input: (bytes) => this.relay.fromClient(bytes),
      ended: () => this.clientEnded(),
      drained: () => this.relay.clientDrained(),
    })
    this.relay = new Relay({
      client: this.client,
      bareLineEnd: program.bareLineEnd,
      post: (frame) => this.post(frame),
      beginTls: () => this.beginTls(),
      seen: () => this.timer.refresh(),
      debug: program.debug ? (mark, text) => this.debug(mark, text) : undefined,
    })
    this.mail = new MailProgram(program.argv, {
      ended: (how, outputEnded) => this.mailEnded(how, outputEnded),
      unableToExec: () => unableToExec(program.loggedIn),
    })
  }

  /** Starts the mail program; what the client asked for before goes to it first. */
  begin(): void {
    const backend = this.mail.start()
    if (backend !== undefined) this.relay.attach(backend)
  }

  // ---- the actor

  /** A frame that comes while another is at work waits its turn. */
  private post(frame: FixsmtpioFrame): void {
    this.inbox.push(frame)
    if (this.delivering) return
    this.delivering = true
    for (let next = this.inbox.shift(); next !== undefined; next = this.inbox.shift()) {
      const step = fixsmtpio(this.state, next)
      this.state = step.state
      for (const effect of step.effects) this.perform(effect)
    }
    this.delivering = false
    this.relay.settle()
    if (this.exit !== undefined) this.finish()
  }

  private perform(effect: FixsmtpioEffect): void {
    switch (effect.do) {
      case 'ask-limits':
        throw new Error('the program fixsmtpio has no limits')
      case 'send':
        this.inbox.push(effect.frame)
        break
      case 'start-tls':
        if (effect.discarded > 0) plaintextDropped(effect.discarded)
        this.relay.perform(effect)
        break
      case 'room':
        if (!this.restart) this.relay.perform(effect)
        break
      case 'close':
        this.exit ??= effect.exit
        break
      case 'log':
        if (effect.event === 'tls-failed') tell(`${NAME}: TLS temporarily not available`)
        if (effect.said !== '') tell(`${NAME}: mail program spoke nonsense${fieldsText({ said: effect.said })}`)
        break
      case 'reply':
      case 'request':
      case 'hold':
      case 'body':
      case 'end-requests':
      case 'debug':
        this.relay.perform(effect)
        break
      // For those who watch acceptd.
      case 'note':
      case 'sender':
      case 'hits':
        break
    }
  }

  private debug(mark: string, text: string): void {
    const [path = ''] = this.program.argv
    const base = path.split('/').filter(Boolean).pop() ?? path
    const line = text.endsWith('\n') ? text.slice(0, -1) : `${text}\r`
    tell(`${NAME} ${process.pid} ${base} ${this.mail.pid} ${mark}: ${line}`)
  }

  // ---- its two sides

  private clientEnded(): void {
    if (this.clientGone) return
    this.clientGone = true
    this.post([TAG.eof, SESSION])
  }

  private mailEnded(how: number, outputEnded: boolean): void {
    if (this.exit !== undefined) this.finish()
    else if (this.restart) this.beginAgain()
    else if (outputEnded) {
      if (how >= SIGNALLED) tell(`${NAME}: aack, child crashed`)
      this.relay.ended(how)
    }
  }

  private beginAgain(): void {
    this.restart = false
    this.begin()
    this.relay.perform({ do: 'room' })
  }

  // ---- TLS

  private beginTls(): void {
    startTls(this.client, tlsDescriptors(process.env), this.silence, (variables, discarded) => {
      if (discarded > 0) plaintextDropped(discarded)
      this.restart = variables !== undefined
      if (variables !== undefined) enterTls(variables)
      this.post([TAG.tls, SESSION, variables !== undefined, []])
      if (this.restart) this.restartMail()
    })
  }

  /** What the mail program was told before TLS is forgotten with it. */
  private restartMail(): void {
    this.relay.detach()
    if (this.mail.isGone) this.beginAgain()
    else this.mail.stop(0)
  }

  // ---- the end

  private finish(): void {
    clearTimeout(this.timer)
    if (!this.finishing) {
      this.finishing = true
      this.relay.close(() => {
        this.clientDone = true
        if (this.mail.isGone) this.leave()
      })
      if (!this.mail.isGone) this.mail.stop(TERM_AFTER)
    }
    if (!this.mail.isGone) return
    // A client that does not take its last bytes is not waited for indefinitely.
    if (this.clientDone) this.leave()
    else setTimeout(() => this.leave(), this.silence)
  }

  private leave(): never {
    process.exit(this.exit ?? CRASHED)
  }
}

const actorOf = (program: FixsmtpioProgram): FixsmtpioState =>
  relayActor({
    rules: program.rules,
    greeting: program.greeting,
    tls: program.tls,
    debug: program.debug,
    classic: true,
    loggedIn: program.loggedIn,
    peer: '',
    enhanced: false,
    chunking: false,
    size: Number.POSITIVE_INFINITY,
  })

/** The mail program is to find what the parent says of the connection, and no TLS to start. */
function enterTls(variables: readonly string[]): void {
  for (const variable of variables) {
    const at = variable.indexOf('=')
    process.env[variable.slice(0, at)] = variable.slice(at + 1)
  }
  process.env['FIXSMTPIOTLS'] = '1'
  delete process.env['UCSPITLS']
  delete process.env['DISABLETLS']
}

/** As recorded; but after a login authup would take 1 for a refused password, and takes 111 for a temporary failure. */
function unableToExec(loggedIn: boolean): never {
  return die(`${NAME}: unable to exec`, loggedIn ? 111 : 1)
}

/** NOFIXSMTPIO: the program itself, with our descriptors; its end is ours. */
export function runInstead([path = '', ...words]: readonly string[], loggedIn: boolean): void {
  const child = spawn(path, words, { stdio: 'inherit' })
  child.on('error', () => unableToExec(loggedIn))
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGALRM'] as const)
    process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 0)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
