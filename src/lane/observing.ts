// What a session's effects tell others: the log, events, counters, rule hits and traces.

import type { Log, LogEvent, Performed } from '../actors/effects.ts'
import type { TraceLine } from '../contract/daemon.ts'
import { codeText, shownVerb } from '../contract/session-view.ts'
import { splitCommand } from '../protocol/command.ts'
import type { ClientSession } from '../session/session.ts'
import type { Reporter } from './reporter.ts'
import type { Lane } from './state.ts'

/** Log events that are the outcome of a login, as the counters name it. */
const LOGIN_OUTCOMES = {
  'login-accepted': 'accepted',
  'login-failed': 'refused',
  'login-root': 'root',
  'login-blocked': 'blocked',
  'login-tempfail': 'tempfail',
} as const satisfies Partial<Record<LogEvent, string>>

export function observe(lane: Lane, session: ClientSession, effect: Performed): void {
  switch (effect.do) {
    case 'log':
      report(lane.reporter, session, effect)
      if (effect.event in LOGIN_OUTCOMES) {
        lane.counters.login(session, LOGIN_OUTCOMES[effect.event as keyof typeof LOGIN_OUTCOMES])
      }
      break
    case 'hits':
      lane.generations.hit(session, effect.rules)
      break
    case 'note':
      lane.counters.note(session, effect.event, effect.code)
      // After login fixsmtpio's own marks show the lines themselves; before it only verbs and codes are told.
      if (lane.traced.has(session) && session.front === 'authup') {
        trace(lane.reporter, session, 'client', effect.event.toUpperCase())
        trace(lane.reporter, session, 'acceptd', codeText(effect.code))
      }
      break
    case 'debug':
      if (effect.mark === '1') trace(lane.reporter, session, 'client', effect.text)
      else if (effect.mark === '4') trace(lane.reporter, session, 'acceptd', effect.text)
      break
    default:
      break
  }
}

/** An actor's log effect, as a line and an event. */
function report(reporter: Reporter, session: ClientSession, effect: Log): void {
  const { user, n, verdict } = effect
  const { logOf, event } = reporter
  switch (effect.event) {
    case 'login-failed':
      logOf(session, 'warn', 'login-failed', { user, remaining: n })
      event('auth', 'refused', session, { user, remaining: n })
      break
    case 'login-root':
      logOf(session, 'error', 'LOGIN-AS-ROOT-REFUSED', { user, remaining: n })
      event('auth', 'root', session, { user })
      break
    case 'login-blocked':
      logOf(session, 'warn', 'login-blocked', { user })
      event('auth', 'blocked', session, { user })
      break
    case 'login-tempfail':
      logOf(session, 'warn', 'login-tempfail', {
        user,
        verdict,
        exit: verdict === 'tempfail' ? n : undefined,
        program: verdict === 'missing' ? session.login.missing : undefined,
      })
      event('auth', 'tempfail', session, { user, verdict })
      break
    case 'login-accepted':
      logOf(session, 'info', 'login-accepted', {
        user,
        uid: session.login.accepted?.uid,
        pid: session.login.accepted?.pid,
      })
      event('auth', 'accepted', session, { user, uid: session.login.accepted?.uid ?? -1 })
      break
    case 'login-attempt':
      logOf(session, 'debug', 'login-attempt', { user })
      break
    case 'ehlo-refused':
      logOf(session, 'info', 'ehlo-refused', { user: session.login.user, helo: session.login.helo, said: effect.said })
      break
    default:
      logOf(session, 'warn', effect.event, { user, said: effect.said })
  }
}

/** A line of the client or a reply to it; only the verb and the code where the line may hold a password. */
function trace(reporter: Reporter, session: ClientSession, from: TraceLine['from'], text: string): void {
  const line = (from === 'client' ? splitCommand(text).plain : text).replace(/\r?\n$/, '')
  const word = /^[^\s-]*/.exec(line)?.[0] ?? ''
  const verb = from === 'client' ? shownVerb(word) : word
  // A reply may repeat what it answers, which has been noted by now.
  const asked = from === 'client' ? verb : shownVerb(session.verbs.at(-1)?.verb ?? '')
  const secret = /^(AUTH|PASS|APOP|UNKNOWN)$/.test(asked)
  reporter.trace(session, { from, verb, ...(secret ? {} : { text: line.slice(word.length + 1, 500) }) })
}
