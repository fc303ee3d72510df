// What a lane counts; metrics.ts of rpc/ names the families.

import type { Why } from '../actors/endings.ts'
import { histogramValue, newHistogram, record } from '../contract/histogram.ts'
import type { Sample } from '../contract/metrics.ts'
import { monotonic } from '../edge/clock.ts'
import type { TlsFacts, TlsFailure } from '../edge/tls.ts'
import type { ClientSession } from '../session/session.ts'
import { stateOf } from './describe.ts'

type Outcome = 'accepted' | 'refused' | 'root' | 'blocked' | 'limited' | 'tempfail'

export interface Counters {
  accepted(name: string): void
  firstReply(seconds: number): void
  refusedBecause(name: string, why: string): void
  ended(session: ClientSession, why: Why): void
  login(session: ClientSession, outcome: Outcome): void
  helper(seconds: number): void
  /** A login that a parked backend could have served. */
  warm(taken: boolean): void
  /** A verdict on a limit that the lane gave without the main thread. */
  alone(): void
  note(session: ClientSession, event: string, code: number): void
  lag(seconds: number): void
  handshake(facts: TlsFacts): void
  handshakeFailed(why: TlsFailure): void
  /** All that only grows, octets of living sessions included. */
  counted(live: Iterable<ClientSession>): readonly Sample[]
  /** What is so at this moment. */
  gauges(live: Iterable<ClientSession>): readonly Sample[]
}

export function createCounters(lane: string): Counters {
  const numbers = new Map<string, number>()
  const helperTime = newHistogram()
  const firstReplyTime = newHistogram()
  const lagTime = newHistogram()
  const loginTime = new Map<Outcome, ReturnType<typeof newHistogram>>()

  const add = (key: string, n = 1) => numbers.set(key, (numbers.get(key) ?? 0) + n)

  return {
    accepted(name) {
      add(`begun\t${name}`)
    },
    firstReply(seconds) {
      record(firstReplyTime, seconds)
    },
    refusedBecause(name, why) {
      add(`refused\t${name}\t${why}`)
    },
    ended(session, why) {
      const { protocol } = session.settings.dialogue
      add(`ended\t${protocol}\t${why}`)
      add(`bytes\t${protocol}\tin`, session.streams.bytesIn)
      add(`bytes\t${protocol}\tout`, session.streams.bytesOut)
    },
    login(session, outcome) {
      add(`login\t${session.settings.dialogue.protocol}\t${session.login.mechanism}\t${outcome}`)
      const histogram = loginTime.get(outcome) ?? newHistogram()
      loginTime.set(outcome, histogram)
      record(histogram, (monotonic() - session.login.askedAt) / 1000)
    },
    helper(seconds) {
      record(helperTime, seconds)
    },
    warm(taken) {
      add(taken ? 'warm\ttaken' : 'warm\tcold')
    },
    alone() {
      add('alone')
    },
    note(session, event, code) {
      if (event === 'in_data') add(`message\t${session.settings.dialogue.protocol}\t${outcomeOf(code)}`)
      else if (event === 'rcpt' && code >= 200 && code < 300) add('rcpt')
    },
    lag(seconds) {
      record(lagTime, seconds)
    },
    handshake({ protocol, cipher, resumed }) {
      add(`handshake\t${protocol}\t${cipher}\t${resumed ? 'resumed' : 'full'}`)
    },
    handshakeFailed(why) {
      add(`handshake-failed\t${why}`)
    },
    counted(live) {
      const samples = [...numbers].map(([key, value]) => sampleOf(key, value))
      for (const [protocol, { bytesIn, bytesOut }] of flowing(live)) {
        samples.push({ metric: 'acceptd_bytes_total', labels: { protocol, direction: 'in' }, value: bytesIn })
        samples.push({ metric: 'acceptd_bytes_total', labels: { protocol, direction: 'out' }, value: bytesOut })
      }
      samples.push({ metric: 'acceptd_first_reply_seconds', labels: { lane }, value: histogramValue(firstReplyTime) })
      samples.push({ metric: 'acceptd_helper_seconds', labels: { lane }, value: histogramValue(helperTime) })
      samples.push({ metric: 'acceptd_lane_lag_seconds', labels: { lane }, value: histogramValue(lagTime) })
      for (const [outcome, histogram] of loginTime) {
        samples.push({ metric: 'acceptd_login_seconds', labels: { lane, outcome }, value: histogramValue(histogram) })
      }
      return samples
    },
    gauges(live) {
      const states = new Map<string, number>()
      for (const session of live) {
        const key = `${session.settings.dialogue.protocol}\t${stateOf(session)}`
        states.set(key, (states.get(key) ?? 0) + 1)
      }
      return [...states].map(([key, value]): Sample => {
        const [protocol = '', state = ''] = key.split('\t')
        return { metric: 'acceptd_sessions', labels: { lane, protocol, state }, value }
      })
    },
  }
}

/** Octets of sessions that have not ended, by protocol. */
function flowing(live: Iterable<ClientSession>) {
  const sums = new Map<string, { bytesIn: number; bytesOut: number }>()
  for (const { settings, streams } of live) {
    const { protocol } = settings.dialogue
    const sum = sums.get(protocol) ?? { bytesIn: 0, bytesOut: 0 }
    sums.set(protocol, sum)
    sum.bytesIn += streams.bytesIn
    sum.bytesOut += streams.bytesOut
  }
  return sums
}

const outcomeOf = (code: number): string => (code < 300 ? 'accepted' : code < 500 ? 'tempfail' : 'refused')

function sampleOf(key: string, value: number): Sample {
  const [kind, a = '', b = '', c = ''] = key.split('\t')
  switch (kind) {
    case 'begun':
      return { metric: 'acceptd_sessions_accepted_total', labels: { listener: a }, value }
    case 'refused':
      return { metric: 'acceptd_sessions_refused_total', labels: { listener: a, reason: b }, value }
    case 'ended':
      return { metric: 'acceptd_sessions_ended_total', labels: { protocol: a, reason: b }, value }
    case 'bytes':
      return { metric: 'acceptd_bytes_total', labels: { protocol: a, direction: b }, value }
    case 'login':
      return { metric: 'acceptd_logins_total', labels: { protocol: a, mechanism: b, outcome: c }, value }
    case 'message':
      return { metric: 'acceptd_messages_total', labels: { protocol: a, outcome: b }, value }
    case 'handshake':
      return { metric: 'acceptd_tls_handshakes_total', labels: { version: a, cipher: b, kind: c }, value }
    case 'handshake-failed':
      return { metric: 'acceptd_tls_failures_total', labels: { reason: a }, value }
    case 'alone':
      return { metric: 'acceptd_limits_alone_total', labels: {}, value }
    case 'warm':
      return { metric: 'acceptd_warm_logins_total', labels: { outcome: a }, value }
    default:
      return { metric: 'acceptd_recipients_total', labels: {}, value }
  }
}
