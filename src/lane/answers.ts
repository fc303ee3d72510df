// The main thread's questions (messages.ts), a row each. They are answered between reads.

import { selectPage, sessionMatcher } from '../contract/pages.ts'
import { detailOf, identityOf, summaryOf } from '../contract/session-view.ts'
import { viewed } from './describe.ts'
import type { QuestionName, Questions } from './messages.ts'
import { endIfIdle, type Lane, placeOf, shutDown } from './state.ts'
import { followAll } from './tracing.ts'

type Answers = {
  readonly [Q in QuestionName]: (ask: Questions[Q]['ask']) => Questions[Q]['answer'] | Promise<Questions[Q]['answer']>
}

/** What is done with a listener's descriptors. */
export interface ListenerControl {
  readonly open: (listener: number, descriptors: readonly number[]) => void
  readonly close: (listener: number) => void
}

export const createAnswers = (lane: Lane, listeners: ListenerControl): Answers => ({
  ...aboutGenerations(lane),
  ...aboutSessions(lane),
  ...aboutTheLane(lane, listeners),
})

export function openAll(lane: Lane, listeners: ListenerControl): void {
  if (lane.listening.some((open) => open.length > 0)) return
  for (const [listener, descriptors] of lane.start.descriptors.entries()) listeners.open(listener, descriptors)
}

const aboutGenerations = (lane: Lane) =>
  ({
    prepare: (texts) => ({ errors: lane.generations.prepare(texts) }),
    publish: ({ generation, all }) => {
      const began = performance.now()
      lane.generations.publish(generation)
      lane.warm.clear()
      if (all) lane.generations.followAll()
      return { milliseconds: performance.now() - began }
    },
    forget: ({ generation }) => {
      lane.generations.forget(generation)
      return null
    },
    generations: () => ({ uses: lane.generations.use(), hits: lane.generations.hits() }),
  }) satisfies Partial<Answers>

const aboutSessions = (lane: Lane) =>
  ({
    sessions: (query) =>
      selectPage(
        [...lane.sessions.values()].map((each) => summaryOf(viewed(each, placeOf(lane, each)))),
        query,
      ),
    session: ({ id }) => {
      const session = lane.byName.get(id)
      return session === undefined ? null : detailOf(viewed(session, placeOf(lane, session)))
    },
    kill: ({ filter, graceful, reason, now }) => {
      const matches = sessionMatcher(filter)
      const killed = [...lane.sessions.values()].filter((each) =>
        matches(identityOf(viewed(each, placeOf(lane, each))), now),
      )
      const mode = graceful ? 'graceful' : 'now'
      for (const session of killed) {
        lane.reporter.logOf(session, 'info', 'session-killed', { user: session.login.user, mode, reason })
        lane.reporter.event('session', 'killed', session, { mode, ...(reason !== '' && { reason }) })
        if (graceful) shutDown(lane, session, 'closed by the operator')
        else session.abandon('killed')
      }
      return killed.map((session) => session.name)
    },
    users: () => {
      const users = new Map<string, { user: string; sessions: number; messages: number }>()
      for (const { login, counters } of lane.sessions.values()) {
        const { accepted, user } = login
        if (accepted === undefined || user === '') continue
        const row = users.get(user) ?? { user, sessions: 0, messages: 0 }
        users.set(user, { user, sessions: row.sessions + 1, messages: row.messages + counters.messages })
      }
      return [...users.values()]
    },
    block: ({ user, blocked }) => {
      if (!blocked) {
        lane.blocked.delete(user)
        return []
      }
      lane.blocked.add(user)
      lane.warm.drop((parked) => parked.user === user)
      const ended = [...lane.sessions.values()].filter((session) => session.login.user === user)
      for (const session of ended) session.abandon('blocked')
      return ended.map((session) => session.name)
    },
    chains: () => {
      const counts: Record<string, number> = {}
      for (const { login } of lane.sessions.values()) {
        const { accepted, chain } = login
        if (accepted !== undefined) counts[chain] = (counts[chain] ?? 0) + 1
      }
      return counts
    },
  }) satisfies Partial<Answers>

const aboutTheLane = (lane: Lane, listeners: ListenerControl) =>
  ({
    measure: () => ({
      counted: lane.counters.counted(lane.sessions.values()),
      gauges: lane.counters.gauges(lane.sessions.values()),
      sessions: lane.sessions.size,
      memoryBytes: process.memoryUsage().heapUsed,
      lagSeconds: lane.lag,
      parked: lane.warm.counts(),
    }),
    refuse: ({ refuse }) => {
      lane.refusing = refuse
      return { sessions: lane.sessions.size }
    },
    pause: ({ listener, mode }) => {
      const before = lane.pauses[listener]
      lane.pauses[listener] = mode ?? undefined
      for (const each of lane.listening[listener] ?? []) {
        if (mode === 'hold') each.hold()
        else if (before === 'hold') each.resume()
      }
      return null
    },
    open: ({ blocked, secret, refusing, paused }) => {
      lane.blocked.clear()
      for (const user of blocked) lane.blocked.add(user)
      lane.secret = secret
      lane.refusing = refusing
      lane.pauses.splice(0, lane.pauses.length, ...paused)
      openAll(lane, listeners)
      return null
    },
    listen: ({ events, levels, traces }) => {
      lane.reporter.flush()
      lane.reporter.listen(levels, events)
      followAll(lane, traces)
      return null
    },
    probed: (lines) => {
      lane.generations.offer(lines)
      return null
    },
    tls: (material) => {
      lane.handshakes.use(material)
      return null
    },
    verdicts: (answers) => {
      lane.limits.hear(answers)
      return null
    },
    ping: () => lane.counters.counted(lane.sessions.values()),
    retire: () => {
      stopListening(lane, listeners, 'retire')
      return null
    },
    stop: ({ grace }) => {
      stopListening(lane, listeners, 'stop')
      for (const session of lane.sessions.values()) shutDown(lane, session, 'service shutting down')
      setTimeout(() => abandonAll(lane), grace * 1000).unref()
      return null
    },
  }) satisfies Partial<Answers>

function stopListening(lane: Lane, listeners: ListenerControl, how: 'retire' | 'stop'): void {
  lane.stopping = how
  for (const listener of lane.listening.keys()) listeners.close(listener)
  lane.warm.clear()
  setImmediate(() => endIfIdle(lane))
}

function abandonAll(lane: Lane): void {
  lane.stopping = 'cut'
  for (const session of lane.sessions.values()) session.abandon('stopped')
  endIfIdle(lane)
}
