// What the daemon tells without being asked: a row for each event. The rows give rpc.discover and docs/rpc.md their schemas.
// Nothing here is a secret or a body; `envelope` is for control.sock only.

import type { SessionIdentity } from './session-view.ts'
import { count, optional, type Shape, text } from './shape.ts'

export const TOPICS = ['session', 'auth', 'message', 'config', 'rules', 'limit', 'tls', 'lane', 'helper', 'op'] as const
export type Topic = (typeof TOPICS)[number]

export interface EventRow {
  /** When it happens, a sentence. */
  readonly when: string
  /** It is about a session, and a filter may choose it. */
  readonly session: boolean
  readonly data: Readonly<Record<string, Shape>>
  /** Members of data that status.sock does not see. */
  readonly envelope?: readonly string[]
}

const message = { sender: text, recipients: count, size: count, reply: text, milliseconds: count }
const of = (when: string, session: boolean, data: EventRow['data'] = {}): EventRow => ({ when, session, data })
/** Why an operator did it is for operators. */
const withReason = (...row: Parameters<typeof of>): EventRow => ({ ...of(...row), envelope: ['reason'] })
const ofMessage = (when: string): EventRow => ({ when, session: true, data: message, envelope: ['sender'] })

/** By topic and name. */
export const EVENTS: Readonly<Record<Topic, Readonly<Record<string, EventRow>>>> = {
  session: {
    accepted: of('A session begins.', true),
    ended: of('A session has ended.', true, { why: text, messages: count, bytesIn: count, bytesOut: count }),
    killed: withReason('An operator ends a session.', true, { mode: text, reason: optional(text) }),
  },
  auth: {
    accepted: of('A user has logged in, and the backend runs.', true, { user: text, uid: count, mechanism: text }),
    refused: of('The password was wrong, or there is no such user.', true, {
      user: text,
      remaining: count,
      mechanism: text,
    }),
    root: of('The password of root was right, and the login is refused.', true, { user: text, mechanism: text }),
    blocked: of('A blocked user has tried to log in.', true, { user: text, mechanism: text }),
    limited: of('A login is refused by a limit.', true, { user: text, mechanism: text }),
    tempfail: of('A login cannot be decided now.', true, { user: text, verdict: text, mechanism: text }),
  },
  message: {
    accepted: ofMessage('The backend has taken a message.'),
    refused: ofMessage('The backend has refused a message for good.'),
    tempfail: ofMessage('The backend has refused a message for now.'),
  },
  config: {
    published: of('Every lane has a new generation.', false, { generation: count, sha256: text, by: text }),
    refused: of('A change of the configuration is refused, and nothing has changed.', false, {
      by: text,
      errors: count,
    }),
  },
  rules: {
    changed: of('A generation is published whose rules differ.', false, {
      generation: count,
      rules: count,
      before: count,
    }),
  },
  limit: {
    refused: of('A client is turned away before its session begins.', false, {
      why: text,
      listener: text,
      ip: text,
      limit: optional(text),
    }),
    reached: of('A MAIL or a RCPT is refused by a line of control/limits.', true, {
      user: text,
      limit: text,
      what: text,
    }),
  },
  tls: {
    loaded: of('Certificates are read again.', false, { by: text, certificates: count }),
    failed: of('Certificates cannot be read, and the old ones go on.', false, { by: text, errors: count }),
  },
  lane: {
    started: of('A lane runs.', false, { lane: count }),
    died: of('A lane has ended, and is replaced.', false, { lane: count, why: text }),
  },
  helper: {
    up: of('The helper is heard.', false),
    down: of('The helper is not heard any more.', false),
    ended: of('A backend has ended by a signal, or not with 0.', false, {
      session: text,
      pid: count,
      how: text,
      code: count,
    }),
  },
  op: {
    done: withReason('A caller has changed something.', false, {
      method: text,
      subject: optional(text),
      reason: optional(text),
      caller: text,
    }),
    'upgrade-begins': of('Another runtime is started, to take over.', false, { reason: optional(text) }),
    'upgrade-ready': of('It could serve.', false, { version: text }),
    'upgrade-tried': of('It could serve, and has only been tried.', false, { version: text }),
    'upgrade-failed': of('It does not serve, and the one before goes on.', false, { message: text }),
    upgraded: of('It serves; the one before finishes its sessions.', false, { version: text, pid: count }),
    expired: of('What was changed for a time has come to its end.', false, { method: text, subject: text }),
  },
}

const traced = { verb: text, milliseconds: count, text: optional(text) }

/** What else comes as a notification `event`. */
export const NOTICES: Readonly<Record<'trace' | 'events', Readonly<Record<string, EventRow>>>> = {
  trace: {
    client: of('A line of session.trace: what the client says, as it came.', true, traced),
    'to-backend': of('The same after the rules, as the backend receives it.', true, traced),
    backend: of('What the backend replies, as it came.', true, traced),
    acceptd: of('What the client receives.', true, traced),
    ended: of('The trace has come to its end.', false, { why: text }),
  },
  events: {
    dropped: of('The reader was too slow; `dropped` says how many events it has lost.', false),
    restarted: of(
      'An earlier runtime told the event with the number `since`. What that one had not told before it ended is lost, and how many they were is not known.',
      false,
      { since: count },
    ),
  },
}

/** One of the rows above. Never holds a secret or a body. */
export interface DaemonEvent {
  readonly at: number
  readonly topic: Topic
  /** `accepted`, `ended`, `login`, `published`, `died`, ... */
  readonly name: string
  readonly session?: SessionIdentity
  readonly data?: Readonly<Record<string, string | number | boolean | undefined>>
}

export interface NumberedEvent extends DaemonEvent {
  readonly seq: number
}

export interface Replay {
  readonly events: readonly NumberedEvent[]
  /** How many events in between are no longer kept. */
  readonly missed: number
  /** The number that this runtime began with, if an earlier one told that event: it may have had more. */
  readonly restarted?: number
}

export interface Events {
  /** Hears every event in the order in which they happened; returns the function that ends it. The listener never throws and returns immediately. */
  subscribe(listener: (event: NumberedEvent) => void): () => void
  /** What is kept of the events after this one, the first `most` of them. */
  after(seq: number, most: number): Replay
  /** The number of the newest. */
  last(): number
  /** Told by the control plane itself. */
  tell(event: DaemonEvent): void
}
