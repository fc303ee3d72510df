// Listening descriptors that no lane has. A lane closes those it was given, and acceptd is asked for as many as were taken.

import { closeDescriptors, DESCRIPTORS_A_LANE, type RequestDescriptors } from '../edge/descriptors.ts'

export interface Leases {
  /** By listener. */
  readonly spare: readonly number[][]
  /** Calls of those who wait for more. */
  readonly waiting: Set<() => void>
  request: RequestDescriptors | undefined
}

export const newLeases = (descriptors: readonly (readonly number[])[]): Leases => ({
  spare: descriptors.map((list) => [...list]),
  waiting: new Set(),
  request: undefined,
})

/** One more has come. */
export function supplied({ spare, waiting }: Leases, listener: number, fd: number): void {
  spare[listener]?.push(fd)
  for (const wake of waiting) wake()
}

/** acceptd answers in a turn or two, if it is there. */
const PATIENCE_MILLISECONDS = 2000

const hasEach = ({ spare }: Leases, count: number): boolean => spare.every((list) => list.length >= count)

/** What a lane listens on, by listener: a lane with fewer than it could have is slower at accepting. Undefined: a listener has none left. */
export function lease(leases: Leases): readonly (readonly number[])[] | undefined {
  if (!hasEach(leases, 1)) return undefined
  const taken = leases.spare.map((list) => list.splice(0, DESCRIPTORS_A_LANE))
  for (const listener of taken.keys()) leases.request?.(listener, DESCRIPTORS_A_LANE)
  return taken
}

/** As `lease`, when they have come. */
export async function leaseSoon(leases: Leases): Promise<readonly (readonly number[])[] | undefined> {
  if (!hasEach(leases, DESCRIPTORS_A_LANE) && leases.request !== undefined) await more(leases)
  return lease(leases)
}

/** What was taken and is not needed. */
export function giveBack({ spare }: Leases, taken: readonly (readonly number[])[]): void {
  for (const [listener, list] of taken.entries()) spare[listener]?.push(...list)
}

function more(leases: Leases): Promise<void> {
  for (const [listener, list] of leases.spare.entries())
    leases.request?.(listener, Math.max(0, DESCRIPTORS_A_LANE - list.length))
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      leases.waiting.delete(look)
      resolve()
    }
    const look = () => {
      if (hasEach(leases, DESCRIPTORS_A_LANE)) done()
    }
    const timer = setTimeout(done, PATIENCE_MILLISECONDS)
    leases.waiting.add(look)
  })
}

/** No lane will need them. */
export function closeAll(leases: Leases): void {
  leases.request = undefined
  for (const list of leases.spare) closeDescriptors(list.splice(0))
}
