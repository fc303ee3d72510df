// Sessions and descriptors in use, of all lanes, in shared memory: a lane writes its own slot and reads all of them, so that the
// process as a whole stays below its limit however unevenly the kernel shares clients out.

/** Twice as many as there can be lanes, and more: an old lane drains while its replacement serves. */
export const SLOTS = 256
const NUMBERS = 3

/** Three numbers a slot: sessions, descriptors, sessions that have not logged in. */
export type Usage = Int32Array

/** After the slots: how many probes are under way, and the ports that they come from, each at the place of its listener. */
const PROBES = NUMBERS * SLOTS
const MOST_LISTENERS = 256
/** After them: a second, and how many logins the helper was asked for in it. */
const ATTEMPTS = PROBES + 1 + MOST_LISTENERS
/** The last: what standing.ts knows of users and addresses. */
export const STANDING = ATTEMPTS + 2
/** Users with their addresses, and addresses, in two numbers each. */
export const MOST_KNOWN = 65_536
export const MOST_SUSPECTS = 16_384

export const newUsage = (): Usage =>
  new Int32Array(new SharedArrayBuffer(4 * (STANDING + 2 * (MOST_KNOWN + MOST_SUSPECTS))))

export function setUse(usage: Usage, slot: number, sessions: number, descriptors: number, before: number): void {
  Atomics.store(usage, NUMBERS * slot, sessions)
  Atomics.store(usage, NUMBERS * slot + 1, descriptors)
  Atomics.store(usage, NUMBERS * slot + 2, before)
}

export const sessionsInUse = (usage: Usage): number => sumFrom(usage, 0)
export const descriptorsInUse = (usage: Usage): number => sumFrom(usage, 1)
export const beforeLoginInUse = (usage: Usage): number => sumFrom(usage, 2)

function sumFrom(usage: Usage, first: number): number {
  let sum = 0
  for (let i = first; i < PROBES; i += NUMBERS) sum += usage[i] ?? 0
  return sum
}

/** Logins that the helper was asked for in this second. */
export const attemptsIn = (usage: Usage, second: number): number =>
  Atomics.load(usage, ATTEMPTS) === second ? Atomics.load(usage, ATTEMPTS + 1) : 0

/** One more. Two lanes that begin a second together may forget one of the other's: the helper counts exactly. */
export function countAttempt(usage: Usage, second: number): void {
  if (Atomics.exchange(usage, ATTEMPTS, second) === second) Atomics.add(usage, ATTEMPTS + 1, 1)
  else Atomics.store(usage, ATTEMPTS + 1, 1)
}

/** A client from this port on this host is the main thread, which looks whether a lane takes clients; 0: no longer. */
export function setProbe(usage: Usage, listener: number, port: number): void {
  const before = Atomics.exchange(usage, PROBES + 1 + listener, port)
  Atomics.add(usage, PROBES, Number(port !== 0) - Number(before !== 0))
}

export const isProbe = (usage: Usage, listener: number, port: number): boolean =>
  Atomics.load(usage, PROBES) > 0 && Atomics.load(usage, PROBES + 1 + listener) === port
