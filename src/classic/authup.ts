// The program authup: the dialogue before login on descriptors 0 and 1; then the chain has them, or, for a guest, a relay.
//
//   0, 1 ══> [ reup ── authup ── checkpassword ]      authup-helper ──> CHAIN on the same 0, 1
//   0, 1 ══> [ fixsmtpio ] <══ relay ══> GUEST CHAIN  for a peer that has not authenticated

import { newAuthup } from '../actors/authup-state.ts'
import { newCheckpassword } from '../actors/checkpassword.ts'
import type { AskHelper, Log, Performed } from '../actors/effects.ts'
import type { FixsmtpioState } from '../actors/fixsmtpio.ts'
import { type Frame, TAG } from '../actors/frames.ts'
import { newReup } from '../actors/reup.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import { hasKeyword, sizeLimit } from '../protocol/mail.ts'
import { promisesStatus } from '../protocol/status.ts'
import { parseRules } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'
import { noRules } from '../rules/ruleset.ts'
import { createStages, type Staged, type Stages } from '../session/stages.ts'
import { attemptLine, faultLine, noAttempt, us, verdictLine } from './authup-log.ts'
import { Client } from './client.ts'
import type { ClassicAnswer, ClassicHelper } from './helper.ts'
import { tell } from './process.ts'
import { Relay, relayActor } from './relay.ts'
import { startTls, type TlsDescriptors } from './ucspi.ts'

export interface AuthupProgram {
  readonly dialogue: DialogueSettings
  readonly tries: number
  readonly tls: TlsDescriptors | undefined
  /** Seconds that the client may be silent. */
  readonly timeout: number
  readonly bareLineEnd: BareLineEnd
  /** REUP is set: one attempt outside TLS, and the log lines of 2018. */
  readonly once: boolean
  /** Seconds that the answer to a refused password waits. */
  readonly delay: number
  readonly greet: boolean
  readonly joinHelper: (answered: (answer: ClassicAnswer) => void) => ClassicHelper
}

const SESSION = 0
const FAILED = 1
/** Tells reup that another attempt would be useless. */
const USELESS = 12
/** checkpassword(8) has refused the password, or calls itself misused. */
const REFUSED: readonly number[] = [1, 2]
/** After the hand-over nobody logs in any more (RFC 4954 section 4: AUTH only once, and not during a mail transaction). */
const GUEST_RULES = parseRules(
  ':auth:NOOP :*::503 authup mail is being served without authentication (#5.5.1)\n',
  '',
).unwrapOr(noRules)

export function runAuthup(program: AuthupProgram): void {
  new Authup(program).begin()
}

class Authup {
  private readonly program: AuthupProgram
  private readonly session: Staged
  private readonly stages: Stages<Staged>
  private readonly helper: ClassicHelper
  private readonly client: Client
  private readonly relay: Relay
  /** Milliseconds that the client may be silent. */
  private readonly silence: number
  private readonly timer: NodeJS.Timeout
  private depth = 0
  private attempt = noAttempt
  /** A chain has the client's descriptors. */
  private asking = false
  /** The relay is on, for a peer that has not authenticated. */
  private guest = false
  /** What the parent says of TLS, once it is on. */
  private tlsVariables: readonly string[] | undefined
  private clientGone = false
  private exit: number | undefined
  private finishing = false

  constructor(program: AuthupProgram) {
    this.program = program
    this.session = sessionOf(program)
    this.stages = createStages<Staged>(
      (_session, effect) => this.perform(effect),
      (_session, _actor, error) => {
        tell(`authup: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
        process.exit(FAILED)
      },
    )
    this.helper = program.joinHelper((answer) => this.answered(answer))
    this.client = new Client(0, 1, 'lines', {
      input: (bytes) => this.fromClient(bytes),
      ended: () => this.clientEnded(),
      drained: () => this.relay.clientDrained(),
    })
    this.silence = Math.min(program.timeout * 1000, 2 ** 31 - 1)
    this.timer = setTimeout(() => this.timedOut(), this.silence)
    this.relay = new Relay({
      client: this.client,
      bareLineEnd: program.bareLineEnd,
      post: (frame) => this.post(frame),
      beginTls: () => this.beginTls(),
      seen: () => this.timer.refresh(),
      debug: undefined,
    })
  }

  begin(): void {
    this.post(this.program.greet ? [TAG.start, SESSION] : [TAG.attempt, SESSION, false])
    this.client.resume()
  }

  // ---- the client

  private fromClient(bytes: Uint8Array): void {
    this.timer.refresh()
    if (this.guest) this.relay.fromClient(bytes)
    else this.post([TAG.input, SESSION, bytes])
  }

  private clientEnded(): void {
    if (this.clientGone) return
    this.clientGone = true
    // While a chain has the client's descriptors their end is its business.
    if (!this.asking) this.post([TAG.eof, SESSION])
  }

  private timedOut(): void {
    if (this.asking) this.timer.refresh()
    else this.post([TAG.timeout, SESSION])
  }

  // ---- the actors

  private post(frame: Frame): void {
    this.depth += 1
    this.stages.post(this.session, frame)
    this.depth -= 1
    if (this.depth > 0) return
    this.relay.settle()
    if (this.exit !== undefined) this.finish()
  }

  private perform(effect: Performed): void {
    switch (effect.do) {
      case 'describe':
      case 'ask-limits':
        throw new Error('the program authup has no limits, and trusts nobody')
      case 'ask-helper':
        this.askHelper(effect)
        break
      case 'switch':
        this.serveGuest()
        break
      case 'close':
        this.exit ??= effect.exit
        break
      case 'log':
        this.report(effect)
        break
      case 'reply':
      case 'request':
      case 'hold':
      case 'room':
      case 'body':
      case 'end-requests':
      case 'start-tls':
      case 'debug':
        this.relay.perform(effect)
        break
      // For those who watch acceptd; and a POP3 chain has the client's descriptors itself.
      case 'note':
      case 'helo':
      case 'hits':
      case 'sender':
      case 'splice':
        break
    }
  }

  private report({ event, n, said }: Log): void {
    const ofAttempt = this.program.once || this.guest ? undefined : verdictLine(event, n, this.attempt)
    const line = faultLine(event, said) ?? ofAttempt
    if (line !== undefined) tell(line)
  }

  // ---- the helper

  private askHelper({ kind: asked, user, credentials }: AskHelper): void {
    const kind = asked === 'guest' ? 'guest' : 'auth'
    const { client, helper, tlsVariables } = this
    this.asking = true
    // What the client sends from here on is the chain's to read.
    this.relay.perform({ do: 'hold' })
    this.attempt = { ...this.attempt, user, kind, pid: 0 }
    const who = kind === 'auth' ? [`AUTHUP_USER=${user}`, `AUTHUSER=${user}`] : []
    const environment = [...who, ...(tlsVariables ?? [])]
    // What we have said must have left before the chain speaks on the same descriptor.
    client.whenWritten(() => helper.ask(kind, tlsVariables !== undefined, environment, credentials))
  }

  private answered(answer: ClassicAnswer): void {
    if (answer.is === 'pid') {
      this.attempt = { ...this.attempt, pid: answer.pid }
      if (this.attempt.kind === 'guest') this.post([TAG.answer, SESSION, 'ok', -1, ''])
      else tell(attemptLine(this.attempt, this.program.once))
      return
    }
    this.attempt = { ...this.attempt, ended: answer }
    if (this.guest) {
      this.relay.ended(answer.is === 'exit' ? answer.code : answer.is === 'signal' ? 256 : -1)
      return
    }
    const { delay } = this.program
    const isRefusal = this.attempt.kind === 'auth' && answer.is === 'exit' && REFUSED.includes(answer.code)
    if (isRefusal && delay > 0) setTimeout(() => this.takeLastWord(answer), delay * 1000)
    else this.takeLastWord(answer)
  }

  /** The helper's last word about an attempt. */
  private takeLastWord(answer: Exclude<ClassicAnswer, { is: 'pid' }>): void {
    if (!this.asking) return
    if (answer.is === 'lost') tell(`${us} authup-helper is gone`)
    else if ('text' in answer) tell(`${us} ${answer.is} ${answer.text}`)
    this.asking = false
    this.timer.refresh()
    if (answer.is === 'exit') this.post([TAG.answer, SESSION, 'chain-exit', answer.code, ''])
    else if (answer.is === 'signal') this.post([TAG.answer, SESSION, 'signal', answer.code, ''])
    else this.post([TAG.answer, SESSION, answer.is === 'missing' ? 'missing' : 'unreachable', -1, ''])
    if (this.exit !== undefined) return
    if (this.clientGone) this.post([TAG.eof, SESSION])
    else this.relay.perform({ do: 'room' })
  }

  // ---- a peer that does not authenticate

  private serveGuest(): void {
    const { session, client, helper, relay } = this
    this.asking = false
    this.guest = true
    session.front = 'fixsmtpio'
    session.actors.fixsmtpio = guestActor(this.program.dialogue)
    client.streamed()
    relay.attach({ input: helper.relay, output: helper.relay })
    helper.relay.resume()
    relay.perform({ do: 'room' })
  }

  // ---- TLS

  private beginTls(): void {
    const { client, program, silence } = this
    startTls(client, program.tls, silence, (variables, discarded) => {
      if (discarded > 0) tell(`${us} attack: discarded ${discarded} octets of plaintext sent before TLS`)
      if (variables !== undefined) {
        this.tlsVariables = variables
        if (!program.once) tell(`${us} negotiated TLS`)
      } else if (program.once && program.tls !== undefined) {
        // The parent has had its one handshake.
        this.exit = USELESS
      }
      this.timer.refresh()
      this.post([TAG.tls, SESSION, variables !== undefined, []])
      if (this.exit === undefined) client.resume()
    })
  }

  // ---- the end

  private finish(): void {
    if (this.finishing) return
    this.finishing = true
    clearTimeout(this.timer)
    // The connection was the guest chain's: there is nothing left for another authup.
    const code = this.guest && this.program.once && this.exit !== 0 ? USELESS : (this.exit ?? FAILED)
    setTimeout(() => process.exit(code), Math.max(this.silence, 1000))
    this.relay.close(() => process.exit(code))
  }
}

const sessionOf = ({ dialogue, tries, once }: AuthupProgram): Staged => ({
  front: 'authup',
  actors: {
    reup: newReup(tries),
    authup: newAuthup(dialogue, `<${process.pid}.${Math.floor(Date.now() / 1000)}@${dialogue.greeting}>`, false, once),
    checkpassword: newCheckpassword,
    fixsmtpio: undefined,
  },
})

const guestActor = ({ greeting, capabilities }: DialogueSettings): FixsmtpioState =>
  relayActor({
    rules: rulesFor(GUEST_RULES, () => false),
    greeting,
    tls: 'none',
    debug: false,
    classic: false,
    loggedIn: false,
    peer: process.env['TCPREMOTEIP'] ?? '',
    enhanced: promisesStatus(capabilities),
    chunking: hasKeyword(capabilities, 'CHUNKING'),
    size: sizeLimit(capabilities),
  })
