// What a lane says to the main thread without being asked: log lines, events, traces, backends to be ended. Gathered, ten times a second.

import type { Effect, LogEvent } from '../actors/effects.ts'
import type { DaemonEvent, LogLevel, TraceLine } from '../contract/daemon.ts'
import { fieldsText, isLogged, type LogFields, logLine } from '../edge/log.ts'
import type { ClientSession } from '../session/session.ts'
import { identity, type Place, shownVerb } from './describe.ts'
import type { FromLane } from './messages.ts'

export interface Voice {
  readonly log: (level: LogLevel, event: string, fields: LogFields) => void
  /** The same, with the session's own fields in front. */
  readonly logOf: (session: ClientSession, level: LogLevel, event: string, fields: LogFields) => void
  readonly event: (
    topic: DaemonEvent['topic'],
    name: string,
    session: ClientSession,
    data?: DaemonEvent['data'],
  ) => void
  /** A line of the client or a reply to it; only the verb and the code where the line may hold a password. */
  readonly trace: (session: ClientSession, from: TraceLine['from'], text: string) => void
  /** An actor's log effect, as a line and an event. */
  readonly tellOf: (session: ClientSession, effect: Effect & { readonly do: 'log' }) => void
  /** Has the helper end the session's backend. */
  readonly kill: (session: ClientSession) => void
  readonly listen: (level: LogLevel, events: boolean) => void
  readonly flush: () => void
}

export function createVoice(tell: (message: FromLane) => void, place: (session: ClientSession) => Place): Voice {
  let level: LogLevel = 'info'
  let wantsEvents = false
  let logged = ''
  let events: DaemonEvent[] = []
  let traces: TraceLine[] = []
  let kills: string[] = []

  function log(at: LogLevel, what: string, fields: LogFields): void {
    if (isLogged(at, level)) logged += logLine(at, what, fields)
  }

  function logOf(session: ClientSession, at: LogLevel, what: string, fields: LogFields): void {
    if (!isLogged(at, level)) return
    if (session.logFields === '') {
      const { name, ip, port, settings } = session
      session.logFields = fieldsText({ session: name, ip, port, listener: settings.listener })
    }
    logged += logLine(at, what, fields, session.logFields)
  }

  function event(
    topic: DaemonEvent['topic'],
    name: string,
    session: ClientSession,
    data: DaemonEvent['data'] = {},
  ): void {
    if (wantsEvents) events.push({ at: Date.now(), topic, name, session: identity(session, place(session)), data })
  }

  return {
    log,
    logOf,
    event,
    trace(session, from, text) {
      const line = text.replace(/\r?\n$/, '')
      const word = /^[^\s-]*/.exec(line)?.[0] ?? ''
      const verb = from === 'client' ? shownVerb(word) : word
      // A reply may repeat what it answers, which has been noted by now.
      const asked = from === 'client' ? verb : shownVerb(session.verbs.at(-1)?.verb ?? '')
      const secret = /^(AUTH|PASS|APOP|UNKNOWN)$/.test(asked)
      traces.push({
        ...identity(session, place(session)),
        at: Date.now(),
        from,
        verb,
        ...(secret ? {} : { text: line.slice(word.length + 1, 500) }),
      })
    },
    tellOf(session, effect) {
      const { user } = effect
      switch (effect.event) {
        case 'login-failed':
          logOf(session, 'warn', 'login-failed', { user, remaining: effect.n })
          event('auth', 'refused', session, { user, remaining: effect.n })
          break
        case 'login-root':
          logOf(session, 'error', 'LOGIN-AS-ROOT-REFUSED', { user, remaining: effect.n })
          event('auth', 'root', session, { user })
          break
        case 'login-blocked':
          logOf(session, 'warn', 'login-blocked', { user })
          event('auth', 'blocked', session, { user })
          break
        case 'login-tempfail': {
          const { verdict } = effect
          logOf(session, 'warn', 'login-tempfail', {
            user,
            verdict,
            exit: verdict === 'tempfail' ? effect.n : undefined,
          })
          event('auth', 'tempfail', session, { user, verdict })
          break
        }
        case 'login-accepted':
          logOf(session, 'info', 'login-accepted', { user, uid: session.accepted?.uid, pid: session.accepted?.pid })
          event('auth', 'accepted', session, { user, uid: session.accepted?.uid ?? -1 })
          break
        case 'login-attempt':
          logOf(session, 'debug', 'login-attempt', { user })
          break
        default:
          logOf(session, 'warn', effect.event, { user })
      }
    },
    kill(session) {
      kills.push(session.name)
    },
    listen(wanted, want) {
      level = wanted
      wantsEvents = want
    },
    flush() {
      if (logged !== '') tell({ log: logged })
      if (events.length > 0) tell({ events })
      if (traces.length > 0) tell({ traces })
      if (kills.length > 0) tell({ kill: kills })
      logged = ''
      events = []
      traces = []
      kills = []
    },
  }
}

/** Log events that are the outcome of a login, as the counters name it. */
export const LOGIN_OUTCOMES = {
  'login-accepted': 'accepted',
  'login-failed': 'refused',
  'login-root': 'root',
  'login-blocked': 'blocked',
  'login-tempfail': 'tempfail',
} as const satisfies Partial<Record<LogEvent, string>>

export type LoginEvent = keyof typeof LOGIN_OUTCOMES
