// What is in force for a time only: it ends by itself, by op.cancel, or because somebody undid it. All but what belongs to one connection
// is kept on disk, and goes on in the next runtime.
import { err, ok, type Result } from 'neverthrow'
import type { Daemon, KeptOverride, LogLevel, RpcFailure } from '../contract/daemon.ts'

export type Override = KeptOverride

/** What was before a level that was set for a time: that of control/loglevel, whatever it says by then. */
export const AS_CONTROL = 'control'

/** How an override ends, by the method that began it. */
const UNDO: Readonly<Record<string, (daemon: Daemon, override: Override) => unknown>> = {
  'listener.pause': (daemon, { subject }) => daemon.listeners.resume(subject),
  'user.block': (daemon, { subject }) => daemon.users.unblock(subject),
  'limit.set': (daemon, { subject }) => daemon.limits.set(subject, undefined),
  'log.set': (daemon, { subject, before }) =>
    daemon.log.set(subject, before === AS_CONTROL ? undefined : (before as LogLevel)),
}

export interface Overrides {
  /** Begins one; one with the same method and subject is replaced, and what comes back at the end stays that of the first. */
  add(what: {
    readonly method: string
    readonly subject: string
    readonly ttl: number
    readonly reason: string | undefined
    readonly before?: string
    /** What has been set, for the next runtime. */
    readonly value?: string
    /** For one that belongs to a connection, and is not kept: how it ends. */
    readonly end?: () => unknown
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
  readonly end: (() => unknown) | undefined
}

const keyOf = ({ method, subject }: Pick<Override, 'method' | 'subject'>) => `${method} ${subject}`

const missing = (id: string): RpcFailure => ({
  failure: 'not-found',
  reason: 'no-such-operation',
  message: `No operation ${id} is in force`,
})

export function createOverrides(daemon: Daemon): Overrides {
  const entries = new Map<string, Entry>()
  const before = daemon.overrides.kept()
  let last = Math.max(0, ...before.map(({ id }) => Number(id.slice(1)) || 0))

  const keep = () =>
    daemon.overrides.keep([...entries.values()].flatMap(({ override, end }) => (end === undefined ? [override] : [])))
  const remove = (key: string): Entry | undefined => {
    const entry = entries.get(key)
    if (entry) clearTimeout(entry.timer)
    entries.delete(key)
    return entry
  }
  const entryOf = (id: string) => [...entries.values()].find(({ override }) => override.id === id)
  const finish = async ({ override, end }: Pick<Entry, 'override' | 'end'>) => {
    try {
      await (end === undefined ? UNDO[override.method]?.(daemon, override) : end())
    } catch (error) {
      daemon.bug('the end of an override', error)
    }
    keep()
  }
  const put = (override: Override, end: (() => unknown) | undefined): void => {
    const key = keyOf(override)
    const over = () => {
      remove(key)
      const { method, subject } = override
      daemon.events.tell({ at: Date.now(), topic: 'op', name: 'expired', data: { method, subject } })
      void finish({ override, end })
    }
    const timer = setTimeout(over, Math.max(0, override.ends - Date.now())).unref()
    entries.set(key, { override, timer, end })
  }

  for (const override of before) put(override, undefined)
  return {
    add({ method, subject, ttl, reason, before: former, value, end }) {
      const replaced = remove(keyOf({ method, subject }))
      const now = Date.now()
      const back = replaced?.override.before ?? former
      const override: Override = {
        id: `o${++last}`,
        method,
        subject,
        ...(reason !== undefined && { reason }),
        ...(back !== undefined && { before: back }),
        ...(value !== undefined && { value }),
        since: replaced?.override.since ?? now,
        ends: now + ttl * 1000,
      }
      put(override, end)
      keep()
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
      remove(keyOf(entry.override))
      await finish(entry)
      return ok(entry.override)
    },
    forget(method, subject) {
      if (remove(keyOf({ method, subject })) !== undefined) keep()
    },
    close() {
      for (const key of entries.keys()) remove(key)
    },
  }
}
