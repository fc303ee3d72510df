// From an accepted socket to a session, and from its end to the log.

import { ENDINGS, type Why } from '../actors/endings.ts'
import { accessFor } from '../config/access.ts'
import { accessRulesOf } from '../config/config.ts'
import { monotonic } from '../edge/clock.ts'
import type { ClientSocket } from '../edge/listening.ts'
import { randomDigits } from '../edge/random.ts'
import type { TlsFacts, TlsFailure } from '../edge/tls.ts'
import { never, notNow } from '../protocol/dialogue.ts'
import { isChallenged } from '../protocol/sasl.ts'
import { type Arrival, arrivalOf, enter, type Refusal, type Step } from '../session/door.ts'
import type { SessionHost, SessionSettings } from '../session/host.ts'
import { ClientSession } from '../session/session.ts'
import { limited } from './limits.ts'
import { named } from './names.ts'
import { proxyHeader } from './proxy.ts'
import { displaceSilent, endIfIdle, evictWhile, idleSeconds, isFull, type Lane, publishUse, shutDown } from './state.ts'
import { follow } from './tracing.ts'
import { isProbe } from './usage.ts'

/** A client on one of the lane's listeners goes through the door; it comes out as a session, or refused. */
export function acceptClient(lane: Lane, host: SessionHost, socket: ClientSocket, listener: number): void {
  if (isProbe(lane.usage, listener, socket.remotePort ?? 0) && socket.remoteAddress === socket.localAddress) {
    // To be accepted is all that it wants: nothing counts or logs it.
    socket.destroy()
    return
  }
  const settings = lane.generations.published().settings[listener]
  const arrival = settings === undefined ? undefined : arrivalOf(socket, listener, settings, lane.nextId)
  if (arrival === undefined) {
    socket.destroy()
    return
  }
  lane.nextId += 1
  lane.entering += 1
  enter(lane.door, arrival, (outcome) => {
    lane.entering -= 1
    if ('refused' in outcome) turnAway(lane, arrival, outcome)
    else begin(lane, host, outcome)
    endIfIdle(lane)
  })
}

/** The steps of a lane's door. */
export const doorOf = (lane: Lane): readonly Step[] => [
  refuse(lane),
  proxyHeader(lane),
  named(lane),
  access(lane),
  limited(lane),
  implicitTls(lane),
]

/** While the service ends, the listener is paused or has TLS without a certificate, or the lane is full. */
const refuse =
  (lane: Lane): Step =>
  (arrival, next) => {
    publishUse(lane)
    evictWhile(lane, isFull)
    makeRoom(lane, arrival.peer.ip)
    if (lane.refusing) next({ refused: 'shutting down' })
    else if (lane.pauses[arrival.listener] === '421') next({ refused: 'paused' })
    else if (hasTls(arrival.settings) && !lane.handshakes.ready()) next({ refused: 'no certificate' })
    else if (isFull(lane)) next({ refused: 'too many sessions' })
    else next(arrival)
  }

/** Lanes that take a client each at the same time are one over: then it takes two. */
function makeRoom(lane: Lane, ip: string): void {
  let left = 4
  while (left > 0 && isFull(lane) && displaceSilent(lane, ip)) left -= 1
}

const hasTls = ({ implicitTls, dialogue }: SessionSettings): boolean => implicitTls || dialogue.tls !== 'none'

/** What control/access says of the peer. */
const access =
  (lane: Lane): Step =>
  (arrival, next) => {
    const rules = accessRulesOf(lane.generations.published().config, arrival.settings.listener)
    const rule = accessFor(rules, arrival.peer.ip, arrival.host, arrival.info)
    if (rule !== undefined) lane.generations.count(rule.key)
    if (rule === undefined || (rule.allow && rule.variables.length === 0)) next(arrival)
    else if (rule.allow) next({ ...arrival, variables: rule.variables })
    else next({ refused: 'access denied', forGood: true })
  }

/** RFC 8314 section 3: TLS from the first octet. */
const implicitTls =
  (lane: Lane): Step =>
  (arrival, next) => {
    const { socket, settings, peer } = arrival
    if (!settings.implicitTls) {
      next(arrival)
      return
    }
    const { listener, authority } = settings
    const client = { socket, listener, ip: peer.ip, port: peer.port, session: '', authority }
    publishUse(lane)
    lane.handshakes.begin(client, (secured, outcome) => {
      if (typeof outcome === 'string') next({ refused: 'tls', gone: true })
      else next({ ...arrival, socket: secured, tls: outcome })
    })
  }

/** STARTTLS and STLS: the session has said yes. */
export function startTls(
  lane: Lane,
  session: ClientSession,
  socket: ClientSocket,
  done: (secured: ClientSocket, outcome: TlsFacts | TlsFailure) => void,
): ClientSocket {
  const { name, ip, port, settings } = session
  const { listener, authority } = settings
  return lane.handshakes.begin({ socket, listener, ip, port, session: name, authority }, done)
}

function turnAway(lane: Lane, { socket, id, settings, peer }: Arrival, refusal: Refusal): void {
  const { refused: why, status = '4.3.2', limit, gone, forGood } = refusal
  lane.counters.refusedBecause(settings.listener, limit === undefined ? why : `limit ${limit}`)
  lane.reporter.event('limit', 'refused', undefined, { why, listener: settings.listener, ip: peer.ip, limit })
  lane.limits.tell(['ended', id])
  publishUse(lane)
  if (gone) return
  const text = forGood ? never(settings.dialogue, '5.7.1', why) : notNow(settings.dialogue, status, why)
  lane.farewells.say(socket, text, idleSeconds(lane, settings))
  lane.reporter.log('warn', 'session-refused', { ip: peer.ip, listener: settings.listener, why, limit })
}

function begin(lane: Lane, host: SessionHost, arrival: Arrival): void {
  const began = performance.now()
  const { id, settings } = arrival
  const name = `${lane.start.lane}.${lane.start.boot}.${id.toString(36)}`
  const session = new ClientSession(id, name, arrival, timestampOf(lane, id, settings), host)
  lane.sessions.set(id, session)
  publishUse(lane)
  lane.byName.set(name, session)
  lane.beforeLogin.add(session)
  lane.generations.join(session)
  if (lane.traces.length > 0) follow(lane, session)
  lane.counters.accepted(settings.listener)
  lane.reporter.logOf(session, 'debug', 'session-begins', {})
  session.start()
  lane.counters.firstReply((performance.now() - began) / 1000)
  lane.reporter.event('session', 'accepted', session)
  if (lane.stopping === 'stop') shutDown(lane, session, 'service shutting down')
}

/** RFC 1939 section 7: different at each greeting. RFC 2195 section 2: nobody can know it before. */
function timestampOf(
  lane: Lane,
  id: number,
  { dialogue: { protocol, mechanisms, greeting } }: SessionSettings,
): string {
  const challenges = mechanisms.some(isChallenged)
  if (protocol !== 'pop3' && !challenges) return ''
  const random = challenges ? `.${randomDigits()}` : ''
  return `<${process.pid}.${lane.start.lane}${id}${random}.${Math.floor(Date.now() / 1000)}@${greeting}>`
}

export function sessionEnded(lane: Lane, session: ClientSession, why: Why): void {
  lane.asking.get(session)?.()
  lane.asking.delete(session)
  if (!lane.sessions.delete(session.id)) return
  lane.beforeLogin.delete(session)
  lane.limits.tell(['ended', session.id])
  if (session.login.accepted !== undefined) lane.serving -= 1
  // A backend that was cut off may be busy with something that is not its input.
  if (session.login.accepted !== undefined && ENDINGS[why].cut) lane.reporter.kill(session)
  publishUse(lane)
  lane.byName.delete(session.name)
  lane.traced.delete(session)
  lane.counters.ended(session, why)
  const { user } = session.login
  const { messages } = session.counters
  const { bytesIn, bytesOut } = session.streams
  const seconds = Math.round((monotonic() - session.started) / 100) / 10
  lane.reporter.logOf(session, 'info', 'session-ended', { user, why, seconds, messages, in: bytesIn, out: bytesOut })
  lane.reporter.event('session', 'ended', session, { why, messages, bytesIn, bytesOut })
  lane.generations.leave(session)
  endIfIdle(lane)
}
