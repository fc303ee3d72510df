// What all connections share: the daemon, the overrides, the event hub, the turn of changes, and the counts of requests.
import { err, type Result } from 'neverthrow'
import type { Daemon, RpcFailure, Soon } from '../contract/daemon.ts'
import { FAILURES, type FailureName } from '../contract/failure.ts'
import { type Sample, summed } from '../contract/metrics.ts'
import { createEventHub, type EventHub } from './events.ts'
import { createOverrides, type Overrides } from './overrides.ts'
import type { Level } from './row.ts'
import type { Client } from './streams.ts'

export type { Client }

/** Changes of the configuration that may wait for their turn. */
const WAITING_CHANGES = 64

/** What changes now would be lost. */
export const HANDING: RpcFailure = {
  failure: 'busy',
  reason: 'upgraded',
  message: 'another runtime takes over; ask again',
}

export interface Context {
  readonly daemon: Daemon
  readonly overrides: Overrides
  readonly events: EventHub
  /** One change of the configuration after the other, so that what ifSha256 compared still holds when it is published. */
  inTurn<T>(change: () => Soon<Result<T, RpcFailure>>): Promise<Result<T, RpcFailure>>
  count(socket: Level, outcome: 'ok' | FailureName): void
  clients(socket: Level, change: 1 | -1): void
  lostEvents(count: number): void
  /** What this side counts; the daemon counts the rest. */
  measure(): readonly Sample[]
  /** Both together. */
  samples(): Promise<readonly Sample[]>
  close(): void
}

export function createContext(daemon: Daemon): Context {
  const overrides = createOverrides(daemon)
  const counts = new Map<string, number>()
  const clients = { control: 0, status: 0 }
  let lost = 0
  let turn: Promise<unknown> = Promise.resolve()
  let waiting = 0

  function measure(): readonly Sample[] {
    const samples: Sample[] = []
    for (const socket of ['control', 'status'] as const) {
      samples.push({ metric: 'acceptd_control_clients', labels: { socket }, value: clients[socket] })
      for (const outcome of ['ok', ...Object.keys(FAILURES)]) {
        const value = counts.get(`${socket} ${outcome}`)
        if (value) samples.push({ metric: 'acceptd_control_requests_total', labels: { socket, outcome }, value })
      }
    }
    samples.push({ metric: 'acceptd_events_dropped_total', labels: {}, value: lost })
    return samples
  }

  return {
    daemon,
    overrides,
    events: createEventHub(daemon),
    async inTurn(change) {
      if (waiting >= WAITING_CHANGES)
        return err({
          failure: 'busy',
          reason: 'too-many-changes',
          message: `${WAITING_CHANGES} changes of the configuration are waiting already`,
        })
      waiting++
      const mine = turn.then(() => (daemon.isHanding() ? err(HANDING) : change()))
      turn = mine.then(
        () => waiting--,
        () => waiting--,
      )
      return mine
    },
    count(socket, outcome) {
      const key = `${socket} ${outcome}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    clients(socket, change) {
      clients[socket] += change
    },
    lostEvents(count) {
      lost += count
    },
    measure,
    samples: async () => summed([...(await daemon.server.measure()), ...measure()]),
    close() {
      overrides.close()
    },
  }
}
