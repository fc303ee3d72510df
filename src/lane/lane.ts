// A lane: one worker thread with its own listening descriptors, its sessions, and its copy of the generations.
// It is one never-ending piscina task: it accepts clients, gives sessions their surroundings, and answers the main thread's
// questions (messages.ts) between reads.

import type { MessagePort } from 'node:worker_threads'
import type { Effect } from '../actors/effects.ts'
import { TAG } from '../actors/frames.ts'
import type { ChainConfig } from '../config/chains.ts'
import type { PauseMode, SessionFilter } from '../contract/daemon.ts'
import { selectPage, sessionMatcher } from '../contract/pages.ts'
import { askHelper } from '../edge/helper.ts'
import { type ClientSocket, type Listening, listenOn } from '../edge/listening.ts'
import { wipe } from '../protocol/bytes.ts'
import { rulesFor } from '../rules/rewrite.ts'
import { createParking } from '../session/backends/warm.ts'
import { decodeMessage, encodeMessage } from '../session/codec.ts'
import { ClientSession, type Surroundings } from '../session/session.ts'
import { createStages } from '../session/stages.ts'
import { createCounters } from './counters.ts'
import { codeText, describe, detail } from './describe.ts'
import type { FromLane, LaneStart, QuestionName, Questions, ToLane } from './messages.ts'
import { createVoice, LOGIN_OUTCOMES, type LoginEvent } from './reporter.ts'
import { compileGeneration, environmentNames, environmentOf, type LaneGeneration } from './settings.ts'
import { descriptorsInUse, sessionsInUse, setUse, type Usage } from './usage.ts'

/** A login may take this long, checkpassword's own 30 seconds and the helper's work included. */
const HELPER_SECONDS = 35
/** A client that does not take its last bytes, or does not close. */
const LINGER_SECONDS = 5
/** A backend that goes on after its input was closed. */
const ENDING_SECONDS = 60

export interface LaneTask {
  readonly start: LaneStart
  readonly port: MessagePort
  /** Shared by all lanes; this one writes its slot. */
  readonly usage: Usage
  readonly slot: number
}

/** Resolves when the lane was told to stop and its last session has ended. */
export default function lane({ start, port, usage, slot }: LaneTask): Promise<void> {
  const sessions = new Map<number, ClientSession>()
  const byName = new Map<string, ClientSession>()
  const asking = new Map<ClientSession, () => void>()
  const generations = new Map<number, LaneGeneration>()
  const blocked = new Set(start.blocked)
  const counters = createCounters(String(start.lane))
  const listening: Listening[][] = []
  const modes: (PauseMode | undefined)[] = [...start.paused]
  let published: LaneGeneration
  let prepared: LaneGeneration | undefined
  let refusing = start.refusing
  let stopping = false
  let nextId = 1
  let traces: readonly ((session: ClientSession) => boolean)[] = []
  let lag = 0
  let resolveEnd: () => void = () => undefined
  const end = new Promise<void>((resolve) => {
    resolveEnd = resolve
  })

  /** Sessions whose backend runs. */
  let serving = 0
  const tellUse = () => setUse(usage, slot, sessions.size, sessions.size + asking.size + serving + parking.size())
  /** A new session is taken below this, so that those who are connected can still log in. */
  const forNewSessions = Math.floor(start.descriptorsForSessions * 0.95)
  /** Parked backends give way below it, since those that were told to end still run for a moment. */
  const shareOfProcesses = () => (published.config.chains.maxProcesses * 0.9) / start.lanes
  const isFull = (): boolean => {
    const most = published.config.maxSessions
    return (most > 0 && sessionsInUse(usage) >= most) || descriptorsInUse(usage) >= forNewSessions
  }

  const tell = (message: FromLane) => port.postMessage(encodeMessage(message))

  const about = (session: ClientSession) => ({
    lane: start.lane,
    listener: session.settings.listener,
    generation: session.generation,
  })

  const voice = createVoice(tell, about)
  const { log, logOf, event, trace } = voice

  // ---- generations

  const first = compileGeneration(start.published)
  if ('errors' in first) throw new Error('the published generation does not compile in a lane')
  published = first
  generations.set(first.generation, first)
  voice.listen(first.config.logLevel, false)

  /** It is kept for as long as a session has it. */
  const generationOf = (session: ClientSession): LaneGeneration | undefined => generations.get(session.generation)

  function release(generation: LaneGeneration): void {
    generation.users -= 1
    if (generation.users === 0 && generation !== published && generation !== prepared) {
      generations.delete(generation.generation)
    }
  }

  function useGeneration(session: ClientSession, generation: LaneGeneration): void {
    const before = generationOf(session)
    generation.users += 1
    session.generation = generation.generation
    if (before !== undefined) release(before)
  }

  const chainOf = (session: ClientSession): ChainConfig | undefined =>
    generationOf(session)?.config.chains.chains.find((chain) => chain.name === session.chain)

  // ---- sessions

  const stages = createStages<ClientSession>(
    (session, effect) => session.perform(effect),
    (session, actor, error) => {
      logOf(session, 'error', 'bug', {
        actor,
        stack: error instanceof Error ? error.stack : String(error),
      })
      session.perform({
        do: 'reply',
        text:
          session.settings.dialogue.protocol === 'smtp'
            ? '421 internal error (#4.3.0)\r\n'
            : '-ERR [SYS/TEMP] internal error\r\n',
      })
      session.close('bug', '')
    },
  )

  const parking = createParking()

  const around: Surroundings = {
    now: Date.now,
    post: (session, frame) => stages.post(session, frame),
    askHelper: (session, kind, user, credentials) => {
      if (kind === 'auth' && blocked.has(user)) {
        wipe(credentials)
        session.answered('blocked', undefined, credentials)
        return
      }
      const environment = environmentOf(session, kind)
      const chain = chainOf(session)
      const warmFor = kind === 'auth' && session.settings.warm ? (chain?.warm ?? 0) : 0
      const asked = performance.now()
      const cold = () => {
        while (
          parking.size() > 0 &&
          (descriptorsInUse(usage) >= start.descriptorsForSessions ||
            asking.size + serving + parking.size() + 1 > shareOfProcesses())
        ) {
          parking.dropOldest()
          tellUse()
        }
        if (descriptorsInUse(usage) >= start.descriptorsForSessions) {
          wipe(credentials)
          session.answered('busy', undefined, credentials)
          return
        }
        const giveUp = askHelper(
          start.helper,
          { kind, session: session.name, chain: session.chain, environment, credentials },
          (line, backend, rest) => {
            asking.delete(session)
            if (line.startsWith('ok ') && !session.closing) serving += 1
            tellUse()
            counters.helper((performance.now() - asked) / 1000)
            if (line.startsWith('ok ') && warmFor > 0) parking.verified(session, warmFor)
            else if (/^(exit [12]|root)$/.test(line)) parking.refused(session)
            else parking.forget(session)
            session.answered(line, backend, rest)
          },
        )
        asking.set(session, giveUp)
        tellUse()
      }
      if (warmFor === 0) {
        cold()
        return
      }
      parking.take(session, credentials, environment.join('\0'), warmFor, (backend, accepted, greeting) => {
        if (session.closing) {
          // It went away while the parked backend was asked.
          wipe(credentials)
          backend?.discard()
          return
        }
        counters.warm(backend !== undefined)
        if (backend === undefined) {
          cold()
          return
        }
        wipe(credentials)
        serving += 1
        tellUse()
        counters.helper((performance.now() - asked) / 1000)
        session.answered(`ok ${accepted.uid} ${accepted.gid} ${accepted.pid}`, backend, greeting)
      })
    },
    rulesOf: (session) => {
      const generation = generationOf(session) ?? published
      return {
        rules: rulesFor(generation.config.rules, environmentNames(session, chainOf(session))),
        greeting: generation.config.smtpGreeting,
      }
    },
    refresh: (session) => {
      const state = session.actors.fixsmtpio
      if (
        state === undefined ||
        state.at !== 'commands' ||
        state.awaited.length > 0 ||
        state.transaction ||
        state.rest.length > 0
      )
        return
      session.stale = false
      useGeneration(session, published)
      const { rules, greeting } = around.rulesOf(session)
      session.actors.fixsmtpio = { ...state, settings: { ...state.settings, rules, greeting } }
    },
    ended: (session, why) => {
      asking.get(session)?.()
      asking.delete(session)
      parking.forget(session)
      if (!sessions.delete(session.id)) return
      if (session.accepted !== undefined) serving -= 1
      // A backend that was cut off may be busy with something that is not its input.
      if (session.accepted !== undefined && CUT.has(why)) voice.kill(session)
      tellUse()
      byName.delete(session.name)
      const generation = generationOf(session)
      if (generation !== undefined) release(generation)
      counters.ended(session, why)
      logOf(session, 'info', 'session-ended', {
        user: session.user,
        why,
        seconds: Math.round((Date.now() - session.started) / 100) / 10,
        messages: session.messages,
        in: session.bytesIn,
        out: session.bytesOut,
      })
      event('session', 'ended', session, {
        why,
        messages: session.messages,
        bytesIn: session.bytesIn,
        bytesOut: session.bytesOut,
      })
      if (stopping && sessions.size === 0) finish()
    },
    park: (session, backend, greeting) => {
      const chain = chainOf(session)
      return (
        chain !== undefined &&
        chain.warm > 0 &&
        session.accepted !== undefined &&
        !stopping &&
        !blocked.has(session.user) &&
        descriptorsInUse(usage) < forNewSessions &&
        parking.park(session, backend, session.accepted, greeting)
      )
    },
    observe,
  }

  function observe(session: ClientSession, effect: Effect): void {
    switch (effect.do) {
      case 'log':
        voice.tellOf(session, effect)
        if (effect.event in LOGIN_OUTCOMES) counters.login(session, LOGIN_OUTCOMES[effect.event as LoginEvent])
        break
      case 'hits': {
        const generation = generationOf(session)
        if (generation === undefined) break
        for (const rule of effect.rules) {
          generation.hits[rule] = (generation.hits[rule] ?? 0) + 1
          generation.lastHits[rule] = Date.now()
        }
        break
      }
      case 'note':
        counters.note(session, effect.event, effect.code)
        // After login fixsmtpio's own marks show the lines themselves; before it only verbs and codes are told.
        if (session.traced && session.front === 'authup') {
          trace(session, 'client', effect.event.toUpperCase())
          trace(session, 'acceptd', codeText(effect.code))
        }
        break
      case 'debug':
        if (effect.mark === '1' || effect.mark === '4')
          trace(session, effect.mark === '1' ? 'client' : 'acceptd', effect.text)
        break
      default:
        break
    }
  }

  function accept(socket: ClientSocket, listener: number): void {
    const settings = published.settings[listener]
    if (settings === undefined || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    while (parking.size() > 0 && isFull()) {
      parking.dropOldest()
      tellUse()
    }
    const mode = modes[listener]
    const why = refusing ? 'shutting down' : mode === '421' ? 'paused' : isFull() ? 'too many sessions' : ''
    if (why !== '') {
      counters.refused(listener)
      counters.refusedBecause(settings.listener, why)
      socket.on('error', () => undefined)
      socket.end(settings.dialogue.protocol === 'smtp' ? `421 ${why} (#4.3.2)\r\n` : `-ERR [SYS/TEMP] ${why}\r\n`)
      socket.resume()
      setTimeout(() => socket.destroy(), 1000).unref()
      log('warn', 'session-refused', { ip: socket.remoteAddress, listener: settings.listener, why })
      return
    }
    const began = performance.now()
    const id = nextId
    nextId += 1
    const name = `${start.lane}.${start.boot}.${id.toString(36)}`
    // RFC 1939 section 7: different at each greeting.
    const timestamp =
      settings.dialogue.protocol === 'pop3'
        ? `<${process.pid}.${start.lane}${id}.${Math.floor(Date.now() / 1000)}@${settings.dialogue.greeting}>`
        : ''
    const session = new ClientSession(id, name, socket, settings, timestamp, around)
    sessions.set(id, session)
    tellUse()
    byName.set(name, session)
    useGeneration(session, published)
    session.traced = traces.some((matches) => matches(session))
    counters.accepted(listener, settings.listener)
    logOf(session, 'debug', 'session-begins', {})
    session.start()
    counters.firstReply((performance.now() - began) / 1000)
    event('session', 'accepted', session)
  }

  // ---- listeners

  function listen(listener: number, descriptors: readonly number[]): void {
    listening[listener] = descriptors.map((fd) =>
      listenOn(
        fd,
        (socket) => accept(socket, listener),
        (error) => log('error', 'listener-failed', { listener: String(listener), message: error.message }),
      ),
    )
  }

  function stopListening(listener: number): void {
    for (const each of listening[listener] ?? []) each.close()
    listening[listener] = []
  }

  // ---- time

  let lastTick = performance.now()
  let worst = 0
  const lagTimer = setInterval(() => {
    const late = performance.now() - lastTick - 100
    lastTick = performance.now()
    worst = Math.max(worst, late / 1000)
    counters.lag(Math.max(late, 0) / 1000)
    voice.flush()
  }, 100)

  const timer = setInterval(() => {
    lag = Math.max(worst, 0)
    worst = 0
    const now = Date.now()
    for (const session of sessions.values()) {
      const silent = (now - session.seen) / 1000
      if (session.closing) {
        if (silent > LINGER_SECONDS) session.abandon('lingering')
        continue
      }
      const giveUp = asking.get(session)
      if (giveUp !== undefined) {
        if ((now - session.askedAt) / 1000 > HELPER_SECONDS) giveUp()
        continue
      }
      if (session.actors.fixsmtpio?.at === 'ending' || session.clientClosed) {
        if (silent > ENDING_SECONDS) session.abandon('ending')
        continue
      }
      const config = generationOf(session)?.config ?? published.config
      const limit = session.settings.dialogue.protocol === 'smtp' ? config.smtpTimeout : config.pop3Timeout
      if (silent >= limit) session.timedOut()
    }
    parking.sweep(now)
    tellUse()
  }, 1000)

  function finish(): void {
    clearInterval(timer)
    clearInterval(lagTimer)
    parking.clear()
    voice.flush()
    port.close()
    resolveEnd()
  }

  // ---- questions

  const answers: { readonly [Q in QuestionName]: (ask: Questions[Q]['ask']) => Questions[Q]['answer'] } = {
    prepare: (texts) => {
      const compiled = compileGeneration(texts)
      if ('errors' in compiled) return { errors: compiled.errors }
      prepared = compiled
      generations.set(compiled.generation, compiled)
      return { errors: [] }
    },
    publish: ({ generation, all }) => {
      const began = performance.now()
      const next = generations.get(generation)
      if (next === undefined) throw new Error(`generation ${generation} was not prepared`)
      const before = published
      published = next
      prepared = undefined
      if (before.users === 0) generations.delete(before.generation)
      parking.clear()
      if (all) for (const session of sessions.values()) session.stale = true
      return { milliseconds: performance.now() - began }
    },
    forget: ({ generation }) => {
      if (prepared?.generation === generation) prepared = undefined
      if (published.generation !== generation && generations.get(generation)?.users === 0)
        generations.delete(generation)
      return null
    },
    sessions: (query) => {
      const all: ReturnType<typeof describe>[] = []
      for (const session of sessions.values()) all.push(describe(session, about(session)))
      return selectPage(all, query)
    },
    session: ({ id }) => {
      const session = byName.get(id)
      return session === undefined ? null : detail(session, about(session))
    },
    kill: ({ filter, graceful, reason, now }) => {
      const matches = sessionMatcher(filter)
      const ids: string[] = []
      for (const session of sessions.values()) {
        if (!matches(describe(session, about(session)), now)) continue
        ids.push(session.name)
        logOf(session, 'info', 'session-killed', {
          user: session.user,
          mode: graceful ? 'graceful' : 'now',
          reason,
        })
        if (graceful) stages.post(session, [TAG.shutdown, session.id, 'closed by the operator'])
        else session.abandon('killed')
      }
      return ids
    },
    users: () => {
      const users = new Map<string, { user: string; sessions: number; messages: number }>()
      for (const session of sessions.values()) {
        if (session.accepted === undefined || session.user === '') continue
        const row = users.get(session.user) ?? { user: session.user, sessions: 0, messages: 0 }
        users.set(session.user, { ...row, sessions: row.sessions + 1, messages: row.messages + session.messages })
      }
      return [...users.values()]
    },
    block: ({ user, blocked: block }) => {
      if (!block) {
        blocked.delete(user)
        return []
      }
      blocked.add(user)
      parking.drop((parked) => parked.user === user)
      const ids: string[] = []
      for (const session of sessions.values()) {
        if (session.user !== user) continue
        ids.push(session.name)
        session.abandon('blocked')
      }
      return ids
    },
    measure: () => ({
      samples: counters.samples(sessions.values()),
      sessions: sessions.size,
      memoryBytes: process.memoryUsage().heapUsed,
      lagSeconds: lag,
      parked: parking.counts(),
    }),
    refuse: ({ refuse }) => {
      refusing = refuse
      return { sessions: sessions.size }
    },
    pause: ({ listener, mode, descriptors }) => {
      const before = modes[listener]
      modes[listener] = mode ?? undefined
      if (mode === 'hold') stopListening(listener)
      else if (before === 'hold') listen(listener, descriptors)
      return null
    },
    listeners: () => published.settings.map((_, i) => counters.listener(i)),
    chains: () => {
      const counts: Record<string, number> = {}
      for (const session of sessions.values()) {
        if (session.accepted !== undefined) counts[session.chain] = (counts[session.chain] ?? 0) + 1
      }
      return counts
    },
    generations: () =>
      [...generations.values()].map((each) => ({
        generation: each.generation,
        sessions: each.users,
        hits: [...each.hits].flatMap((count, rule) =>
          count > 0 ? [[rule, count, each.lastHits[rule] ?? 0] as const] : [],
        ),
      })),
    listen: ({ events: want, level: wanted, traces: filters }) => {
      voice.listen(wanted, want)
      traces = filters.map((filter: SessionFilter) => {
        const matches = sessionMatcher(filter)
        return (session) => matches(describe(session, about(session)), Date.now())
      })
      for (const session of sessions.values()) session.traced = traces.some((matches) => matches(session))
      return null
    },
    ping: () => null,
    stop: ({ grace }) => {
      stopping = true
      for (let i = 0; i < listening.length; i += 1) stopListening(i)
      parking.clear()
      for (const session of sessions.values()) stages.post(session, [TAG.shutdown, session.id, 'service shutting down'])
      if (sessions.size === 0) setImmediate(finish)
      else {
        setTimeout(() => {
          for (const session of sessions.values()) session.abandon('stopped')
        }, grace * 1000).unref()
      }
      return null
    },
  }

  port.on('message', (bytes: Uint8Array) => {
    const { q, n, ask } = decodeMessage(bytes) as ToLane
    try {
      tell({ a: n, answer: (answers[q] as (ask: unknown) => unknown)(ask) })
    } catch (error) {
      tell({ failed: n, message: error instanceof Error ? error.message : String(error) })
      log('error', 'bug', { question: q, stack: error instanceof Error ? error.stack : String(error) })
    }
  })

  start.descriptors.forEach((descriptors, listener) => {
    listening[listener] = []
    if (modes[listener] !== 'hold') listen(listener, descriptors)
  })
  tell({ ready: true })
  return end
}

/** Ends after which the helper is asked to end the backend, too: TERM, and KILL five seconds later. */
const CUT = new Set(['killed', 'blocked', 'ending', 'timeout', 'stopped'])
