import { NO_ASKS } from '../../src/actors/fixsmtpio.ts'
// The in-line lane: one session with its actors, its edge and sockets of ours, all in one turn; time is a number.

import type { Effect } from '../../src/actors/effects.ts'
import { type Frame, TAG } from '../../src/actors/frames.ts'
import { Backend } from '../../src/edge/backend.ts'
import { Reading } from '../../src/edge/reading.ts'
import { textOf } from '../../src/protocol/bytes.ts'
import type { DialogueSettings } from '../../src/protocol/dialogue.ts'
import { type HelperKind, parseStatus } from '../../src/protocol/helper.ts'
import type { Network } from '../../src/protocol/ip.ts'
import type { LoginMethod } from '../../src/protocol/sasl.ts'
import { parseRules } from '../../src/rules/parse.ts'
import { rulesFor } from '../../src/rules/rewrite.ts'
import { noRules, type RuleSet } from '../../src/rules/ruleset.ts'
import { arrivalOf } from '../../src/session/door.ts'
import type { SessionHost, SessionSettings } from '../../src/session/host.ts'
import { ClientSession } from '../../src/session/session.ts'
import { createStages } from '../../src/session/stages.ts'
import { controlTexts } from './control.ts'
import { FakeSocket } from './fake-socket.ts'
import { capabilitiesOf, type Settings, type World } from './transcript.ts'

export interface InlineWorld extends World {
  readonly session: ClientSession
  readonly clientSocket: FakeSocket
  readonly effects: readonly Effect[]
  readonly post: (frame: Frame) => void
  /** Why it ended, once it has. */
  readonly ended: () => string | undefined
}

const mechanismsOf = ({ protocol, apop, mechanisms }: Settings): readonly LoginMethod[] => {
  const named = mechanisms.length > 0 ? mechanisms : undefined
  if (protocol === 'smtp') return named ?? ['LOGIN', 'PLAIN']
  const passwords = named === undefined || named.some((method) => method === 'PLAIN' || method === 'LOGIN')
  return [
    ...(passwords ? (['USER'] as const) : []),
    ...(apop ? (['APOP'] as const) : []),
    ...(named ?? (['PLAIN', 'LOGIN'] as const)),
  ]
}

export const dialogueOf = (settings: Settings): DialogueSettings => ({
  protocol: settings.protocol,
  greeting: 'mx.example',
  capabilities: settings.protocol === 'pop3' ? ['UIDL', 'SASL PLAIN LOGIN'] : capabilitiesOf(settings),
  tls: 'none',
  brokenClients: settings.broken,
  guest: settings.guest,
  mechanisms: mechanismsOf(settings),
  credentials: settings.credentials,
  classic: false,
})

const sets = new Map<string, RuleSet>()

export function ruleSetOf(settings: Settings): RuleSet {
  const text = controlTexts(settings).fixsmtpio ?? ''
  const known = sets.get(text) ?? parseRules(text, 'control/fixsmtpio').unwrapOr(noRules)
  sets.set(text, known)
  return known
}

const EVERYBODY: Network = { octets: [0, 0, 0, 0], bits: 0 }

export const sessionSettings = (settings: Settings): SessionSettings => ({
  listener: 'test',
  implicitTls: false,
  proxies: [],
  xclients: settings.trusted ? [EVERYBODY] : [],
  tells: settings.tells,
  dialogue: dialogueOf(settings),
  tries: settings.tries,
  chain: 'submission',
  guestChain: settings.guest ? 'open' : undefined,
  externalChain: undefined,
  authority: undefined,
  warm: false,
  bareLineEnd: settings.bare,
  longest: 65_536,
})

/** `auth me secret`: what a login hands to descriptor 3, its timestamp left out. */
export const askedText = (kind: HelperKind, credentials: Uint8Array): string =>
  kind === 'guest' ? 'guest' : `${kind} ${textOf(credentials).split('\0').slice(0, 2).join(' ')}`

export function inlineWorld(
  settings: Settings,
  wrap: (host: SessionHost) => SessionHost = (same) => same,
): InlineWorld {
  const client = new FakeSocket()
  const backends: FakeSocket[] = []
  const asked: string[] = []
  const effects: Effect[] = []
  let now = 1_000_000
  let ended: string | undefined
  let asking = false

  const stages = createStages<ClientSession>(
    (one, effect) => {
      effects.push(effect)
      one.perform(effect)
    },
    (_one, actor, error) => {
      throw new Error(`the actor ${actor} threw`, { cause: error })
    },
  )
  const host: SessionHost = {
    now: () => now,
    reading: new Reading(),
    post: (one, frame) => stages.post(one, frame),
    openBackend: (_one, kind, _user, credentials) => {
      asking = true
      asked.push(askedText(kind, credentials))
      credentials.fill(0)
    },
    rulesOf: (one) => ({
      rules: rulesFor(ruleSetOf(settings), (name) => name === 'AUTHUP_USER' && one.login.user !== ''),
      greeting: 'mx.example',
      senders: settings.from === '' ? undefined : [settings.from],
      from: settings.from === '' ? undefined : [settings.from],
      asks: NO_ASKS,
      debug: false,
    }),
    refresh: () => undefined,
    ended: (_one, why) => {
      if (ended !== undefined) throw new Error('ended twice')
      ended = why
    },
    startTls: () => {
      throw new Error('the in-line lane has no TLS')
    },
    describe: () => {
      throw new Error('the in-line lane trusts nobody')
    },
    usersNamed: () => [],
    askLimits: () => {
      throw new Error('the in-line lane has no limits')
    },
    park: () => false,
    observe: () => undefined,
  }
  const arrival = arrivalOf(client.socket, 0, sessionSettings(settings))
  if (arrival === undefined) throw new Error('the client has no address')
  const session = new ClientSession(1, 'test.1', arrival, '<1.2@mx.example>', wrap(host))
  session.start()

  const pumpAll = (): boolean => {
    let happened = false
    for (let more = true; more; ) {
      more = [client, ...backends].some((one) => one.pump())
      happened ||= more
    }
    return happened
  }
  return {
    session,
    clientSocket: client,
    client,
    effects,
    post: (frame) => stages.post(session, frame),
    ended: () => ended,
    backend: () => backends.at(-1),
    askedOfHelper: () => asked,
    answerOfHelper: (line) => {
      if (!asking) throw new Error('the helper was not asked')
      asking = false
      const status = parseStatus(line ?? '')
      const stream = new FakeSocket()
      if (line?.startsWith('ok ')) backends.push(stream)
      if (status.is !== 'ok') {
        session.loggedIn(status)
        return
      }
      const backend = new Backend(stream.socket, { fromBackend() {}, backendEnded() {}, backendDrained() {} })
      session.loggedIn({ backend, accepted: status.accepted, said: new Uint8Array(0), introduced: '', ticket: '' })
    },
    go: () => pumpAll(),
    time: (milliseconds) => {
      now += milliseconds
      if (!session.streams.closing && now - session.streams.seen >= settings.timeout * 1000) session.timedOut()
    },
    shutdown: () => stages.post(session, [TAG.shutdown, session.id, 'service shutting down']),
    end: () => {
      client.close()
      pumpAll()
      for (const one of backends) one.close()
      pumpAll()
      if (ended === undefined && asking) return ''
      return ended === undefined ? 'the session has not ended' : ''
    },
  }
}
