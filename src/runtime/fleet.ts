// The fleet as the runtime has it: loaded when control/fleet is there, made anew when it changes, and nothing at all without it.

import { err } from 'neverthrow'
import { type FleetConfig, readFleetSecrets } from '../config/fleet.ts'
import { failure } from '../contract/failure.ts'
import type { FleetControl, FleetHandler, FleetState } from '../contract/fleet.ts'
import type { createFleet, Fleet, FleetParts } from '../fleet/fleet.ts'
import { describeError } from '../protocol/errors.ts'

export interface FleetService extends FleetControl {
  /** As control/fleet says now. */
  readonly use: (config: FleetConfig | undefined) => void
  /** The limiter has counted. */
  readonly counted: () => void
  /** Of the orders that others gave: the time of the latest. */
  readonly seen: () => number
  /** As the runtime knew it that served before. */
  readonly takeOver: (seen: number) => void
  readonly stop: () => void
}

/** A part of its own: the client of the engine is larger than all else that the main thread loads. */
const load = async () =>
  (await import(new URL('../fleet/fleet.js', import.meta.url).href)) as { readonly createFleet: typeof createFleet }

const NO_FLEET = failure('wrong-state', 'no-fleet', 'this host is in no fleet: there is no control/fleet')

/** `seen`: as the runtime before had it. */
export function createFleetService(parts: Omit<FleetParts, 'handler'>, seen = 0): FleetService {
  let config: FleetConfig | undefined
  let fleet: Fleet | undefined
  let handler: FleetHandler | undefined
  /** Why there is none, where there should be. */
  let trouble: FleetState | undefined
  let version = 0
  let last = seen

  function end(): void {
    last = fleet?.seen() ?? last
    fleet?.stop()
    fleet = undefined
    trouble = undefined
    version += 1
  }

  async function begin(wanted: FleetConfig): Promise<void> {
    const mine = version
    const { createFleet: create } = await load()
    const secrets = readFleetSecrets(wanted)
    if (mine !== version) return
    if (secrets.isOk()) fleet = create({ ...parts, handler: () => handler }, wanted, secrets.value, last)
    else trouble = unreadable(wanted, describeError(secrets.error[0]))
    if (trouble !== undefined)
      parts.log('warn', 'fleet-lost', { name: wanted.name, state: 'wrong', message: trouble.message })
  }

  const follow = () => {
    end()
    if (config !== undefined && handler !== undefined) void begin(config)
  }
  return {
    use(wanted) {
      if (JSON.stringify(wanted) === JSON.stringify(config) && trouble === undefined) return
      config = wanted
      follow()
    },
    counted: () => fleet?.counted(),
    seen: () => fleet?.seen() ?? last,
    takeOver(before) {
      last = Math.max(last, before)
    },
    stop: end,
    state: () => fleet?.state() ?? trouble,
    ask: (question) => fleet?.ask(question) ?? err(NO_FLEET),
    serve(wanted) {
      handler = wanted
      follow()
    },
  }
}

const unreadable = ({ name, engine, quorum, deadline }: FleetConfig, message: string): FleetState => ({
  name,
  engine: engine.text,
  quorum,
  deadline,
  state: 'wrong',
  since: Date.now(),
  message,
  milliseconds: 0,
  hosts: [],
  shared: 0,
  losses: 1,
})
