// How long a client that reconnects immediately after each failure waits for service: one client at a time, from the login to an accepted message.
import { until } from '../system/processes.ts'
import { connectTo, introduce, submitted } from './load.ts'
import type { Journal } from './message.ts'
import type { Place } from './place.ts'

/** The waiting is over when so many in a row have been served. */
const IN_A_ROW = 3
const AGAIN_MILLISECONDS = 10

export interface Waiting {
  /** Resolves with the longest wait, in milliseconds, and why clients were not served. */
  readonly over: () => Promise<{ readonly longest: number; readonly failures: readonly string[] }>
}

async function served({ targets, people }: Place, journal: Journal, id: string): Promise<void> {
  const [target] = targets
  const [user] = people
  if (target === undefined || user === undefined) throw new Error('nobody to serve')
  const talk = await connectTo(target, 15_000)
  try {
    const reply = await introduce(talk, user)
    if (!reply.startsWith('235')) throw new Error(reply.trim())
    await submitted(talk, id, 1, journal)
    await talk.say('QUIT')
  } finally {
    talk.socket.destroy()
  }
}

/** Begins now, and goes on until `over` has been called and service is steady. */
export function startWaiting(place: Place, journal: Journal, name: string): Waiting {
  const failures: string[] = []
  let [longest, row, over, count] = [0, 0, false, 0]
  let since = performance.now()
  const asking = until(
    'service',
    async () => {
      count += 1
      try {
        await served(place, journal, `${name}.w${count}`)
        longest = Math.max(longest, performance.now() - since)
        since = performance.now()
        row += 1
      } catch (error) {
        row = 0
        failures.push(error instanceof Error ? error.message : String(error))
      }
      return over && row >= IN_A_ROW
    },
    { timeout: 30_000, every: AGAIN_MILLISECONDS },
  )
  // over() reports it.
  asking.catch(() => undefined)
  return {
    over: async () => {
      // Only those count who have come since.
      over = true
      row = 0
      await asking
      return { longest, failures }
    },
  }
}
