// What a method with `fleet` asks of the other hosts, and how their answers stand in its result.

import { err, ok, type Result } from 'neverthrow'
import { z } from 'zod'
import type { Daemon, RpcFailure } from '../contract/daemon.ts'
import { failure } from '../contract/failure.ts'
import type { FleetControl, FleetState, HostAnswer } from '../contract/fleet.ts'
import { list } from './schema.ts'

export const fleet = z
  .boolean()
  .default(false)
  .describe('On every host of the fleet (control/fleet), not on this one alone.')
  .meta({ title: 'Fleet' })

export const silentHosts = list(z.string())
  .optional()
  .describe('With fleet: hosts that have not answered; what lasts they do when they are back.')

export const hostError = z.string().optional().describe('Why it was not done there.')

export interface OnFleet {
  readonly answers: readonly HostAnswer[]
  readonly silentHosts: readonly string[]
}

/** Whether others can be asked. */
export const isJoined = ({ state }: FleetState): boolean => state === 'together' || state === 'slow'

export function notJoined(found: FleetState | undefined): RpcFailure {
  if (found === undefined)
    return failure('wrong-state', 'no-fleet', 'this host is in no fleet: there is no control/fleet')
  const { engine, state, message } = found
  const why = message === undefined ? '' : ` (${message})`
  const text = `${engine} is ${state}${why}; nothing was done on any host; without fleet this host does it`
  return failure('timeout', 'fleet-away', text, { state })
}

/** This host and the others together, or nobody: `here` is not begun where the engine is away. */
export async function onFleet<T>(
  daemon: Daemon,
  question: Parameters<FleetControl['ask']>[0] & { readonly fleet: boolean },
  here: () => Promise<Result<T, RpcFailure>>,
): Promise<Result<{ readonly mine: T; readonly others: OnFleet | undefined }, RpcFailure>> {
  const { fleet: wanted, ...asked } = question
  if (!wanted) return (await here()).map((mine) => ({ mine, others: undefined }))
  const state = daemon.fleet.state()
  if (state === undefined || !isJoined(state)) return err(notJoined(state))
  // The others first: what is done here may keep this thread for a while.
  const asking = daemon.fleet.ask(asked)
  const [mine, others] = await Promise.all([here(), asking])
  if (mine.isErr()) return err(mine.error)
  if (others.isErr()) return err(others.error)
  const { answers, silent } = others.value
  return ok({
    mine: mine.value,
    others: { answers: answers.toSorted((a, b) => (a.host < b.host ? -1 : 1)), silentHosts: silent },
  })
}

/** A row of each other host: what is picked of its result, or why there is none. */
export const hostRows = <T extends object>(
  others: OnFleet | undefined,
  pick: (result: Readonly<Record<string, unknown>>) => T,
): {
  readonly hosts?: readonly ({ readonly host: string } & (T | { readonly error: string }))[]
  readonly silentHosts?: readonly string[]
} =>
  others === undefined
    ? {}
    : {
        hosts: others.answers.map(({ host, result, error }) =>
          error === undefined && typeof result === 'object' && result !== null
            ? { host, ...pick(result as Readonly<Record<string, unknown>>) }
            : { host, error: error?.message ?? 'no answer that makes sense' },
        ),
        silentHosts: others.silentHosts,
      }

/** A member of a result that is a number. */
export const numberIn = (result: Readonly<Record<string, unknown>>, name: string): number => {
  const value = result[name]
  return typeof value === 'number' ? value : 0
}
