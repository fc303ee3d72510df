// How full each limit is at most, in memory that all threads share. Where a limit is less than half full, a lane allows what a client wants by
// itself and tells the service actor afterwards; everywhere else it asks. Nothing here refuses anybody.
//
//   a cell holds how much is taken by all subjects that hash to it: never less than one of them has taken
//   a window's cells are three planes, by its number modulo three: this window, the one before, and the next, which is empty

import type { Applied, Limit } from './limit.ts'

const CELLS = 65_536
const PLANES = 3
/** Windows that have cells, in seconds; a shorter one is over before it is looked at. */
const SECONDS = [60, 3600, 86_400]

// The places of: whether to ask always; hosts that count together; marks; what is taken at the same time and in windows; as much again of what is not told yet.
const ALWAYS = 0
const HOSTS = 1
const MARKS = 2
const AT_ONCE = MARKS + CELLS
const WINDOWS = AT_ONCE + CELLS
const UNTOLD = (1 + SECONDS.length * PLANES) * CELLS
const LENGTH = AT_ONCE + 2 * UNTOLD

export interface Room {
  /** Tells one process's room from another's. */
  readonly process: number
  readonly cells: Int32Array
}

/** Places in `cells` at which one more is taken. */
export type Places = readonly number[]

export const newRoom = (process: number): Room => ({
  process,
  cells: new Int32Array(new SharedArrayBuffer(4 * LENGTH)),
})

/** FNV-1a over the UTF-16 units of both. */
function cellOf(name: string, subject: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  for (let i = 0; i < subject.length; i += 1) hash = Math.imul(hash ^ subject.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 16)) & (CELLS - 1)
}

const planeOf = (window: number, number: number): number => (window * PLANES + (number % PLANES)) * CELLS

const windowAt = (seconds: number, now: number): number => Math.floor(now / (seconds * 1000))

export const atOnceKey = ({ limit: { scope, what }, subject }: Applied): string => `${scope} ${what} ${subject}`

/** Empty: the line has no window. */
export function windowId({ scope, what, rate }: Limit): string {
  if (rate.kind === 'window') return `${scope} ${what} ${rate.seconds}`
  return rate.kind === 'delay' ? `${scope} delay` : ''
}

/** Where this counts at the same time as others; -1: it does not. */
export const placeAtOnce = (key: string): number => AT_ONCE + cellOf(key, '')

/** Where this counts in its window, which began less than a window ago; -1: its window has no cells. `now`: milliseconds, of all threads alike. */
export function placeInWindow(one: Applied, now: number): number {
  const { rate } = one.limit
  return rate.kind === 'window' ? placeIn(windowId(one.limit), rate.seconds, one.subject, now) : -1
}

export function placeIn(id: string, seconds: number, subject: string, now: number): number {
  const window = SECONDS.indexOf(seconds)
  return window < 0 ? -1 : WINDOWS + planeOf(window, windowAt(seconds, now)) + cellOf(id, subject)
}

/** The same subject's place in the window before. */
function placeBefore(place: number): number {
  const plane = Math.floor((place - WINDOWS) / CELLS)
  return plane % PLANES === 0 ? place + (PLANES - 1) * CELLS : place - CELLS
}

/** `n` below zero gives back; a cell that a lane's death has emptied stays at zero. */
export function change({ cells }: Room, places: Places, n: number): void {
  for (const place of places) {
    if (n >= 0) Atomics.add(cells, place, n)
    else lower(cells, place, -n)
  }
}

function lower(cells: Int32Array, place: number, n: number): void {
  let held = Atomics.load(cells, place)
  while (held > 0) {
    const seen = Atomics.compareExchange(cells, place, held, Math.max(0, held - n))
    if (seen === held) return
    held = seen
  }
}

/** The others are given back when a client leaves. */
export const isInWindow = (place: number): boolean => place >= WINDOWS

/** Takes one of each line, or nothing: undefined where a line may have no room for it. */
export function take(room: Room, applied: readonly Applied[], now: number): Places | undefined {
  const { cells } = room
  if (Atomics.load(cells, ALWAYS) > 0) return undefined
  // Each host by itself goes as far as all together may.
  const share = 2 * Math.max(1, Atomics.load(cells, HOSTS))
  const taken: number[] = []
  for (const one of applied) {
    const { rate, name } = one.limit
    if (rate.kind !== 'at-once' && rate.kind !== 'window') continue
    const place = rate.kind === 'window' ? placeInWindow(one, now) : placeAtOnce(atOnceKey(one))
    if (place < 0 || isMarked(room, name) || Atomics.load(cells, markAt(place)) !== 0) return giveUp(room, taken)
    taken.push(place)
    let full = Atomics.add(cells, place, 1) + 1
    if (isInWindow(place)) full += Atomics.load(cells, placeBefore(place))
    if (full > rate.most / share) return giveUp(room, taken)
  }
  for (const place of taken) Atomics.add(cells, place + UNTOLD, 1)
  return taken
}

function giveUp(room: Room, taken: Places): undefined {
  change(room, taken, -1)
  return undefined
}

/** As if it had not been taken. */
export function untake(room: Room, taken: Places): void {
  change(room, taken, -1)
  told(room, taken)
}

/** The service has heard of them. */
export function told({ cells }: Room, places: Places): void {
  for (const place of places) lower(cells, place + UNTOLD, 1)
}

/** What lanes have taken of this line and the service has not heard of, and at most a little of others'. */
export function untold({ cells }: Room, one: Applied, now: number): number {
  if (one.limit.rate.kind === 'at-once') return Atomics.load(cells, placeAtOnce(atOnceKey(one)) + UNTOLD)
  const place = placeInWindow(one, now)
  return place < 0 ? 0 : Atomics.load(cells, place + UNTOLD) + Atomics.load(cells, placeBefore(place) + UNTOLD)
}

/** A lane has died: of its clients that nobody has heard of none is here. */
export const forgetUntold = ({ cells }: Room): void => void cells.fill(0, AT_ONCE + UNTOLD, AT_ONCE + UNTOLD + CELLS)

// ---- what has to be asked about

/** Of a line and subject: its cell, in whichever plane it counts. */
const markAt = (place: number): number => MARKS + ((place - AT_ONCE) & (CELLS - 1))

/** A ban, a delay, or a line with another rate than control/limits has. */
export const mark = ({ cells }: Room, key: string): void => void Atomics.store(cells, MARKS + cellOf(key, ''), 1)

export const isMarked = ({ cells }: Room, key: string): boolean => Atomics.load(cells, MARKS + cellOf(key, '')) !== 0

/** These are marked, and no others. */
export function markOnly({ cells }: Room, keys: Iterable<string>): void {
  const marks = new Int32Array(CELLS)
  for (const key of keys) marks[cellOf(key, '')] = 1
  for (let i = 0; i < CELLS; i += 1) if (cells[MARKS + i] !== marks[i]) Atomics.store(cells, MARKS + i, marks[i] ?? 0)
}

/** Everything has to be asked about, or no longer. */
export const askAlways = ({ cells }: Room, always: boolean): void => void Atomics.store(cells, ALWAYS, always ? 1 : 0)

/** So many hosts count together. */
export const useHosts = ({ cells }: Room, hosts: number): void => void Atomics.store(cells, HOSTS, hosts)

// ---- time

/** Empties the next window's plane, once in each window; `emptied`: the windows that have been, by length. */
export function emptyNext({ cells }: Room, emptied: number[], now: number): void {
  for (const [window, seconds] of SECONDS.entries()) {
    const next = windowAt(seconds, now) + 1
    if (emptied[window] === next) continue
    // The first one has never been used.
    if (emptied[window] !== undefined) {
      const from = WINDOWS + planeOf(window, next)
      cells.fill(0, from, from + CELLS)
      cells.fill(0, from + UNTOLD, from + UNTOLD + CELLS)
    }
    emptied[window] = next
  }
}
