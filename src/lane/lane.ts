// START HERE for a worker thread. A lane is one never-ending piscina task with its own listening descriptors, its sessions, and its copy
// of the generations:
//
//   accepting.ts     a client: refused, or a session      generations.ts  the rules that each session uses
//   logins.ts        where its backend comes from         observing.ts    what its effects tell log, counters and traces
//   clock.ts         what is late                         answers.ts      the main thread's questions

import type { MessagePort } from 'node:worker_threads'
import type { Performed } from '../actors/effects.ts'
import { usersNamed } from '../config/certusers.ts'
import { monotonic } from '../edge/clock.ts'
import { listenOn } from '../edge/listening.ts'
import { useLogFormat } from '../edge/log.ts'
import { Reading } from '../edge/reading.ts'
import type { Room } from '../limits/room.ts'
import { newTurns } from '../limits/turns.ts'
import { notNow } from '../protocol/dialogue.ts'
import { helperBackends } from '../session/backends/helper.ts'
import { createWarmBackends } from '../session/backends/warm.ts'
import { decodeMessage, encodeMessage } from '../session/codec.ts'
import type { ServingRules, SessionHost } from '../session/host.ts'
import type { ClientSession } from '../session/session.ts'
import { createStages } from '../session/stages.ts'
import { acceptClient, doorOf, sessionEnded, startTls } from './accepting.ts'
import { createAnswers, type ListenerControl, openAll } from './answers.ts'
import { BeforeLogin } from './before-login.ts'
import { startClock } from './clock.ts'
import { createCounters } from './counters.ts'
import { createFarewells } from './farewell.ts'
import { createGenerations } from './generations.ts'
import { createHandshakes } from './handshakes.ts'
import { askUse, createLaneLimits } from './limits.ts'
import { openBackend, parkBackend } from './logins.ts'
import type { FromLane, LaneStart, ToLane } from './messages.ts'
import { observe } from './observing.ts'
import { createReporter, type Reporter } from './reporter.ts'
import { LaneRoom } from './room.ts'
import { type Lane, placeOf } from './state.ts'
import { inTurn } from './turns.ts'
import type { Usage } from './usage.ts'
import { describe } from './xclient.ts'

export interface LaneTask {
  readonly start: LaneStart
  readonly port: MessagePort
  /** Shared by all lanes; this one writes its slot. */
  readonly usage: Usage
  /** Where lanes see for themselves that no limit is near. */
  readonly room: Room
  readonly slot: number
}

/** Resolves when the lane was told to stop and its last session has ended. */
export default function runLane({ start, port, usage, room, slot }: LaneTask): Promise<void> {
  return new Promise((resolve) => {
    const tell = (message: FromLane) => port.postMessage(encodeMessage(message))
    const reporter: Reporter = createReporter(tell, (session) => placeOf(lane, session))
    const counters = createCounters(String(start.place))
    const reading = new Reading()
    let ended = false
    const cold = inTurn(() => lane, helperBackends(start.helper, reading))
    const lane: Lane = {
      start,
      usage,
      slot,
      sessions: new Map(),
      byName: new Map(),
      asking: new Map(),
      delayed: new Set(),
      turns: newTurns(),
      nextSecond: undefined,
      blocked: new Set(start.blocked),
      secret: start.secret,
      generations: createGenerations(start.published, start.probed),
      counters,
      reporter,
      reading,
      cold,
      warm: createWarmBackends(cold),
      limits: createLaneLimits(tell, reporter, counters, new LaneRoom(room)),
      beforeLogin: new BeforeLogin(),
      handshakes: createHandshakes(counters, reporter, monotonic),
      farewells: createFarewells(start),
      stages: createStages<ClientSession>(
        (session, effect) => session.perform(effect),
        (session, actor, error) => endByBug(reporter, session, actor, error),
      ),
      door: [],
      listening: start.descriptors.map(() => []),
      pauses: [...start.paused],
      entering: 0,
      serving: 0,
      refusing: start.refusing,
      stopping: undefined,
      nextId: 1,
      lag: 0,
      traces: [],
      traced: new Set(),
      end: () => {
        if (ended) return
        ended = true
        stopClock()
        clearTimeout(lane.nextSecond)
        lane.warm.clear()
        lane.handshakes.clear()
        reporter.flush()
        lane.limits.flush()
        tell({ last: { counted: counters.counted([]), hits: lane.generations.hits() } })
        port.close()
        resolve()
      },
    }
    const { logLevels, logFormat } = lane.generations.published().config
    useLogFormat(logFormat)
    reporter.listen(logLevels, false)
    lane.handshakes.use(start.tls)
    lane.door = doorOf(lane)
    const stopClock = startClock(lane)
    const listeners = listenerControl(lane, hostOf(lane))
    answerOn(port, tell, reporter, createAnswers(lane, listeners))
    if (!start.standby) openAll(lane, listeners)
    tell({ ready: true })
  })
}

/** What the lane does for its sessions. */
const hostOf = (lane: Lane): SessionHost => ({
  now: monotonic,
  reading: lane.reading,
  post: (session, frame) => lane.stages.post(session, frame),
  openBackend: (session, kind, user, credentials) => openBackend(lane, session, kind, user, credentials),
  rulesOf: (session) => rulesOf(lane, session),
  refresh: lane.generations.refresh,
  startTls: (session, socket, done) => startTls(lane, session, socket, done),
  usersNamed: (names) =>
    usersNamed(lane.generations.published().config.certUsers, names).map(({ user, key }) => {
      lane.generations.count(key)
      return user
    }),
  ended: (session, why) => sessionEnded(lane, session, why),
  describe: (session, client) => describe(lane, session, client),
  askLimits: (session, what) => askUse(lane, session, what),
  park: (session, opened, greeting) => parkBackend(lane, session, opened, greeting),
  observe: (session: ClientSession, effect: Performed) => observe(lane, session, effect),
})

function rulesOf(lane: Lane, session: ClientSession): ServingRules {
  const rules = lane.generations.rulesOf(session)
  if (rules.senders !== undefined && 'unknown' in rules.senders)
    lane.reporter.logOf(session, 'error', 'senders-unreadable', {
      user: session.login.user,
      why: rules.senders.unknown,
    })
  return { ...rules, debug: lane.traced.has(session) }
}

const listenerControl = (lane: Lane, host: SessionHost): ListenerControl => ({
  open: (listener, descriptors) => {
    lane.listening[listener] = descriptors.map((fd) =>
      listenOn(
        fd,
        (socket) => acceptClient(lane, host, socket, listener),
        (error) =>
          lane.reporter.log('error', 'listener-failed', { listener: String(listener), message: error.message }),
        lane.reading,
        lane.pauses[listener] === 'hold',
      ),
    )
  },
  close: (listener) => {
    for (const each of lane.listening[listener] ?? []) each.close()
    lane.listening[listener] = []
  },
})

/** An actor threw: a bug of ours ends its session, and no other. */
function endByBug(reporter: Reporter, session: ClientSession, actor: string, error: unknown): void {
  reporter.logOf(session, 'error', 'bug', { actor, stack: error instanceof Error ? error.stack : String(error) })
  session.perform({ do: 'reply', text: notNow(session.settings.dialogue, '4.3.0', 'internal error') })
  session.close('bug')
}

function answerOn(
  port: MessagePort,
  tell: (message: FromLane) => void,
  reporter: Reporter,
  answers: ReturnType<typeof createAnswers>,
): void {
  port.on('message', (message: Uint8Array | ToLane) => {
    const { q, n, ask } = message instanceof Uint8Array ? (decodeMessage(message) as ToLane) : message
    const failed = (error: unknown) => {
      tell({ failed: n, message: error instanceof Error ? error.message : String(error) })
      reporter.log('error', 'bug', { question: q, stack: error instanceof Error ? error.stack : String(error) })
    }
    try {
      const answer = (answers[q] as (ask: unknown) => unknown)(ask)
      // A notification has no answer to wait for.
      if (n === 0) return
      if (answer instanceof Promise) answer.then((value: unknown) => tell({ a: n, answer: value }), failed)
      else tell({ a: n, answer })
    } catch (error) {
      failed(error)
    }
  })
}
