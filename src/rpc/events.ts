// The daemon's events, to whoever asked for them.
import type { Daemon, DaemonEvent, Topic } from '../contract/daemon.ts'
import { type SessionFilter, sessionMatcher } from '../contract/pages.ts'
import { EVENT_FIELDS } from '../contract/session-view.ts'
import { wireSession } from './session-schema.ts'
import { type EventText, eventText, type Stream, type StreamParams } from './streams.ts'
import { timeOf } from './wire.ts'

interface Subscriber {
  readonly topics: ReadonlySet<Topic>
  /** With a filter, events that are about no session are left out. */
  readonly filter: SessionFilter | undefined
  readonly stream: Stream
}

export interface EventHub {
  /** Returns the function that ends it. */
  add(subscriber: Subscriber): () => void
  readonly size: number
}

export function createEventHub(daemon: Daemon): EventHub {
  const subscribers = new Set<readonly [Subscriber, (event: DaemonEvent) => boolean]>()
  let stop: (() => void) | undefined

  const hear = (event: DaemonEvent): void => {
    let text: EventText | undefined
    for (const [{ stream }, wanted] of subscribers) {
      if (!wanted(event)) continue
      text ??= eventText(wireEvent(event))
      stream.push(text)
    }
  }

  return {
    add(subscriber) {
      const { topics, filter } = subscriber
      const matches = filter && sessionMatcher(filter)
      const entry = [
        subscriber,
        (event: DaemonEvent) =>
          topics.has(event.topic) &&
          (matches === undefined || (event.session !== undefined && matches(event.session, event.at))),
      ] as const
      subscribers.add(entry)
      stop ??= daemon.subscribe(hear)
      return () => {
        subscribers.delete(entry)
        if (subscribers.size > 0) return
        stop?.()
        stop = undefined
      }
    },
    get size() {
      return subscribers.size
    },
  }
}

function wireEvent({ at, topic, name, session, data }: DaemonEvent): StreamParams {
  return {
    at: timeOf(at),
    topic,
    name,
    ...(session && { session: wireSession(EVENT_FIELDS, session, 'status', at) }),
    ...(data && { data }),
  }
}
