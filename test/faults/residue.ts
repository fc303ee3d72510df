// What is left when nobody is served: the same processes with the same number of descriptors, whatever has happened in between.
import { readdirSync, readlinkSync } from 'node:fs'
import { picture, until } from '../system/processes.ts'
import { ROLES, type Role, type Service } from './service.ts'

/** Backends end with their sessions; what they started, and what is killed, takes a little longer. */
const SETTLING = 20_000

export interface Residue {
  /** By role: kinds of descriptors, and how many there are of each. */
  readonly descriptors: ReadonlyMap<Role, ReadonlyMap<string, number>>
}

/** `socket`, `pipe`, `anon_inode:[eventpoll]`, or the path of a file. */
function kindsOf(pid: number): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const kind = readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/^(socket|pipe):.*/, '$1')
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
    } catch {
      // It was closed while we looked.
    }
  }
  return kinds
}

const sum = (kinds: ReadonlyMap<string, number> | undefined): number =>
  [...(kinds?.values() ?? [])].reduce((all, one) => all + one, 0)

function look(service: Service): Residue {
  const descriptors = new Map<Role, ReadonlyMap<string, number>>()
  for (const role of ROLES) {
    const one = service.role(role)
    if (one !== undefined) descriptors.set(role, kindsOf(one.pid))
  }
  return { descriptors }
}

/** Only acceptd itself runs, each process once. */
const isAlone = (service: Service): boolean =>
  service.processes().length === ROLES.length && ROLES.every((role) => service.role(role) !== undefined)

/** The residue of a service that nobody uses. */
export async function baseline(service: Service): Promise<Residue> {
  await until('everybody to have gone', () => isAlone(service), {
    timeout: SETTLING,
    every: 50,
    show: () => picture(service.processes()),
  })
  return look(service)
}

function difference(now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): string {
  return [...new Set([...now.keys(), ...before.keys()])]
    .flatMap((kind) => {
      const more = (now.get(kind) ?? 0) - (before.get(kind) ?? 0)
      return more === 0 ? [] : [`${more > 0 ? '+' : ''}${more} ${kind}`]
    })
    .join(', ')
}

/** Sentences about what is left beyond `before`; up to `allowed` more descriptors of the runtime do not count. */
export async function leftBeyond(before: Residue, service: Service, allowed: number): Promise<readonly string[]> {
  const alone = await baseline(service).then(
    () => undefined,
    (error: unknown) => String(error),
  )
  if (alone !== undefined) return [alone]
  const tooMany = (): readonly string[] =>
    [...look(service).descriptors].flatMap(([role, kinds]) => {
      const was = before.descriptors.get(role) ?? new Map<string, number>()
      const most = sum(was) + (role === 'runtime' ? allowed : 0)
      return sum(kinds) > most ? [`${role}: ${sum(kinds)} descriptors, not ${most}: ${difference(kinds, was)}`] : []
    })
  await until('descriptors to be closed', () => tooMany().length === 0, { timeout: SETTLING, every: 100 }).catch(
    () => undefined,
  )
  return tooMany()
}
