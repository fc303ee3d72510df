// From an accepted socket to a session, and from its end to the log.

import type { ClientSocket } from '../edge/listening.ts'
import { ClientSession, type SessionSettings, type Surroundings } from '../session/session.ts'
import { evictWhile, isFull, type Lane, publishUse } from './state.ts'

/** A refused client has this long to read why. */
const REFUSED_MILLISECONDS = 1000

export function acceptClient(lane: Lane, host: Surroundings, socket: ClientSocket, listener: number): void {
  const settings = lane.generations.published().settings[listener]
  if (settings === undefined || socket.remoteAddress === undefined) {
    socket.destroy()
    return
  }
  evictWhile(lane, isFull)
  const why = refusal(lane, listener)
  if (why !== '') refuse(lane, socket, listener, settings, why)
  else begin(lane, host, socket, listener, settings)
}

/** Why no session is taken now, or empty. */
function refusal(lane: Lane, listener: number): string {
  if (lane.refusing) return 'shutting down'
  if (lane.pauses[listener] === '421') return 'paused'
  return isFull(lane) ? 'too many sessions' : ''
}

function refuse(lane: Lane, socket: ClientSocket, listener: number, settings: SessionSettings, why: string): void {
  lane.counters.refused(listener)
  lane.counters.refusedBecause(settings.listener, why)
  socket.on('error', () => undefined)
  socket.end(settings.dialogue.protocol === 'smtp' ? `421 ${why} (#4.3.2)\r\n` : `-ERR [SYS/TEMP] ${why}\r\n`)
  socket.resume()
  setTimeout(() => socket.destroy(), REFUSED_MILLISECONDS).unref()
  lane.reporter.log('warn', 'session-refused', { ip: socket.remoteAddress, listener: settings.listener, why })
}

function begin(
  lane: Lane,
  host: Surroundings,
  socket: ClientSocket,
  listener: number,
  settings: SessionSettings,
): void {
  const began = performance.now()
  const id = lane.nextId
  lane.nextId += 1
  const name = `${lane.start.lane}.${lane.start.boot}.${id.toString(36)}`
  const session = new ClientSession(id, name, socket, settings, timestampOf(lane, id, settings), host)
  lane.sessions.set(id, session)
  publishUse(lane)
  lane.byName.set(name, session)
  lane.generations.join(session)
  session.traced = lane.traces.some((matches) => matches(session))
  lane.counters.accepted(listener, settings.listener)
  lane.reporter.logOf(session, 'debug', 'session-begins', {})
  session.start()
  lane.counters.firstReply((performance.now() - began) / 1000)
  lane.reporter.event('session', 'accepted', session)
}

/** RFC 1939 section 7: different at each greeting. */
function timestampOf(lane: Lane, id: number, { dialogue }: SessionSettings): string {
  if (dialogue.protocol !== 'pop3') return ''
  return `<${process.pid}.${lane.start.lane}${id}.${Math.floor(Date.now() / 1000)}@${dialogue.greeting}>`
}

/** Ends after which the helper is asked to end the backend, too: TERM, and KILL five seconds later. */
const CUT = new Set(['killed', 'blocked', 'ending', 'timeout', 'stopped'])

export function sessionEnded(lane: Lane, session: ClientSession, why: string): void {
  lane.asking.get(session)?.()
  lane.asking.delete(session)
  lane.parking.forget(session)
  if (!lane.sessions.delete(session.id)) return
  if (session.accepted !== undefined) lane.serving -= 1
  // A backend that was cut off may be busy with something that is not its input.
  if (session.accepted !== undefined && CUT.has(why)) lane.reporter.kill(session)
  publishUse(lane)
  lane.byName.delete(session.name)
  lane.generations.leave(session)
  lane.counters.ended(session, why)
  const { user, messages, bytesIn, bytesOut } = session
  const seconds = Math.round((Date.now() - session.started) / 100) / 10
  lane.reporter.logOf(session, 'info', 'session-ended', { user, why, seconds, messages, in: bytesIn, out: bytesOut })
  lane.reporter.event('session', 'ended', session, { why, messages, bytesIn, bytesOut })
  if (lane.stopping && lane.sessions.size === 0) lane.end()
}
