// What a session's effects tell others: the log, events, counters, rule hits and traces.

import type { Log, LogEvent, Performed } from '../actors/effects.ts'
import type { ClientSession } from '../session/session.ts'
import { countOctets } from './limits.ts'
import { noteMessage, noteSender } from './message-events.ts'
import type { Reporter } from './reporter.ts'
import type { Lane } from './state.ts'
import { followLogin, traceMark, traceNote } from './tracing.ts'

/** Log events that are the outcome of a login, as the counters name it. */
const LOGIN_OUTCOMES = {
  'login-accepted': 'accepted',
  'login-failed': 'refused',
  'login-root': 'root',
  'login-blocked': 'blocked',
  'login-limited': 'limited',
  'login-tempfail': 'tempfail',
} as const satisfies Partial<Record<LogEvent, string>>

export function observe(lane: Lane, session: ClientSession, effect: Performed): void {
  switch (effect.do) {
    case 'log':
      report(lane.reporter, session, effect)
      if (effect.event === 'login-accepted' && lane.traces.length > 0) followLogin(lane, session)
      if (effect.event in LOGIN_OUTCOMES) {
        lane.counters.login(session, LOGIN_OUTCOMES[effect.event as keyof typeof LOGIN_OUTCOMES])
      }
      break
    case 'hits':
      lane.generations.hit(session, effect.rules)
      break
    case 'note':
      lane.counters.note(session, effect.event, effect.code)
      if (effect.event === 'mail') lane.generations.countSender(session)
      if (effect.event === 'in_data' && effect.code >= 200 && effect.code < 300) countOctets(lane, session)
      noteMessage(lane.reporter, session, effect)
      // After login fixsmtpio's own marks show the lines themselves; before it only verbs and codes are shown.
      if (lane.traced.has(session) && session.front === 'authup') traceNote(lane, session, effect.event, effect.code)
      break
    case 'sender':
      noteSender(lane.reporter, session, effect.address)
      break
    case 'debug':
      traceMark(lane, session, effect.mark, effect.event, effect.text)
      break
    default:
      break
  }
}

/** An actor's log effect, as a line and an event. */
function report(reporter: Reporter, session: ClientSession, effect: Log): void {
  const { user, n, verdict } = effect
  const { logOf, event } = reporter
  const auth = user === '' ? '' : session.login.mechanism
  switch (effect.event) {
    case 'login-failed':
      logOf(session, 'warn', 'login-failed', { user, remaining: n, auth })
      event('auth', 'refused', session, { user, remaining: n, mechanism: auth })
      break
    case 'login-root':
      logOf(session, 'error', 'LOGIN-AS-ROOT-REFUSED', { user, remaining: n, auth })
      event('auth', 'root', session, { user, mechanism: auth })
      break
    case 'login-blocked':
      logOf(session, 'warn', 'login-blocked', { user, auth })
      event('auth', 'blocked', session, { user, mechanism: auth })
      break
    case 'login-limited':
      logOf(session, 'warn', 'login-limited', { user, why: effect.said, auth })
      event('auth', 'limited', session, { user, mechanism: auth })
      break
    case 'login-tempfail':
      logOf(session, 'warn', 'login-tempfail', {
        user,
        verdict,
        exit: verdict === 'tempfail' ? n : undefined,
        program: verdict === 'missing' ? session.login.missing : undefined,
        auth,
      })
      event('auth', 'tempfail', session, { user, verdict, mechanism: auth })
      break
    case 'login-accepted':
      logOf(session, 'info', 'login-accepted', {
        user,
        uid: session.login.accepted?.uid,
        pid: session.login.accepted?.pid,
        auth,
      })
      event('auth', 'accepted', session, { user, uid: session.login.accepted?.uid ?? -1, mechanism: auth })
      break
    case 'login-attempt':
      logOf(session, 'debug', 'login-attempt', { user })
      break
    case 'xclient-refused':
      logOf(session, 'warn', 'xclient-refused', { user: session.login.user, said: effect.said })
      break
    case 'xforward':
      logOf(session, 'info', 'xforward', { user: session.login.user, said: effect.said })
      break
    case 'ehlo-refused':
      logOf(session, 'info', 'ehlo-refused', { user: session.login.user, helo: session.login.helo, said: effect.said })
      break
    default:
      logOf(session, 'warn', effect.event, { user, said: effect.said })
  }
}
