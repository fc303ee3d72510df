// Which hosts there are: each says twice a second that it is here, to those who listen and to those who come later.

import { monotonic } from '../edge/clock.ts'
import { useHosts } from '../limits/room.ts'
import { type HostFacts, isHere, type Member, namesOf, type State } from './state.ts'

export const BEAT_MILLISECONDS = 500
/** A host of which nothing is heard for a day is none any more. */
const KNOWN_MILLISECONDS = 86_400_000
const FAST_MILLISECONDS = 5

interface Kept extends HostFacts {
  readonly instance: string
  /** By the engine's clock. */
  readonly at: number
}

export async function beat(state: State): Promise<void> {
  const { parts, config, instance, engine, sharing } = state
  const names = namesOf(config)
  const facts = parts.facts()
  const asked = monotonic()
  const kept: Kept = { ...facts, instance, at: Math.round(parts.now() + sharing.ahead) }
  const message = JSON.stringify(['here', config.name, instance, facts])
  const time = await engine.keep(names.hosts, config.name, JSON.stringify(kept), KNOWN_MILLISECONDS, message)
  setClock(state, time, monotonic() - asked)
  meet(state, { ...facts, name: config.name, instance, heard: monotonic() })
  lookAround(state)
}

/** Of the answers only a quick one says the time well. */
export function setClock({ parts, sharing }: State, time: number, took: number): void {
  const ahead = time - (parts.now() - took / 2)
  if (sharing.ahead === 0 || took < FAST_MILLISECONDS || Math.abs(ahead - sharing.ahead) > took) sharing.ahead = ahead
}

export function meet({ members }: State, member: Member): void {
  members.set(member.name, member)
}

/** Who is here now. */
export function lookAround({ members, parts, sharing }: State): void {
  const now = monotonic()
  const here = [...members.values()].filter((one) => isHere(one, now)).map(({ name }) => name)
  sharing.hosts = new Set(here)
  // Before a lane allows what now has to be left to others.
  if (parts.limiter.room !== undefined) useHosts(parts.limiter.room, here.length)
}

/** Those that the engine knows of. */
export async function loadHosts(state: State): Promise<void> {
  const { engine, config, parts, sharing, members } = state
  const { hosts } = namesOf(config)
  const gone: string[] = []
  for (const [name, text] of Object.entries(await engine.fields(hosts))) {
    const kept = keptHost(text)
    const age = kept === undefined ? Number.POSITIVE_INFINITY : parts.now() + sharing.ahead - kept.at
    if (kept === undefined || age > KNOWN_MILLISECONDS) gone.push(name)
    else if (name !== config.name && !members.has(name))
      members.set(name, { ...kept, name, heard: monotonic() - Math.max(0, age) })
  }
  if (gone.length > 0) await engine.drop(hosts, gone)
  lookAround(state)
}

function keptHost(text: string): Kept | undefined {
  try {
    const { at, instance, ...facts } = JSON.parse(text) as Kept
    const found = factsOf(facts)
    return found && typeof instance === 'string' && Number.isFinite(at) ? { ...found, at, instance } : undefined
  } catch {
    return undefined
  }
}

export function factsOf(value: unknown): HostFacts | undefined {
  const { version, generation, sha256, common } = (value ?? {}) as Partial<HostFacts>
  if (typeof version !== 'string' || typeof sha256 !== 'string' || typeof common !== 'string') return undefined
  if (!Number.isSafeInteger(generation)) return undefined
  return { version, generation: generation as number, sha256, common }
}
