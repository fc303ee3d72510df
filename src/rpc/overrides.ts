// What is in force for a time only: it ends by itself, by op.cancel, or because somebody undid it.
import { err, ok, type Result } from 'neverthrow'
import type { RpcFailure } from '../contract/daemon.ts'

export interface Override {
  readonly id: string
  /** The method that began it. */
  readonly method: string
  /** What it is about: a listener, a user, a component. */
  readonly subject: string
  readonly reason?: string
  readonly since: number
  readonly ends: number
}

export interface Overrides {
  /** Begins one; one with the same method and subject is replaced, and what undoes it stays that of the first. */
  add(what: {
    readonly method: string
    readonly subject: string
    readonly ttl: number
    readonly reason: string | undefined
    readonly end: () => unknown
  }): Override
  list(): readonly Override[]
  /** Undoes it now. */
  cancel(id: string): Promise<Result<Override, RpcFailure>>
  find(id: string): Result<Override, RpcFailure>
  /** Forgets it without undoing anything, because the caller did. */
  forget(method: string, subject: string): void
  /** Forgets all; nothing is undone. */
  close(): void
}

interface Entry {
  readonly override: Override
  readonly timer: NodeJS.Timeout
  readonly end: () => unknown
}

const keyOf = (method: string, subject: string) => `${method} ${subject}`

const missing = (id: string): RpcFailure => ({
  failure: 'not-found',
  reason: 'no-such-operation',
  message: `No operation ${id} is in force`,
})

export function createOverrides(onBug: (error: unknown) => void): Overrides {
  const entries = new Map<string, Entry>()
  let last = 0

  const remove = (key: string): Entry | undefined => {
    const entry = entries.get(key)
    if (entry) clearTimeout(entry.timer)
    entries.delete(key)
    return entry
  }
  const entryOf = (id: string) => [...entries.values()].find(({ override }) => override.id === id)
  const finish = async (end: () => unknown) => {
    try {
      await end()
    } catch (error) {
      onBug(error)
    }
  }

  return {
    add({ method, subject, ttl, reason, end }) {
      const key = keyOf(method, subject)
      const before = remove(key)
      const now = Date.now()
      const undo = before?.end ?? end
      const override: Override = {
        id: `o${++last}`,
        method,
        subject,
        ...(reason !== undefined && { reason }),
        since: before?.override.since ?? now,
        ends: now + ttl * 1000,
      }
      const timer = setTimeout(() => {
        remove(key)
        void finish(undo)
      }, ttl * 1000)
      timer.unref()
      entries.set(key, { override, timer, end: undo })
      return override
    },
    list: () => [...entries.values()].map(({ override }) => override),
    find(id) {
      const entry = entryOf(id)
      return entry ? ok(entry.override) : err(missing(id))
    },
    async cancel(id) {
      const entry = entryOf(id)
      if (!entry) return err(missing(id))
      remove(keyOf(entry.override.method, entry.override.subject))
      await finish(entry.end)
      return ok(entry.override)
    },
    forget(method, subject) {
      remove(keyOf(method, subject))
    },
    close() {
      for (const key of entries.keys()) remove(key)
    },
  }
}
