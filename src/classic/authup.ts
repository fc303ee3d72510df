// The program authup: the dialogue before login on descriptors 0 and 1; then the chain has them, or, for a guest, a relay.
//
//   0, 1 ══> [ reup ── authup ── checkpassword ]      authup-helper ──> CHAIN on the same 0, 1
//   0, 1 ══> [ fixsmtpio ] <══ relay ══> GUEST CHAIN  for a peer that has not authenticated

import { newAuthup } from '../actors/authup.ts'
import { newCheckpassword } from '../actors/checkpassword.ts'
import type { LogEvent, Performed } from '../actors/effects.ts'
import { NO_ASKS, newFixsmtpio } from '../actors/fixsmtpio.ts'
import { type Frame, TAG } from '../actors/frames.ts'
import { newReup } from '../actors/reup.ts'
import { fieldsText } from '../edge/log.ts'
import type { DialogueSettings } from '../protocol/dialogue.ts'
import type { BareLineEnd } from '../protocol/end-of-data.ts'
import { REQUEST_LIMIT } from '../protocol/lines.ts'
import { hasKeyword, sizeLimit } from '../protocol/mail.ts'
import { promisesStatus } from '../protocol/status.ts'
import { parseRules } from '../rules/parse.ts'
import { rulesFor } from '../rules/rewrite.ts'
import { noRules } from '../rules/ruleset.ts'
import { createStages, type Staged } from '../session/stages.ts'
import { Client } from './client.ts'
import type { ClassicAnswer, ClassicHelper } from './helper.ts'
import { tell } from './process.ts'
import { Relay } from './relay.ts'
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
  const { dialogue, once } = program
  let chainPid = 0
  let user = ''
  let ended: ClassicAnswer | undefined
  let variables: readonly string[] = []
  let wantTls = false
  let asking = false
  let asked: 'auth' | 'guest' = 'auth'
  let tlsOn = false
  /** The relay is on. */
  let guest = false
  let clientGone = false
  let exit: number | undefined

  const session: Staged = {
    front: 'authup',
    actors: {
      reup: newReup(program.tries),
      authup: newAuthup(
        dialogue,
        `<${process.pid}.${Math.floor(Date.now() / 1000)}@${dialogue.greeting}>`,
        false,
        once,
      ),
      checkpassword: newCheckpassword,
      fixsmtpio: undefined,
    },
  }
  const stages = createStages<Staged>(
    (_session, effect) => perform(effect),
    (_session, _actor, error) => {
      tell(`authup: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      process.exit(FAILED)
    },
  )
  const helper = program.joinHelper((answer) => answered(answer))

  const client = new Client(0, 1, 'lines', {
    input: (bytes) => {
      timer.refresh()
      if (guest) relay.fromClient(bytes)
      else post([TAG.input, SESSION, bytes])
    },
    ended: () => {
      if (clientGone) return
      clientGone = true
      // While a chain has the client's descriptors their end is its business.
      if (!asking) post([TAG.eof, SESSION])
    },
    drained: () => relay.clientDrained(),
  })
  const silence = Math.min(program.timeout * 1000, 2 ** 31 - 1)
  const timer = setTimeout(() => {
    if (asking) timer.refresh()
    else post([TAG.timeout, SESSION])
  }, silence)
  const relay = new Relay({
    client,
    bareLineEnd: program.bareLineEnd,
    post,
    seen: () => timer.refresh(),
    debug: undefined,
  })

  let depth = 0
  function post(frame: Frame): void {
    depth += 1
    stages.post(session, frame)
    depth -= 1
    if (depth > 0) return
    if (wantTls) {
      wantTls = false
      beginTls()
    } else relay.settle()
    if (exit !== undefined) finish()
  }

  function perform(effect: Performed): void {
    switch (effect.do) {
      case 'ask-limits':
        throw new Error('the program authup has no limits')
      case 'ask-helper': {
        asking = true
        // What the client sends from here on is the chain's to read.
        relay.perform({ do: 'hold' })
        user = effect.user
        chainPid = 0
        const { kind, credentials } = effect
        asked = kind
        const environment = kind === 'auth' ? [`AUTHUP_USER=${user}`, `AUTHUSER=${user}`, ...variables] : variables
        // What we have said must have left before the chain speaks on the same descriptor.
        client.whenWritten(() => helper.ask(kind, tlsOn, environment, credentials))
        break
      }
      case 'start-tls':
        wantTls = true
        break
      case 'switch':
        serveGuest()
        break
      case 'close':
        exit ??= effect.exit
        break
      case 'log':
        report(effect.event, effect.n, effect.said)
        break
      case 'reply':
      case 'request':
      case 'hold':
      case 'room':
      case 'body':
      case 'end-requests':
      case 'debug':
        relay.perform(effect)
        break
      // For those who watch acceptd; and a POP3 chain has the client's descriptors itself.
      case 'note':
      case 'helo':
      case 'hits':
      case 'splice':
        break
    }
  }

  // ---- the helper

  function answered(answer: ClassicAnswer): void {
    if (answer.is === 'pid') {
      chainPid = answer.pid
      if (asked === 'guest') post([TAG.answer, SESSION, 'ok', -1, ''])
      else tell(once ? `authup: login attempt by ${user}` : `${checkpassword()} attempt for ${user}`)
      return
    }
    ended = answer
    if (guest) {
      relay.ended(answer.is === 'exit' ? answer.code : answer.is === 'signal' ? 256 : -1)
      return
    }
    const refused = answer.is === 'exit' && REFUSED.includes(answer.code)
    if (asked === 'auth' && refused && program.delay > 0) setTimeout(take, program.delay * 1000, answer)
    else take(answer)
  }

  /** The helper's last word about an attempt. */
  function take(answer: Exclude<ClassicAnswer, { is: 'pid' }>): void {
    if (!asking) return
    if (answer.is === 'lost') tell(`${us} authup-helper is gone`)
    else if ('text' in answer) tell(`${us} ${answer.is} ${answer.text}`)
    asking = false
    timer.refresh()
    if (answer.is === 'exit') post([TAG.answer, SESSION, 'chain-exit', answer.code, ''])
    else if (answer.is === 'signal') post([TAG.answer, SESSION, 'signal', answer.code, ''])
    else post([TAG.answer, SESSION, answer.is === 'missing' ? 'missing' : 'unreachable', -1, ''])
    if (exit !== undefined) return
    if (clientGone) post([TAG.eof, SESSION])
    else relay.perform({ do: 'room' })
  }

  const us = `authup ${process.pid}`
  const checkpassword = (): string => `${us} checkpassword ${chainPid}`

  function report(event: LogEvent, n: number, said: string): void {
    if (event === 'tls-failed') tell(`${us} TLS failed`)
    else if (event === 'ehlo-refused') tell(`${us} EHLO refused${fieldsText({ said })}`)
    else if (said !== '') tell(`${us} mail program spoke nonsense${fieldsText({ said })}`)
    else if (once || guest) return
    else if (event === 'login-failed' || event === 'login-root') tell(`${checkpassword()} failed, ${n} remaining`)
    else if (event === 'chain-completed') tell(`${checkpassword()} succeeded, child completed`)
    else if (event === 'login-tempfail' && ended?.is === 'exit' && ended.code === 111)
      tell(`${checkpassword()} failed temporarily`)
  }

  // ---- a peer that does not authenticate

  function serveGuest(): void {
    asking = false
    guest = true
    session.front = 'fixsmtpio'
    session.actors.fixsmtpio = newFixsmtpio({
      rules: rulesFor(GUEST_RULES, () => false),
      greeting: dialogue.greeting,
      tls: 'none',
      debug: false,
      classic: false,
      loggedIn: false,
      longest: REQUEST_LIMIT,
      warm: false,
      introduced: '',
      senders: undefined,
      peer: process.env['TCPREMOTEIP'] ?? '',
      asks: NO_ASKS,
      enhanced: promisesStatus(dialogue.capabilities),
      chunking: hasKeyword(dialogue.capabilities, 'CHUNKING'),
      size: sizeLimit(dialogue.capabilities),
    })
    client.streamed()
    relay.attach({ input: helper.relay, output: helper.relay })
    helper.relay.resume()
    relay.perform({ do: 'room' })
  }

  // ---- TLS

  function beginTls(): void {
    startTls(client, program.tls, silence, (given, discarded) => {
      if (discarded > 0) tell(`${us} attack: discarded ${discarded} octets of plaintext sent before TLS`)
      if (given !== undefined) {
        variables = given
        tlsOn = true
        if (!once) tell(`${us} negotiated TLS`)
      } else if (once && program.tls !== undefined) {
        // The parent has had its one handshake.
        exit = USELESS
      }
      timer.refresh()
      post([TAG.tls, SESSION, given !== undefined])
      if (exit === undefined) client.resume()
    })
  }

  // ---- the end

  let finishing = false
  function finish(): void {
    if (finishing) return
    finishing = true
    clearTimeout(timer)
    // The connection was the guest chain's: there is nothing left for another authup.
    const code = guest && once && exit !== 0 ? USELESS : (exit ?? FAILED)
    relay.close()
    setTimeout(() => process.exit(code), Math.max(silence, 1000))
    client.whenWritten(() => process.exit(code))
  }

  post(program.greet ? [TAG.start, SESSION] : [TAG.attempt, SESSION, false])
  client.resume()
}
