// A session as the control plane shows it. Nothing here is a secret: no argument of a verb, no envelope, no body.

import type { SessionDetail, SessionIdentity, SessionState, SessionSummary } from '../contract/daemon.ts'
import { wallTime } from '../edge/clock.ts'
import type { TlsFacts } from '../edge/tls.ts'
import { VERBS } from '../protocol/verbs.ts'
import type { ClientSession } from '../session/session.ts'

export interface Place {
  readonly lane: number
  readonly listener: string
  readonly generation: number
}

/** The verb in capitals; UNKNOWN for any other word, which may be a password that was sent behind a refused AUTH. */
export function shownVerb(word: string): string {
  const verb = word.toUpperCase()
  return VERBS.has(verb) ? verb : 'UNKNOWN'
}

export function stateOf(session: ClientSession): SessionState {
  if (session.streams.closing) return 'ending'
  const served = session.actors.fixsmtpio
  if (session.front === 'authup') {
    const { at, helo, user } = session.actors.authup
    if (at === 'checking') return 'checking'
    return helo === '' && user === undefined && session.streams.bytesIn === 0
      ? 'greeting'
      : at === 'served'
        ? 'ready'
        : 'login'
  }
  if (served === undefined || served.at === 'ending' || served.at === 'over') return 'ending'
  if (served.at === 'body' || served.at === 'data') return 'data'
  return served.transaction ? 'transaction' : 'ready'
}

export function identity(session: ClientSession, place: Place): SessionIdentity {
  return {
    id: session.name,
    protocol: session.settings.dialogue.protocol,
    state: stateOf(session),
    listener: place.listener,
    lane: place.lane,
    generation: place.generation,
    ip: session.ip,
    port: session.port,
    started: wallTime(session.started),
    ...(session.login.user !== '' && session.login.accepted !== undefined ? { user: session.login.user } : {}),
    ...(session.tls === undefined ? {} : { tls: tlsOf(session.tls) }),
  }
}

const tlsOf = ({ protocol, cipher, serverName }: TlsFacts): NonNullable<SessionSummary['tls']> => ({
  version: protocol,
  cipher,
  ...(serverName === '' ? {} : { name: serverName }),
})

export function describe(session: ClientSession, place: Place): SessionSummary {
  const { accepted } = session.login
  const last = session.verbs.at(-1)
  return {
    ...identity(session, place),
    ...(session.proxy === undefined ? {} : { proxy: session.proxy.ip }),
    ...(session.login.helo !== '' ? { helo: session.login.helo } : {}),
    lastActive: wallTime(session.streams.seen),
    ...(accepted !== undefined && session.login.user !== ''
      ? { login: { at: wallTime(session.login.at), mechanism: session.login.mechanism } }
      : {}),
    ...(accepted !== undefined ? { backend: { chain: session.login.chain, ...accepted } } : {}),
    messages: session.counters.messages,
    recipients: session.counters.recipients,
    bytesIn: session.streams.bytesIn,
    bytesOut: session.streams.bytesOut,
    ...(last !== undefined ? { lastVerb: shownVerb(last.verb) } : {}),
  }
}

export function detail(session: ClientSession, place: Place): SessionDetail {
  const { authup, fixsmtpio } = session.actors
  return {
    ...describe(session, place),
    verbs: session.verbs.map(({ at, verb, code }) => ({
      at: wallTime(at),
      verb: shownVerb(verb),
      ...(code === 0 ? {} : { code: codeText(code) }),
    })),
    actors: [
      { name: 'authup', at: authup.at, waiting: authup.rest.length },
      ...(fixsmtpio === undefined ? [] : [{ name: 'fixsmtpio', at: fixsmtpio.at, waiting: fixsmtpio.rest.length }]),
    ],
  }
}

/** POP3 has two codes, see note() of actors/authup.ts. */
export const codeText = (code: number): string => (code === 1 ? '+OK' : code === -1 ? '-ERR' : String(code))
