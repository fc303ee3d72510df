// What a lane says to the main thread without being asked: log lines, events, traces, backends to be ended. Gathered, ten times a second.

import type { LogLevel, TraceLine } from '../contract/daemon.ts'
import type { DaemonEvent } from '../contract/events.ts'
import { LOG_ERRORS_KEPT, type LogError, type LogLevels } from '../contract/log.ts'
import { identityOf, type Place } from '../contract/session-view.ts'
import { fieldsText, isLogged, type LogFields, logError, logLine } from '../edge/log.ts'
import type { ClientSession } from '../session/session.ts'
import { viewed } from './describe.ts'
import type { FromLane } from './messages.ts'

export interface Reporter {
  readonly log: (level: LogLevel, event: string, fields: LogFields) => void
  /** The same, with the session's own fields in front. */
  readonly logOf: (session: ClientSession, level: LogLevel, event: string, fields: LogFields) => void
  /** Its client is another one: what log lines say of it is made anew. */
  readonly renamed: (session: ClientSession) => void
  readonly event: (
    topic: DaemonEvent['topic'],
    name: string,
    session: ClientSession | undefined,
    data?: DaemonEvent['data'],
  ) => void
  /** Whether events are wanted. */
  readonly hears: () => boolean
  readonly trace: (session: ClientSession, line: Pick<TraceLine, 'from' | 'verb' | 'text'>) => void
  /** Has the helper end the session's backend. */
  readonly kill: (session: ClientSession) => void
  readonly listen: (levels: LogLevels, events: boolean) => void
  readonly flush: () => void
}

const fieldsOf = ({ name, ip, port, settings }: ClientSession): LogFields => ({
  session: name,
  ip,
  port,
  listener: settings.listener,
})

export function createReporter(tell: (message: FromLane) => void, place: (session: ClientSession) => Place): Reporter {
  /** What each of a session's log lines says of it, made once: nearly every session has two. */
  const who = new WeakMap<ClientSession, string>()
  const whoOf = (session: ClientSession): string => {
    const known = who.get(session)
    if (known !== undefined) return known
    const text = fieldsText(fieldsOf(session))
    who.set(session, text)
    return text
  }
  let levels: LogLevels = { acceptd: 'info' }
  let wantsEvents = false
  let logged = ''
  let events: DaemonEvent[] = []
  let traces: TraceLine[] = []
  let kills: string[] = []
  let errors: LogError[] = []
  const keep = (error: LogError | undefined): void => {
    if (error !== undefined) errors.push(error)
    // The main thread keeps no more.
    if (errors.length > 2 * LOG_ERRORS_KEPT) errors = errors.slice(-LOG_ERRORS_KEPT)
  }
  return {
    log(at, what, fields) {
      keep(logError(at, what, fields))
      if (isLogged(at, what, levels)) logged += logLine(at, what, fields)
    },
    logOf(session, at, what, fields) {
      if (at === 'warn' || at === 'error') keep(logError(at, what, fieldsOf(session), fields))
      if (!isLogged(at, what, levels)) return
      logged += logLine(at, what, fields, whoOf(session))
    },
    renamed: (session) => void who.delete(session),
    event(topic, name, session, data = {}) {
      if (!wantsEvents) return
      const about = session && { session: identityOf(viewed(session, place(session))) }
      events.push({ at: Date.now(), topic, name, ...about, data })
    },
    hears: () => wantsEvents,
    trace(session, line) {
      traces.push({ ...identityOf(viewed(session, place(session))), at: Date.now(), ...line })
    },
    kill(session) {
      kills.push(session.name)
    },
    listen(wanted, want) {
      levels = wanted
      wantsEvents = want
    },
    flush() {
      if (logged !== '') tell({ log: logged })
      if (errors.length > 0) tell({ errors })
      // The end of a session comes after its last lines.
      if (traces.length > 0) tell({ traces })
      if (events.length > 0) tell({ events })
      if (kills.length > 0) tell({ kill: kills })
      logged = ''
      errors = []
      events = []
      traces = []
      kills = []
    },
  }
}
