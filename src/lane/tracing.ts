// session.trace in a lane: which sessions are followed, and what is shown of them. Never an argument of AUTH, a password or a body.

import type { TraceLine, TraceRequest } from '../contract/daemon.ts'
import { sessionMatcher } from '../contract/pages.ts'
import { codeText, identityOf, shownVerb } from '../contract/session-view.ts'
import { splitCommand } from '../protocol/command.ts'
import type { ClientSession } from '../session/session.ts'
import { viewed } from './describe.ts'
import { heardOfBackend, heardOfClient, newPop3Watch, type Pop3Watch } from './pop3-watch.ts'
import { type Lane, placeOf } from './state.ts'

/** Whether a session may have lines for a trace. What changes while it runs is looked at again for each line, by the main thread. */
export function tracer(lane: Lane, { filter, since = 0 }: TraceRequest): (session: ClientSession) => boolean {
  const { state: _, tls: _tls, olderThan: _older, generation: _generation, ...lasting } = filter
  const matches = sessionMatcher(lasting)
  return (session) => {
    const identity = identityOf(viewed(session, placeOf(lane, session)))
    return identity.started >= since && matches(identity, Date.now())
  }
}

/** Follows from now on the sessions that are asked for, and no others. */
export function followAll(lane: Lane, orders: readonly TraceRequest[]): void {
  lane.traces = orders.map((order) => tracer(lane, order))
  for (const session of lane.sessions.values()) follow(lane, session)
}

/** At its beginning, and when traces begin or end. */
export function follow(lane: Lane, session: ClientSession): void {
  const traced = lane.traces.some((wanted) => wanted(session))
  if (traced) lane.traced.add(session)
  else lane.traced.delete(session)
  const { streams, actors } = session
  if (!traced) streams.watch = undefined
  else if (streams.splicing) streams.watch ??= watchOf(lane, session, newPop3Watch(undefined))
  const state = actors.fixsmtpio
  if (state !== undefined && state.settings.debug !== traced)
    actors.fixsmtpio = { ...state, settings: { ...state.settings, debug: traced } }
}

/** Only now is its user known. A backend of POP3 has yet to answer the login. */
export function followLogin(lane: Lane, session: ClientSession): void {
  follow(lane, session)
  if (lane.traced.has(session) && session.settings.dialogue.protocol === 'pop3')
    session.streams.watch = watchOf(lane, session, newPop3Watch('LOGIN'))
}

/** Octets of POP3 after login. */
const watchOf =
  (lane: Lane, session: ClientSession, watch: Pop3Watch) =>
  (from: 'client' | 'backend', bytes: Uint8Array): void => {
    const told = from === 'client' ? heardOfClient(watch, bytes) : heardOfBackend(watch, bytes)
    for (const each of told)
      trace(lane, session, each.from, each.from === 'client' ? splitCommand(each.text).verb : each.verb, each.text)
  }

/** Verb and code of the dialogue before login. */
export function traceNote({ reporter }: Lane, session: ClientSession, event: string, code: number): void {
  reporter.trace(session, { from: 'client', verb: shownVerb(event) })
  reporter.trace(session, { from: 'acceptd', verb: codeText(code) })
}

/** By the marks of fixsmtpio. */
const FROM: Readonly<Record<'1' | '2' | '3' | '4', TraceLine['from']>> = {
  '1': 'client',
  '2': 'to-backend',
  '3': 'backend',
  '4': 'acceptd',
}

/** A request or a reply, before the rules or after them; `event` is the request's. */
export const traceMark = (lane: Lane, session: ClientSession, mark: keyof typeof FROM, event: string, text: string) =>
  trace(lane, session, FROM[mark], event, text)

/** Verbs whose arguments, and whose answers, may hold a secret. UNKNOWN may be half of one. */
const SECRET = new Set(['AUTH', 'USER', 'PASS', 'APOP', 'UNKNOWN'])

/** A line of the client, or one about it, as its verb or code and the rest. */
function trace({ reporter }: Lane, session: ClientSession, from: TraceLine['from'], event: string, text: string): void {
  const isRequest = from === 'client' || from === 'to-backend'
  const line = (isRequest ? splitCommand(text).plain : text).replace(/\r?\n$/, '')
  const word = /^[^\s-]*/.exec(line)?.[0] ?? ''
  const verb = isRequest ? shownVerb(word) : word
  const secret = SECRET.has(shownVerb(event)) || (isRequest && SECRET.has(verb))
  reporter.trace(session, { from, verb, ...(secret ? {} : { text: line.slice(word.length + 1, 500) }) })
}
