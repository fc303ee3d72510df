// What the control plane shows of a session: a row for each field. The rows give what a lane tells of its sessions, the members of
// session.list, session.get, events and traces, their schema and acceptctl's columns.
//
// Nothing here is a secret: no argument of a verb, no envelope, no body.

import { VERBS } from '../protocol/verbs.ts'
import { count, type Held, id, list, oneOf, optional, record, type Shape, since, text, time } from './shape.ts'

export const PROTOCOLS = ['smtp', 'pop3'] as const
export type Protocol = (typeof PROTOCOLS)[number]

/** greeting: accepted, nothing heard yet; login: the dialogue before login; checking: the helper is asked; ready: the backend serves, between transactions. */
export const SESSION_STATES = ['greeting', 'login', 'checking', 'ready', 'transaction', 'data', 'ending'] as const
export type SessionState = (typeof SESSION_STATES)[number]

/** What a row looks at; the session of a lane has it. Times are those of the monotonic clock. */
interface Session {
  readonly name: string
  readonly settings: { readonly dialogue: { readonly protocol: Protocol } }
  readonly ip: string
  readonly port: number
  readonly proxy: { readonly ip: string } | undefined
  readonly tls:
    | { readonly protocol: string; readonly cipher: string; readonly serverName: string; readonly clientName: string }
    | undefined
  readonly started: number
  readonly login: {
    readonly user: string
    readonly helo: string
    readonly mechanism: string
    readonly at: number
    readonly accepted: { readonly pid: number; readonly uid: number; readonly gid: number } | undefined
    readonly chain: string
  }
  readonly counters: { readonly messages: number; readonly recipients: number }
  readonly streams: { readonly seen: number; readonly bytesIn: number; readonly bytesOut: number }
  readonly verbs: readonly { readonly at: number; readonly verb: string; readonly code: number }[]
  readonly actors: {
    readonly authup: { readonly at: string; readonly rest: Uint8Array }
    readonly fixsmtpio: { readonly at: string; readonly rest: Uint8Array } | undefined
  }
}

export interface Place {
  readonly lane: number
  readonly listener: string
  readonly generation: number
}

export interface Viewed {
  readonly session: Session
  readonly state: SessionState
  readonly place: Place
  /** Milliseconds since 1970. */
  readonly wallTime: (monotonic: number) => number
}

/** events: in events, traces, session.list and session.get; list: in the last two; get: in the last one. */
type Shown = 'events' | 'list' | 'get'
/** status: everybody who can open status.sock; control: control.sock only. An event is written once for all who hear it. */
type Seen<I extends Shown> = I extends 'events' ? 'status' : 'status' | 'control'

export interface Row {
  readonly in: Shown
  readonly seenBy: 'status' | 'control'
  readonly shape: Shape
  /** Its place among acceptctl's columns. */
  readonly column?: number
  /** Undefined where the session has none. */
  readonly of: (viewed: Viewed) => unknown
}

/** A row whose value is of its shape. */
interface RowOf<S, I extends Shown> {
  readonly in: I
  readonly seenBy: Seen<I>
  readonly shape: S
  readonly column?: number
  readonly of: (viewed: Viewed) => Held<S>
}

const row = <const S, const I extends Shown>(from: RowOf<S, I>) => from

/** A user has logged in: a guest's backend runs without that. */
const loggedIn = ({ accepted, user }: Session['login']): boolean => accepted !== undefined && user !== ''

/** The verb in capitals; UNKNOWN for any other word, which may be a password that was sent after a refused AUTH. */
export function shownVerb(word: string): string {
  const verb = word.toUpperCase()
  return VERBS.has(verb) ? verb : 'UNKNOWN'
}

/** POP3 has two codes, see note() of actors/authup.ts. */
export const codeText = (code: number): string => (code === 1 ? '+OK' : code === -1 ? '-ERR' : String(code))

const tlsFacts = record({ version: text, cipher: text, name: optional(text), client: optional(text) })
const loginFacts = record({ at: time, mechanism: text })
const backendFacts = record({ chain: text, pid: count, uid: count, gid: count })
const verbFacts = record({ at: time, verb: text, code: optional(text) })
const actorFacts = record({ name: text, at: text, waiting: count })

export const SESSION_VIEW = {
  id: row({ in: 'events', seenBy: 'status', column: 1, shape: id, of: ({ session }) => session.name }),
  protocol: row({
    in: 'events',
    seenBy: 'status',
    column: 2,
    shape: oneOf(PROTOCOLS),
    of: ({ session }) => session.settings.dialogue.protocol,
  }),
  state: row({ in: 'events', seenBy: 'status', column: 3, shape: oneOf(SESSION_STATES), of: ({ state }) => state }),
  listener: row({ in: 'events', seenBy: 'status', shape: text, of: ({ place }) => place.listener }),
  lane: row({ in: 'events', seenBy: 'status', column: 10, shape: count, of: ({ place }) => place.lane }),
  generation: row({ in: 'events', seenBy: 'status', column: 9, shape: count, of: ({ place }) => place.generation }),
  ip: row({ in: 'events', seenBy: 'status', column: 5, shape: text, of: ({ session }) => session.ip }),
  port: row({ in: 'events', seenBy: 'status', shape: count, of: ({ session }) => session.port }),
  /** The balancer's address, if the client's came by the PROXY protocol. */
  proxy: row({ in: 'list', seenBy: 'status', shape: optional(text), of: ({ session }) => session.proxy?.ip }),
  tls: row({
    in: 'events',
    seenBy: 'status',
    shape: optional(tlsFacts),
    of: ({ session: { tls } }) =>
      tls && {
        version: tls.protocol,
        cipher: tls.cipher,
        ...(tls.serverName !== '' && { name: tls.serverName }),
        ...(tls.clientName !== '' && { client: tls.clientName }),
      },
  }),
  helo: row({
    in: 'list',
    seenBy: 'status',
    shape: optional(text),
    of: ({ session: { login } }) => (login.helo === '' ? undefined : login.helo),
  }),
  user: row({
    in: 'events',
    seenBy: 'status',
    column: 4,
    shape: optional(text),
    of: ({ session: { login } }) => (loggedIn(login) ? login.user : undefined),
  }),
  started: row({
    in: 'events',
    seenBy: 'status',
    shape: time,
    of: ({ session, wallTime }) => wallTime(session.started),
  }),
  idle: row({
    in: 'list',
    seenBy: 'status',
    column: 6,
    shape: since,
    of: ({ session, wallTime }) => wallTime(session.streams.seen),
  }),
  login: row({
    in: 'list',
    seenBy: 'status',
    shape: optional(loginFacts),
    of: ({ session: { login }, wallTime }) =>
      loggedIn(login) ? { at: wallTime(login.at), mechanism: login.mechanism } : undefined,
  }),
  backend: row({
    in: 'list',
    seenBy: 'status',
    shape: optional(backendFacts),
    of: ({ session: { login } }) => login.accepted && { chain: login.chain, ...login.accepted },
  }),
  messages: row({
    in: 'list',
    seenBy: 'status',
    column: 7,
    shape: count,
    of: ({ session }) => session.counters.messages,
  }),
  recipients: row({ in: 'list', seenBy: 'status', shape: count, of: ({ session }) => session.counters.recipients }),
  bytesIn: row({ in: 'list', seenBy: 'status', column: 8, shape: count, of: ({ session }) => session.streams.bytesIn }),
  bytesOut: row({ in: 'list', seenBy: 'status', shape: count, of: ({ session }) => session.streams.bytesOut }),
  /** The verb alone. */
  lastVerb: row({
    in: 'list',
    seenBy: 'status',
    column: 11,
    shape: optional(text),
    of: ({ session: { verbs } }) => verbs.slice(-1).map(({ verb }) => shownVerb(verb))[0],
  }),
  /** The last 50, the oldest first. */
  verbs: row({
    in: 'get',
    seenBy: 'status',
    shape: list(verbFacts),
    of: ({ session, wallTime }) =>
      session.verbs.map(({ at, verb, code }) => ({
        at: wallTime(at),
        verb: shownVerb(verb),
        ...(code !== 0 && { code: codeText(code) }),
      })),
  }),
  /** Those that keep something of the session: where each is, and octets that it was given and has not taken. */
  actors: row({
    in: 'get',
    seenBy: 'status',
    shape: list(actorFacts),
    of: ({ session: { actors } }) =>
      (['authup', 'fixsmtpio'] as const).flatMap((name) => {
        const actor = actors[name]
        return actor === undefined ? [] : [{ name, at: actor.at, waiting: actor.rest.length }]
      }),
  }),
}

type View = typeof SESSION_VIEW
export type SessionField = keyof View
type FieldIn<I extends Shown> = { readonly [F in SessionField]: View[F]['in'] extends I ? F : never }[SessionField]
type MembersIn<I extends Shown> = { readonly [F in FieldIn<I>]: View[F]['shape'] }

/** What an event says about its session, and what a filter of event.subscribe looks at. */
export type SessionIdentity = Held<{ is: 'record'; members: MembersIn<'events'> }>
export type SessionSummary = Held<{ is: 'record'; members: MembersIn<'events' | 'list'> }>
export type SessionDetail = Held<{ is: 'record'; members: MembersIn<Shown> }>

export const DETAIL_FIELDS = Object.keys(SESSION_VIEW) as readonly SessionField[]
export const LIST_FIELDS = DETAIL_FIELDS.filter((field) => SESSION_VIEW[field].in !== 'get') as readonly FieldIn<
  'events' | 'list'
>[]
export const EVENT_FIELDS = DETAIL_FIELDS.filter(
  (field) => SESSION_VIEW[field].in === 'events',
) as readonly FieldIn<'events'>[]

const rows: Readonly<Record<SessionField, Row>> = SESSION_VIEW
const columnOf = (field: SessionField): number => rows[field].column ?? 0

/** acceptctl's columns, in their order. */
export const SESSION_COLUMNS: readonly SessionField[] = DETAIL_FIELDS.filter((field) => columnOf(field) > 0).toSorted(
  (a, b) => columnOf(a) - columnOf(b),
)

/** What a lane tells of a session; a field without a value is left out. */
function view(fields: readonly SessionField[], viewed: Viewed): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const field of fields) {
    const value = rows[field].of(viewed)
    if (value !== undefined) shown[field] = value
  }
  return shown
}

export const identityOf = (viewed: Viewed) => view(EVENT_FIELDS, viewed) as unknown as SessionIdentity
export const summaryOf = (viewed: Viewed) => view(LIST_FIELDS, viewed) as unknown as SessionSummary
export const detailOf = (viewed: Viewed) => view(DETAIL_FIELDS, viewed) as unknown as SessionDetail
