// Sessions and descriptors in use, of all lanes, in shared memory: a lane writes its own slot and reads all of them, so that the
// process as a whole stays below its limit however unevenly the kernel shares clients out.

/** Twice as many as there can be lanes, and more: an old lane drains while its replacement serves. */
export const SLOTS = 256

/** Two numbers a slot: sessions, descriptors. */
export type Usage = Int32Array

export const newUsage = (): Usage => new Int32Array(new SharedArrayBuffer(4 * 2 * SLOTS))

export function setUse(usage: Usage, slot: number, sessions: number, descriptors: number): void {
  Atomics.store(usage, 2 * slot, sessions)
  Atomics.store(usage, 2 * slot + 1, descriptors)
}

export function sessionsInUse(usage: Usage): number {
  let sum = 0
  for (let i = 0; i < usage.length; i += 2) sum += usage[i] ?? 0
  return sum
}

export function descriptorsInUse(usage: Usage): number {
  let sum = 0
  for (let i = 1; i < usage.length; i += 2) sum += usage[i] ?? 0
  return sum
}
