// The daemon's events, to those who subscribed; first those that a subscriber has missed, as fast as it reads.
import type { Daemon } from '../contract/daemon.ts'
import { EVENTS, type NumberedEvent, type Topic } from '../contract/events.ts'
import { type SessionFilter, sessionMatcher } from '../contract/pages.ts'
import { EVENT_FIELDS } from '../contract/session-view.ts'
import type { Level } from './row.ts'
import { wireSession } from './session-schema.ts'
import { type EventText, eventText, type Stream, type StreamParams } from './streams.ts'
import { timeOf } from './wire.ts'

interface Subscriber {
  readonly topics: ReadonlySet<Topic>
  /** With a filter, events that are about no session are left out. */
  readonly filter: SessionFilter | undefined
  readonly stream: Stream
  readonly level: Level
  /** Events after this one come first; left out, only those to come. */
  readonly since?: number
}

export interface EventHub {
  /** Returns the function that ends it. */
  add(subscriber: Subscriber): () => void
  readonly size: number
}

interface Entry extends Subscriber {
  readonly wants: (event: NumberedEvent) => boolean
  /** The last event that it was shown, while it catches up. */
  behind: number | undefined
  timer: NodeJS.Timeout | undefined
}

/** A subscriber that catches up and does not read is tried again. */
const AGAIN_MILLISECONDS = 50
/** Events of the history that are looked at in one turn. */
const TOGETHER = 200

export function createEventHub(daemon: Daemon): EventHub {
  const entries = new Set<Entry>()
  let stop: (() => void) | undefined

  const hear = (event: NumberedEvent): void => {
    // Made once for all who hear it on the same socket.
    const texts: Partial<Record<Level, EventText>> = {}
    for (const entry of entries) {
      const { stream, level } = entry
      if (entry.behind !== undefined || !entry.wants(event)) continue
      texts[level] ??= eventText(wireEvent(event, level))
      stream.push(texts[level], event.seq)
    }
  }

  const later = (entry: Entry): void => {
    entry.timer ??= setTimeout(() => catchUp(entry), entry.stream.room() ? 0 : AGAIN_MILLISECONDS).unref()
  }

  const catchUp = (entry: Entry): void => {
    entry.timer = undefined
    if (entry.behind === undefined || !entries.has(entry)) return
    if (!entry.stream.room()) {
      later(entry)
      return
    }
    const { events, missed, restarted } = daemon.events.after(entry.behind, TOGETHER)
    if (restarted !== undefined) {
      const notice = { at: timeOf(Date.now()), topic: 'events', name: 'restarted', data: { since: entry.behind } }
      entry.stream.push(eventText(notice), restarted)
      entry.behind = restarted
    }
    if (missed > 0) entry.stream.lose(missed)
    for (const event of events) {
      if (!entry.stream.room()) break
      entry.behind = event.seq
      if (entry.wants(event)) entry.stream.push(eventText(wireEvent(event, entry.level)), event.seq)
    }
    if (entry.behind === daemon.events.last() || events.length === 0) entry.behind = undefined
    else later(entry)
  }

  return {
    add(subscriber) {
      const entry: Entry = { ...subscriber, wants: wanted(subscriber), behind: subscriber.since, timer: undefined }
      entries.add(entry)
      stop ??= daemon.events.subscribe(hear)
      catchUp(entry)
      return () => {
        clearTimeout(entry.timer)
        entries.delete(entry)
        if (entries.size > 0) return
        stop?.()
        stop = undefined
      }
    },
    get size() {
      return entries.size
    },
  }
}

/** What happened before is told a little later: a subscriber who asks for nothing earlier does not hear it. */
function wanted({ topics, filter, since }: Subscriber): (event: NumberedEvent) => boolean {
  const matches = filter && sessionMatcher(filter)
  const from = since === undefined ? Date.now() : 0
  return (event) =>
    event.at >= from &&
    topics.has(event.topic) &&
    (matches === undefined || (event.session !== undefined && matches(event.session, event.at)))
}

function wireEvent({ at, topic, name, session, data }: NumberedEvent, level: Level): StreamParams {
  const hidden = level === 'status' ? (EVENTS[topic][name]?.envelope ?? []) : []
  return {
    at: timeOf(at),
    topic,
    name,
    ...(session && { session: wireSession(EVENT_FIELDS, session, 'status', at) }),
    ...(data && { data: Object.fromEntries(Object.entries(data).filter(([member]) => !hidden.includes(member))) }),
  }
}
