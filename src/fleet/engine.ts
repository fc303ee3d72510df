// The connections to the Valkey or Redis of a fleet: one for commands, one that hears the other hosts. Both or none; a lost one is made anew.

import { Redis } from 'ioredis'
import type { FleetConfig, FleetSecrets } from '../config/fleet.ts'

/** Answers that take longer are as good as none: the connection is given up, and made anew. */
const PATIENCE_MILLISECONDS = 1000
const CONNECT_MILLISECONDS = 800
const RETRY_MILLISECONDS = 200

/**
 * Writes what this host counts of each key and reads what all hosts have, tells the others, and says the time.
 * KEYS: of the counts; ARGV: host, channel, message, then value and milliseconds to live for each.
 */
const EXCHANGE = `
local all = {}
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, ARGV[1], ARGV[2 + 2 * i])
  redis.call('PEXPIRE', key, ARGV[3 + 2 * i])
  all[i] = redis.call('HGETALL', key)
end
if ARGV[3] ~= '' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return { redis.call('TIME'), all }
`

/** Keeps a field of a hash, tells the others, says the time. KEYS: the hash; ARGV: field, value, milliseconds to live, channel, message. */
const KEEP = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return redis.call('TIME')
`

type Time = readonly [seconds: string, microseconds: string]

interface Scripts {
  exchange(keys: number, ...args: readonly string[]): Promise<readonly [Time, readonly (readonly string[])[]]>
  keep(...args: readonly string[]): Promise<Time>
}

export interface EngineEvents {
  /** Both connections are there, and channels are heard. */
  readonly ready: () => void
  readonly lost: (why: string) => void
  readonly heard: (text: string) => void
  /** An answer has come after so many milliseconds. */
  readonly took: (milliseconds: number) => void
}

export interface Engine {
  readonly exchange: (
    host: string,
    message: string,
    written: readonly { readonly key: string; readonly value: string; readonly lives: number }[],
  ) => Promise<{ readonly time: number; readonly fields: readonly (readonly string[])[] }>
  /** Answers the time of the engine, in milliseconds. */
  readonly keep: (hash: string, field: string, value: string, lives: number, message: string) => Promise<number>
  readonly drop: (hash: string, fields: readonly string[]) => Promise<unknown>
  readonly fields: (hash: string) => Promise<Readonly<Record<string, string>>>
  readonly tell: (channel: string, message: string) => Promise<unknown>
  /** A key that ends by itself. */
  readonly set: (key: string, value: string, lives: number) => Promise<unknown>
  readonly get: (key: string) => Promise<string | null>
  readonly remove: (keys: readonly string[]) => Promise<unknown>
  /** Names of keys that begin so. */
  readonly scan: (beginning: string, each: (keys: readonly string[]) => Promise<unknown>) => Promise<void>
  readonly all: (keys: readonly string[]) => Promise<readonly Readonly<Record<string, string>>[]>
  /** Milliseconds that each lives. */
  readonly lives: (keys: readonly string[]) => Promise<readonly number[]>
  readonly close: () => void
}

const timeOf = ([seconds, microseconds]: Time): number => Number(seconds) * 1000 + Number(microseconds) / 1000

const optionsOf = ({ engine, user }: FleetConfig, { password, authority }: FleetSecrets) => ({
  host: engine.host,
  port: engine.port,
  db: engine.database,
  ...(user === undefined ? {} : { username: user }),
  ...(password === undefined ? {} : { password }),
  ...(engine.tls ? { tls: authority === undefined ? {} : { ca: authority } } : {}),
  protocol: 2 as const,
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResubscribe: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  connectTimeout: CONNECT_MILLISECONDS,
  commandTimeout: PATIENCE_MILLISECONDS,
  retryStrategy: () => RETRY_MILLISECONDS,
  connectionName: 'acceptd',
  disableClientInfo: true,
})

const scripts = {
  exchange: { lua: EXCHANGE },
  keep: { lua: KEEP, numberOfKeys: 1 },
}

export function connectEngine(
  config: FleetConfig,
  secrets: FleetSecrets,
  channels: readonly string[],
  events: EngineEvents,
): Engine {
  const commands = new Redis({ ...optionsOf(config, secrets), scripts })
  const hearing = new Redis(optionsOf(config, secrets))
  const pair = connectBoth(commands, hearing, channels, events)
  const scripted = commands as unknown as Scripts
  const [toAll = ''] = channels

  async function timed<T>(asked: Promise<T>): Promise<T> {
    const began = performance.now()
    try {
      const answer = await asked
      events.took(performance.now() - began)
      return answer
    } catch (error) {
      if (error instanceof Error && error.message === 'Command timed out') pair.renew()
      throw error
    }
  }

  return {
    async exchange(host, message, written) {
      const keys = written.map(({ key }) => key)
      const values = written.flatMap(({ value, lives }) => [value, String(lives)])
      const [time, fields] = await timed(scripted.exchange(keys.length, ...keys, host, toAll, message, ...values))
      return { time: timeOf(time), fields }
    },
    keep: async (hash, field, value, lives, message) =>
      timeOf(await timed(scripted.keep(hash, field, value, String(lives), toAll, message))),
    drop: (hash, fields) => timed(commands.hdel(hash, ...fields)),
    fields: (hash) => timed(commands.hgetall(hash)),
    tell: (channel, message) => timed(commands.publish(channel, message)),
    set: (key, value, lives) => timed(commands.set(key, value, 'PX', Math.max(1, Math.ceil(lives)))),
    get: (key) => timed(commands.get(key)),
    remove: (keys) => (keys.length === 0 ? Promise.resolve() : timed(commands.unlink(...keys))),
    async scan(beginning, each) {
      let cursor = '0'
      do {
        const [next, keys] = await timed(commands.scan(cursor, 'MATCH', `${beginning}*`, 'COUNT', 500))
        if (keys.length > 0) await each(keys)
        cursor = next
      } while (cursor !== '0')
    },
    all: (keys) => timed(Promise.all(keys.map((key) => commands.hgetall(key)))),
    lives: (keys) => timed(Promise.all(keys.map((key) => commands.pttl(key)))),
    close: pair.close,
  }
}

/** Says that they are ready when both are, and that they are lost when one of them is. */
function connectBoth(
  commands: Redis,
  hearing: Redis,
  channels: readonly string[],
  { ready, lost, heard }: EngineEvents,
): { readonly renew: () => void; readonly close: () => void } {
  let isReady = false
  let isClosed = false
  let why = ''

  const isUp = () => commands.status === 'ready' && hearing.status === 'ready'
  const disconnect = (again: boolean) => {
    commands.disconnect(again)
    hearing.disconnect(again)
  }
  function gone(): void {
    if (!isClosed && (isReady || why !== '')) lost(why || 'the connection is lost')
    isReady = false
  }
  async function up(): Promise<void> {
    if (isReady || !isUp()) return
    try {
      await hearing.subscribe(...channels)
    } catch (error) {
      why = reasonOf(error)
      hearing.disconnect(true)
      return
    }
    if (isReady || !isUp()) return
    isReady = true
    why = ''
    ready()
  }
  for (const one of [commands, hearing]) {
    one.on('error', (error: Error) => {
      why = reasonOf(error)
    })
    one.on('ready', () => void up())
    one.on('close', gone)
    one.connect().catch(() => undefined)
  }
  hearing.on('message', (_channel: string, text: string) => heard(text))
  return {
    renew() {
      if (!isReady) return
      why = `no answer for ${PATIENCE_MILLISECONDS} ms`
      disconnect(true)
    },
    close() {
      isClosed = true
      disconnect(false)
    },
  }
}

/** Whether the engine itself has answered that it will not. */
export const isRefusal = (error: unknown): boolean => error instanceof Error && error.name === 'ReplyError'

/** Never the password: errors of the client name commands, some with their arguments, and those are left out. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as NodeJS.ErrnoException
  return code ?? error.message.split('\n')[0] ?? error.name
}
