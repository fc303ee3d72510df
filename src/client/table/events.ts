// Generated from the method table; do not edit: UPDATE_DOCS=1 npm test -- rpc/document
import type { SessionIdentity } from './records.ts'
import type { Count } from './words.ts'

/** What a notification has, whatever it tells. */
export interface Told<Topic extends string, Name extends string> {
  readonly subscription: string
  /** Grows from event to event, over a restart of the runtime too. */
  readonly seq: number
  readonly at: string
  readonly topic: Topic
  readonly name: Name
  /** So many were lost before this one, since the reader was too slow or acceptd no longer has them. */
  readonly dropped?: number
}

export type Event =
  /** A session begins. */
  | (Told<'session', 'accepted'> & {
      readonly session: SessionIdentity
    })
  /** A session has ended. */
  | (Told<'session', 'ended'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly why: string
        readonly messages: Count
        readonly bytesIn: Count
        readonly bytesOut: Count
      }
    })
  /** An operator ends a session. */
  | (Told<'session', 'killed'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly mode: string
        readonly reason?: string | undefined
      }
    })
  /** A user has logged in, and the backend runs. */
  | (Told<'auth', 'accepted'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly uid: Count
        readonly mechanism: string
      }
    })
  /** The password was wrong, or there is no such user. */
  | (Told<'auth', 'refused'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly remaining: Count
        readonly mechanism: string
      }
    })
  /** The password of root was right, and the login is refused. */
  | (Told<'auth', 'root'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly mechanism: string
      }
    })
  /** A blocked user has tried to log in. */
  | (Told<'auth', 'blocked'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly mechanism: string
      }
    })
  /** A login is refused by a limit. */
  | (Told<'auth', 'limited'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly mechanism: string
      }
    })
  /** A login cannot be decided now. */
  | (Told<'auth', 'tempfail'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly verdict: string
        readonly mechanism: string
      }
    })
  /** The backend has taken a message. */
  | (Told<'message', 'accepted'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly sender?: string | undefined
        readonly recipients: Count
        readonly size: Count
        readonly reply: string
        readonly milliseconds: Count
      }
    })
  /** The backend has refused a message for good. */
  | (Told<'message', 'refused'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly sender?: string | undefined
        readonly recipients: Count
        readonly size: Count
        readonly reply: string
        readonly milliseconds: Count
      }
    })
  /** The backend has refused a message for now. */
  | (Told<'message', 'tempfail'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly sender?: string | undefined
        readonly recipients: Count
        readonly size: Count
        readonly reply: string
        readonly milliseconds: Count
      }
    })
  /** Every lane has a new generation. */
  | (Told<'config', 'published'> & {
      readonly data: {
        readonly generation: Count
        readonly sha256: string
        readonly by: string
      }
    })
  /** A change of the configuration is refused, and nothing has changed. */
  | (Told<'config', 'refused'> & {
      readonly data: {
        readonly by: string
        readonly errors: Count
      }
    })
  /** A generation is published whose rules differ. */
  | (Told<'rules', 'changed'> & {
      readonly data: {
        readonly generation: Count
        readonly rules: Count
        readonly before: Count
      }
    })
  /** A client is turned away before its session begins. */
  | (Told<'limit', 'refused'> & {
      readonly data: {
        readonly why: string
        readonly listener: string
        readonly ip: string
        readonly limit?: string | undefined
      }
    })
  /** A MAIL or a RCPT is refused by a line of control/limits. */
  | (Told<'limit', 'reached'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly user: string
        readonly limit: string
        readonly what: string
      }
    })
  /** Certificates are read again. */
  | (Told<'tls', 'loaded'> & {
      readonly data: {
        readonly by: string
        readonly certificates: Count
      }
    })
  /** Certificates cannot be read, and the old ones go on. */
  | (Told<'tls', 'failed'> & {
      readonly data: {
        readonly by: string
        readonly errors: Count
      }
    })
  /** A lane runs. */
  | (Told<'lane', 'started'> & {
      readonly data: {
        readonly lane: Count
      }
    })
  /** A lane has ended, and is replaced. */
  | (Told<'lane', 'died'> & {
      readonly data: {
        readonly lane: Count
        readonly why: string
      }
    })
  /** The helper is heard. */
  | (Told<'helper', 'up'> & {
    })
  /** The helper is not heard any more. */
  | (Told<'helper', 'down'> & {
    })
  /** A backend has ended by a signal, or not with 0. */
  | (Told<'helper', 'ended'> & {
      readonly data: {
        readonly session: string
        readonly pid: Count
        readonly how: string
        readonly code: Count
      }
    })
  /** A caller has changed something. */
  | (Told<'op', 'done'> & {
      readonly data: {
        readonly method: string
        readonly subject?: string | undefined
        readonly reason?: string | undefined
        readonly caller: string
      }
    })
  /** Another runtime is started, to take over. */
  | (Told<'op', 'upgrade-begins'> & {
      readonly data: {
        readonly reason?: string | undefined
      }
    })
  /** It could serve. */
  | (Told<'op', 'upgrade-ready'> & {
      readonly data: {
        readonly version: string
      }
    })
  /** It could serve, and has only been tried. */
  | (Told<'op', 'upgrade-tried'> & {
      readonly data: {
        readonly version: string
      }
    })
  /** It does not serve, and the one before goes on. */
  | (Told<'op', 'upgrade-failed'> & {
      readonly data: {
        readonly message: string
      }
    })
  /** It serves; the one before finishes its sessions. */
  | (Told<'op', 'upgraded'> & {
      readonly data: {
        readonly version: string
        readonly pid: Count
      }
    })
  /** What was changed for a time has come to its end. */
  | (Told<'op', 'expired'> & {
      readonly data: {
        readonly method: string
        readonly subject: string
      }
    })
  /** The reader was too slow; `dropped` says how many events it has lost. */
  | (Told<'events', 'dropped'> & {
    })
  /** An earlier runtime told the event with the number `since`. What that one had not told before it ended is lost, and how many they were is not known. */
  | (Told<'events', 'restarted'> & {
      readonly data: {
        readonly since: Count
      }
    })

export type TraceLine =
  /** A line of session.trace: what the client says, as it came. */
  | (Told<'trace', 'client'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly verb: string
        readonly milliseconds: Count
        readonly text?: string | undefined
      }
    })
  /** The same after the rules, as the backend receives it. */
  | (Told<'trace', 'to-backend'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly verb: string
        readonly milliseconds: Count
        readonly text?: string | undefined
      }
    })
  /** What the backend replies, as it came. */
  | (Told<'trace', 'backend'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly verb: string
        readonly milliseconds: Count
        readonly text?: string | undefined
      }
    })
  /** What the client receives. */
  | (Told<'trace', 'acceptd'> & {
      readonly session: SessionIdentity
      readonly data: {
        readonly verb: string
        readonly milliseconds: Count
        readonly text?: string | undefined
      }
    })
  /** The trace has come to its end. */
  | (Told<'trace', 'ended'> & {
      readonly data: {
        readonly why: string
      }
    })
